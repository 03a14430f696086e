//! What `mesos` prints to people.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use libprocess::Upid;

/// How `mesos` is used.
pub const USAGE: &str = "\
mesos: every program of a cluster in one executable

usage: mesos COMMAND [--flag=value ...]

commands
  up        run a master and agents on this machine until interrupted
  master    run a master                       (also as mesos-master)
  agent     run an agent                       (also as mesos-agent, mesos-slave)
  execute   run one command on a cluster       (also as mesos-execute)
  version   tell the version
  help      tell this

'mesos COMMAND --help' lists the flags of a command. Links to this executable that are named after a
program of Apache Mesos (mesos-master, mesos-agent ...) run that program.
";

/// The version in one line: the protocol's and our own.
#[must_use]
pub fn version() -> String {
    use mesos::version::{IMPLEMENTATION_NAME, IMPLEMENTATION_VERSION, MESOS_VERSION};
    format!("mesos {MESOS_VERSION} ({IMPLEMENTATION_NAME} {IMPLEMENTATION_VERSION})")
}

/// Whether standard output is a terminal that wants colours.
#[must_use]
pub fn wants_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// What stands on the screen while a cluster runs.
#[must_use]
pub fn cluster(master: &Upid, agents: &[Upid], work_dir: &str, colour: bool) -> String {
    let (bold, green, dim, end) = if colour {
        ("\x1b[1m", "\x1b[32m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "", "")
    };
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(text, "\n{bold}{green}● cluster is up{end}   {dim}{}{end}\n", version());
    let _ = writeln!(text, "  web page  {bold}http://{}/{end}", master.address());
    let _ = writeln!(text, "  master    {master}");
    for agent in agents {
        let _ = writeln!(text, "  agent     {agent}");
    }
    let _ = writeln!(text, "  state     {work_dir}\n");
    let _ = writeln!(
        text,
        "  try       mesos execute --master={} --name=hello --command='echo hello'",
        master.address()
    );
    let _ = writeln!(text, "  end       Ctrl-C stops everything and leaves nothing behind\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_every_address_and_is_plain_without_a_terminal() {
        let upid = |text: &str| text.parse::<Upid>().expect("valid");
        let agents = [upid("slave(1)@127.0.0.1:5051"), upid("slave(1)@127.0.0.1:5052")];
        let text = cluster(&upid("master@127.0.0.1:5050"), &agents, "/tmp/x", false);
        for part in [
            "http://127.0.0.1:5050/",
            "slave(1)@127.0.0.1:5052",
            "/tmp/x",
            "--master=127.0.0.1:5050",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains('\x1b'));
    }
}
