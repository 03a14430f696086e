//! Nodes, connections and virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess_types::{Time, TimerId, Upid};

use super::event::{Event, Path, Scheduled};
use super::faults::{Cut, Faults};
use crate::clock::ManualClock;
use crate::random::{Random, SeededRandom};
use crate::transport::Transport;

/// Where the virtual clock starts: some day in 2023, so that times look like times.
const START: Time = Time::from_nanos(1_700_000_000_000_000_000);

#[derive(Default)]
struct SimNode {
    up: bool,
    /// Counts crashes; what was meant for an earlier life never arrives.
    incarnation: u64,
    processes: BTreeSet<Upid>,
}

/// A lasting connection in one direction.
struct Connection {
    /// Nothing sent later may arrive before this.
    clear_at: Time,
}

/// Two addresses in their order, whatever the direction.
type Pair = (SocketAddrV4, SocketAddrV4);

fn pair(one: SocketAddrV4, other: SocketAddrV4) -> Pair {
    if one <= other { (one, other) } else { (other, one) }
}

/// The simulated world.
pub struct World {
    clock: Arc<ManualClock>,
    now: Time,
    sequence: u64,
    timer_next: u64,
    queue: BTreeMap<(Time, u64), Scheduled>,
    timers: BTreeMap<TimerId, (Time, u64)>,
    random: SeededRandom,
    faults: Faults,
    nodes: BTreeMap<SocketAddrV4, SimNode>,
    connections: BTreeMap<Pair, Connection>,
    /// Who linked to a process.
    linkers: BTreeMap<Upid, BTreeSet<Upid>>,
    cuts: BTreeMap<Pair, Cut>,
    /// In flight across a silent partition, in the order of sending.
    held: BTreeMap<Pair, Vec<Scheduled>>,
    fingerprint: u64,
}

impl World {
    /// A world without nodes in which everything follows from `seed` and the calls made.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            clock: Arc::new(ManualClock::new(START)),
            now: START,
            sequence: 0,
            timer_next: 0,
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
            random: SeededRandom::new(seed),
            faults,
            nodes: BTreeMap::new(),
            connections: BTreeMap::new(),
            linkers: BTreeMap::new(),
            cuts: BTreeMap::new(),
            held: BTreeMap::new(),
            fingerprint: seed,
        }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// A clock that shows this world's time, for parts that want a [`crate::Clock`].
    #[must_use]
    pub fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    /// The source of chance that the network draws from; draws by others are part of the history.
    pub fn random(&mut self) -> &mut SeededRandom {
        &mut self.random
    }

    /// Makes the network better or worse from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// A number that sums up all events so far: equal histories have equal numbers.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Number of events that wait, those held by a partition included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len() + self.held.values().map(Vec::len).sum::<usize>()
    }

    /// Starts a process; its node comes up if it is new or was down.
    pub fn spawn(&mut self, pid: &Upid) {
        let node = self.nodes.entry(pid.address()).or_default();
        node.up = true;
        node.processes.insert(pid.clone());
    }

    /// Whether a process lives.
    #[must_use]
    pub fn is_alive(&self, pid: &Upid) -> bool {
        self.nodes
            .get(&pid.address())
            .is_some_and(|node| node.up && node.processes.contains(pid))
    }

    /// Ends one process: linkers of its own node hear of it, others do not.
    pub fn terminate(&mut self, pid: &Upid) {
        let Some(node) = self.nodes.get_mut(&pid.address()) else {
            return;
        };
        if !node.processes.remove(pid) {
            return;
        }
        self.forget_timers(|owner| owner == pid);
        self.forget_links_of(|linker| linker == pid);
        let linkers = self.linkers.get_mut(pid);
        let local: Vec<Upid> = linkers
            .iter()
            .flat_map(|all| all.iter())
            .filter(|at| at.address() == pid.address())
            .cloned()
            .collect();
        if let Some(linkers) = linkers {
            linkers.retain(|linker| linker.address() != pid.address());
        }
        for linker in local {
            self.schedule_exit(linker, pid.clone(), Duration::ZERO);
        }
    }

    /// Ends all processes of a node at once. What they sent is still on its way, what was sent to them is lost, and
    /// everybody who linked to them hears of it.
    pub fn crash(&mut self, address: SocketAddrV4) {
        let Some(node) = self.nodes.get_mut(&address).filter(|node| node.up) else {
            return;
        };
        node.up = false;
        node.incarnation += 1;
        node.processes.clear();
        self.forget_timers(|owner| owner.address() == address);
        self.forget_links_of(|linker| linker.address() == address);
        let lost =
            |scheduled: &Scheduled| scheduled.path.leads_to(address) || scheduled.event.process().address() == address;
        self.queue.retain(|_, scheduled| !lost(scheduled));
        for held in self.held.values_mut() {
            held.retain(|scheduled| !lost(scheduled));
        }
        self.connections.retain(|(from, _), _| *from != address);
        let peers: Vec<SocketAddrV4> = self
            .connections
            .keys()
            .filter(|(_, to)| *to == address)
            .map(|(from, _)| *from)
            .collect();
        for peer in peers {
            self.break_connection(peer, address);
        }
    }

    /// Brings a node back, empty; its processes have to be spawned.
    pub fn restart(&mut self, address: SocketAddrV4) {
        self.nodes.entry(address).or_default().up = true;
    }

    /// Breaks the lasting connection from one node to another, if there is one: what is in flight on it is lost, and
    /// the linkers hear of it.
    pub fn break_connection(&mut self, from: SocketAddrV4, to: SocketAddrV4) {
        if self.connections.remove(&(from, to)).is_none() {
            return;
        }
        let path = Path::Connection { from, to };
        self.queue.retain(|_, scheduled| scheduled.path != path);
        for held in self.held.values_mut() {
            held.retain(|scheduled| scheduled.path != path);
        }
        let mut exits = Vec::new();
        for (linked, linkers) in &mut self.linkers {
            if linked.address() == to {
                linkers.retain(|linker| {
                    let affected = linker.address() == from;
                    if affected {
                        exits.push((linker.clone(), linked.clone()));
                    }
                    !affected
                });
            }
        }
        for (linker, linked) in exits {
            let delay = self.draw_delay();
            self.schedule_exit(linker, linked, delay);
        }
    }

    /// Cuts two nodes apart. Cutting again changes the kind of the cut.
    pub fn partition(&mut self, one: SocketAddrV4, other: SocketAddrV4, cut: Cut) {
        self.cuts.insert(pair(one, other), cut);
        match cut {
            Cut::Silent => {
                let in_flight = |scheduled: &Scheduled| {
                    scheduled.path.joins(one, other) && matches!(scheduled.event, Event::Delivery { .. })
                };
                let caught = self.queue.iter().filter(|(_, scheduled)| in_flight(scheduled));
                let caught: Vec<(Time, u64)> = caught.map(|(key, _)| *key).collect();
                let held = self.held.entry(pair(one, other)).or_default();
                held.extend(caught.iter().filter_map(|key| self.queue.remove(key)));
            }
            Cut::Refusing => {
                self.held.remove(&pair(one, other));
                self.queue.retain(|_, scheduled| !scheduled.path.joins(one, other));
                self.break_connection(one, other);
                self.break_connection(other, one);
            }
        }
    }

    /// Ends a partition; what a silent one held is on its way again.
    pub fn heal(&mut self, one: SocketAddrV4, other: SocketAddrV4) {
        self.cuts.remove(&pair(one, other));
        for scheduled in self.held.remove(&pair(one, other)).unwrap_or_default() {
            let at = self.arrival(scheduled.path);
            self.push(at, scheduled);
        }
    }

    /// Ends all partitions.
    pub fn heal_all(&mut self) {
        let pairs: Vec<Pair> = self.cuts.keys().copied().collect();
        for (one, other) in pairs {
            self.heal(one, other);
        }
    }

    /// Sends a message.
    pub fn send(&mut self, from: &Upid, to: &Upid, name: &str, body: Bytes) {
        let event = Event::Delivery {
            from: from.clone(),
            to: to.clone(),
            name: name.into(),
            body,
        };
        let incarnation = self.incarnation(to.address());
        let (source, target) = (from.address(), to.address());
        if source == target {
            self.push(
                self.now,
                Scheduled {
                    event,
                    incarnation,
                    path: Path::Local,
                },
            );
            return;
        }
        let connected = self.connections.contains_key(&(source, target));
        if connected && self.random.chance(self.faults.break_per_million) {
            self.break_connection(source, target);
            return;
        }
        if self.random.chance(self.faults.drop_per_million) || !self.is_up(target) {
            return;
        }
        let copies = if self.random.chance(self.faults.duplicate_per_million) {
            2
        } else {
            1
        };
        let path = if connected {
            Path::Connection {
                from: source,
                to: target,
            }
        } else {
            Path::Alone {
                from: source,
                to: target,
            }
        };
        for _ in 0..copies {
            let scheduled = Scheduled {
                event: event.clone(),
                incarnation,
                path,
            };
            match self.cuts.get(&pair(source, target)) {
                Some(Cut::Refusing) => {}
                Some(Cut::Silent) => self.held.entry(pair(source, target)).or_default().push(scheduled),
                None => {
                    let at = self.arrival(path);
                    self.push(at, scheduled);
                }
            }
        }
    }

    /// Links `linker` to `linked`, over the lasting connection between their nodes, which is made if needed.
    pub fn link(&mut self, linker: &Upid, linked: &Upid) {
        let (source, target) = (linker.address(), linked.address());
        if source == target {
            if self.is_alive(linked) {
                self.linkers.entry(linked.clone()).or_default().insert(linker.clone());
            } else {
                self.schedule_exit(linker.clone(), linked.clone(), Duration::ZERO);
            }
            return;
        }
        if !self.is_up(target) || self.cuts.get(&pair(source, target)) == Some(&Cut::Refusing) {
            let delay = self.draw_delay();
            self.schedule_exit(linker.clone(), linked.clone(), delay);
            return;
        }
        self.linkers.entry(linked.clone()).or_default().insert(linker.clone());
        self.connections
            .entry((source, target))
            .or_insert(Connection { clear_at: self.now });
    }

    /// Like [`World::link`], but over a new connection: what is in flight on the old one is lost, and nobody is told.
    pub fn link_reconnect(&mut self, linker: &Upid, linked: &Upid) {
        let (from, to) = (linker.address(), linked.address());
        if self.connections.remove(&(from, to)).is_some() {
            let path = Path::Connection { from, to };
            self.queue.retain(|_, scheduled| scheduled.path != path);
        }
        self.link(linker, linked);
    }

    /// The outgoing side of one process.
    pub fn port(&mut self, pid: &Upid) -> Port<'_> {
        Port {
            world: self,
            pid: pid.clone(),
        }
    }

    /// Sets a timer; it is gone with its owner.
    pub fn set_timer(&mut self, owner: &Upid, after: Duration, token: u64) -> TimerId {
        self.timer_next += 1;
        let timer = TimerId(self.timer_next);
        let event = Event::Timer {
            owner: owner.clone(),
            timer,
            token,
        };
        let incarnation = self.incarnation(owner.address());
        let key = self.push(
            self.now + after,
            Scheduled {
                event,
                incarnation,
                path: Path::Local,
            },
        );
        self.timers.insert(timer, key);
        timer
    }

    /// Takes a timer back; it never runs out afterwards.
    pub fn cancel_timer(&mut self, timer: TimerId) {
        if let Some(key) = self.timers.remove(&timer) {
            self.queue.remove(&key);
        }
    }

    /// Moves time to the next event and gives it; none when nothing waits.
    pub fn next_event(&mut self) -> Option<Event> {
        self.next_event_until(Time::MAX)
    }

    /// Like [`World::next_event`], but no later than `deadline`; without an event until then, time stands there (unless
    /// the deadline is [`Time::MAX`]).
    pub fn next_event_until(&mut self, deadline: Time) -> Option<Event> {
        while let Some(entry) = self.queue.first_entry() {
            let at = entry.key().0;
            if at > deadline {
                break;
            }
            let scheduled = entry.remove();
            self.advance_to(at);
            if let Event::Timer { timer, .. } = &scheduled.event {
                self.timers.remove(timer);
            }
            let process = scheduled.event.process();
            if self.is_alive(process) && self.incarnation(process.address()) == scheduled.incarnation {
                self.note(&scheduled.event);
                return Some(scheduled.event);
            }
        }
        if deadline < Time::MAX {
            self.advance_to(deadline);
        }
        None
    }

    fn advance_to(&mut self, at: Time) {
        if at > self.now {
            self.clock.advance(at.saturating_since(self.now));
            self.now = at;
        }
    }

    fn is_up(&self, address: SocketAddrV4) -> bool {
        self.nodes.get(&address).is_some_and(|node| node.up)
    }

    fn incarnation(&self, address: SocketAddrV4) -> u64 {
        self.nodes.get(&address).map_or(0, |node| node.incarnation)
    }

    fn push(&mut self, at: Time, scheduled: Scheduled) -> (Time, u64) {
        self.sequence += 1;
        let key = (at, self.sequence);
        self.queue.insert(key, scheduled);
        key
    }

    fn draw_delay(&mut self) -> Duration {
        self.random.duration(self.faults.delay_min, self.faults.delay_max)
    }

    /// When something sent now arrives: never before what its connection carried earlier.
    fn arrival(&mut self, path: Path) -> Time {
        let drawn = self.now + self.draw_delay();
        let Path::Connection { from, to } = path else {
            return drawn;
        };
        match self.connections.get_mut(&(from, to)) {
            Some(connection) => {
                connection.clear_at = connection.clear_at.max(drawn);
                connection.clear_at
            }
            None => drawn,
        }
    }

    fn schedule_exit(&mut self, linker: Upid, linked: Upid, delay: Duration) {
        let incarnation = self.incarnation(linker.address());
        let event = Event::Exited { linker, linked };
        self.push(
            self.now + delay,
            Scheduled {
                event,
                incarnation,
                path: Path::Local,
            },
        );
    }

    fn forget_timers(&mut self, is_gone: impl Fn(&Upid) -> bool) {
        self.queue.retain(|_, scheduled| match &scheduled.event {
            Event::Timer { owner, timer, .. } if is_gone(owner) => {
                self.timers.remove(timer);
                false
            }
            _ => true,
        });
    }

    fn forget_links_of(&mut self, is_gone: impl Fn(&Upid) -> bool) {
        for linkers in self.linkers.values_mut() {
            linkers.retain(|linker| !is_gone(linker));
        }
        self.linkers.retain(|_, linkers| !linkers.is_empty());
    }

    fn note(&mut self, event: &Event) {
        let mut mix = |number: u64| {
            self.fingerprint = (self.fingerprint.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        };
        mix(self.now.as_nanos());
        let mut mix_bytes = |bytes: &[u8]| bytes.iter().for_each(|byte| mix(u64::from(*byte)));
        mix_bytes(event.process().to_string().as_bytes());
        match event {
            Event::Delivery { from, name, body, .. } => {
                mix_bytes(from.to_string().as_bytes());
                mix_bytes(name.as_bytes());
                mix_bytes(body);
            }
            Event::Timer { token, .. } => mix(*token),
            Event::Exited { linked, .. } => mix_bytes(linked.to_string().as_bytes()),
        }
    }
}

/// The outgoing side of one process of a world.
pub struct Port<'a> {
    world: &'a mut World,
    pid: Upid,
}

impl Transport for Port<'_> {
    fn send(&mut self, to: &Upid, name: &str, body: Bytes) {
        self.world.send(&self.pid, to, name, body);
    }

    fn link(&mut self, to: &Upid) {
        self.world.link(&self.pid, to);
    }

    fn link_reconnect(&mut self, to: &Upid) {
        self.world.link_reconnect(&self.pid, to);
    }
}
