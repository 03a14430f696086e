//! Executors that follow a script drawn from the seed, on the rules of the v0 driver.
//!
//! A task begins after a moment, runs for some seconds and finishes or fails; kills are obeyed, most of the time at
//! once. Executors of command tasks leave after their task, others when they were idle for a while. Some die.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libprocess::{Random, SeededRandom, TimerId, Upid};
use mesos::Message;
use mesos::ids::TaskId;
use mesos_executor_driver::v0::core::{Callback, DriverConfig, DriverCore, DriverTimer, Effect, Input};
use mesos_proto::v0::mesos::{TaskInfo, TaskState, TaskStatus};

use crate::net::{Alarm, Net, Work};

/// Wait status of a process that ended by itself.
const ENDED_WELL: i32 = 0;
/// Wait status of a process that was killed.
const KILLED: i32 = 9;

/// One executor process.
pub struct ExecutorHost {
    upid: Upid,
    core: DriverCore,
    timers: BTreeMap<DriverTimer, TimerId>,
    tasks: BTreeSet<TaskId>,
    random: SeededRandom,
    /// Runs one task and leaves.
    once: bool,
}

impl ExecutorHost {
    /// A process that is not started.
    #[must_use]
    pub fn new(upid: Upid, config: DriverConfig, once: bool, random: SeededRandom) -> Self {
        Self {
            upid,
            core: DriverCore::new(config),
            timers: BTreeMap::new(),
            tasks: BTreeSet::new(),
            random,
            once,
        }
    }

    /// Its address.
    #[must_use]
    pub const fn upid(&self) -> &Upid {
        &self.upid
    }

    /// Starts the process.
    pub fn start(&mut self, net: &mut Net) {
        net.world.spawn(&self.upid);
        // It never gets a task: it leaves some day.
        net.set(&self.upid, Duration::from_secs(120), Alarm::Work(Work::LeaveIfIdle));
        let _ = self.apply(Input::Started(self.upid.clone()), net);
    }

    /// A message arrived. Gives the wait status when the process ends by it.
    pub fn receive(&mut self, from: Upid, message: Message, net: &mut Net) -> Option<i32> {
        self.apply(Input::Received { from, message }, net)
    }

    /// A link broke. Gives the wait status when the process ends by it.
    pub fn exited(&mut self, upid: Upid, net: &mut Net) -> Option<i32> {
        self.apply(Input::Exited(upid), net)
    }

    /// A timer of the driver ran out. Gives the wait status when the process ends by it.
    pub fn elapsed(&mut self, timer: DriverTimer, net: &mut Net) -> Option<i32> {
        self.timers.remove(&timer);
        self.apply(Input::Elapsed(timer), net)
    }

    /// Something is due. Gives the wait status when the process ends by it.
    pub fn work(&mut self, work: Work, net: &mut Net) -> Option<i32> {
        match work {
            Work::Begin(task) => {
                if !self.tasks.contains(&task) {
                    return None;
                }
                let duration = self.random.duration(Duration::from_secs(1), Duration::from_secs(30));
                let end = if self.random.chance(150_000) {
                    TaskState::TASK_FAILED
                } else {
                    TaskState::TASK_FINISHED
                };
                net.set(&self.upid, duration, Alarm::Work(Work::End(task.clone(), end)));
                self.tell(&task, TaskState::TASK_RUNNING, net)
            }
            Work::End(task, state) => {
                if !self.tasks.remove(&task) {
                    return None;
                }
                let ended = self.tell(&task, state, net);
                self.plan_leave(net);
                ended
            }
            Work::Leave => Some(ENDED_WELL),
            Work::LeaveIfIdle => self.tasks.is_empty().then_some(ENDED_WELL),
            Work::Crash => Some(KILLED),
        }
    }

    fn plan_leave(&mut self, net: &mut Net) {
        if !self.tasks.is_empty() {
            return;
        }
        let (after, work) = if self.once {
            (Duration::from_secs(1), Work::Leave)
        } else {
            let after = self.random.duration(Duration::from_secs(1), Duration::from_secs(20));
            (after, Work::LeaveIfIdle)
        };
        net.set(&self.upid, after, Alarm::Work(work));
    }

    fn tell(&mut self, task: &TaskId, state: TaskState, net: &mut Net) -> Option<i32> {
        let mut status = TaskStatus::new();
        status.task_id = Some(task.to_proto()).into();
        status.set_state(state);
        let mut uuid = self.random.next_u64().to_be_bytes().to_vec();
        uuid.extend(self.random.next_u64().to_be_bytes());
        let status = Box::new(status);
        self.apply(Input::UpdateSent { status, uuid }, net)
    }

    fn apply(&mut self, input: Input, net: &mut Net) -> Option<i32> {
        let mut ended = None;
        for effect in self.core.step(net.now(), input) {
            match effect {
                Effect::Send(to, message) => net.send(&self.upid, &to, &message),
                Effect::Link(to) => net.world.link(&self.upid, &to),
                Effect::SetTimer(timer, after) => {
                    let id = net.set(&self.upid, after, Alarm::Executor(timer));
                    if let Some(earlier) = self.timers.insert(timer, id) {
                        net.world.cancel_timer(earlier);
                    }
                }
                Effect::CancelTimer(timer) => {
                    if let Some(id) = self.timers.remove(&timer) {
                        net.world.cancel_timer(id);
                    }
                }
                Effect::Call(callback) => ended = ended.or(self.called(callback, net)),
                Effect::Finish(_) => {}
                Effect::ForceExit => ended = Some(KILLED),
            }
        }
        ended
    }

    fn called(&mut self, callback: Callback, net: &mut Net) -> Option<i32> {
        match callback {
            Callback::LaunchTask(task) => self.launch(&task, net),
            Callback::KillTask { task_id, .. } => return self.kill(&TaskId::from(&task_id), net),
            Callback::Shutdown => {
                // One in ten does not listen and is killed after the grace period.
                if !self.random.chance(100_000) {
                    let after = self.random.duration(Duration::ZERO, Duration::from_secs(1));
                    net.set(&self.upid, after, Alarm::Work(Work::Leave));
                }
            }
            Callback::Registered { .. }
            | Callback::Acknowledged { .. }
            | Callback::Reregistered(_)
            | Callback::Disconnected
            | Callback::FrameworkMessage(_)
            | Callback::Error(_) => {}
        }
        None
    }

    fn launch(&mut self, task: &TaskInfo, net: &mut Net) {
        let id = TaskId::from(&*task.task_id);
        self.tasks.insert(id.clone());
        let after = self.random.duration(Duration::ZERO, Duration::from_millis(500));
        net.set(&self.upid, after, Alarm::Work(Work::Begin(id)));
        if self.random.chance(40_000) {
            let after = self.random.duration(Duration::ZERO, Duration::from_secs(10));
            net.set(&self.upid, after, Alarm::Work(Work::Crash));
        }
    }

    fn kill(&mut self, id: &TaskId, net: &mut Net) -> Option<i32> {
        if self.random.chance(200_000) {
            let after = self.random.duration(Duration::from_millis(10), Duration::from_secs(3));
            net.set(
                &self.upid,
                after,
                Alarm::Work(Work::End(id.clone(), TaskState::TASK_KILLED)),
            );
            return None;
        }
        if !self.tasks.remove(id) {
            return None;
        }
        let ended = self.tell(id, TaskState::TASK_KILLED, net);
        self.plan_leave(net);
        ended
    }
}
