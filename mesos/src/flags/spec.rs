//! What a table says about one flag.

/// How a value is read and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`, `1`, `0`; bare `--flag` and `--no-flag`.
    Bool,
    /// A whole number.
    Int,
    /// A whole number of at least zero.
    Uint,
    /// A port number.
    Uint16,
    /// A number.
    Float,
    /// A duration such as `15secs`.
    Duration,
    /// A size such as `2GB`.
    Bytes,
    /// Text. `file://PATH` stands for what the file holds.
    Text,
    /// Text, or the path of a file that holds it.
    TextOrFile,
    /// The path of a file, with or without `file://`, or the value itself; the program reads it.
    Path,
    /// JSON, `file://PATH` or an absolute path of a file that holds it.
    Json,
    /// Texts separated by commas.
    List,
    /// Numbers separated by commas.
    UintList,
}

/// What holds when a flag is not given.
#[derive(Clone, Copy, Debug)]
pub enum DefaultValue {
    /// Nothing.
    Unset,
    /// This text, read like a value that was given.
    Is(&'static str),
    /// The program does not start.
    Required,
    /// What Apache Mesos takes, described, and how it is found here.
    Computed(&'static str, fn() -> String),
    /// What Apache Mesos takes, what is taken here until that works, and the reason, which is logged.
    Instead(&'static str, &'static str, &'static str),
}

/// What is checked beyond the kind.
#[derive(Clone, Copy, Debug)]
pub enum Bounds {
    /// Nothing.
    Any,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A duration of at least this.
    AtLeast(&'static str),
    /// A duration of at most this.
    AtMost(&'static str),
    /// A duration between these.
    Between(&'static str, &'static str),
    /// A duration above zero.
    AboveZero,
    /// A number between these.
    Within(f64, f64),
    /// What a function checks, and what it accepts in words.
    Checked(fn(&str) -> Result<(), String>, &'static str),
}

/// Whether the feature behind a flag is there.
#[derive(Clone, Copy, Debug)]
pub enum Support {
    /// It is.
    Works,
    /// It is not: only the default and these values, which ask for nothing, are accepted. The sentence says why.
    RefusedUnless(&'static [&'static str], &'static str),
    /// The flag holds a list and only these items work. The sentence says what about the others.
    OnlyItems(&'static [&'static str], &'static str),
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct FlagSpec {
    /// Its name, without dashes.
    pub name: &'static str,
    /// An older name that still works, with a warning.
    pub alias: Option<&'static str>,
    /// How its value is read.
    pub kind: Kind,
    /// What holds when it is not given.
    pub default: DefaultValue,
    /// What is checked beyond the kind.
    pub bounds: Bounds,
    /// Whether the feature is there.
    pub support: Support,
    /// What it does, for `--help`.
    pub help: &'static str,
}

/// A rule about two flags.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// At most one of them may be given.
    NotTogether(&'static str, &'static str),
    /// Exactly one of them must be given.
    ExactlyOne(&'static str, &'static str),
    /// They must have one value.
    Same(&'static str, &'static str),
}

/// Writes a table of [`FlagSpec`]s, one line a flag: name, older name, kind, default, support, bounds, help.
macro_rules! flags {
    ($($(#[doc = $doc:literal])* $name:literal $(| $alias:literal)? : $kind:ident = $default:expr, $support:expr,
       $bounds:expr, $help:literal;)*) => {
        &[$(FlagSpec {
            name: $name,
            alias: flags!(@alias $($alias)?),
            kind: Kind::$kind,
            default: $default,
            bounds: $bounds,
            support: $support,
            help: $help,
        }),*]
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}

pub(super) use flags;
