//! Random histories against a small model of the agent: what always holds, and what holds once everything has settled.

use mesos_proto::v1::mesos::TaskState as State;

use super::*;

/// Histories that are tried.
const HISTORIES: u64 = 2000;

/// Things that happen in one history before it settles.
const STEPS: usize = 60;

/// A container as the agent knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nested {
    Running,
    Ended(i32),
}

/// Calls that have no answer yet.
#[derive(Clone, Debug, PartialEq)]
enum Pending {
    Launch(ContainerId),
    Wait(ContainerId),
    Kill(ContainerId, KillSignal),
}

struct World {
    bench: Bench,
    random: u64,
    connected: bool,
    containers: BTreeMap<ContainerId, Nested>,
    pending: Vec<Pending>,
    timers: Vec<ExecutorTimer>,
    told: BTreeMap<String, Vec<State>>,
    groups: Vec<Vec<String>>,
    /// Containers whose launch was confirmed: they must not be launched again.
    confirmed: BTreeSet<ContainerId>,
    exit: Option<Outcome>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            bench: Bench::subscribed(&KILLING),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            connected: true,
            containers: BTreeMap::new(),
            pending: Vec::new(),
            timers: Vec::new(),
            told: BTreeMap::new(),
            groups: Vec::new(),
            confirmed: BTreeSet::new(),
            exit: None,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        // A xorshift: good enough to pick.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).expect("small") % bound.max(1)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len());
        from.get(index).cloned()
    }

    /// Takes note of what the executor wants, and checks it.
    fn settle_effects(&mut self) {
        for effect in std::mem::take(&mut self.bench.effects) {
            match effect {
                Effect::SendUpdate(status) => self.note_update(&status),
                Effect::LaunchContainer(container, _) => {
                    assert!(!self.confirmed.contains(&container), "{container} is launched again");
                    self.pending.push(Pending::Launch(container));
                }
                Effect::WaitContainer(container) => self.pending.push(Pending::Wait(container)),
                Effect::KillContainer(container, signal) => self.pending.push(Pending::Kill(container, signal)),
                Effect::AbandonCalls => self.pending.clear(),
                Effect::SetTimer(timer, _) => {
                    self.timers.retain(|set| *set != timer);
                    self.timers.push(timer);
                }
                Effect::CancelTimer(timer) => self.timers.retain(|set| *set != timer),
                Effect::Exit(outcome) => {
                    assert!(self.bench.core.tasks.is_empty(), "left with tasks");
                    self.exit = Some(outcome);
                }
                Effect::LinkSandbox(..)
                | Effect::StartChecks(..)
                | Effect::StopChecks(_)
                | Effect::PauseChecks
                | Effect::ResumeChecks => {}
            }
        }
        let asked = |pending: &Pending| !matches!(pending, Pending::Launch(_));
        assert!(
            self.connected || self.pending.iter().all(asked),
            "a launch while nobody listens"
        );
    }

    fn note_update(&mut self, status: &TaskStatus) {
        let told = self.told.entry(status.task_id.value().to_owned()).or_default();
        let fits = match (told.last(), status.state()) {
            (None, State::TASK_STARTING)
            | (Some(State::TASK_STARTING), State::TASK_RUNNING)
            | (Some(State::TASK_RUNNING), State::TASK_KILLING) => true,
            (Some(before), state) => is_terminal(state) && !is_terminal(*before),
            (None, _) => false,
        };
        assert!(fits, "{told:?} then {:?}", status.state());
        told.push(status.state());
    }

    fn act(&mut self) {
        match self.below(9) {
            0 if self.connected && self.groups.len() < 4 => self.launch(),
            1 | 2 => self.answer(),
            3 => self.end_container(),
            4 => {
                let tasks: Vec<String> = self.told.keys().cloned().collect();
                if let Some(task) = self.pick(&tasks).filter(|_| self.connected) {
                    self.bench.kill(&task, None);
                }
            }
            5 => self.elapse(),
            6 if self.connected => {
                self.connected = false;
                self.bench.step(Input::Disconnected);
            }
            7 | 6 if !self.connected => self.connect(),
            8 if self.connected => self.acknowledge(),
            _ => {}
        }
        self.settle_effects();
    }

    fn launch(&mut self) {
        let group = self.groups.len();
        let size = 1 + self.below(3);
        let ids: Vec<String> = (0..size).map(|member| format!("{group}-{member}")).collect();
        let tasks: Vec<TaskInfo> = ids.iter().map(|id| task(id)).collect();
        self.exit = None;
        self.bench.launch_group(&tasks);
        self.groups.push(ids);
    }

    fn answer(&mut self) {
        let index = self.below(self.pending.len());
        if self.pending.is_empty() || !self.connected {
            return;
        }
        let fate = self.below(10);
        let input = match self.pending.remove(index) {
            // The answer is lost; what was asked for may have happened.
            Pending::Launch(container) if fate == 0 => {
                self.containers.entry(container.clone()).or_insert(Nested::Running);
                Input::LaunchAnswered(container, Answer::Unavailable("lost".to_owned()))
            }
            Pending::Launch(container) if fate == 1 && !self.containers.contains_key(&container) => {
                Input::LaunchAnswered(container, Answer::Refused(400, "no".to_owned()))
            }
            Pending::Launch(container) => {
                self.containers.entry(container.clone()).or_insert(Nested::Running);
                self.confirmed.insert(container.clone());
                Input::LaunchAnswered(container, Answer::Done(()))
            }
            Pending::Wait(container) => match self.containers.get(&container) {
                Some(Nested::Ended(status)) => {
                    let mut wait = WaitNestedContainer::new();
                    wait.set_exit_status(*status);
                    Input::WaitAnswered(container, Answer::Done(Box::new(wait)))
                }
                _ if fate == 0 => Input::WaitAnswered(container, Answer::Unavailable("lost".to_owned())),
                _ => return self.pending.push(Pending::Wait(container)),
            },
            Pending::Kill(container, signal) if fate == 0 => {
                Input::KillAnswered(container, signal, Answer::Unavailable("lost".to_owned()))
            }
            Pending::Kill(container, signal) => {
                if signal == KILL || fate > 4 {
                    self.containers
                        .insert(container.clone(), Nested::Ended(signal.number()));
                }
                Input::KillAnswered(container, signal, Answer::Done(()))
            }
        };
        self.bench.step(input);
    }

    fn end_container(&mut self) {
        let running = self.containers.iter().filter(|(_, state)| **state == Nested::Running);
        let running: Vec<ContainerId> = running.map(|(id, _)| id.clone()).collect();
        let status = if self.below(2) == 0 { 0 } else { 256 };
        if let Some(container) = self.pick(&running) {
            self.containers.insert(container, Nested::Ended(status));
        }
    }

    fn elapse(&mut self) {
        let passing = |timer: &&ExecutorTimer| !matches!(timer, ExecutorTimer::Acknowledgement);
        let timers: Vec<ExecutorTimer> = self.timers.iter().filter(passing).cloned().collect();
        if let Some(timer) = self.pick(&timers) {
            self.timers.retain(|set| *set != timer);
            self.bench.elapsed(timer);
        }
    }

    fn connect(&mut self) {
        self.connected = true;
        self.bench.subscribe(&KILLING);
    }

    fn acknowledge(&mut self) {
        let unacknowledged: Vec<Vec<u8>> = self.bench.core.unacknowledged.iter().cloned().collect();
        if let Some(uuid) = self.pick(&unacknowledged) {
            let mut event = event(event::Type::ACKNOWLEDGED);
            event.acknowledged.mut_or_insert_default().set_uuid(uuid);
            self.bench.receive(event);
        }
    }

    /// The agent is there, answers everything, and every container ends sooner or later.
    fn settle(&mut self) {
        if !self.connected {
            self.connect();
            self.settle_effects();
        }
        for _ in 0..10_000 {
            if self.bench.core.tasks.is_empty() && self.bench.core.unacknowledged.is_empty() {
                return;
            }
            match self.below(4) {
                0 => self.answer(),
                1 => self.elapse(),
                2 => self.end_container(),
                _ => self.acknowledge(),
            }
            self.settle_effects();
        }
        panic!("nothing settles: {:?} {:?}", self.bench.core.tasks, self.pending);
    }

    fn check_groups(&self) {
        for group in &self.groups {
            let ends: Vec<State> = group.iter().filter_map(|id| self.told[id].last().copied()).collect();
            assert!(ends.iter().all(|end| is_terminal(*end)), "{ends:?}");
        }
    }
}

fn is_terminal(state: State) -> bool {
    matches!(state, State::TASK_FINISHED | State::TASK_FAILED | State::TASK_KILLED)
}

#[test]
fn every_history_tells_each_task_one_life_and_lets_the_executor_leave() {
    for seed in 0..HISTORIES {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.launch();
            world.settle_effects();
            for _ in 0..STEPS {
                world.act();
                // Whoever has left hears nothing more.
                if world.exit.is_some() {
                    break;
                }
            }
            world.settle();
            world.check_groups();
            assert_eq!(world.exit, Some(Outcome::Done));
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}

#[test]
fn whoever_survives_a_bad_end_in_its_group_is_being_killed() {
    for seed in 0..HISTORIES {
        let mut world = World::new(seed);
        world.launch();
        world.settle_effects();
        for _ in 0..STEPS {
            world.act();
            if world.exit.is_some() {
                break;
            }
            for group in &world.groups {
                let last = |id: &String| world.told[id].last().copied();
                let badly = |id: &&String| matches!(last(id), Some(State::TASK_FAILED | State::TASK_KILLED));
                if group.iter().any(|id| badly(&id)) {
                    let spared = group.iter().filter_map(|id| world.bench.core.tasks.get(id.as_str()));
                    for survivor in spared {
                        let doomed = match &survivor.life {
                            Life::Launching { kill, .. } => kill.is_some(),
                            Life::Running => false,
                            Life::Killing { .. } => true,
                        };
                        assert!(doomed, "seed {seed}: {survivor:?}");
                    }
                }
            }
        }
    }
}
