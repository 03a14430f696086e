//! Reading arguments and environment by the tables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::error::FlagsError;
use super::spec::{DefaultValue, FlagSpec, Kind, Rule, Support};
use super::value::FlagValue;

/// Names that differ by more than this share of their letters are no suggestion.
const SUGGESTION_LIKENESS: f64 = 0.7;

/// A program with its flags.
#[derive(Debug)]
pub struct FlagSet {
    /// Name of the program.
    pub program: &'static str,
    /// One sentence on what it does.
    pub about: &'static str,
    /// Its tables.
    pub tables: &'static [&'static [FlagSpec]],
    /// Rules about pairs of flags.
    pub rules: &'static [Rule],
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Outcome {
    /// To print this text.
    Help(String),
    /// To print the version.
    Version,
    /// To run.
    Run(Flags),
}

/// Checked flags.
#[derive(Clone, Debug)]
pub struct Flags {
    values: BTreeMap<&'static str, FlagValue>,
    given: Vec<&'static str>,
    warnings: Vec<String>,
}

/// A value as it was given.
struct Given {
    /// The flag or variable as it was written.
    place: String,
    text: String,
}

impl FlagSet {
    /// All flags, in the order of the tables.
    pub fn specs(&self) -> impl Iterator<Item = &'static FlagSpec> {
        self.tables.iter().flat_map(|table| table.iter())
    }

    /// The environment variable of a flag.
    #[must_use]
    pub fn variable(name: &str) -> String {
        format!("MESOS_{}", name.to_uppercase())
    }

    /// Reads the arguments (without the program's own name) and the environment. Arguments win; `MESOS_` variables
    /// that belong to no flag are not ours and are left alone.
    ///
    /// # Errors
    ///
    /// Gives the first thing that keeps the program from starting.
    pub fn read(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Outcome, FlagsError> {
        let matches = self
            .command()
            .try_get_matches_from(arguments)
            .map_err(|error| self.explain(&error))?;
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let mut flags = Flags {
            values: BTreeMap::new(),
            given: Vec::new(),
            warnings: Vec::new(),
        };
        let mut asked = (false, false);
        let mut missing = None;
        for spec in self.specs() {
            let given = find_given(spec, &matches, &environment, &mut flags.warnings)?;
            match read_one(spec, given, &mut flags)? {
                Some(FlagValue::Bool(true)) if spec.name == "help" => asked.0 = true,
                Some(FlagValue::Bool(true)) if spec.name == "version" => asked.1 = true,
                None if matches!(spec.default, DefaultValue::Required) => {
                    missing = missing.or(Some(FlagsError::Required {
                        flag: spec.name,
                        help: spec.help,
                    }));
                }
                _ => {}
            }
        }
        match (asked, missing) {
            ((true, _), _) => Ok(Outcome::Help(super::help::render(self))),
            ((false, true), _) => Ok(Outcome::Version),
            ((false, false), Some(error)) => Err(error),
            ((false, false), None) => {
                self.check_rules(&flags)?;
                Ok(Outcome::Run(flags))
            }
        }
    }

    fn check_rules(&self, flags: &Flags) -> Result<(), FlagsError> {
        for rule in self.rules {
            match *rule {
                Rule::NotTogether(first, second) | Rule::ExactlyOne(first, second)
                    if flags.is_given(first) && flags.is_given(second) =>
                {
                    return Err(FlagsError::NotTogether { first, second });
                }
                Rule::ExactlyOne(first, second) if !flags.is_given(first) && !flags.is_given(second) => {
                    return Err(FlagsError::NeitherGiven { first, second });
                }
                Rule::Same(first, second) if flags.get(first) != flags.get(second) => {
                    return Err(FlagsError::Different { first, second });
                }
                Rule::NotTogether(..) | Rule::ExactlyOne(..) | Rule::Same(..) => {}
            }
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program)
            .no_binary_name(true)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .allow_negative_numbers(true);
        for spec in self.specs() {
            for name in std::iter::once(spec.name).chain(spec.alias) {
                command = command.arg(argument(name, spec.kind));
                if spec.kind == Kind::Bool {
                    let negated = format!("no-{name}");
                    command = command.arg(Arg::new(negated.clone()).long(negated).action(ArgAction::SetTrue));
                }
            }
        }
        command
    }

    /// Turns an error of the argument parser into one that names our flags.
    fn explain(&self, error: &clap::Error) -> FlagsError {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
            _ => String::new(),
        };
        let argument = context(ContextKind::InvalidArg);
        // The parser shows flags with their values, as in `--quorum <VALUE>`.
        let bare = argument.split([' ', '=', '[']).next().unwrap_or_default();
        let Some(flag) = bare.strip_prefix("--").map(str::to_owned) else {
            return match error.kind() {
                ErrorKind::InvalidUtf8 => FlagsError::NotUtf8 { argument },
                _ => FlagsError::NotAFlag { argument },
            };
        };
        match error.kind() {
            ErrorKind::UnknownArgument => match flag.strip_prefix("no-") {
                Some(name) if self.specs().any(|spec| spec.name == name) => {
                    FlagsError::NotNegatable { flag: name.to_owned() }
                }
                _ => FlagsError::Unknown {
                    closest: self.closest(&flag),
                    flag,
                },
            },
            ErrorKind::ArgumentConflict => FlagsError::Repeated { flag },
            ErrorKind::TooManyValues if flag.starts_with("no-") => FlagsError::NotNegatable {
                flag: flag["no-".len()..].to_owned(),
            },
            _ => FlagsError::NoValue { flag },
        }
    }

    fn closest(&self, flag: &str) -> Option<String> {
        let (prefix, wanted) = flag.strip_prefix("no-").map_or(("", flag), |name| ("no-", name));
        let scored = self
            .specs()
            .flat_map(|spec| std::iter::once(spec.name).chain(spec.alias));
        let scored = scored.map(|name| (strsim::jaro_winkler(&wanted.replace('-', "_"), name), name));
        let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
        (best.0 >= SUGGESTION_LIKENESS).then(|| format!("{prefix}{}", best.1))
    }
}

fn argument(name: &'static str, kind: Kind) -> Arg {
    let argument = Arg::new(name).long(name).action(ArgAction::Set);
    if kind == Kind::Bool {
        return argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true");
    }
    argument.num_args(1)
}

/// Looks for a flag on the command line, then in the environment, under both of its names.
fn find_given(
    spec: &FlagSpec,
    matches: &ArgMatches,
    environment: &BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) -> Result<Option<Given>, FlagsError> {
    let mut found: Option<Given> = None;
    for name in std::iter::once(spec.name).chain(spec.alias) {
        let mut values = Vec::new();
        if let Some(text) = matches.get_one::<String>(name) {
            values.push(Given {
                place: format!("--{name}"),
                text: text.clone(),
            });
        }
        if spec.kind == Kind::Bool && matches.get_flag(&format!("no-{name}")) {
            values.push(Given {
                place: format!("--no-{name}"),
                text: "false".to_owned(),
            });
        }
        for given in values {
            if found.is_some() {
                return Err(FlagsError::Repeated {
                    flag: spec.name.to_owned(),
                });
            }
            warn_about_alias(spec, name, &given.place, warnings);
            found = Some(given);
        }
    }
    if found.is_some() {
        return Ok(found);
    }
    for name in std::iter::once(spec.name).chain(spec.alias) {
        let variable = FlagSet::variable(name);
        if let Some(text) = environment.get(&variable) {
            warn_about_alias(spec, name, &variable, warnings);
            return Ok(Some(Given {
                place: variable,
                text: text.clone(),
            }));
        }
    }
    Ok(None)
}

fn warn_about_alias(spec: &FlagSpec, name: &str, place: &str, warnings: &mut Vec<String>) {
    if name != spec.name {
        warnings.push(format!("{place} is an older name; use --{}", spec.name));
    }
}

/// Reads, checks and keeps the value of one flag, given or not.
fn read_one(spec: &FlagSpec, given: Option<Given>, flags: &mut Flags) -> Result<Option<FlagValue>, FlagsError> {
    let is_given = given.is_some();
    let given = match given {
        Some(given) => given,
        None => {
            let text = match spec.default {
                DefaultValue::Unset | DefaultValue::Required => return Ok(None),
                DefaultValue::Is(text) => text.to_owned(),
                DefaultValue::Computed(_, compute) => compute(),
                DefaultValue::Instead(usual, here, because) => {
                    flags
                        .warnings
                        .push(format!("--{} is {here} instead of {usual}: {because}", spec.name));
                    here.to_owned()
                }
            };
            Given {
                place: format!("the default of --{}", spec.name),
                text,
            }
        }
    };
    let text = resolve_file(spec.kind, &given)?;
    let value = FlagValue::read(spec, &text).map_err(|source| FlagsError::BadValue {
        place: given.place.clone(),
        found: text.clone(),
        source,
    })?;
    if is_given {
        check_support(spec, &given.place, &value)?;
        flags.given.push(spec.name);
    }
    flags.values.insert(spec.name, value.clone());
    Ok(Some(value))
}

/// Replaces a value that names a file by what the file holds.
fn resolve_file(kind: Kind, given: &Given) -> Result<String, FlagsError> {
    let path = match (given.text.strip_prefix("file://"), kind) {
        (_, Kind::Path) => None,
        (Some(path), _) => Some(path),
        (None, Kind::Json) if given.text.starts_with('/') => Some(given.text.as_str()),
        (None, _) => None,
    };
    let Some(path) = path else {
        return Ok(given.text.clone());
    };
    match std::fs::read_to_string(path) {
        Ok(content) => Ok(content.trim().to_owned()),
        Err(source) => Err(FlagsError::File {
            place: given.place.clone(),
            path: path.to_owned(),
            source,
        }),
    }
}

/// The check behind [`Support`], on the value in its printed form, so that `60secs` is as neutral as `1mins`.
pub(super) fn check_support(spec: &FlagSpec, place: &str, value: &FlagValue) -> Result<(), FlagsError> {
    let found = value.to_text();
    let (because, accepted) = match spec.support {
        Support::Works => return Ok(()),
        Support::RefusedUnless(neutral, because) => {
            let default = match spec.default {
                DefaultValue::Is(text) | DefaultValue::Instead(_, text, _) => Some(text),
                DefaultValue::Unset | DefaultValue::Required | DefaultValue::Computed(..) => None,
            };
            let mut accepted: Vec<&str> = neutral.iter().copied().chain(default).collect();
            if accepted.contains(&found.as_str()) {
                return Ok(());
            }
            accepted.dedup();
            let accepted = if accepted.is_empty() {
                "leave it out".to_owned()
            } else {
                possible(&accepted)
            };
            (because, accepted)
        }
        Support::OnlyItems(works, because) => {
            let mut items = found.split(',').map(str::trim).filter(|item| !item.is_empty());
            if items.all(|item| works.contains(&item)) {
                return Ok(());
            }
            (because, possible(works))
        }
    };
    Err(FlagsError::NotSupported {
        place: place.to_owned(),
        found,
        because,
        accepted,
    })
}

fn possible(values: &[&str]) -> String {
    format!("possible here: {}", values.join(", "))
}

impl Flags {
    /// The value of a flag; `None` when it is unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FlagValue> {
        self.values.get(name)
    }

    /// Whether the flag was given, on the command line or in the environment.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// What should be logged once logging works: older names and defaults that differ.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The values as `/flags` shows them, sorted by name; unset flags are absent.
    #[must_use]
    pub fn as_json(&self) -> serde_json::Map<String, serde_json::Value> {
        self.values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_text().into()))
            .collect()
    }

    /// A text; `None` when it is unset.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(FlagValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The text of a flag that has a default or is required; empty when the tables say otherwise.
    #[must_use]
    pub fn string(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// Whether a flag is true; unset flags are not.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(FlagValue::Bool(true)))
    }

    /// A duration; `None` when it is unset.
    #[must_use]
    pub fn duration_if_set(&self, name: &str) -> Option<Duration> {
        match self.get(name) {
            Some(FlagValue::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// The duration of a flag that has a default; zero when the tables say otherwise.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        self.duration_if_set(name).unwrap_or_default()
    }

    /// A number of at least zero; `None` when it is unset.
    #[must_use]
    pub fn uint_if_set(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(FlagValue::Uint(number)) => Some(*number),
            Some(FlagValue::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The number of a flag that has a default; zero when the tables say otherwise.
    #[must_use]
    pub fn uint(&self, name: &str) -> u64 {
        self.uint_if_set(name).unwrap_or_default()
    }

    /// The same as a count of things in memory.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.uint(name)).unwrap_or(usize::MAX)
    }

    /// A port number.
    #[must_use]
    pub fn port(&self, name: &str) -> u16 {
        u16::try_from(self.uint(name)).unwrap_or_default()
    }

    /// A size in bytes; `None` when it is unset.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(FlagValue::Bytes(bytes)) => Some(*bytes),
            _ => None,
        }
    }

    /// A number; `None` when it is unset.
    #[must_use]
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(FlagValue::Float(number)) => Some(*number),
            _ => None,
        }
    }

    /// JSON; `None` when it is unset.
    #[must_use]
    pub fn json(&self, name: &str) -> Option<&serde_json::Value> {
        match self.get(name) {
            Some(FlagValue::Json(json)) => Some(json),
            _ => None,
        }
    }

    /// The items of a list separated by commas, blanks around them dropped.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.string(name)
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }
}
