//! Random histories: agents, schedulers and operators do whatever they like, in any order, late and twice. Nothing may
//! contradict itself (the harness checks after every step), and nothing may be promised twice.
//!
//! A failing history prints its seed; that seed becomes a case of its own.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use mesos_master_core::{Input, MasterConfig, OperatorCall, RateLimits};
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::scheduler::call::Type;
use mesos_registrar::Registry;

use crate::actors::{
    MODERN, Scheduler, agent_upid, command_task, executor_task, framework_info, register_message, reported_task,
    reregister_message, subscribe_call, update, uuid,
};
use crate::harness::{Harness, config};

/// A small generator of random numbers (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let length = u64::try_from(list.len()).ok().filter(|length| *length > 0)?;
        list.get(usize::try_from(self.roll(length)).unwrap_or_default())
    }
}

struct History {
    harness: Harness,
    dice: Dice,
    schedulers: Vec<Scheduler>,
    next_task: u32,
}

/// Of four masters one limits nothing, one removals, one messages, one both.
fn limits(seed: u64) -> MasterConfig {
    let mut config = config();
    if seed & 1 == 1 {
        config.agent_removal_interval = Some(Duration::from_secs(40));
    }
    if seed & 2 == 2 {
        let mut limits = proto::RateLimits::new();
        limits.aggregate_default_qps = Some(0.2);
        limits.aggregate_default_capacity = (seed & 4 == 4).then_some(3);
        config.rate_limits = RateLimits::from_proto(&limits).expect("good limits");
    }
    config
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            harness: Harness::with(limits(seed), Registry::new()),
            dice: Dice(seed),
            schedulers: Vec::new(),
            next_task: 0,
        }
    }

    fn agent(&mut self) -> Option<(AgentId, Upid)> {
        let agents: Vec<(AgentId, Upid)> = self
            .harness
            .master
            .agents()
            .values()
            .map(|agent| (agent.id().clone(), agent.upid().clone()))
            .collect();
        self.dice.pick(&agents).cloned()
    }

    fn framework(&mut self) -> Option<FrameworkId> {
        let ids: Vec<FrameworkId> = self.harness.master.frameworks().keys().cloned().collect();
        self.dice.pick(&ids).cloned()
    }

    fn step(&mut self) {
        match self.dice.roll(18) {
            0 => self.subscribe(),
            1 => self.harness.receive(
                &agent_upid(u16::try_from(self.dice.roll(3)).unwrap_or(0)),
                register_message(),
            ),
            2 => self.return_agent(),
            3 => {
                if let Some((_, upid)) = self.agent() {
                    self.harness.exited(&upid);
                }
            }
            4..=7 => self.accept(),
            8..=10 => self.report(),
            11 => self.acknowledge(),
            12 => self.kill_or_reconcile(),
            13 => self.leave(),
            14 => self.pass_time(),
            15 => self.end_executor(),
            16 => self.decline(),
            _ => self.odd_things(),
        }
    }

    fn subscribe(&mut self) {
        let mut info = framework_info(MODERN);
        info.set_failover_timeout(20.0);
        if self.dice.roll(2) == 0
            && let Some(known) = self.framework()
        {
            info.id = Some(known.to_proto()).into();
        }
        if self.schedulers.len() < 4 || info.id.is_some() {
            let scheduler = Scheduler::subscribe(&mut self.harness, info);
            self.schedulers.retain(|known| known.id != scheduler.id);
            self.schedulers.push(scheduler);
        }
    }

    /// An agent comes back with some of its tasks, and perhaps with its executors.
    fn return_agent(&mut self) {
        let lost: Vec<AgentId> = self
            .harness
            .master
            .unreachable_agents()
            .iter()
            .map(|(id, _)| id.clone())
            .collect();
        let known: Vec<AgentId> = self.harness.master.agents().keys().cloned().collect();
        let all: Vec<AgentId> = lost.into_iter().chain(known).collect();
        let Some(id) = self.dice.pick(&all).cloned() else {
            return;
        };
        let mut message = reregister_message(&id);
        let upid = match self.harness.master.agents().get(&id) {
            Some(agent) => agent.upid().clone(),
            None => agent_upid(u16::try_from(self.dice.roll(3)).unwrap_or(0)),
        };
        let mut tasks = Vec::new();
        for framework in self.harness.master.frameworks().values() {
            message.frameworks.push(framework.info().clone());
            let unreachable = framework.unreachable_tasks().iter().map(|(_, task)| task);
            tasks.extend(
                framework
                    .tasks()
                    .values()
                    .chain(unreachable)
                    .filter(|task| *task.agent_id() == id)
                    .cloned(),
            );
        }
        for task in tasks.iter().filter(|_| self.dice.roll(4) > 0) {
            message.tasks.push(task.message().clone());
        }
        if let Some(agent) = self.harness.master.agents().get(&id)
            && self.dice.roll(3) > 0
        {
            let executors = agent.executors().values().flat_map(|executors| executors.values());
            message.executor_infos = executors.map(|executor| (**executor).clone()).collect();
        }
        self.harness.receive(&upid, message.clone());
        if self.dice.roll(3) == 0 {
            self.harness.receive(&upid, message);
        }
    }

    fn accept(&mut self) {
        let offers: Vec<OfferId> = self.harness.master.offers().keys().cloned().collect();
        let Some(offer) = self.dice.pick(&offers).cloned() else {
            return;
        };
        let (framework, agent) = {
            let offer = &self.harness.master.offers()[&offer];
            (offer.framework_id().clone(), offer.agent_id().clone())
        };
        let mut tasks = Vec::new();
        for _ in 0..=self.dice.roll(3) {
            self.next_task += 1;
            let id = format!("t{}", self.next_task);
            tasks.push(match self.dice.roll(2) {
                0 => command_task(&id, &agent),
                _ => executor_task(&id, &agent, &format!("e{}", self.dice.roll(2))),
            });
        }
        let Some(scheduler) = self.schedulers.iter().find(|scheduler| scheduler.id == framework) else {
            return;
        };
        let call = scheduler.accept_call(&[offer], vec![crate::actors::launch(tasks)]);
        let stream = scheduler.stream.clone();
        self.harness.call(call, Some(&stream));
    }

    fn task(&mut self) -> Option<(FrameworkId, AgentId, TaskId)> {
        let framework = self.framework()?;
        let tasks: Vec<_> = self.harness.master.frameworks()[&framework]
            .tasks()
            .values()
            .cloned()
            .collect();
        let task = self.dice.pick(&tasks)?;
        Some((framework, task.agent_id().clone(), task.id().clone()))
    }

    fn report(&mut self) {
        let Some((framework, agent, task)) = self.task() else {
            return;
        };
        let states = [
            TaskState::TASK_RUNNING,
            TaskState::TASK_RUNNING,
            TaskState::TASK_FINISHED,
            TaskState::TASK_FAILED,
            TaskState::TASK_DROPPED,
        ];
        let Some(state) = self.dice.pick(&states).copied() else {
            return;
        };
        let byte = u8::try_from(self.dice.roll(200)).unwrap_or(0);
        let mut message = update(&framework, &agent, task.as_str(), state, byte);
        if self.dice.roll(3) == 0 {
            message
                .update
                .mut_or_insert_default()
                .set_latest_state(TaskState::TASK_FINISHED);
        }
        let upid = self.harness.agent(&agent).upid().clone();
        self.harness.receive(&upid, message.clone());
        if self.dice.roll(4) == 0 {
            self.harness.receive(&upid, message);
        }
    }

    fn acknowledge(&mut self) {
        let Some((framework, agent, task)) = self.task() else {
            return;
        };
        let known = self.harness.master.frameworks()[&framework].tasks()[&task].message();
        let uuid = if known.has_status_update_uuid() {
            known.status_update_uuid().to_vec()
        } else {
            uuid(1)
        };
        let Some(scheduler) = self.schedulers.iter().find(|scheduler| scheduler.id == framework) else {
            return;
        };
        let mut call = scheduler.typed(Type::ACKNOWLEDGE);
        let acknowledge = call.acknowledge.mut_or_insert_default();
        acknowledge.slave_id = Some(agent.to_proto()).into();
        acknowledge.task_id = Some(task.to_proto()).into();
        acknowledge.set_uuid(uuid);
        let stream = scheduler.stream.clone();
        self.harness.call(call, Some(&stream));
    }

    fn kill_or_reconcile(&mut self) {
        let Some((framework, _, task)) = self.task() else {
            return;
        };
        let Some(scheduler) = self.schedulers.iter().find(|scheduler| scheduler.id == framework) else {
            return;
        };
        let mut call = scheduler.typed(if self.dice.roll(2) == 0 {
            Type::KILL
        } else {
            Type::RECONCILE
        });
        call.kill.mut_or_insert_default().task_id = Some(task.to_proto()).into();
        call.reconcile.mut_or_insert_default();
        let stream = scheduler.stream.clone();
        self.harness.call(call, Some(&stream));
    }

    fn leave(&mut self) {
        let streams: Vec<_> = self
            .schedulers
            .iter()
            .map(|scheduler| scheduler.stream.clone())
            .collect();
        if let Some(stream) = self.dice.pick(&streams) {
            self.harness.step(Input::SchedulerStreamClosed(stream.clone()));
        }
        if self.dice.roll(6) == 0
            && let Some(id) = self.framework()
        {
            self.harness.operator(OperatorCall::Teardown(id));
        }
    }

    /// Time passes; each agent answers its pings or does not.
    fn pass_time(&mut self) {
        let seconds = [1, 5, 15, 80];
        let Some(seconds) = self.dice.pick(&seconds).copied() else {
            return;
        };
        let all: Vec<Upid> = self
            .harness
            .master
            .agents()
            .values()
            .map(|agent| agent.upid().clone())
            .collect();
        let alive: Vec<Upid> = all.into_iter().filter(|_| self.dice.roll(4) > 0).collect();
        let alive: Vec<&Upid> = alive.iter().collect();
        self.harness.advance_alive(Duration::from_secs(seconds), &alive);
    }

    fn end_executor(&mut self) {
        let Some((agent, upid)) = self.agent() else { return };
        let Some(framework) = self.framework() else { return };
        let mut message = wire::ExitedExecutorMessage::new();
        message.slave_id = Some(agent.to_proto()).into();
        message.framework_id = Some(framework.to_proto()).into();
        message.executor_id = Some(ExecutorId::new(format!("e{}", self.dice.roll(2))).to_proto()).into();
        message.set_status(0);
        self.harness.receive(&upid, message);
    }

    fn decline(&mut self) {
        let offers: Vec<OfferId> = self.harness.master.offers().keys().cloned().collect();
        let Some(offer) = self.dice.pick(&offers).cloned() else {
            return;
        };
        let framework = self.harness.master.offers()[&offer].framework_id().clone();
        let Some(scheduler) = self.schedulers.iter().find(|scheduler| scheduler.id == framework) else {
            return;
        };
        let mut call = scheduler.typed(Type::DECLINE);
        let decline = call.decline.mut_or_insert_default();
        decline.offer_ids.push(offer.to_proto());
        decline.filters.mut_or_insert_default().set_refuse_seconds(0.0);
        let stream = scheduler.stream.clone();
        self.harness.call(call, Some(&stream));
    }

    fn odd_things(&mut self) {
        match self.dice.roll(4) {
            0 => {
                if let Some((agent, upid)) = self.agent() {
                    let mut message = wire::UnregisterSlaveMessage::new();
                    message.slave_id = Some(agent.to_proto()).into();
                    self.harness.receive(&upid, message);
                }
            }
            1 if self.dice.roll(4) == 0 => {
                if let Some((agent, _)) = self.agent() {
                    self.harness.operator(OperatorCall::MarkAgentGone(agent));
                }
            }
            2 => {
                // The registry is slow: what happens meanwhile meets half-finished registrations.
                self.harness.hold_registry = true;
                for _ in 0..5 {
                    self.step_without_registry();
                }
                self.harness.hold_registry = false;
                self.harness.store();
            }
            _ => {
                let mut call = subscribe_call(&framework_info(MODERN));
                call.subscribe
                    .mut_or_insert_default()
                    .framework_info
                    .mut_or_insert_default()
                    .set_name("p".to_owned());
                let driver = crate::harness::upid("scheduler-1@127.0.0.9:4000");
                self.harness.receive(&driver, call);
                if self.dice.roll(2) == 0 {
                    self.harness.exited(&driver);
                }
            }
        }
    }

    fn step_without_registry(&mut self) {
        match self.dice.roll(5) {
            0 => self.return_agent(),
            1 => self.harness.receive(
                &agent_upid(u16::try_from(self.dice.roll(3)).unwrap_or(0)),
                register_message(),
            ),
            2 => self.pass_time(),
            3 => {
                if let Some((agent, _)) = self.agent() {
                    self.harness.operator(OperatorCall::MarkAgentGone(agent));
                }
            }
            _ => self.accept(),
        }
    }
}

#[test]
fn no_history_contradicts_itself() {
    let seeds = std::env::var("MESOS_RS_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60);
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| {
            let mut history = History::new(seed);
            for _ in 0..120 {
                history.step();
                history.harness.clear();
            }
        });
        assert!(outcome.is_ok(), "history with seed {seed} failed");
    }
}

#[test]
fn a_task_reported_by_two_agents_is_taken_from_the_first() {
    let mut harness = Harness::new();
    let (_, first) = crate::actors::register_agent(&mut harness, 0);
    let scheduler = Scheduler::subscribe(&mut harness, framework_info(MODERN));
    scheduler.launch(&mut harness, &first, &["a"]);
    let other = AgentId::new("other-S0");
    let mut message = reregister_message(&other);
    message.frameworks.push(scheduler.info.clone());
    message
        .tasks
        .push(reported_task(&scheduler.id, &other, "a", TaskState::TASK_RUNNING));
    harness.receive(&agent_upid(1), message);
    let task = &harness.master.frameworks()[&scheduler.id].tasks()[&TaskId::new("a")];
    assert_eq!(*task.agent_id(), first);
}
