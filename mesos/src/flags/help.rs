//! The text of `--help`, made of the tables.

use std::fmt::Write as _;

use super::read::FlagSet;
use super::spec::{Bounds, DefaultValue, FlagSpec, Kind, Support};

/// Column in which the explanation begins.
const INDENT: &str = "        ";

/// The whole help text.
pub(super) fn render(set: &FlagSet) -> String {
    let mut text = format!(
        "{}: {}\n\nUsage: {} [--FLAG=VALUE]...\n\n",
        set.program, set.about, set.program
    );
    text.push_str(
        "Each flag can also be set by a variable MESOS_FLAG in capitals; the command line wins. A value file://PATH\n\
         stands for what the file holds. Durations look like 15secs, 10mins or 1weeks, sizes like 512MB or 2GB.\n\n",
    );
    let mut specs: Vec<&FlagSpec> = set.specs().collect();
    specs.sort_by_key(|spec| spec.name);
    for spec in specs {
        render_one(spec, &mut text);
    }
    text
}

fn render_one(spec: &FlagSpec, text: &mut String) {
    match spec.kind {
        Kind::Bool => writeln!(text, "  --[no-]{}", spec.name),
        kind => writeln!(text, "  --{}={}", spec.name, placeholder(kind)),
    }
    .expect("writing to a string cannot fail");
    let mut line = |line: &str| {
        text.push_str(INDENT);
        text.push_str(line);
        text.push('\n');
    };
    line(spec.help);
    let mut remarks = Vec::new();
    match spec.default {
        DefaultValue::Unset => {}
        DefaultValue::Is(default) | DefaultValue::Computed(default, _) => remarks.push(format!("default: {default}")),
        DefaultValue::Required => remarks.push("must be given".to_owned()),
        DefaultValue::Instead(_, here, _) => remarks.push(format!("default here: {here}")),
    }
    if let Some(bounds) = describe(spec.bounds) {
        remarks.push(bounds);
    }
    if let Some(alias) = spec.alias {
        remarks.push(format!("older name: {alias}"));
    }
    if !remarks.is_empty() {
        line(&format!("[{}]", remarks.join("; ")));
    }
    match spec.support {
        Support::Works => {}
        Support::RefusedUnless(_, because) => line(&format!("Not in this version: {because}.")),
        Support::OnlyItems(works, because) => line(&format!("Only {}: {because}.", works.join(", "))),
    }
}

const fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "BOOL",
        Kind::Int | Kind::Uint | Kind::Uint16 | Kind::Float => "NUMBER",
        Kind::Duration => "DURATION",
        Kind::Bytes => "SIZE",
        Kind::Text | Kind::TextOrFile => "TEXT",
        Kind::Path => "PATH",
        Kind::Json => "JSON",
        Kind::List | Kind::UintList => "LIST",
    }
}

fn describe(bounds: Bounds) -> Option<String> {
    match bounds {
        Bounds::Any => None,
        Bounds::OneOf(texts) => Some(format!("one of {}", texts.join(", "))),
        Bounds::AtLeast(least) => Some(format!("at least {least}")),
        Bounds::AtMost(most) => Some(format!("at most {most}")),
        Bounds::Between(least, most) => Some(format!("{least} to {most}")),
        Bounds::AboveZero => Some("above zero".to_owned()),
        Bounds::Within(least, most) if most.is_finite() => Some(format!("{least} to {most}")),
        Bounds::Within(least, _) => Some(format!("at least {least}")),
        Bounds::Checked(_, accepted) => Some(accepted.to_owned()),
    }
}
