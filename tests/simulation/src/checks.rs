//! What must hold after every step, and what the end of a run looks like.
//!
//! The cores' own `check_invariants` run in their shells; here stands what can be said of the cluster from outside,
//! counted anew from the read accessors.

use std::fmt::Write as _;

use libprocess::Upid;
use mesos_agent_core::ExecutorState;
use mesos_proto::v0::mesos as pb;

use crate::agent::AgentHost;
use crate::build::{AGENT_CPUS, AGENT_MEM, amount};
use crate::failure::Failure;
use crate::framework::FrameworkHost;
use crate::master::MasterHost;

/// Rounding of sums of floating-point numbers.
const TOLERANCE: f64 = 1e-6;

/// Checks the cluster.
///
/// # Errors
///
/// Says what does not hold.
pub fn check(master: &MasterHost, agents: &[AgentHost]) -> Result<(), Failure> {
    if let Some(core) = master.core() {
        for agent in core.agents().values() {
            let tasks = agent.tasks().iter().flat_map(|(framework, tasks)| {
                let framework = &core.frameworks()[framework];
                tasks.iter().map(|task| &framework.tasks()[task])
            });
            let mut resources: Vec<pb::Resource> = tasks
                .filter(|task| !task.is_terminal())
                .flat_map(|task| task.message().resources.clone())
                .collect();
            let executors = agent.executors().values().flat_map(|executors| executors.values());
            resources.extend(executors.flat_map(|executor| executor.resources.clone()));
            let offers = agent.offers().iter().filter_map(|id| core.offers().get(id));
            resources.extend(offers.flat_map(|offer| offer.message().resources.clone()));
            fits("the master", agent.upid(), &resources)?;
        }
    }
    for agent in agents {
        let Some(core) = agent.core() else { continue };
        let executors = core.frameworks().flat_map(|framework| framework.executors());
        let mut resources = Vec::new();
        for executor in executors.filter(|executor| executor.state() != ExecutorState::Terminated) {
            if !executor.is_generated_for_command_task() {
                resources.extend(executor.info().resources.clone());
            }
            resources.extend(executor.queued_tasks().flat_map(|task| task.resources.clone()));
            resources.extend(executor.launched_tasks().flat_map(|task| task.resources.clone()));
        }
        fits("the agent", agent.upid(), &resources)?;
    }
    Ok(())
}

fn fits(whose: &str, agent: &Upid, resources: &[pb::Resource]) -> Result<(), Failure> {
    for (name, total) in [("cpus", AGENT_CPUS), ("mem", AGENT_MEM)] {
        let used = amount(resources, name);
        if used > total + TOLERANCE {
            let what = format!("{used} {name} of {total} are committed on {agent} in the view of {whose}");
            return Err(Failure::new(what));
        }
    }
    Ok(())
}

/// Whether nothing is left of any task: no live task in the master, no executor on any agent.
#[must_use]
pub fn is_idle(master: &MasterHost, agents: &[AgentHost]) -> bool {
    let master_idle = master.core().is_some_and(|core| {
        let frameworks = core.frameworks().values();
        frameworks.fold(true, |idle, framework| {
            idle && framework.tasks().is_empty() && framework.unreachable_tasks().is_empty()
        }) && core.agents().values().all(|agent| agent.used().is_empty())
    });
    master_idle
        && agents.iter().all(|agent| {
            agent.running_executors() == 0 && agent.core().is_some_and(|core| core.frameworks().next().is_none())
        })
}

/// Says what is left when the time is over.
#[must_use]
pub fn describe_unsettled(master: &MasterHost, agents: &[AgentHost], frameworks: &[FrameworkHost]) -> String {
    let mut text = "not settled in time".to_owned();
    for framework in frameworks {
        for record in framework.ledger().open() {
            let _ = write!(text, "\n  open at its framework: {record:?}");
        }
    }
    if let Some(core) = master.core() {
        for framework in core.frameworks().values() {
            let _ = write!(text, "\n  master: framework {} {:?}", framework.id(), framework.state());
            for task in framework.tasks().values() {
                let _ = write!(
                    text,
                    "\n  master: task {} on {} {:?}",
                    task.id(),
                    task.agent_id(),
                    task.state()
                );
            }
            for (id, _) in framework.unreachable_tasks().iter() {
                let _ = write!(text, "\n  master: unreachable task {id}");
            }
        }
        for agent in core.agents().values() {
            let used = agent.used();
            let _ = write!(
                text,
                "\n  master: agent {} {:?} uses {used:?}",
                agent.id(),
                agent.connection()
            );
        }
    }
    for agent in agents {
        let _ = write!(
            text,
            "\n  agent {}: {} executors run",
            agent.upid(),
            agent.running_executors()
        );
        let Some(core) = agent.core() else { continue };
        let _ = write!(text, ", {:?}", core.state());
        for executor in core.frameworks().flat_map(|framework| framework.executors()) {
            let tasks = executor.queued_tasks().count() + executor.launched_tasks().count();
            let unacknowledged: Vec<_> = executor.terminated_tasks().map(|task| task.task_id.value()).collect();
            let _ = write!(
                text,
                "\n    executor {} {:?}: {tasks} tasks, ended {unacknowledged:?}",
                executor.id(),
                executor.state()
            );
        }
    }
    text
}
