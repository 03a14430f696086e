//! Frameworks: what they remember across failover of their scheduler, and how they behave.
//!
//! A framework takes offers and declines some, kills some of its tasks, and asks the master for the states of the tasks
//! that have not ended. Its memory is that of a real one with a store: it outlives the scheduler's process.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use libprocess::{Random, SeededRandom, Upid};
use mesos::Message;
use mesos::resources::Resources;
use mesos_proto::v0::mesos as pb;
use mesos_scheduler_driver::v0::{ApiCall, Callback, Core, DriverConfig, Effect, Input, Timer};
use pb::TaskState;

use crate::build::{self, EXECUTOR_CPUS, EXECUTOR_MEM, TASK_CPUS, TASK_MEM, amount};
use crate::failure::Failure;
use crate::faults::Fate;
use crate::keeper::Keeper;
use crate::ledger::{Ledger, TaskRecord};
use crate::net::{Alarm, Habit, Net};

/// Pause between two questions for the states of tasks, at most.
const RECONCILE_MAX: Duration = Duration::from_secs(20);
/// Tasks that one framework launches at most.
const TASKS_MAX: usize = 30;

/// One scheduler process.
struct Scheduler {
    upid: Upid,
    core: Core,
}

/// A framework and its scheduler.
pub struct FrameworkHost {
    index: usize,
    master: Upid,
    address: SocketAddrV4,
    info: pb::FrameworkInfo,
    scheduler: Option<Scheduler>,
    ledger: Ledger,
    random: SeededRandom,
    lives: u16,
    launching: bool,
    /// Names of volumes drawn so far.
    volumes: u64,
}

impl FrameworkHost {
    /// A framework whose scheduler is not started.
    #[must_use]
    pub fn new(index: usize, address: SocketAddrV4, master: Upid, random: SeededRandom) -> Self {
        Self {
            index,
            master,
            address,
            info: build::framework_info(index),
            scheduler: None,
            ledger: Ledger::default(),
            random,
            lives: 0,
            launching: true,
            volumes: 0,
        }
    }

    /// What it remembers of its tasks.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Address of the scheduler, while it lives.
    #[must_use]
    pub fn upid(&self) -> Option<&Upid> {
        self.scheduler.as_ref().map(|scheduler| &scheduler.upid)
    }

    /// Whether its scheduler has, or had, this address.
    #[must_use]
    pub fn owns(&self, upid: &Upid) -> bool {
        upid.address().ip() == self.address.ip()
    }

    /// Launches nothing from now on.
    pub fn stop_launching(&mut self) {
        self.launching = false;
    }

    /// Whether updates are acknowledged by hand, some time after they came.
    const fn acknowledges_explicitly(&self) -> bool {
        self.index % 2 == 1
    }

    /// Starts a scheduler process at an address of its own.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn start(&mut self, net: &mut Net) -> Result<(), Failure> {
        self.lives += 1;
        let address = SocketAddrV4::new(*self.address.ip(), self.address.port() + self.lives);
        let upid = Upid::new(format!("scheduler-{}", self.lives), address);
        net.world.spawn(&upid);
        let config = DriverConfig {
            implicit_acknowledgements: !self.acknowledges_explicitly(),
            seed: self.random.next_u64(),
            ..DriverConfig::new(self.info.clone())
        };
        let core = Core::new(config);
        self.scheduler = Some(Scheduler { upid, core });
        self.plan(Habit::Kill, Duration::from_secs(6), net);
        self.plan(Habit::Reconcile, RECONCILE_MAX, net);
        self.apply(Input::MasterDetected(Some(self.master.clone())), net)
    }

    /// Ends the scheduler's process without a farewell.
    pub fn crash(&mut self, net: &mut Net) {
        if let Some(scheduler) = self.scheduler.take() {
            net.world.crash(scheduler.upid.address());
        }
    }

    fn plan(&mut self, habit: Habit, at_most: Duration, net: &mut Net) {
        let after = self.random.duration(Duration::from_millis(500), at_most);
        if let Some(scheduler) = &self.scheduler {
            net.set(&scheduler.upid, after, Alarm::Habit(habit));
        }
    }

    /// A message arrived.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn receive(&mut self, from: Upid, message: Message, net: &mut Net) -> Result<(), Failure> {
        self.apply(Input::MessageReceived { from, message }, net)
    }

    /// A link broke.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn exited(&mut self, upid: Upid, net: &mut Net) -> Result<(), Failure> {
        self.apply(Input::Exited(upid), net)
    }

    /// A timer of the driver ran out.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn elapsed(&mut self, timer: Timer, net: &mut Net) -> Result<(), Failure> {
        self.apply(Input::TimerElapsed(timer), net)
    }

    /// Something is due.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn habit(&mut self, habit: Habit, net: &mut Net) -> Result<(), Failure> {
        match habit {
            Habit::Kill => {
                self.plan(Habit::Kill, Duration::from_secs(6), net);
                let open: Vec<pb::TaskID> = self.ledger.open().map(|record| record.task_id.clone()).collect();
                let bound = u64::try_from(open.len()).unwrap_or(0);
                let drawn = usize::try_from(self.random.below(bound)).unwrap_or(0);
                match open.get(drawn) {
                    Some(task) if self.random.chance(300_000) => {
                        self.apply(Input::Called(ApiCall::KillTask(task.clone())), net)
                    }
                    _ => Ok(()),
                }
            }
            Habit::Reconcile => {
                self.plan(Habit::Reconcile, RECONCILE_MAX, net);
                let open: Vec<pb::TaskStatus> = self.ledger.open().map(TaskRecord::question).collect();
                // No task at all means all of them.
                let asked = if self.random.chance(250_000) { Vec::new() } else { open };
                self.apply(Input::Called(ApiCall::ReconcileTasks(asked)), net)
            }
            Habit::Acknowledge(status) => self.apply(Input::Called(ApiCall::AcknowledgeStatusUpdate(status)), net),
        }
    }

    fn apply(&mut self, input: Input, net: &mut Net) -> Result<(), Failure> {
        let Some(scheduler) = self.scheduler.as_mut() else {
            return Ok(());
        };
        let upid = scheduler.upid.clone();
        let effects = scheduler.core.step(net.now(), input);
        let mut calls = Vec::new();
        let mut refused = None;
        for effect in effects {
            match effect {
                Effect::Tell(Callback::Error(text)) => refused = Some(text),
                Effect::Send { to, message } | Effect::AcknowledgeImplicitly { to, message } => {
                    net.send(&upid, &to, &message);
                }
                Effect::Link(to) => net.world.link(&upid, &to),
                Effect::SetTimer { timer, after } => {
                    net.set(&upid, after, Alarm::Scheduler(timer));
                }
                Effect::Tell(callback) => self.told(callback, &mut calls, net)?,
            }
        }
        if let Some(text) = refused {
            return self.refused(&text, net);
        }
        for call in calls {
            self.apply(Input::Called(call), net)?;
        }
        Ok(())
    }

    /// The master closed the door. A scheduler that it took for disconnected ends, and whoever supervises it starts
    /// another one; so does one that a dead scheduler took the framework from, with a subscription that the network had
    /// held back until then.
    fn refused(&mut self, text: &str, net: &mut Net) -> Result<(), Failure> {
        if !["Framework disconnected", "Framework failed over"].contains(&text) {
            return Err(Failure::new(format!("framework {} was refused: {text}", self.index)));
        }
        self.crash(net);
        let after = self.random.duration(Duration::from_millis(10), Duration::from_secs(5));
        net.later(after, Fate::StartScheduler(self.index));
        Ok(())
    }

    fn told(&mut self, callback: Callback, calls: &mut Vec<ApiCall>, net: &mut Net) -> Result<(), Failure> {
        match callback {
            Callback::Registered(id, _) => {
                if self.info.id.as_ref().is_some_and(|known| *known != id) {
                    return Err(Failure::new(format!("framework {} got another id", self.index)));
                }
                self.info.id = Some(id).into();
            }
            Callback::ResourceOffers(offers) => {
                for offer in &offers {
                    let call = self.answer(offer);
                    calls.push(call);
                }
            }
            Callback::StatusUpdate(status) => {
                self.ledger.note(net.now(), &status)?;
                if self.acknowledges_explicitly() && !status.uuid().is_empty() {
                    self.plan(Habit::Acknowledge(status), Duration::from_secs(2), net);
                }
            }
            Callback::Error(_)
            | Callback::Reregistered(_)
            | Callback::Disconnected
            | Callback::OfferRescinded(_)
            | Callback::FrameworkMessage(..)
            | Callback::AgentLost(_)
            | Callback::ExecutorLost(..) => {}
        }
        Ok(())
    }

    fn answer(&mut self, offer: &pb::Offer) -> ApiCall {
        let mut filters = pb::Filters::new();
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        filters.set_refuse_seconds(self.random.below(4) as f64);
        let id = offer.id.clone().unwrap_or_default();
        if self.index == build::KEEPER {
            let operations = self.operations_for(offer);
            return if operations.is_empty() {
                ApiCall::DeclineOffer(id, filters)
            } else {
                ApiCall::AcceptOffers(vec![id], operations, filters)
            };
        }
        let tasks = if self.launching && !self.random.chance(300_000) {
            self.tasks_for(offer)
        } else {
            Vec::new()
        };
        if tasks.is_empty() {
            return ApiCall::DeclineOffer(id, filters);
        }
        ApiCall::LaunchTasks(vec![id], tasks, filters)
    }

    /// What the framework that keeps reservations and volumes does with an offer.
    fn operations_for(&mut self, offer: &pb::Offer) -> Vec<pb::offer::Operation> {
        let Ok(resources) = Resources::from_protobuf(&offer.resources) else {
            return Vec::new();
        };
        let mut keeper = Keeper::new(&resources.unallocate(), self.random.fork());
        if !self.launching {
            keeper.give_all_back();
            return keeper.operations();
        }
        let id = format!("f{}-t{}", self.index, self.ledger.len());
        self.volumes += 1;
        keeper.change(&format!("volume-{}", self.volumes));
        if self.ledger.len() < TASKS_MAX && self.random.chance(500_000) {
            let agent = offer.slave_id.clone().unwrap_or_default();
            if let Some(task) = keeper.launch(build::task_info(&id, &agent)) {
                self.ledger.launched(&task);
            }
        }
        keeper.operations()
    }

    fn tasks_for(&mut self, offer: &pb::Offer) -> Vec<pb::TaskInfo> {
        let agent = offer.slave_id.clone().unwrap_or_default();
        let framework = self.info.id.clone().unwrap_or_default();
        // Room for the executor is left whether it runs already or not.
        let mut cpus = amount(&offer.resources, "cpus") - EXECUTOR_CPUS;
        let mut mem = amount(&offer.resources, "mem") - EXECUTOR_MEM;
        let wanted = 1 + self.random.below(3);
        let mut tasks = Vec::new();
        for _ in 0..wanted {
            if cpus < TASK_CPUS || mem < TASK_MEM || self.ledger.len() >= TASKS_MAX {
                break;
            }
            cpus -= TASK_CPUS;
            mem -= TASK_MEM;
            let id = format!("f{}-t{}", self.index, self.ledger.len());
            let mut task = build::task_info(&id, &agent);
            if self.random.chance(500_000) {
                task.command.mut_or_insert_default().set_value("sleep 1".to_owned());
            } else {
                task.executor = Some(build::executor_info(&framework, "shared")).into();
            }
            self.ledger.launched(&task);
            tasks.push(task);
        }
        tasks
    }

    /// The state that each task ended in, for the summary of a run.
    pub fn ends(&self) -> BTreeMap<String, TaskState> {
        self.ledger.ends()
    }
}
