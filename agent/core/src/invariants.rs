//! What always holds between two steps.

use std::collections::BTreeMap;

use mesos::ids::TaskId;
use mesos_proto::v0::mesos as pb;

use crate::agent::{Agent, AgentState};
use crate::executor::{Executor, ExecutorConnection, ExecutorState};
use crate::framework::{Framework, FrameworkState};

impl Agent {
    /// Checks what always holds between two steps; meant for tests and the simulation.
    ///
    /// # Errors
    ///
    /// Says what does not hold.
    pub fn check_invariants(&self) -> Result<(), String> {
        if self.state == AgentState::Running && (self.id.is_none() || self.master.is_none()) {
            return Err("registered without an id or a master".to_owned());
        }
        if self.completed_frameworks.len() > self.config.max_completed_frameworks {
            return Err("more completed frameworks than configured".to_owned());
        }
        for framework in self.frameworks.values() {
            check_framework(framework).map_err(|what| format!("framework {}: {what}", framework.id))?;
        }
        self.check_use()
    }

    /// What tasks and executors use now. The executors that the agent makes for command tasks come on top, by design.
    /// What frameworks use whose executors are being shut down does not count: the master offers it again at once.
    pub(crate) fn used_scalars(&self) -> BTreeMap<String, i64> {
        let staying = self
            .frameworks
            .values()
            .filter(|framework| framework.state == FrameworkState::Running);
        let executors = staying.flat_map(|framework| framework.executors.values());
        let running = executors.filter(|executor| executor.state != ExecutorState::Terminated);
        let used = running.flat_map(|executor| {
            let own = executor
                .info
                .resources
                .iter()
                .filter(|_| !executor.generated_for_command_task);
            let queued = executor.queued.values().flat_map(|task| task.resources.iter());
            let launched = executor.launched.values().flat_map(|task| task.resources.iter());
            own.chain(queued).chain(launched)
        });
        scalars(used)
    }

    /// Nothing is used twice.
    fn check_use(&self) -> Result<(), String> {
        let total = scalars(self.info.resources.iter());
        for (name, amount) in self.used_scalars() {
            let available = total.get(&name).copied().unwrap_or_default();
            if amount > available {
                return Err(format!(
                    "{amount} thousandths of {name} are used, there are {available}"
                ));
            }
        }
        Ok(())
    }
}

fn check_framework(framework: &Framework) -> Result<(), String> {
    if framework.executors.is_empty() {
        return Err("no executor keeps it here".to_owned());
    }
    let mut seen: BTreeMap<&TaskId, &str> = BTreeMap::new();
    for executor in framework.executors.values() {
        let places = [
            executor.queued.keys().collect::<Vec<_>>(),
            executor.launched.keys().collect(),
        ];
        for task in places.into_iter().flatten().chain(executor.terminated.keys()) {
            if let Some(other) = seen.insert(task, executor.id.as_str()) {
                return Err(format!(
                    "task {task} stands with executor {} and with {other}",
                    executor.id
                ));
            }
        }
        check_executor(executor, framework.state).map_err(|what| format!("executor {}: {what}", executor.id))?;
    }
    Ok(())
}

fn check_executor(executor: &Executor, framework: FrameworkState) -> Result<(), String> {
    let queued = |task: &pb::TaskInfo| executor.queued.contains_key(task.task_id.value());
    if !executor
        .queued_groups
        .iter()
        .all(|group| group.tasks.iter().all(queued))
    {
        return Err("a queued group lacks some of its tasks".to_owned());
    }
    match executor.state {
        ExecutorState::Running if executor.connection == ExecutorConnection::Unknown => {
            Err("runs without ever having registered".to_owned())
        }
        ExecutorState::Running
            if executor.is_connected() && !executor.queued.is_empty() && executor.updates_awaited == 0 =>
        {
            Err("connected, but tasks are not delivered".to_owned())
        }
        ExecutorState::Terminated if !executor.queued.is_empty() || !executor.launched.is_empty() => {
            Err("ended with unfinished tasks".to_owned())
        }
        ExecutorState::Terminated if executor.terminated.is_empty() => Err("ended, but not removed".to_owned()),
        ExecutorState::Terminated if framework == FrameworkState::Terminating => {
            Err("ended, but kept by a framework that is being shut down".to_owned())
        }
        ExecutorState::Registering
        | ExecutorState::Running
        | ExecutorState::Terminating
        | ExecutorState::Terminated => Ok(()),
    }
}

/// Sums of scalars by name, in thousandths.
pub(crate) fn scalars<'a>(resources: impl Iterator<Item = &'a pb::Resource>) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    // Shared volumes are used by many at once, and revocable resources are not among what the agent has.
    let counted = resources.filter(|resource| resource.shared.is_none() && resource.revocable.is_none());
    for resource in counted.filter(|resource| resource.scalar.is_some()) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "amounts on one machine are far below the limits"
        )]
        let thousandths = (resource.scalar.value() * 1000.0).round() as i64;
        *sums.entry(resource.name().to_owned()).or_default() += thousandths;
    }
    sums
}
