//! `mesos up`: a master and agents in one program, with nothing else needed beside it.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libprocess::NodeConfig;
use mesos::flags::{FlagSet, Flags, Outcome};
use mesos_agent::{Ended, RunningAgent, StopMode};
use mesos_master::RunningMaster;
use mesos_node::{Started, describe};

use crate::banner;

/// Runs the command with all its arguments, its name first.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match mesos_node::flags_or_exit("mesos up", &mesos::flags::up::FLAGS, arguments) {
        Started::Run(flags) => mesos_node::main("mesos up", up(*flags)),
        Started::End(code) => code,
    }
}

async fn up(flags: Flags) -> Result<(), String> {
    let (work_dir, scratch) = work_dir(&flags)?;
    let master = start_master(&flags, &work_dir).await?;
    let mut agents = Vec::new();
    let started = start_agents(&flags, &work_dir, &master, &mut agents).await;
    let result = match started {
        Ok(()) => {
            let pids: Vec<_> = agents.iter().map(|agent| agent.pid().clone()).collect();
            let shown = work_dir.display().to_string();
            print!(
                "{}",
                banner::cluster(master.pid(), &pids, &shown, banner::wants_colour())
            );
            // A closed standard output is no reason to end the cluster.
            drop(std::io::stdout().flush());
            wait(&master, &mut agents).await
        }
        Err(error) => Err(error),
    };
    for agent in agents {
        agent.stop(StopMode::DestroyContainers).await;
    }
    master.stop().await;
    drop(scratch);
    result
}

/// The folder for all state, and what removes it at the end when it is temporary.
fn work_dir(flags: &Flags) -> Result<(PathBuf, Option<tempfile::TempDir>), String> {
    if let Some(path) = flags.text("work_dir") {
        std::fs::create_dir_all(path).map_err(|error| format!("flag --work_dir='{path}': {error}"))?;
        let path = Path::new(path)
            .canonicalize()
            .map_err(|error| format!("flag --work_dir='{path}': {error}"))?;
        return Ok((path, None));
    }
    let scratch = tempfile::Builder::new().prefix("mesos-up-").tempdir();
    let scratch = scratch.map_err(|error| format!("cannot make a temporary folder: {error}"))?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}

async fn start_master(flags: &Flags, work_dir: &Path) -> Result<RunningMaster, String> {
    let arguments = vec![
        format!("--ip={}", flags.string("ip")),
        format!("--port={}", flags.port("port")),
        format!("--work_dir={}", work_dir.join("master").display()),
        "--cluster=local".to_owned(),
    ];
    let flags = read(&mesos::flags::master::FLAGS, arguments)?;
    mesos_master::start(&flags, NodeConfig::default())
        .await
        .map_err(|error| format!("master: {}", describe(&error)))
}

async fn start_agents(
    flags: &Flags,
    work_dir: &Path,
    master: &RunningMaster,
    agents: &mut Vec<RunningAgent>,
) -> Result<(), String> {
    let master_port = master.pid().address().port();
    for number in 1..=u16::try_from(flags.uint("agents")).unwrap_or(1) {
        let folder = work_dir.join(format!("agent-{number}"));
        let base = vec![
            format!("--master={}", master.pid().address()),
            format!("--ip={}", flags.string("ip")),
            format!("--work_dir={}", folder.join("work").display()),
            format!("--runtime_dir={}", folder.join("run").display()),
            // Nobody else floods this master: no need to spread registrations over a second.
            "--registration_backoff_factor=50ms".to_owned(),
        ];
        let resources = flags
            .text("resources")
            .map(|resources| format!("--resources={resources}"));
        let arguments: Vec<String> = base.into_iter().chain(resources).collect();
        // The ports after the master's are the ones that people expect; any free one will do.
        let mut started = Err(String::new());
        for port in [master_port.saturating_add(number), 0] {
            let arguments = arguments.iter().cloned().chain([format!("--port={port}")]).collect();
            let flags = read(&mesos::flags::agent::FLAGS, arguments)?;
            started = mesos_agent::start(&flags, NodeConfig::default())
                .await
                .map_err(|error| describe(&error));
            if started.is_ok() {
                break;
            }
        }
        agents.push(started.map_err(|error| format!("agent {number}: {error}"))?);
    }
    Ok(())
}

fn read(set: &FlagSet, arguments: Vec<String>) -> Result<Flags, String> {
    match set.read(arguments.into_iter().map(OsString::from), Vec::new()) {
        Ok(Outcome::Run(flags)) => Ok(flags),
        Ok(Outcome::Help(_) | Outcome::Version) => Err("a part of the cluster was asked for help".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Waits for an interrupt or the end of the master. An agent that ends leaves the others running.
async fn wait(master: &RunningMaster, agents: &mut Vec<RunningAgent>) -> Result<(), String> {
    loop {
        let (ended, number) = tokio::select! {
            asked = mesos_node::asked_to_end() => {
                return asked.map_err(|error| format!("cannot wait for signals: {error}"));
            }
            reason = master.failed() => return Err(format!("the master ended: {reason}")),
            ended = any_ended(agents) => ended,
        };
        let agent = agents.remove(number);
        match ended {
            Ended::Failed(reason) => println!("  ended     {}: {reason}", agent.pid()),
            Ended::Asked(reason) => println!("  ended     {}, as asked: {reason}", agent.pid()),
            Ended::Running => {}
        }
        agent.stop(StopMode::DestroyContainers).await;
        if agents.is_empty() {
            return Err("no agent is left".to_owned());
        }
    }
}

/// Waits until some agent has ended and gives its place.
async fn any_ended(agents: &[RunningAgent]) -> (Ended, usize) {
    let ends: Vec<_> = agents.iter().map(|agent| Box::pin(agent.ended())).collect();
    let (ended, number, _) = futures_util::future::select_all(ends).await;
    (ended, number)
}
