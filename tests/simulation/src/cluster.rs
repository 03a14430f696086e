//! The whole cluster: one master, three agents, two frameworks, and the run of one seed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use libprocess::sim::{Cut, Event, Faults, World};
use libprocess::{Random, SeededRandom, Time, Upid};
use mesos::Message;
use mesos_proto::v0::mesos::TaskState;

use crate::agent::AgentHost;
use crate::checks;
use crate::failure::Failure;
use crate::faults::{AGENTS, FRAMEWORKS, Fate, Weather};
use crate::framework::FrameworkHost;
use crate::master::MasterHost;
use crate::net::{Alarm, Net};
use crate::operator;
use crate::trace::Trace;

/// Time that the cluster has to end all tasks once nothing goes wrong any more.
const QUIET_MAX: Duration = Duration::from_secs(45 * 60);

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Sums up all events: equal runs have equal numbers.
    pub fingerprint: u64,
    /// Number of events.
    pub events: u64,
    /// Tasks by the state that they ended in.
    pub ends: BTreeMap<String, usize>,
    /// Virtual time that passed.
    pub elapsed: Duration,
}

/// A simulated cluster.
pub struct Cluster {
    net: Net,
    master: MasterHost,
    agents: Vec<AgentHost>,
    frameworks: Vec<FrameworkHost>,
    weather: Weather,
    random: SeededRandom,
    trace: Trace,
    events: u64,
    quiet: bool,
}

fn address(kind: u8, number: usize, port: u16) -> SocketAddrV4 {
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    SocketAddrV4::new(Ipv4Addr::new(10, 0, kind, number + 1), port)
}

impl Cluster {
    /// A cluster in which nothing runs yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed ^ 0x005e_ed0f_c1a5_7e12);
        let weather = Weather::draw(&mut random);
        let net = Net::new(
            World::new(seed, Faults::default()),
            Upid::new("fate", address(9, 0, 1)),
            random.fork(),
        );
        let master_upid = Upid::new("master", address(0, 0, 5050));
        let agents = (0..AGENTS).map(|number| {
            let upid = Upid::new("slave(1)", address(1, number, 5051));
            AgentHost::new(upid, master_upid.clone(), weather.write_time_max, random.fork())
        });
        let agents = agents.collect();
        let frameworks = (0..FRAMEWORKS)
            .map(|number| FrameworkHost::new(number, address(2, number, 6000), master_upid.clone(), random.fork()));
        let frameworks = frameworks.collect();
        Self {
            net,
            master: MasterHost::new(master_upid, random.fork()),
            agents,
            frameworks,
            weather,
            random,
            trace: Trace::new(seed),
            events: 0,
            quiet: false,
        }
    }

    /// Runs a seed to its end.
    ///
    /// # Errors
    ///
    /// Describes the first rule that was broken; the trace tells what led there.
    pub fn run(seed: u64) -> Result<Report, (Failure, Trace)> {
        let mut cluster = Self::new(seed);
        match cluster.live() {
            Ok(report) => Ok(report),
            Err(failure) => Err((failure, cluster.trace)),
        }
    }

    fn live(&mut self) -> Result<Report, Failure> {
        let began = self.net.now();
        self.start()?;
        let storm = self.weather.duration;
        self.pass(began + storm, |_| false)?;
        self.calm()?;
        let deadline = self.net.now() + QUIET_MAX;
        self.pass(deadline, Self::is_settled)?;
        if !self.is_settled() {
            return Err(Failure::new(checks::describe_unsettled(
                &self.master,
                &self.agents,
                &self.frameworks,
            )));
        }
        let mut ends = BTreeMap::new();
        for state in self
            .frameworks
            .iter()
            .flat_map(|framework| framework.ends().into_values())
        {
            *ends.entry(name_of(state)).or_default() += 1;
        }
        Ok(Report {
            fingerprint: self.net.world.fingerprint(),
            events: self.events,
            ends,
            elapsed: self.net.now().saturating_since(began),
        })
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.master.start(&mut self.net)?;
        for agent in &mut self.agents {
            agent.start(&mut self.net)?;
        }
        for framework in &mut self.frameworks {
            framework.start(&mut self.net)?;
        }
        self.net.set_faults(self.weather.network);
        self.net.set_duplicates(self.weather.duplicate_per_million);
        self.net.later(Duration::from_secs(5), Fate::Draw);
        Ok(())
    }

    /// Lets things happen until a time or a condition.
    fn pass(&mut self, deadline: Time, is_done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        while !is_done(self) {
            let Some(event) = self.net.world.next_event_until(deadline) else {
                return Ok(());
            };
            self.events += 1;
            let process = event.process().clone();
            self.happen(event)?;
            self.check(&process)?;
        }
        Ok(())
    }

    /// Checks those whose state may have changed by something that happened to a process.
    fn check(&self, process: &Upid) -> Result<(), Failure> {
        if self.master.owns(process) {
            checks::check_master(&self.master)?;
        }
        match self.agents.iter().find(|agent| agent.owns(process)) {
            Some(agent) => checks::check_agent(agent),
            None => Ok(()),
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Failure> {
        let now = self.net.now();
        match event {
            Event::Delivery { from, to, name, body } => {
                let message = Message::decode(&name, &body)
                    .and_then(Result::ok)
                    .ok_or_else(|| Failure::new(format!("{name} from {from} does not parse")))?;
                self.trace.message(now, &from, &to, &name, &body);
                self.receive(&to, from, message)
            }
            Event::Timer { owner, token, .. } => {
                let Some(alarm) = self.net.take(token) else {
                    return Ok(());
                };
                self.trace.alarm(now, &owner, &alarm);
                self.alarm(&owner, alarm)
            }
            Event::Exited { linker, linked } => {
                self.trace.exited(now, &linker, &linked);
                self.exited(&linker, linked)
            }
        }
    }

    fn receive(&mut self, to: &Upid, from: Upid, message: Message) -> Result<(), Failure> {
        if self.master.owns(to) {
            return self.master.receive(from, message, &mut self.net);
        }
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.owns(to)) {
            return agent.receive(to, from, message, &mut self.net);
        }
        match self
            .frameworks
            .iter_mut()
            .find(|framework| framework.upid() == Some(to))
        {
            Some(framework) => framework.receive(from, message, &mut self.net),
            None => Ok(()),
        }
    }

    fn exited(&mut self, linker: &Upid, linked: Upid) -> Result<(), Failure> {
        if self.master.owns(linker) {
            return self.master.exited(linked, &mut self.net);
        }
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.owns(linker)) {
            return agent.exited(linker, linked, &mut self.net);
        }
        match self
            .frameworks
            .iter_mut()
            .find(|framework| framework.upid() == Some(linker))
        {
            Some(framework) => framework.exited(linked, &mut self.net),
            None => Ok(()),
        }
    }

    fn alarm(&mut self, owner: &Upid, alarm: Alarm) -> Result<(), Failure> {
        match alarm {
            Alarm::SameHost { from, message } => self.receive(owner, from, Arc::unwrap_or_clone(message)),
            Alarm::Fate(fate) => self.strike(&fate),
            Alarm::Master(_) | Alarm::RegistryStored(_) => self.master.alarm(alarm, &mut self.net),
            Alarm::Scheduler(timer) => match self.framework_at(owner) {
                Some(number) => self.frameworks[number].elapsed(timer, &mut self.net),
                None => Ok(()),
            },
            Alarm::Habit(habit) => match self.framework_at(owner) {
                Some(number) => self.frameworks[number].habit(habit, &mut self.net),
                None => Ok(()),
            },
            Alarm::Agent(_)
            | Alarm::MasterDetected
            | Alarm::CheckpointWritten
            | Alarm::ContainerLaunched(_)
            | Alarm::ContainerUpdated(_)
            | Alarm::ContainerEnded(..)
            | Alarm::Executor(_)
            | Alarm::Work(_) => match self.agents.iter_mut().find(|agent| agent.owns(owner)) {
                Some(agent) => agent.alarm(owner, alarm, &mut self.net),
                None => Ok(()),
            },
        }
    }

    fn framework_at(&self, upid: &Upid) -> Option<usize> {
        self.frameworks
            .iter()
            .position(|framework| framework.upid() == Some(upid))
    }

    /// Lets a misfortune happen, or end.
    fn strike(&mut self, fate: &Fate) -> Result<(), Failure> {
        let master = self.master.upid().address();
        match *fate {
            Fate::Draw => return self.draw(),
            Fate::BreakToAgent(number) => {
                let agent = self.agents[number].upid().address();
                self.net.world.break_connection(master, agent);
            }
            Fate::BreakFromAgent(number) => {
                let agent = self.agents[number].upid().address();
                self.net.world.break_connection(agent, master);
            }
            Fate::BreakToScheduler(number) => {
                if let Some(scheduler) = self.frameworks[number].upid() {
                    self.net.world.break_connection(master, scheduler.address());
                }
            }
            Fate::BreakFromScheduler(number) => {
                if let Some(scheduler) = self.frameworks[number].upid() {
                    self.net.world.break_connection(scheduler.address(), master);
                }
            }
            Fate::CutAgent(number, time) | Fate::RefuseAgent(number, time) => {
                let cut = if matches!(fate, Fate::CutAgent(..)) {
                    Cut::Silent
                } else {
                    Cut::Refusing
                };
                let agent = self.agents[number].upid().address();
                self.net.world.partition(master, agent, cut);
                self.net.later(time, Fate::HealAgent(number));
            }
            Fate::CutScheduler(number, time) => {
                if let Some(scheduler) = self.frameworks[number].upid() {
                    self.net.world.partition(master, scheduler.address(), Cut::Silent);
                    self.net.later(time, Fate::HealScheduler(number));
                }
            }
            Fate::HealAgent(number) => {
                let agent = self.agents[number].upid().address();
                self.net.world.heal(master, agent);
            }
            Fate::HealScheduler(number) => {
                if let Some(scheduler) = self.frameworks[number].upid() {
                    self.net.world.heal(master, scheduler.address());
                }
            }
            Fate::KillExecutor(number) => self.agents[number].kill_executor(&mut self.net)?,
            Fate::Operate => {
                let call = self.master.core().map(|core| operator::draw(&mut self.random, core));
                if let Some(call) = call {
                    self.master.operate(call, &mut self.net)?;
                }
            }
            Fate::Reopen => {
                let calls = self.master.core().map_or_else(Vec::new, operator::reopen);
                for call in calls {
                    self.master.operate(call, &mut self.net)?;
                }
                self.net.later(Duration::from_secs(5), Fate::Reopen);
            }
            Fate::CrashAgent(..)
            | Fate::RebootAgent(..)
            | Fate::StartAgent(_)
            | Fate::CrashScheduler(..)
            | Fate::StartScheduler(_)
            | Fate::CrashMaster(_)
            | Fate::StartMaster => return self.strike_process(fate),
        }
        Ok(())
    }

    /// Lets a process die or start.
    fn strike_process(&mut self, fate: &Fate) -> Result<(), Failure> {
        match *fate {
            Fate::CrashAgent(number, time) if self.agents[number].core().is_some() => {
                self.agents[number].crash(&mut self.net);
                self.net.later(time, Fate::StartAgent(number));
            }
            Fate::RebootAgent(number, time) if self.agents[number].core().is_some() => {
                self.agents[number].reboot(&mut self.net);
                self.net.later(time, Fate::StartAgent(number));
            }
            Fate::StartAgent(number) => {
                self.agents[number].start(&mut self.net)?;
            }
            Fate::CrashScheduler(number, time) if self.frameworks[number].upid().is_some() => {
                self.frameworks[number].crash(&mut self.net);
                self.net.later(time, Fate::StartScheduler(number));
            }
            Fate::StartScheduler(number) if self.frameworks[number].upid().is_none() => {
                self.frameworks[number].start(&mut self.net)?;
            }
            Fate::CrashMaster(time) if self.master.core().is_some() => {
                self.master.crash(&mut self.net);
                self.net.later(time, Fate::StartMaster);
            }
            Fate::StartMaster => {
                self.master.start(&mut self.net)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn draw(&mut self) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        let fate = self.weather.next(&mut self.random);
        self.trace.note(self.net.now(), &format!("{fate:?}"));
        let after = self.random.duration(Duration::from_millis(100), self.weather.pause_max);
        self.net.later(after, Fate::Draw);
        self.strike(&fate)
    }

    /// Ends what goes wrong. Messages that were lost silently leave views that differ: one break of every connection
    /// makes everybody compare notes.
    fn calm(&mut self) -> Result<(), Failure> {
        self.trace.note(self.net.now(), "the storm is over");
        self.quiet = true;
        self.net.set_duplicates(0);
        self.net.world.heal_all();
        for framework in &mut self.frameworks {
            framework.stop_launching();
        }
        self.weather.network = Faults::default();
        self.net.set_faults(self.weather.network);
        // Whoever is down comes back; what was on its way arrives.
        let deadline = self.net.now() + Duration::from_secs(60);
        self.pass(deadline, Self::is_up)?;
        let deadline = self.net.now() + Duration::from_secs(2);
        self.pass(deadline, |_| false)?;
        for number in 0..AGENTS {
            self.strike(&Fate::BreakToAgent(number))?;
            self.strike(&Fate::BreakFromAgent(number))?;
        }
        for number in 0..FRAMEWORKS {
            self.strike(&Fate::BreakToScheduler(number))?;
            self.strike(&Fate::BreakFromScheduler(number))?;
        }
        self.strike(&Fate::Reopen)
    }

    /// Whether all processes live.
    fn is_up(&self) -> bool {
        self.master.core().is_some()
            && self.agents.iter().all(|agent| agent.core().is_some())
            && self.frameworks.iter().all(|framework| framework.upid().is_some())
    }

    /// Whether all tasks have ended and nothing is left of them on the agents and in the master.
    fn is_settled(&self) -> bool {
        self.frameworks
            .iter()
            .all(|framework| framework.ledger().open().next().is_none())
            && !self.master.owes_answers()
            && checks::is_idle(&self.master, &self.agents)
            && checks::is_nothing_kept(&self.master, &self.agents)
    }
}

fn name_of(state: TaskState) -> String {
    format!("{state:?}")
}
