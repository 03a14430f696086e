//! An agent's shell: work directory in memory, containers that are scripted executors.
//!
//! The work directory and the containers outlive the agent's process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use libprocess::{Random, SeededRandom, TimerId, Upid};
use mesos::Message;
use mesos::ids::ContainerId;
use mesos_agent_core::paths::Paths;
use mesos_agent_core::recovery::RecoveredState;
use mesos_agent_core::{
    Agent, AgentConfig, AgentState, AgentTimer, CheckpointWrite, ContainerLaunch, ContainerTermination, Effect, Input,
};
use mesos_executor_driver::v0::core::DriverConfig;
use mesos_proto::v0::mesos as pb;

use crate::build::agent_config;
use crate::disk::Disk;
use crate::executor::ExecutorHost;
use crate::failure::Failure;
use crate::net::{Alarm, Net};

/// Longest time from asking for a container to its being there.
const LAUNCH_TIME_MAX: Duration = Duration::from_millis(300);
/// Longest time until the end of a process is seen.
const REAP_TIME_MAX: Duration = Duration::from_millis(100);

/// Names one update: framework, task, uuid.
type UpdateKey = (String, String, Vec<u8>);

/// How far a container is.
enum Container {
    /// Asked for.
    Launching(Box<ContainerLaunch>),
    /// Asked for, and no longer wanted before it was there.
    Abandoned,
    /// Its executor runs.
    Running(Box<ExecutorHost>),
    /// Its executor is gone; the agent may not know yet.
    Ended,
}

/// Writes that wait for the disk, and what may only follow them.
struct Checkpoint {
    writes: Vec<CheckpointWrite>,
    then: Vec<Effect>,
    /// An acknowledgement that counts as seen from then on.
    seen: Option<UpdateKey>,
}

/// An agent and what stands around it.
pub struct AgentHost {
    upid: Upid,
    master: Upid,
    core: Option<Agent>,
    disk: Disk,
    /// Longest time that a checkpoint takes; zero for at once.
    write_time_max: Duration,
    checkpoints: VecDeque<Checkpoint>,
    timers: BTreeMap<AgentTimer, TimerId>,
    containers: BTreeMap<ContainerId, Container>,
    executors: BTreeMap<SocketAddrV4, ContainerId>,
    port_next: u16,
    acknowledged: BTreeSet<UpdateKey>,
    /// Whether the host went down since the agent last read its checkpoints.
    rebooted: bool,
    random: SeededRandom,
}

impl AgentHost {
    /// An agent that is not started.
    #[must_use]
    pub fn new(upid: Upid, master: Upid, write_time_max: Duration, random: SeededRandom) -> Self {
        Self {
            upid,
            master,
            core: None,
            disk: Disk::default(),
            write_time_max,
            checkpoints: VecDeque::new(),
            timers: BTreeMap::new(),
            containers: BTreeMap::new(),
            executors: BTreeMap::new(),
            port_next: 40_000,
            acknowledged: BTreeSet::new(),
            rebooted: false,
            random,
        }
    }

    /// The address.
    #[must_use]
    pub const fn upid(&self) -> &Upid {
        &self.upid
    }

    /// The rules, while the process lives.
    #[must_use]
    pub const fn core(&self) -> Option<&Agent> {
        self.core.as_ref()
    }

    /// Whether the agent or one of its executors has this address.
    #[must_use]
    pub fn owns(&self, upid: &Upid) -> bool {
        upid.address().ip() == self.upid.address().ip()
    }

    /// Executors that run.
    #[must_use]
    pub fn running_executors(&self) -> usize {
        let running = |container: &&Container| matches!(container, Container::Running(_));
        self.containers.values().filter(running).count()
    }

    /// Starts the process: it reads its checkpoints and follows the master.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn start(&mut self, net: &mut Net) -> Result<(), Failure> {
        net.world.spawn(&self.upid);
        let config: AgentConfig = agent_config(&self.upid, u128::from(self.random.next_u64()) + 1);
        let paths = Paths::new(config.work_dir.clone());
        self.core = Some(Agent::new(config, net.now()));
        self.timers.clear();
        self.checkpoints.clear();
        let state = RecoveredState {
            rebooted: std::mem::take(&mut self.rebooted),
            ..self.disk.read(&paths)
        };
        let lost = self.containers_that_ended(&state);
        self.apply(Input::Recovered(Box::new(state)), net)?;
        for container_id in lost {
            self.containers.remove(&container_id);
            let termination = ContainerTermination::default();
            self.apply(
                Input::ContainerTerminated {
                    container_id,
                    termination,
                },
                net,
            )?;
        }
        self.apply(Input::MasterDetected(Some(self.master.clone())), net)
    }

    /// Containers of the checkpoints that are not there any more.
    fn containers_that_ended(&self, state: &RecoveredState) -> Vec<ContainerId> {
        let executors = state
            .agent
            .iter()
            .flat_map(|agent| &agent.frameworks)
            .flat_map(|framework| &framework.executors);
        let runs = executors.flat_map(|executor| {
            let latest = executor.latest.as_ref();
            executor
                .runs
                .iter()
                .filter(move |run| Some(&run.container_id) == latest)
        });
        let ended = runs.filter(|run| {
            !run.completed && !matches!(self.containers.get(&run.container_id), Some(Container::Running(_)))
        });
        ended.map(|run| run.container_id.clone()).collect()
    }

    /// Ends the agent's process without a farewell; its executors go on.
    pub fn crash(&mut self, net: &mut Net) {
        self.core = None;
        self.checkpoints.clear();
        self.containers
            .retain(|_, container| !matches!(container, Container::Launching(_) | Container::Abandoned));
        net.world.crash(self.upid.address());
    }

    /// Takes the host down: the agent and all its executors end without a farewell.
    pub fn reboot(&mut self, net: &mut Net) {
        self.crash(net);
        for address in std::mem::take(&mut self.executors).into_keys() {
            net.world.crash(address);
        }
        self.containers.clear();
        self.rebooted = true;
    }

    /// Kills one executor, if one runs.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn kill_executor(&mut self, net: &mut Net) -> Result<(), Failure> {
        let running = self.containers.iter();
        let running: Vec<ContainerId> = running
            .filter(|(_, container)| matches!(container, Container::Running(_)))
            .map(|(id, _)| id.clone())
            .collect();
        let bound = u64::try_from(running.len()).unwrap_or(0);
        let drawn = usize::try_from(self.random.below(bound)).unwrap_or(0);
        if let Some(id) = running.get(drawn) {
            self.end_container(&id.clone(), 9, net);
        }
        Ok(())
    }

    /// A message arrived at the agent or at one of its executors.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn receive(&mut self, to: &Upid, from: Upid, message: Message, net: &mut Net) -> Result<(), Failure> {
        if *to != self.upid {
            return self.with_executor(to, net, |executor, net| executor.receive(from, message, net));
        }
        let acknowledged = match &message {
            Message::StatusUpdateAcknowledgement(message) if from == self.master && self.is_running() => Some((
                message.framework_id.value().to_owned(),
                message.task_id.value().to_owned(),
                message.uuid().to_vec(),
            )),
            _ => None,
        };
        self.apply(Input::Message { from, message }, net)?;
        if acknowledged.is_some() {
            self.checkpoint(Vec::new(), Vec::new(), acknowledged, net)?;
        }
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.core
            .as_ref()
            .is_some_and(|core| core.state() == AgentState::Running)
    }

    /// A link of the agent or of one of its executors broke.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn exited(&mut self, linker: &Upid, linked: Upid, net: &mut Net) -> Result<(), Failure> {
        if *linker == self.upid {
            self.apply(Input::Exited { upid: linked }, net)
        } else {
            self.with_executor(linker, net, |executor, net| executor.exited(linked, net))
        }
    }

    /// An alarm of the agent or of one of its executors rang.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn alarm(&mut self, owner: &Upid, alarm: Alarm, net: &mut Net) -> Result<(), Failure> {
        match alarm {
            Alarm::Agent(timer) => {
                self.timers.remove(&timer);
                self.apply(Input::Timer(timer), net)
            }
            Alarm::CheckpointWritten => self.checkpoint_written(net),
            Alarm::MasterDetected => self.apply(Input::MasterDetected(Some(self.master.clone())), net),
            Alarm::ContainerLaunched(id) => self.launched(id, net),
            Alarm::ContainerUpdated(container_id) => self.apply(Input::ContainerUpdated { container_id }, net),
            Alarm::ContainerEnded(container_id, termination) => {
                self.containers.remove(&container_id);
                let termination = *termination;
                self.apply(
                    Input::ContainerTerminated {
                        container_id,
                        termination,
                    },
                    net,
                )
            }
            Alarm::Executor(timer) => self.with_executor(owner, net, |executor, net| executor.elapsed(timer, net)),
            Alarm::Work(work) => self.with_executor(owner, net, |executor, net| executor.work(work, net)),
            other => Err(Failure::new(format!("not an alarm of agents: {other:?}"))),
        }
    }

    fn with_executor(
        &mut self,
        upid: &Upid,
        net: &mut Net,
        act: impl FnOnce(&mut ExecutorHost, &mut Net) -> Option<i32>,
    ) -> Result<(), Failure> {
        let Some(id) = self.executors.get(&upid.address()).cloned() else {
            return Ok(());
        };
        if let Some(Container::Running(executor)) = self.containers.get_mut(&id)
            && let Some(status) = act(executor, net)
        {
            self.end_container(&id, status, net);
        }
        Ok(())
    }

    fn apply(&mut self, input: Input, net: &mut Net) -> Result<(), Failure> {
        let Some(core) = self.core.as_mut() else { return Ok(()) };
        let effects = core.step(net.now(), input);
        core.check_invariants()
            .map_err(|error| Failure::new(format!("{}: {error}", self.upid)))?;
        self.carry_out_all(effects, net)
    }

    fn carry_out_all(&mut self, effects: Vec<Effect>, net: &mut Net) -> Result<(), Failure> {
        for effect in effects {
            self.carry_out(effect, net)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, net: &mut Net) -> Result<(), Failure> {
        match effect {
            Effect::Send { to, message } => {
                self.check_not_acknowledged(&message)?;
                net.send(&self.upid, &to, &message);
            }
            Effect::Link(to) => net.world.link(&self.upid, &to),
            Effect::Checkpoint { writes, then } => self.checkpoint(writes, then, None, net)?,
            Effect::LaunchContainer(launch) => {
                let id = launch.container_id.clone();
                self.containers.insert(id.clone(), Container::Launching(launch));
                let after = self.random.duration(Duration::ZERO, LAUNCH_TIME_MAX);
                net.set(&self.upid, after, Alarm::ContainerLaunched(id));
            }
            Effect::DestroyContainer { container_id } => self.destroy(&container_id, net),
            Effect::SetTimer { timer, after } => {
                let id = net.set(&self.upid, after, Alarm::Agent(timer.clone()));
                if let Some(earlier) = self.timers.insert(timer, id) {
                    net.world.cancel_timer(earlier);
                }
            }
            Effect::CancelTimer(timer) => {
                if let Some(id) = self.timers.remove(&timer) {
                    net.world.cancel_timer(id);
                }
            }
            Effect::Redetect => {
                net.set(&self.upid, Duration::ZERO, Alarm::MasterDetected);
            }
            Effect::Shutdown { reason } => {
                return Err(Failure::new(format!("{} stops: {reason:?}", self.upid)));
            }
            Effect::UpdateContainer { container_id, .. } => {
                net.set(&self.upid, Duration::ZERO, Alarm::ContainerUpdated(container_id));
            }
            Effect::CollectFolders { .. }
            | Effect::MeasureDisk
            | Effect::MeasureLoad
            | Effect::OpenStream { .. }
            | Effect::StreamEvent { .. }
            | Effect::CloseStream(_)
            | Effect::Reply { .. } => {}
        }
        Ok(())
    }

    fn check_not_acknowledged(&self, message: &Message) -> Result<(), Failure> {
        let Message::StatusUpdate(message) = message else {
            return Ok(());
        };
        let update = &message.update;
        let key = (
            update.framework_id.value().to_owned(),
            update.status.task_id.value().to_owned(),
            update.uuid().to_vec(),
        );
        if self.acknowledged.contains(&key) {
            let what = format!("{} sends an acknowledged update again: {:?}", self.upid, update.status);
            return Err(Failure::new(what));
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        writes: Vec<CheckpointWrite>,
        then: Vec<Effect>,
        seen: Option<UpdateKey>,
        net: &mut Net,
    ) -> Result<(), Failure> {
        let idle = self.checkpoints.is_empty();
        self.checkpoints.push_back(Checkpoint { writes, then, seen });
        if idle {
            if self.write_time_max.is_zero() {
                return self.checkpoint_written(net);
            }
            self.begin_write(net);
        }
        Ok(())
    }

    fn begin_write(&mut self, net: &mut Net) {
        let after = self.random.duration(Duration::ZERO, self.write_time_max);
        net.set(&self.upid, after, Alarm::CheckpointWritten);
    }

    fn checkpoint_written(&mut self, net: &mut Net) -> Result<(), Failure> {
        let Some(checkpoint) = self.checkpoints.pop_front() else {
            return Ok(());
        };
        for write in checkpoint.writes {
            self.disk.apply(write);
        }
        self.acknowledged.extend(checkpoint.seen);
        self.carry_out_all(checkpoint.then, net)?;
        if !self.checkpoints.is_empty() {
            if self.write_time_max.is_zero() {
                return self.checkpoint_written(net);
            }
            self.begin_write(net);
        }
        Ok(())
    }

    fn launched(&mut self, container_id: ContainerId, net: &mut Net) -> Result<(), Failure> {
        let launch = match self.containers.remove(&container_id) {
            Some(Container::Launching(launch)) if !self.random.chance(30_000) => launch,
            _ => {
                let result = Err("destroyed meanwhile, or the script says so".to_owned());
                return self.apply(Input::LaunchFinished { container_id, result }, net);
            }
        };
        self.port_next += 1;
        let upid = Upid::new(
            "executor(1)",
            SocketAddrV4::new(*self.upid.address().ip(), self.port_next),
        );
        if let Some(path) = launch.forked_pid_path {
            self.disk.write_text(path, &self.port_next.to_string());
        }
        let checkpoints = launch
            .environment
            .iter()
            .any(|(name, value)| name == "MESOS_CHECKPOINT" && value == "1");
        let agent_id = self.core.as_ref().and_then(Agent::id).cloned();
        let config = DriverConfig {
            framework_id: launch.framework_id,
            executor_id: launch.executor_id,
            agent_id: agent_id.ok_or_else(|| Failure::new("a launch by an agent without id"))?,
            agent: self.upid.clone(),
            recovery_timeout: checkpoints.then_some(Duration::from_secs(900)),
            shutdown_grace_period: Duration::from_secs(5),
            local: false,
        };
        let mut executor = ExecutorHost::new(
            upid.clone(),
            config,
            launch.task.is_some_and(|task| task.command.is_some()),
            self.random.fork(),
        );
        self.executors.insert(upid.address(), container_id.clone());
        executor.start(net);
        self.containers
            .insert(container_id.clone(), Container::Running(Box::new(executor)));
        let mut status = pb::ContainerStatus::new();
        status.set_executor_pid(u32::from(self.port_next));
        let result = Ok(Box::new(status));
        self.apply(Input::LaunchFinished { container_id, result }, net)
    }

    fn destroy(&mut self, id: &ContainerId, net: &mut Net) {
        match self.containers.get(id) {
            Some(Container::Running(_)) => self.end_container(id, 9, net),
            Some(Container::Launching(_)) => {
                self.containers.insert(id.clone(), Container::Abandoned);
            }
            Some(Container::Abandoned | Container::Ended) | None => {}
        }
    }

    fn end_container(&mut self, id: &ContainerId, status: i32, net: &mut Net) {
        let Some(Container::Running(executor)) = self.containers.get(id) else {
            return;
        };
        let address = executor.upid().address();
        net.world.crash(address);
        self.executors.remove(&address);
        let termination = ContainerTermination {
            status: Some(status),
            ..ContainerTermination::default()
        };
        self.containers.insert(id.clone(), Container::Ended);
        self.tell_end(id, termination, net);
    }

    fn tell_end(&mut self, id: &ContainerId, termination: ContainerTermination, net: &mut Net) {
        let after = self.random.duration(Duration::ZERO, REAP_TIME_MAX);
        net.set(
            &self.upid,
            after,
            Alarm::ContainerEnded(id.clone(), Box::new(termination)),
        );
    }
}
