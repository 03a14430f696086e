//! Flags of `mesos up`: a cluster on one machine.

use super::spec::Bounds::{Any, OneOf, Within};
use super::spec::DefaultValue::{Is, Unset};
use super::spec::Support::Works;
use super::spec::{FlagSpec, Kind, flags};
use super::{FlagSet, logging};

/// The program with all its flags.
pub static FLAGS: FlagSet = FlagSet {
    program: "mesos up",
    about: "runs a master and agents on this machine until it is interrupted",
    tables: &[logging::HELP, TABLE],
    rules: &[],
};

/// Every flag of the program.
pub static TABLE: &[FlagSpec] = flags! {
    "quiet": Bool = Is("false"), Works, Any, "no log output on stderr";
    "logging_level": Text = Is("WARNING"), Works, OneOf(&["INFO", "WARNING", "ERROR"]),
        "least level on stderr; less than the programs tell by themselves, to keep the addresses in sight";
    "agents": Uint = Is("1"), Works, Within(1.0, 64.0), "number of agents";
    "ip": Text = Is("127.0.0.1"), Works, Any, "address to listen on";
    "port": Uint16 = Is("5050"), Works, Any, "port of the master; agents take the ports that follow";
    "work_dir": Text = Unset, Works, Any, "folder for all state; a temporary one, removed at the end, when unset";
    "resources": Text = Unset, Works, Any, "resources of each agent; those of the machine when unset";
};
