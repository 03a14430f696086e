//! Random histories of a whole agent: late, repeated and foreign inputs in any order, lost masters, broken streams,
//! restarts. Whatever happens, the invariants hold after every step, nothing is sent after its acknowledgement, and
//! in the end every task that was accepted has told its end exactly once.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use mesos::Message;
use mesos::ids::ContainerId;
use mesos_agent_core::status_update_stream::is_terminal;
use mesos_agent_core::{AgentConfig, AgentState, AgentTimer, Effect, ExecutorStreamId, Input};
use mesos_proto::v0::mesos as pb;
use pb::TaskState;
use proptest::prelude::*;
use support::{Bench, build, master, upid};

#[derive(Clone, Debug)]
enum Action {
    Run {
        task: u8,
        executor: u8,
    },
    RunCommand {
        task: u8,
    },
    Kill {
        task: u8,
    },
    Launched {
        container: usize,
        works: bool,
    },
    Ended {
        container: usize,
    },
    Register {
        executor: u8,
        port: u16,
    },
    Reregister {
        executor: u8,
    },
    Subscribe {
        executor: u8,
        stream: u64,
    },
    StreamClosed {
        stream: u64,
    },
    Update {
        task: u8,
        executor: u8,
        state: TaskState,
        uuid: u8,
    },
    UpdateCall {
        task: u8,
        executor: u8,
        state: TaskState,
        uuid: u8,
    },
    Acknowledge {
        task: u8,
    },
    AcknowledgeAgain {
        task: u8,
    },
    Timer {
        number: usize,
    },
    LoseMaster,
    FindMaster,
    Ping {
        connected: bool,
    },
    Restart,
}

fn state() -> impl Strategy<Value = TaskState> {
    prop_oneof![
        3 => Just(TaskState::TASK_RUNNING),
        1 => Just(TaskState::TASK_KILLING),
        2 => Just(TaskState::TASK_FINISHED),
        1 => Just(TaskState::TASK_FAILED),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let task = 0..6_u8;
    let executor = 0..2_u8;
    prop_oneof![
        4 => (task.clone(), executor.clone()).prop_map(|(task, executor)| Action::Run { task, executor }),
        2 => task.clone().prop_map(|task| Action::RunCommand { task }),
        2 => task.clone().prop_map(|task| Action::Kill { task }),
        4 => (0..4_usize, prop::bool::weighted(0.8)).prop_map(|(container, works)| Action::Launched { container, works }),
        1 => (0..4_usize).prop_map(|container| Action::Ended { container }),
        3 => (executor.clone(), 4000..4002_u16).prop_map(|(executor, port)| Action::Register { executor, port }),
        1 => executor.clone().prop_map(|executor| Action::Reregister { executor }),
        2 => (executor.clone(), 0..3_u64).prop_map(|(executor, stream)| Action::Subscribe { executor, stream }),
        1 => (0..3_u64).prop_map(|stream| Action::StreamClosed { stream }),
        5 => (task.clone(), executor.clone(), state(), any::<u8>())
            .prop_map(|(task, executor, state, uuid)| Action::Update { task, executor, state, uuid }),
        2 => (task.clone(), executor.clone(), state(), any::<u8>())
            .prop_map(|(task, executor, state, uuid)| Action::UpdateCall { task, executor, state, uuid }),
        5 => task.clone().prop_map(|task| Action::Acknowledge { task }),
        1 => task.prop_map(|task| Action::AcknowledgeAgain { task }),
        3 => any::<usize>().prop_map(|number| Action::Timer { number }),
        1 => Just(Action::LoseMaster),
        2 => Just(Action::FindMaster),
        1 => any::<bool>().prop_map(|connected| Action::Ping { connected }),
        1 => Just(Action::Restart),
    ]
}

struct World {
    bench: Bench,
    /// Tasks launched so far; an id is used once, repetitions are of the same launch.
    used: BTreeSet<u8>,
    /// The last update that reached the master, for each task.
    heads: BTreeMap<String, Vec<u8>>,
    acknowledged: BTreeSet<Vec<u8>>,
    /// Terminal updates that reached the master.
    ends: BTreeMap<String, BTreeSet<(i32, Vec<u8>)>>,
    /// Restarts of the agent; each life has a seed of its own.
    lives: u128,
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::registered(),
            used: BTreeSet::new(),
            heads: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            ends: BTreeMap::new(),
            lives: 0,
        }
    }

    fn see(&mut self, effects: &[Effect]) {
        for (_, message) in support::sends(effects) {
            let Message::StatusUpdate(message) = message else {
                continue;
            };
            let (uuid, status) = (message.update.uuid().to_vec(), &message.update.status);
            assert!(
                !self.acknowledged.contains(&uuid),
                "sent after its acknowledgement: {status:?}"
            );
            let task = status.task_id.value().to_owned();
            if is_terminal(status.state()) {
                self.ends
                    .entry(task.clone())
                    .or_default()
                    .insert((status.state() as i32, uuid.clone()));
            }
            self.heads.insert(task, uuid);
        }
    }

    fn receive(&mut self, from: &str, message: impl Into<Message>) {
        let effects = self.bench.receive(&upid(from), message);
        self.see(&effects);
    }

    fn step(&mut self, input: Input) {
        let effects = self.bench.step(input);
        self.see(&effects);
    }

    fn container(&self, number: usize) -> Option<ContainerId> {
        let newest = self.bench.launches.len().checked_sub(1)?;
        Some(self.bench.launches[newest.saturating_sub(number)].container_id.clone())
    }

    fn acknowledge(&mut self, task: &str) {
        if let Some(uuid) = self.heads.get(task).cloned() {
            // A master acknowledges only while it knows the agent.
            if self.bench.agent.state() == AgentState::Running {
                self.acknowledged.insert(uuid.clone());
                self.receive("master@127.0.0.1:5050", build::acknowledge_uuid(task, uuid));
            }
        }
    }

    fn run(&mut self, task: u8, message: mesos_proto::internal::wire::messages::RunTaskMessage) {
        let name = format!("t{task}");
        // Masters launch a task once; a repetition is on the wire only while the task is known.
        let known = self
            .bench
            .agent
            .frameworks()
            .any(|framework| framework.has_task(&support::task_id(&name)));
        if self.bench.agent.master().is_none() || self.bench.agent.state() == AgentState::Recovering {
            return;
        }
        if self.used.insert(task) || known {
            self.receive("master@127.0.0.1:5050", message);
        }
    }

    /// Executors report only tasks that some executor was to run; they may report others' by mistake.
    fn was_accepted(&self, task: u8) -> bool {
        let id = support::task_id(&format!("t{task}"));
        self.bench
            .agent
            .frameworks()
            .any(|framework| framework.has_task(&id) || framework.has_completed_task(&id))
    }

    fn restart(&mut self) {
        self.lives += 1;
        let mut bench = Bench::new(AgentConfig {
            seed: self.lives,
            ..build::config()
        });
        bench.now = self.bench.now;
        bench.disk = self.bench.disk.clone();
        bench.launches.clone_from(&self.bench.launches);
        let state = bench.disk.read();
        self.bench = bench;
        self.step(Input::Recovered(Box::new(state)));
    }

    fn fire(&mut self, number: usize) {
        let timers: Vec<_> = self.bench.timers.keys().cloned().collect();
        if let Some(timer) = timers.get(number % timers.len().max(1)) {
            let effects = self.bench.fire(timer);
            self.see(&effects);
        }
    }

    fn connect(&mut self) {
        if self.bench.timers.contains_key(&AgentTimer::ExecutorReregistration) {
            let effects = self.bench.fire(&AgentTimer::ExecutorReregistration);
            self.see(&effects);
        }
        self.step(Input::MasterDetected(Some(master())));
        if self.bench.agent.state() == AgentState::Disconnected {
            let effects = self.bench.fire(&AgentTimer::Registration);
            self.see(&effects);
            self.receive("master@127.0.0.1:5050", build::reregistered());
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Run { task, executor } => {
                let executor = format!("e{executor}");
                let launch = self.bench.executor(&executor).is_none();
                self.run(task, build::run_task(&format!("t{task}"), Some(&executor), launch));
            }
            Action::RunCommand { task } => self.run(task, build::run_task(&format!("t{task}"), None, true)),
            Action::Kill { task } => {
                if self.used.contains(&task) {
                    self.receive("master@127.0.0.1:5050", build::kill_task(&format!("t{task}")));
                }
            }
            Action::Launched { container, works } => {
                let Some(container_id) = self.container(container) else {
                    return;
                };
                let status = Box::new(pb::ContainerStatus::new());
                let result = if works { Ok(status) } else { Err("no".to_owned()) };
                self.step(Input::LaunchFinished { container_id, result });
            }
            Action::Ended { container } => {
                let Some(container) = self.container(container) else {
                    return;
                };
                let effects = self.bench.terminated(&container, 9);
                self.see(&effects);
            }
            Action::Register { executor, port } => {
                let message = build::register_executor(&format!("e{executor}"));
                self.receive(&format!("executor(1)@127.0.0.1:{port}"), message);
            }
            Action::Reregister { executor } => {
                self.receive(
                    "executor(1)@127.0.0.1:4000",
                    build::reregister_executor(&format!("e{executor}")),
                );
            }
            Action::Subscribe { executor, stream } => {
                let effects = self.bench.call(stream, build::subscribe(&format!("e{executor}")));
                self.see(&effects);
            }
            Action::StreamClosed { stream } => {
                self.step(Input::ExecutorStreamClosed {
                    stream: ExecutorStreamId(stream),
                });
            }
            Action::Update {
                task,
                executor,
                state,
                uuid,
            } => {
                let mut message = build::update(&format!("t{task}"), &format!("e{executor}"), state, 0);
                message
                    .update
                    .mut_or_insert_default()
                    .set_uuid(executor_uuid(task, state, uuid));
                if self.was_accepted(task) {
                    self.receive("executor(1)@127.0.0.1:4000", message);
                }
            }
            Action::UpdateCall {
                task,
                executor,
                state,
                uuid,
            } => {
                let mut status = build::status(&format!("t{task}"), state, 0);
                status.set_uuid(executor_uuid(task, state, uuid));
                if self.was_accepted(task) {
                    let effects = self.bench.call(9, build::update_call(&format!("e{executor}"), status));
                    self.see(&effects);
                }
            }
            Action::Acknowledge { task } => self.acknowledge(&format!("t{task}")),
            Action::AcknowledgeAgain { task } => {
                let name = format!("t{task}");
                for uuid in self.acknowledged.clone() {
                    self.receive("master@127.0.0.1:5050", build::acknowledge_uuid(&name, uuid));
                }
            }
            Action::Timer { number } => self.fire(number),
            Action::LoseMaster => self.step(Input::MasterDetected(None)),
            Action::FindMaster => self.connect(),
            Action::Ping { connected } => self.receive("slave-observer(1)@127.0.0.1:5050", build::ping(connected)),
            Action::Restart => self.restart(),
        }
    }

    /// Everything ends: containers go, the master acknowledges whatever it gets.
    fn settle(&mut self) {
        self.connect();
        for container in self
            .bench
            .launches
            .iter()
            .map(|launch| launch.container_id.clone())
            .collect::<Vec<_>>()
        {
            let effects = self.bench.terminated(&container, 0);
            self.see(&effects);
        }
        for _ in 0..100 {
            let waiting = self.bench.timers.keys().filter_map(|timer| match timer {
                AgentTimer::StatusUpdateRetry { task_id, .. } => Some((timer.clone(), task_id.to_string())),
                _ => None,
            });
            for (timer, task) in waiting.collect::<Vec<_>>() {
                let effects = self.bench.fire(&timer);
                self.see(&effects);
                self.acknowledge(&task);
            }
        }
        let left = self
            .bench
            .agent
            .frameworks()
            .flat_map(mesos_agent_core::Framework::executors);
        let left: Vec<_> = left
            .map(|executor| (executor.id().to_string(), executor.state()))
            .collect();
        assert!(left.is_empty(), "work is left: {left:?}");
        for (task, ends) in &self.ends {
            let states: BTreeSet<_> = ends.iter().map(|(state, _)| state).collect();
            assert_eq!(states.len(), 1, "ends of {task}");
            // What was told of a task that never got to an executor is not on the disk: after a restart it may be
            // told anew.
            assert!(ends.len() == 1 || self.lives > 0, "ends of {task}");
        }
    }
}

fn executor_uuid(task: u8, state: TaskState, number: u8) -> Vec<u8> {
    let mut uuid = vec![number; 16];
    uuid[0] = task;
    uuid[1] = state as u8;
    uuid
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agents_survive_any_history(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in actions {
            world.act(&action);
        }
        world.settle();
    }
}
