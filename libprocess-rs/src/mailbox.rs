//! The queue in front of each process.
//!
//! Senders push under a short lock; the process takes everything that waits at once, so that a busy process costs one
//! wake-up for many events. The queue also knows the names of installed messages, which spares a copy of the name.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Poll, Waker};

use bytes::Bytes;
use libprocess_types::{TimerId, Upid};
use tokio::sync::{Notify, watch};

use crate::context::Context;
use crate::hash::FastHasher;
use crate::http::{Request, Responder};
use crate::process::Process;
use crate::registry::RouteTable;

/// Events that one turn of a process handles before other processes of its thread get theirs.
const TURN_EVENTS_MAX: usize = 512;
/// Waiting events beyond which connections stop reading.
const CROWD_EVENTS: usize = 64 * 1024;
/// Bytes of waiting bodies beyond which connections stop reading.
const CROWD_BODY_BYTES: usize = 128 * 1024 * 1024;
/// A taken queue larger than this gives its memory back instead of being used again.
const SPARE_CAPACITY_MAX: usize = 64 * 1024;

/// A message's name: a number when the receiver installed a handler for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Index of the handler in the receiver.
    Installed(u32),
    /// Any other name.
    Other(Box<str>),
}

/// A message on its way to a process.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) from: Upid,
    pub(crate) name: Name,
    pub(crate) body: Bytes,
}

type Action<P> = Box<dyn FnOnce(&mut P, &mut Context<P>) + Send>;

/// Anything that can happen to a process.
pub(crate) enum Envelope<P: Process> {
    Message(Message),
    Dispatch(Action<P>),
    Http {
        route: usize,
        request: Box<Request>,
        responder: Responder,
    },
    Exited(Upid),
    Timer(TimerId),
    /// A future that ran beside the process is done.
    Finished(u64),
    Terminate,
}

/// How many events of each kind wait for a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueuedEvents {
    /// Messages.
    pub messages: usize,
    /// Dispatches and elapsed timers.
    pub dispatches: usize,
    /// HTTP requests.
    pub http_requests: usize,
    /// Exits of linked processes.
    pub exits: usize,
    /// Requests to terminate.
    pub terminations: usize,
}

/// Where a process stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Starting,
    Running,
    Gone,
}

/// The part of a mailbox that does not depend on the process's type.
pub(crate) struct MailboxCore {
    pid: Upid,
    routes: RwLock<RouteTable>,
    stage: watch::Sender<Stage>,
    gone: AtomicBool,
    drained: Notify,
}

impl MailboxCore {
    fn new(pid: Upid) -> Self {
        Self {
            pid,
            routes: RwLock::default(),
            stage: watch::Sender::new(Stage::Starting),
            gone: AtomicBool::new(false),
            drained: Notify::new(),
        }
    }

    pub(crate) fn pid(&self) -> &Upid {
        &self.pid
    }

    pub(crate) fn routes(&self) -> RwLockReadGuard<'_, RouteTable> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn routes_mut(&self) -> RwLockWriteGuard<'_, RouteTable> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_running(&self) {
        self.stage.send_replace(Stage::Running);
    }

    /// Whether the process has ended; cheap enough for every message.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    pub(crate) fn wait_ready(&self) -> impl Future<Output = ()> + Send + 'static {
        wait_stage(self.stage.subscribe(), |stage| stage != Stage::Starting)
    }

    pub(crate) fn wait_gone(&self) -> impl Future<Output = ()> + Send + 'static {
        wait_stage(self.stage.subscribe(), |stage| stage == Stage::Gone)
    }
}

async fn wait_stage(mut stage: watch::Receiver<Stage>, reached: impl Fn(Stage) -> bool) {
    // An error means that the mailbox itself is gone, and its process with it.
    let _ = stage.wait_for(|now| reached(*now)).await;
}

struct Queue<P: Process> {
    envelopes: VecDeque<Envelope<P>>,
    /// Bytes of the bodies of queued messages.
    body_bytes: usize,
    waker: Option<Waker>,
    closed: bool,
    names: HashMap<&'static str, u32, FastHasher>,
}

/// The mailbox of one process.
pub(crate) struct Mailbox<P: Process> {
    core: MailboxCore,
    queue: Mutex<Queue<P>>,
}

impl<P: Process> Mailbox<P> {
    pub(crate) fn new(pid: Upid) -> Self {
        let queue = Queue {
            envelopes: VecDeque::new(),
            body_bytes: 0,
            waker: None,
            closed: false,
            names: HashMap::default(),
        };
        Self {
            core: MailboxCore::new(pid),
            queue: Mutex::new(queue),
        }
    }

    /// A mailbox that refuses everything, for a process that could not be spawned.
    pub(crate) fn closed(pid: Upid) -> Self {
        let mailbox = Self::new(pid);
        mailbox.close();
        mailbox
    }

    pub(crate) fn core(&self) -> &MailboxCore {
        &self.core
    }

    fn lock(&self) -> MutexGuard<'_, Queue<P>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event; false when the process is gone.
    pub(crate) fn push(&self, envelope: Envelope<P>) -> bool {
        self.push_with(|queue| queue.envelopes.push_back(envelope))
    }

    fn push_with(&self, fill: impl FnOnce(&mut Queue<P>)) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            return false;
        }
        fill(&mut queue);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    pub(crate) fn install_name(&self, name: &'static str, index: u32) {
        self.lock().names.insert(name, index);
    }

    pub(crate) fn resolve_name(&self, name: &str) -> Name {
        name_of(&self.lock().names, name)
    }

    /// Whether anything waits; when nothing does, `waker` (if there is one) is told about the next event.
    pub(crate) fn poll_waiting(&self, waker: Option<&Waker>) -> Poll<()> {
        let mut queue = self.lock();
        if queue.envelopes.is_empty() {
            queue.waker = waker.cloned();
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Moves everything that waits into `empty`, whose memory serves the queue from now on.
    pub(crate) fn take_into(&self, empty: &mut VecDeque<Envelope<P>>) {
        if empty.capacity() > SPARE_CAPACITY_MAX {
            *empty = VecDeque::new();
        }
        let mut queue = self.lock();
        std::mem::swap(&mut queue.envelopes, empty);
        queue.body_bytes = 0;
        drop(queue);
        self.core.drained.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Refuses events from now on and drops those that wait.
    pub(crate) fn refuse(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        self.core.gone.store(true, Ordering::Release);
        let dropped = std::mem::take(&mut queue.envelopes);
        queue.waker = None;
        drop(queue);
        drop(dropped);
        self.core.drained.notify_waiters();
        self.core.routes_mut().clear();
    }

    /// Refuses events and tells everybody who waits for the end.
    pub(crate) fn close(&self) {
        self.refuse();
        self.core.stage.send_replace(Stage::Gone);
    }
}

fn name_of(names: &HashMap<&'static str, u32, FastHasher>, name: &str) -> Name {
    names
        .get(name)
        .map_or_else(|| Name::Other(name.into()), |index| Name::Installed(*index))
}

/// A mailbox whose process type is not known.
pub(crate) trait AnyMailbox: Send + Sync {
    fn core(&self) -> &MailboxCore;
    /// The form in which a message of this name should be pushed.
    fn resolve_name(&self, name: &str) -> Name;
    /// Queues a message from a process of the same node.
    fn push_local(&self, from: &Upid, name: Name, body: Bytes) -> bool;
    /// Queues a message under one lock with the look-up of its name.
    fn push_named(&self, from: &Upid, name: &str, body: Bytes) -> bool;
    /// Queues all messages in their order under one lock; `messages` is empty afterwards.
    fn push_messages(&self, messages: &mut Vec<Message>) -> bool;
    fn push_http(&self, route: usize, request: Box<Request>, responder: Responder) -> bool;
    fn push_exited(&self, upid: Upid) -> bool;
    fn push_terminate(&self) -> bool;
    fn is_closed(&self) -> bool;
    /// Whether so much waits that connections should stop reading.
    fn is_crowded(&self) -> bool;
    /// What waits.
    fn queued_events(&self) -> QueuedEvents;
}

impl<P: Process> AnyMailbox for Mailbox<P> {
    fn core(&self) -> &MailboxCore {
        &self.core
    }

    fn queued_events(&self) -> QueuedEvents {
        let queue = self.lock();
        let mut events = QueuedEvents::default();
        for envelope in &queue.envelopes {
            match envelope {
                Envelope::Message(_) => events.messages += 1,
                Envelope::Http { .. } => events.http_requests += 1,
                Envelope::Dispatch(_) | Envelope::Timer(_) | Envelope::Finished(_) => events.dispatches += 1,
                Envelope::Exited(_) => events.exits += 1,
                Envelope::Terminate => events.terminations += 1,
            }
        }
        events
    }

    fn resolve_name(&self, name: &str) -> Name {
        Self::resolve_name(self, name)
    }

    fn push_local(&self, from: &Upid, name: Name, body: Bytes) -> bool {
        let from = from.clone();
        self.push_with(|queue| {
            queue.body_bytes += body.len();
            queue
                .envelopes
                .push_back(Envelope::Message(Message { from, name, body }));
        })
    }

    fn push_named(&self, from: &Upid, name: &str, body: Bytes) -> bool {
        self.push_with(|queue| {
            let name = name_of(&queue.names, name);
            queue.body_bytes += body.len();
            queue.envelopes.push_back(Envelope::Message(Message {
                from: from.clone(),
                name,
                body,
            }));
        })
    }

    fn push_messages(&self, messages: &mut Vec<Message>) -> bool {
        let pushed = self.push_with(|queue| {
            queue.body_bytes += messages.iter().map(|message| message.body.len()).sum::<usize>();
            queue.envelopes.extend(messages.drain(..).map(Envelope::Message));
        });
        messages.clear();
        pushed
    }

    fn push_http(&self, route: usize, request: Box<Request>, responder: Responder) -> bool {
        self.push(Envelope::Http {
            route,
            request,
            responder,
        })
    }

    fn push_exited(&self, upid: Upid) -> bool {
        self.push(Envelope::Exited(upid))
    }

    fn push_terminate(&self) -> bool {
        self.push(Envelope::Terminate)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn is_crowded(&self) -> bool {
        let queue = self.lock();
        queue.envelopes.len() > CROWD_EVENTS || queue.body_bytes > CROWD_BODY_BYTES
    }
}

/// A shared mailbox of any process.
pub(crate) type MailboxHandle = Arc<dyn AnyMailbox>;

/// Completes when the mailbox is not crowded.
pub(crate) async fn wait_for_room(mailbox: &MailboxHandle) {
    loop {
        let drained = mailbox.core().drained.notified();
        if !mailbox.is_crowded() {
            return;
        }
        drained.await;
    }
}

/// How many events one turn may handle.
pub(crate) const fn turn_events_max() -> usize {
    TURN_EVENTS_MAX
}
