//! Flags about logging, which all programs share, and `--help`.
//!
//! Source: shared facts, `flags_logging_libprocess.tsv`.

use super::spec::Bounds::{Any, OneOf};
use super::spec::DefaultValue::{Is, Unset};
use super::spec::Support::{RefusedUnless, Works};
use super::spec::{FlagSpec, Kind, flags};

const LOGGING_IS_SHARED: &str = "programs set up their logging themselves";
const NO_LOG_FILES: &str = "log lines go to the standard error stream only, and no log file is shown yet";
const NOT_BUFFERED: &str = "log lines are written at once";

/// `--help`, which `/flags` shows like any other flag.
pub static HELP: &[FlagSpec] = flags! {
    "help": Bool = Is("false"), Works, Any, "print this text and exit";
};

/// The flags about logging.
pub static LOGGING: &[FlagSpec] = flags! {
    "quiet": Bool = Is("false"), Works, Any, "no log output on stderr";
    "logging_level": Text = Is("INFO"), Works, OneOf(&["INFO", "WARNING", "ERROR"]), "least level on stderr and files";
    "log_dir": Text = Unset, RefusedUnless(&[], NO_LOG_FILES), Any, "where log files go; unset means none";
    "logbufsecs": Int = Is("0"), RefusedUnless(&[], NOT_BUFFERED), Any, "seconds to buffer log lines";
    "initialize_driver_logging": Bool = Is("true"), RefusedUnless(&[], LOGGING_IS_SHARED), Any,
        "drivers set up glog themselves";
    "external_log_file": Text = Unset, RefusedUnless(&[], NO_LOG_FILES), Any,
        "log file shown in UI when written elsewhere";
};
