//! What must hold after every step, and what the end of a run looks like.
//!
//! The cores' own `check_invariants` run in their shells; here stands what can be said of the cluster from outside,
//! counted anew from the read accessors.

use std::fmt::Write as _;

use libprocess::Upid;
use mesos::resources::Resources;
use mesos_agent_core::{ExecutorState, FrameworkState};
use mesos_proto::v0::mesos as pb;

use crate::agent::AgentHost;
use crate::build::{AGENT_CPUS, AGENT_MEM};
use crate::failure::Failure;
use crate::framework::FrameworkHost;
use crate::master::MasterHost;

/// Rounding of sums of floating-point numbers.
const TOLERANCE: f64 = 1e-6;

/// Checks that nothing is committed twice in the master's view.
///
/// # Errors
///
/// Says what does not hold.
pub fn check_master(master: &MasterHost) -> Result<(), Failure> {
    let Some(core) = master.core() else { return Ok(()) };
    for agent in core.agents().values() {
        let tasks = agent.tasks().iter().flat_map(|(framework, tasks)| {
            let framework = core.frameworks().get(framework);
            let known = framework.map(mesos_master_core::Framework::tasks);
            tasks.iter().filter_map(move |task| known?.get(task))
        });
        let live = tasks.filter(|task| !task.is_terminal());
        let tasks: Resources = live.map(mesos_master_core::Task::resources).sum();
        let executors = agent.executors().values().flat_map(|executors| executors.values());
        let executors = executors.flat_map(|executor| &executor.resources);
        let offers = agent.offers().iter().filter_map(|id| core.offers().get(id));
        let offers = offers.flat_map(|offer| &offer.message().resources);
        let others = Resources::from_protobuf(executors.chain(offers));
        let taken = &tasks + &others.map_err(|error| Failure::new(error.to_string()))?;
        // Operations that never reached an agent are undone when it comes back, and launches that were to use what they
        // made stay in the books until the agent says that the tasks are not there. What really runs is checked on the
        // agent's side, always.
        let has_come_back = agent.reregistered_time().is_some();
        if !has_come_back && !agent.total().unreserved().contains(&taken.unallocate().unreserved()) {
            let (total, upid) = (agent.total(), agent.upid());
            let what = format!("{taken} of {total} are committed on {upid} in the view of the master");
            return Err(Failure::new(what));
        }
    }
    Ok(())
}

/// Checks that nothing is used twice in an agent's view. What frameworks use whose executors are being shut down does
/// not count: the master offers it again at once.
///
/// # Errors
///
/// Says what does not hold.
pub fn check_agent(agent: &AgentHost) -> Result<(), Failure> {
    let Some(core) = agent.core() else { return Ok(()) };
    let staying = core
        .frameworks()
        .filter(|framework| framework.state() == FrameworkState::Running);
    let executors = staying.flat_map(mesos_agent_core::Framework::executors);
    let running = executors.filter(|executor| executor.state() != ExecutorState::Terminated);
    let resources = running.flat_map(|executor| {
        let own = executor.info().resources.iter();
        let own = own.filter(|_| !executor.is_generated_for_command_task());
        let queued = executor.queued_tasks().flat_map(|task| &task.resources);
        let launched = executor.launched_tasks().flat_map(|task| &task.resources);
        own.chain(queued).chain(launched)
    });
    fits(agent.upid(), resources)
}

fn fits<'a>(agent: &Upid, resources: impl Iterator<Item = &'a pb::Resource>) -> Result<(), Failure> {
    let (mut cpus, mut mem) = (0.0, 0.0);
    for resource in resources {
        match resource.name() {
            "cpus" => cpus += resource.scalar.value(),
            "mem" => mem += resource.scalar.value(),
            _ => {}
        }
    }
    for (name, used, total) in [("cpus", cpus, AGENT_CPUS), ("mem", mem, AGENT_MEM)] {
        if used > total + TOLERANCE {
            let what = format!("{used} {name} of {total} are committed on {agent} in its own view");
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

/// Whether every reservation was given back and every volume destroyed, for the master and on the agents alike.
#[must_use]
pub fn is_nothing_kept(master: &MasterHost, agents: &[AgentHost]) -> bool {
    let given_back = |core: &mesos_master_core::Master| {
        let mut agents = core.agents().values();
        agents.all(|agent| agent.total().reserved_any().is_empty() && agent.operations().is_empty())
    };
    master.core().is_some_and(given_back)
        && agents.iter().all(|agent| {
            agent
                .core()
                .is_some_and(|core| core.checkpointed_resources().is_empty())
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
                "\n  master: agent {} {:?} of {} uses {used:?}, {} operations",
                agent.id(),
                agent.connection(),
                agent.total(),
                agent.operations().len()
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
        let kept = core.checkpointed_resources();
        let _ = write!(text, ", {:?}, keeps {kept}", core.state());
        for executor in core.frameworks().flat_map(mesos_agent_core::Framework::executors) {
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
