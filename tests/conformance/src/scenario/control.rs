//! Power over the programs of a cluster, for scenarios that crash and restart them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::file::Setting;
use super::run::Failure;
use super::step::Action;
use crate::process::{Program, end_everything_in};

/// What the log of an agent says when it has registered, and when again.
const REGISTERED: &[&str] = &[": registered", ": re-registered"];

/// A master and agents that a scenario may do anything to.
#[derive(Debug)]
pub struct Site {
    mesos: PathBuf,
    folder: tempfile::TempDir,
    master: Program,
    agents: BTreeMap<String, Program>,
}

impl Site {
    /// Starts the programs of a setting and waits until its agents have registered.
    ///
    /// # Errors
    ///
    /// Tells the log of a program that does not come up.
    pub fn start(mesos: &Path, setting: &Setting) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let flags: Vec<&str> = setting.master.iter().map(String::as_str).collect();
        let master = Program::try_master(mesos, &folder.path().join("master"), &flags)?;
        let mut site = Self {
            mesos: mesos.to_owned(),
            folder,
            master,
            agents: BTreeMap::new(),
        };
        if setting.agents.is_empty() && !setting.agentless {
            site.start_agent("A", &[])?;
        }
        for (name, flags) in &setting.agents {
            site.start_agent(name, flags)?;
        }
        for agent in site.agents.values_mut() {
            agent.wait_for_log(REGISTERED)?;
        }
        Ok(site)
    }

    fn start_agent(&mut self, name: &str, flags: &[String]) -> Result<(), Failure> {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let folder = self.folder.path().join(name);
        let agent = Program::try_agent(&self.mesos, &folder, self.master.address(), &flags)?;
        self.agents.insert(name.to_owned(), agent);
        Ok(())
    }

    /// Where the master listens.
    #[must_use]
    pub const fn master(&self) -> SocketAddr {
        self.master.address()
    }

    /// Where an agent listens.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<SocketAddr> {
        self.agents.get(name).map(Program::address)
    }

    /// Name of the agent that listens there.
    #[must_use]
    pub fn name_of(&self, address: SocketAddr) -> Option<String> {
        let mut agents = self.agents.iter();
        agents
            .find(|(_, agent)| agent.address() == address)
            .map(|(name, _)| name.clone())
    }

    /// A folder for what scenario and tasks share.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Last lines of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = format!("log of the master:\n{}", tail(&self.master.log()));
        for (name, agent) in &self.agents {
            text.push_str(&format!("log of agent {name}:\n{}", tail(&agent.log())));
        }
        text
    }

    /// Does something to the master, or to an agent.
    ///
    /// # Errors
    ///
    /// Says what did not happen in time.
    pub fn act(&mut self, agent: Option<&str>, action: Action, flags: &[String]) -> Result<(), Failure> {
        let fresh = agent.filter(|name| !self.agents.contains_key(*name));
        if let Some(name) = fresh {
            if !matches!(action, Action::Starts | Action::Launches) {
                return Err(Failure::NoAgent(name.to_owned()));
            }
            self.start_agent(name, flags)?;
        }
        let program = match agent {
            None => &mut self.master,
            Some(name) => self
                .agents
                .get_mut(name)
                .ok_or_else(|| Failure::NoAgent(name.to_owned()))?,
        };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        match action {
            Action::Starts | Action::Launches | Action::Restarts => {
                if fresh.is_none() {
                    program.try_restart_with(&flags)?;
                }
                if agent.is_some() && action != Action::Launches {
                    program.wait_for_log(REGISTERED)?;
                }
            }
            Action::Crashes => program.crash(),
            Action::Freezes => program.signal(Signal::SIGSTOP),
            Action::Thaws => program.signal(Signal::SIGCONT),
            Action::Stops => end(program, Signal::SIGTERM)?,
            Action::Leaves => end(program, Signal::SIGUSR1)?,
            Action::FailsToRestart => {
                let ended = program.restart_to_its_end(&flags);
                if ended.success() {
                    return Err(Failure::Program("it ended with success".to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn end(program: &mut Program, signal: Signal) -> Result<(), Failure> {
    program.signal(signal);
    match program.wait() {
        Some(_) => Ok(()),
        None => Err(Failure::Program(format!("it did not end after {signal}"))),
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(25);
    lines[from..].iter().map(|line| format!("      {line}\n")).collect()
}

impl Drop for Site {
    /// Ends what outlives the agents.
    fn drop(&mut self) {
        for agent in self.agents.values_mut() {
            agent.crash();
        }
        end_everything_in(self.folder.path());
    }
}
