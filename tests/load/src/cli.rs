//! Options of the program `mesos-load`.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::scenario::Scenario;

/// What idle frameworks do with offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Keep them.
    Hoard,
    /// Decline them and refuse the resources for the rest of the run.
    Decline,
    /// Ask for none.
    Suppress,
}

/// All settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is done.
    pub scenario: Scenario,
    /// Address of the master.
    pub master: SocketAddrV4,
    /// Own address.
    pub ip: Ipv4Addr,
    /// Command that starts the master; without it the master is somebody else's.
    pub spawn: Option<String>,
    /// Where output of the spawned master goes.
    pub master_log: Option<PathBuf>,
    /// Process whose use of processor and memory is told.
    pub master_pid: Option<u32>,
    /// Emulated agents.
    pub agents: usize,
    /// Processors of each agent.
    pub agent_cpus: u32,
    /// Memory of each agent in megabytes.
    pub agent_mem_mb: u32,
    /// Running tasks that each agent reports from the start.
    pub agent_tasks: u32,
    /// Labels of each task.
    pub labels: u32,
    /// Idle frameworks over the v1 API.
    pub frameworks: u32,
    /// Idle frameworks over libprocess messages.
    pub libprocess_frameworks: u32,
    /// What idle frameworks do with offers.
    pub idle_policy: IdlePolicy,
    /// Whether the framework that launches tasks speaks libprocess messages instead of the v1 API.
    pub launcher_over_libprocess: bool,
    /// Connections over which a launching framework makes its calls.
    pub connections: usize,
    /// Tasks under way at once.
    pub tasks_at_once: u64,
    /// Most tasks of one offer.
    pub tasks_per_offer: u64,
    /// How long tasks run.
    pub task_time: Duration,
    /// How long the load is held.
    pub duration: Duration,
    /// Probes to make.
    pub probes: u64,
    /// Pause between probes.
    pub probe_pause: Duration,
    /// How often the master is restarted.
    pub restarts: u32,
    /// First wait of agents for the answer to a registration.
    pub registration_wait: Duration,
    /// When the run ends at the latest.
    pub time_limit: Duration,
    /// Seed of all choices.
    pub seed: u64,
}

/// Defaults that differ from scenario to scenario; the first column is the option.
const PRESETS: &[(&str, [&str; 4])] = &[
    //                    storm    cycle   probe    idle
    ("agents", ["20000", "500", "50000", "50000"]),
    ("agent-tasks", ["10", "0", "0", "0"]),
    ("labels", ["10", "0", "0", "0"]),
    ("frameworks", ["0", "0", "200", "200"]),
    ("task-seconds", ["1", "0.5", "0.1", "1"]),
    ("duration-seconds", ["10", "30", "10", "60"]),
    ("registration-wait-seconds", ["30", "5", "30", "30"]),
    ("restarts", ["0", "0", "0", "0"]),
];

fn preset(option: &str, scenario: Scenario) -> &'static str {
    let row = PRESETS.iter().find(|(name, _)| *name == option);
    row.map_or("0", |(_, values)| {
        values[match scenario {
            Scenario::Storm => 0,
            Scenario::Cycle => 1,
            Scenario::Probe => 2,
            Scenario::Idle => 3,
        }]
    })
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn scenario_command(scenario: Scenario, about: &'static str) -> Command {
    let number = |name, help| {
        let option = option(name, "NUMBER", help).value_parser(value_parser!(u64));
        option.default_value(preset(name, scenario))
    };
    let seconds = |name, help| {
        let option = option(name, "SECONDS", help).value_parser(parse_seconds);
        option.default_value(preset(name, scenario))
    };
    Command::new(scenario.name())
        .about(about)
        .args([
            option("master", "IP:PORT", "Address of the master")
                .default_value("127.0.0.1:5050")
                .value_parser(value_parser!(SocketAddrV4)),
            option(
                "ip",
                "IP",
                "Own address, at which the master reaches the emulated agents",
            )
            .default_value("127.0.0.1")
            .value_parser(value_parser!(Ipv4Addr)),
            option(
                "spawn",
                "COMMAND",
                "Start the master with this shell command and kill it at the end",
            ),
            option(
                "master-log",
                "FILE",
                "Append the output of the spawned master to this file",
            )
            .value_parser(value_parser!(PathBuf)),
            option(
                "master-pid",
                "PID",
                "Process id of a master on this machine that was not spawned, for its use of processor and memory",
            )
            .value_parser(value_parser!(u32)),
        ])
        .args([
            number("agents", "Emulated agents"),
            number("agent-cpus", "Processors of each agent").default_value("16"),
            number("agent-mem", "Memory of each agent in megabytes").default_value("65536"),
            number(
                "agent-tasks",
                "Running tasks that each agent reports from the start, as after a failover of the master",
            ),
            number("labels", "Labels of each task"),
            number("frameworks", "Idle frameworks over the v1 API"),
            number("libprocess-frameworks", "Idle frameworks over libprocess messages").default_value("0"),
            option("idle-policy", "POLICY", "What idle frameworks do with offers")
                .default_value("hoard")
                .value_parser(["hoard", "decline", "suppress"]),
        ])
        .args([
            option("launcher", "API", "What the framework that launches tasks speaks")
                .default_value("v1")
                .value_parser(["v1", "libprocess"]),
            number("connections", "Connections for calls of that framework").default_value("8"),
            number("tasks-at-once", "Tasks under way at once").default_value("5000"),
            number("tasks-per-offer", "Most tasks launched with one offer").default_value("20"),
            seconds("task-seconds", "How long tasks run"),
            seconds("duration-seconds", "How long the load is held"),
            number("probes", "Probes to make").default_value("100"),
            seconds("probe-pause-seconds", "Pause between probes").default_value("0.2"),
            number(
                "restarts",
                "How often the master is killed and started again; without --spawn somebody else has to do it",
            ),
            seconds(
                "registration-wait-seconds",
                "First wait of agents before they ask again; doubled each time",
            ),
            seconds("time-limit-seconds", "End the run after this time, whatever is missing").default_value("300"),
            number("seed", "Seed of all random choices").default_value("1"),
        ])
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    let about = "Puts a Mesos master under load with agents and frameworks that exist only on the wire.\n\
                 Works with any master that speaks the protocol of Mesos 1.x. Prints one line of JSON at the end.";
    Command::new("mesos-load")
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(scenario_command(
            Scenario::Storm,
            "All agents with their running tasks come to a master that does not know them, at once",
        ))
        .subcommand(scenario_command(
            Scenario::Cycle,
            "One framework launches short tasks as fast as it may: offer, accept, launch, running, finished, acknowledged",
        ))
        .subcommand(scenario_command(
            Scenario::Probe,
            "With many idle agents and frameworks, one framework measures how long a single task takes to be reported",
        ))
        .subcommand(scenario_command(
            Scenario::Idle,
            "Agents and frameworks are there and do nothing: what that costs the master",
        ))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl Options {
    /// Reads the arguments of a subcommand; `None` when there is none.
    #[must_use]
    pub fn read(arguments: &ArgMatches) -> Option<Self> {
        let (name, values) = arguments.subcommand()?;
        let scenario = Scenario::by_name(name)?;
        let number = |name| values.get_one::<u64>(name).copied().unwrap_or_default();
        let small = |name| u32::try_from(number(name)).unwrap_or(u32::MAX);
        let count = |name| usize::try_from(number(name)).unwrap_or(usize::MAX);
        let seconds = |name| values.get_one::<Duration>(name).copied().unwrap_or_default();
        let text = |name| values.get_one::<String>(name).map(String::as_str);
        Some(Self {
            scenario,
            master: *values.get_one("master")?,
            ip: *values.get_one("ip")?,
            spawn: text("spawn").map(str::to_owned),
            master_log: values.get_one::<PathBuf>("master-log").cloned(),
            master_pid: values.get_one("master-pid").copied(),
            agents: count("agents"),
            agent_cpus: small("agent-cpus"),
            agent_mem_mb: small("agent-mem"),
            agent_tasks: small("agent-tasks"),
            labels: small("labels"),
            frameworks: small("frameworks"),
            libprocess_frameworks: small("libprocess-frameworks"),
            idle_policy: match text("idle-policy") {
                Some("decline") => IdlePolicy::Decline,
                Some("suppress") => IdlePolicy::Suppress,
                _ => IdlePolicy::Hoard,
            },
            launcher_over_libprocess: text("launcher") == Some("libprocess"),
            connections: count("connections"),
            tasks_at_once: number("tasks-at-once"),
            tasks_per_offer: number("tasks-per-offer"),
            task_time: seconds("task-seconds"),
            duration: seconds("duration-seconds"),
            probes: number("probes"),
            probe_pause: seconds("probe-pause-seconds"),
            restarts: small("restarts"),
            registration_wait: seconds("registration-wait-seconds"),
            time_limit: seconds("time-limit-seconds"),
            seed: number("seed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Options {
        let words = std::iter::once("mesos-load").chain(arguments.iter().copied());
        let matches = command().try_get_matches_from(words).expect("valid arguments");
        Options::read(&matches).expect("a scenario")
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn presets_are_the_targets_and_can_be_changed() {
        let storm = read(&["storm"]);
        assert_eq!((storm.agents, storm.agent_tasks, storm.labels), (20_000, 10, 10));
        let probe = read(&[
            "probe",
            "--agents=7",
            "--idle-policy=suppress",
            "--time-limit-seconds=0.5",
        ]);
        assert_eq!((probe.agents, probe.frameworks), (7, 200));
        assert_eq!(probe.idle_policy, IdlePolicy::Suppress);
        assert_eq!(probe.time_limit, Duration::from_millis(500));
        for wrong in [
            &["storm", "--agents=x"][..],
            &["cycle", "--task-seconds=-1"],
            &["nothing"],
            &[],
        ] {
            let words = std::iter::once("mesos-load").chain(wrong.iter().copied());
            assert!(command().try_get_matches_from(words).is_err(), "{wrong:?}");
        }
    }
}
