//! The master's shell: registrar over a disk, timers, observers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use libprocess::{Random, SeededRandom, TimerId, Upid};
use mesos::Message;
use mesos_allocator::HierarchicalAllocator;
use mesos_allocator::api::AllocatorOptions;
use mesos_master_core::{
    Effect, Input, Master, MasterConfig, MasterTimer, ObserverId, OperatorCall, OperatorRequest, RateLimits, RequestId,
    Sender,
};
use mesos_proto::v0::mesos::{self as proto, MasterInfo};
use mesos_registrar::{Batch, Registrar, Registry, StoreError};

use crate::failure::Failure;
use crate::net::{Alarm, Net};
use crate::promises::Promises;
use crate::registry::RegistryDisk;

/// Longest time that storing the registry takes.
const STORE_TIME_MAX: Duration = Duration::from_millis(20);

/// A master and what stands around it. The storage outlives the process.
pub struct MasterHost {
    upid: Upid,
    core: Option<Master>,
    registrar: Registrar,
    storage: RegistryDisk,
    /// The batch that is being written.
    writing: Option<Batch>,
    timers: BTreeMap<MasterTimer, TimerId>,
    random: SeededRandom,
    lives: u64,
    requests: u64,
    /// Requests of operators that this life of the master has not answered yet.
    unanswered: BTreeSet<RequestId>,
    /// What operators were told about agents, by all lives.
    promises: Promises,
}

/// Every second life of a master lets messages of schedulers wait.
fn limits(seed: u64) -> RateLimits {
    let mut limits = proto::RateLimits::new();
    limits.aggregate_default_qps = (seed & 2 == 2).then_some(100.0);
    RateLimits::from_proto(&limits).unwrap_or(RateLimits::none())
}

impl MasterHost {
    /// A master that is not started.
    #[must_use]
    pub fn new(upid: Upid, random: SeededRandom) -> Self {
        Self {
            upid,
            core: None,
            registrar: Registrar::new(Registry::new()),
            storage: RegistryDisk::default(),
            writing: None,
            timers: BTreeMap::new(),
            random,
            lives: 0,
            requests: 0,
            unanswered: BTreeSet::new(),
            promises: Promises::default(),
        }
    }

    /// The address.
    #[must_use]
    pub const fn upid(&self) -> &Upid {
        &self.upid
    }

    /// The rules, while the process lives.
    #[must_use]
    pub const fn core(&self) -> Option<&Master> {
        self.core.as_ref()
    }

    /// Starts the process: it reads the registry and leads.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn start(&mut self, net: &mut Net) -> Result<(), Failure> {
        self.lives += 1;
        net.world.spawn(&self.upid);
        let seed = self.random.next_u64();
        let options = AllocatorOptions {
            seed: self.random.next_u64(),
            recovery_timeout: Duration::from_secs(20),
            ..AllocatorOptions::default()
        };
        let allocator = Box::new(HierarchicalAllocator::new(options));
        self.core = Some(Master::new(self.config(seed), allocator));
        self.timers.clear();
        let stored = self.storage.fetch()?;
        let recovered = Registrar::recover(&stored);
        self.registrar = recovered.map_err(|error| Failure::new(error.to_string()))?;
        let registry = self.registrar.registry();
        self.apply(Input::Recovered(Box::new(registry)), net)
    }

    fn config(&self, seed: u64) -> MasterConfig {
        let mut info = MasterInfo::new();
        info.set_id(format!("00000000-0000-4000-8000-{:012}", self.lives));
        info.set_ip(u32::from_ne_bytes(self.upid.address().ip().octets()));
        info.set_port(u32::from(self.upid.address().port()));
        info.set_pid(self.upid.to_string());
        info.set_version("1.11.0".to_owned());
        MasterConfig {
            agent_ping_timeout: Duration::from_secs(3),
            max_agent_ping_timeouts: 4,
            agent_reregister_timeout: Duration::from_secs(60),
            offer_timeout: Some(Duration::from_secs(15)),
            agent_removal_interval: (seed & 1 == 1).then_some(Duration::from_secs(10)),
            rate_limits: limits(seed),
            ..MasterConfig::new(info, seed)
        }
    }

    /// Ends the process without a farewell.
    pub fn crash(&mut self, net: &mut Net) {
        self.core = None;
        self.unanswered.clear();
        self.promises.forget_questions();
        let writing = self.writing.take();
        self.storage.crash(writing.as_ref(), &mut self.random);
        net.world.crash(self.upid.address());
    }

    /// Whether one of the master's processes has this address.
    #[must_use]
    pub fn owns(&self, upid: &Upid) -> bool {
        upid.address() == self.upid.address()
    }

    /// An operator asks for something; nothing happens while no master lives.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn operate(&mut self, call: OperatorCall, net: &mut Net) -> Result<(), Failure> {
        if self.core.is_none() {
            return Ok(());
        }
        self.requests += 1;
        let request = RequestId(self.requests);
        self.unanswered.insert(request);
        self.promises.ask(request, &call);
        let request = OperatorRequest {
            request,
            principal: None,
            call,
        };
        self.apply(Input::Operator(Box::new(request)), net)
    }

    /// Whether an operator waits for an answer.
    #[must_use]
    pub fn owes_answers(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// A message arrived.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn receive(&mut self, from: Upid, message: Message, net: &mut Net) -> Result<(), Failure> {
        self.apply(Input::Message { from, message }, net)
    }

    /// A link broke.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn exited(&mut self, upid: Upid, net: &mut Net) -> Result<(), Failure> {
        self.apply(Input::Exited(upid), net)
    }

    /// An alarm rang.
    ///
    /// # Errors
    ///
    /// Says what went wrong.
    pub fn alarm(&mut self, alarm: Alarm, net: &mut Net) -> Result<(), Failure> {
        match alarm {
            Alarm::Master(timer) => {
                self.timers.remove(&timer);
                self.apply(Input::Timer(timer), net)
            }
            Alarm::RegistryStored(batch) => self.stored(&batch, net),
            other => Err(Failure::new(format!("not an alarm of masters: {other:?}"))),
        }
    }

    fn apply(&mut self, input: Input, net: &mut Net) -> Result<(), Failure> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(core) = self.core.as_mut() else { return Ok(()) };
            let effects = core.step(net.now(), input);
            core.check_invariants()
                .map_err(|error| Failure::new(error.to_string()))?;
            for effect in effects {
                self.carry_out(effect, net)?;
            }
            if let Some(core) = &self.core {
                self.promises.check(core)?;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, net: &mut Net) -> Result<(), Failure> {
        match effect {
            Effect::Send { sender, to, message } => {
                let from = match sender {
                    Sender::Master => self.upid.clone(),
                    Sender::Observer(id) => self.observer(id),
                };
                net.send(&from, &to, &message);
            }
            Effect::Link(to) => net.world.link(&self.upid, &to),
            Effect::StartObserver(id) => net.world.spawn(&self.observer(id)),
            Effect::StopObserver(id) => net.world.terminate(&self.observer(id)),
            Effect::SetTimer { timer, after } => {
                let id = net.set(&self.upid, after, Alarm::Master(timer.clone()));
                if let Some(earlier) = self.timers.insert(timer, id) {
                    net.world.cancel_timer(earlier);
                }
            }
            Effect::CancelTimer(timer) => {
                if let Some(id) = self.timers.remove(&timer) {
                    net.world.cancel_timer(id);
                }
            }
            Effect::StoreRegistry { write, operations } => {
                self.registrar.submit(write, operations);
                self.store(net);
            }
            Effect::Abort(reason) => return Err(Failure::new(format!("the master gave up: {reason}"))),
            Effect::Reply { request, reply } => {
                if !self.unanswered.remove(&request) {
                    return Err(Failure::new(format!("an answer that nobody waits for: {reply:?}")));
                }
                self.promises.answer(request, reply.status);
            }
            Effect::OpenStream { .. } | Effect::StreamEvent { .. } | Effect::CloseStream(_) | Effect::Publish(_) => {}
        }
        Ok(())
    }

    fn observer(&self, id: ObserverId) -> Upid {
        Upid::new(id.to_string(), self.upid.address())
    }

    fn store(&mut self, net: &mut Net) {
        if let Some(batch) = self.registrar.next_batch() {
            let after = self.random.duration(Duration::ZERO, STORE_TIME_MAX);
            self.writing = Some(batch.clone());
            net.set(&self.upid, after, Alarm::RegistryStored(Box::new(batch)));
        }
    }

    fn stored(&mut self, batch: &Batch, net: &mut Net) -> Result<(), Failure> {
        self.writing = None;
        let stored = self.storage.store(batch).map_err(|error| StoreError(error.to_string()));
        let answers = self
            .registrar
            .finish(stored)
            .map_err(|error| Failure::new(error.to_string()))?;
        for answer in answers {
            self.apply(Input::RegistryStored(answer), net)?;
        }
        self.store(net);
        Ok(())
    }
}
