//! What a process can do while it handles an event.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess_types::{Time, TimerId, Upid};

use crate::clock::TimerHandle;
use crate::hash::FastHasher;
use crate::http::{Request, Responder, RouteOptions};
use crate::mailbox::{Envelope, Mailbox, MailboxHandle, Name};
use crate::node::Node;
use crate::process::{Process, ProcessRef};

/// Receivers of local sends that a process remembers, so that it need not ask the node each time.
const KNOWN_RECEIVERS_MAX: usize = 256;

pub(crate) type MessageHandler<P> = Rc<dyn Fn(&mut P, Upid, Bytes, &mut Context<P>)>;
pub(crate) type RouteHandler<P> = Rc<dyn Fn(&mut P, Request, Responder, &mut Context<P>)>;
type TimerCallback<P> = Box<dyn FnOnce(&mut P, &mut Context<P>)>;
type Completion<P> = Box<dyn FnOnce(&mut P, &mut Context<P>)>;

struct PendingTimer<P: Process> {
    handle: TimerHandle,
    callback: TimerCallback<P>,
}

/// A local receiver, and the message that it got last.
struct KnownReceiver {
    mailbox: MailboxHandle,
    last_name: Box<str>,
    last_resolved: Name,
}

impl KnownReceiver {
    /// Pushes a message; hands the body back when the receiver is gone.
    fn push(&mut self, from: &Upid, name: &str, body: Bytes) -> Result<(), Bytes> {
        if self.mailbox.core().is_gone() {
            return Err(body);
        }
        if *self.last_name != *name || matches!(self.last_resolved, Name::Other(_)) {
            self.last_resolved = self.mailbox.resolve_name(name);
            self.last_name = name.into();
        }
        // A receiver that goes right now loses the message, like any other that waits.
        self.mailbox.push_local(from, self.last_resolved.clone(), body);
        Ok(())
    }
}

/// Futures that run beside a process; dropping this ends them.
struct Work<P: Process> {
    next: u64,
    running: HashMap<u64, tokio::task::JoinHandle<()>>,
    /// What is left to do in the process for futures that are done.
    finished: Rc<RefCell<HashMap<u64, Completion<P>>>>,
}

impl<P: Process> Drop for Work<P> {
    fn drop(&mut self) {
        for handle in self.running.values() {
            handle.abort();
        }
    }
}

/// The surroundings of a process: its address, its node, and everything it may ask for.
pub struct Context<P: Process> {
    node: Node,
    mailbox: Arc<Mailbox<P>>,
    handlers: Vec<MessageHandler<P>>,
    handler_by_name: HashMap<&'static str, u32>,
    routes: Vec<RouteHandler<P>>,
    timers: HashMap<TimerId, PendingTimer<P>>,
    timer_next: u64,
    work: Work<P>,
    known_receivers: HashMap<Upid, KnownReceiver, FastHasher>,
    terminating: bool,
}

impl<P: Process> Context<P> {
    pub(crate) fn new(node: Node, mailbox: Arc<Mailbox<P>>) -> Self {
        Self {
            node,
            mailbox,
            handlers: Vec::new(),
            handler_by_name: HashMap::new(),
            routes: Vec::new(),
            timers: HashMap::new(),
            timer_next: 0,
            work: Work {
                next: 0,
                running: HashMap::new(),
                finished: Rc::default(),
            },
            known_receivers: HashMap::default(),
            terminating: false,
        }
    }

    /// The address of this process.
    #[must_use]
    pub fn pid(&self) -> &Upid {
        self.mailbox.core().pid()
    }

    /// The node that this process lives in.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The present, by the node's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.node.clock().now()
    }

    /// A handle to this process.
    #[must_use]
    pub fn me(&self) -> ProcessRef<P> {
        ProcessRef::new(Arc::clone(&self.mailbox))
    }

    /// Sends a message, at most once, in order with what this process sent to the same receiver before.
    ///
    /// A local receiver gets it without a socket. A remote one gets it over the node's connection to its address. A
    /// message that cannot be delivered is lost without notice; see [`Context::link`].
    pub fn send(&mut self, to: &Upid, name: &str, body: Bytes) {
        if to.address() != self.node.address() {
            self.node.outbound().send(self.pid(), to, name, &body);
            return;
        }
        let from = self.mailbox.core().pid();
        let mut body = body;
        if let Some(known) = self.known_receivers.get_mut(to) {
            match known.push(from, name, body) {
                Ok(()) => return,
                Err(unsent) => body = unsent,
            }
            self.known_receivers.remove(to);
        }
        let Some(mailbox) = self.node.registry().receiver(to.id()) else {
            return;
        };
        let last_resolved = mailbox.resolve_name(name);
        mailbox.push_local(from, last_resolved.clone(), body);
        if self.known_receivers.len() >= KNOWN_RECEIVERS_MAX {
            self.known_receivers.clear();
        }
        let known = KnownReceiver {
            mailbox,
            last_name: name.into(),
            last_resolved,
        };
        self.known_receivers.insert(to.clone(), known);
    }

    /// Asks for one [`Process::exited`] when `to` terminates (local) or the connection to its node breaks (remote).
    ///
    /// A remote address has one lasting connection, which this opens unless it exists. Linking twice to the same
    /// process is the same as linking once.
    pub fn link(&mut self, to: &Upid) {
        self.node.link(&self.erased(), to, crate::links::LinkMode::Share);
    }

    /// Like [`Context::link`], but replaces a connection that exists by a new one. The old one raises no signal.
    pub fn link_reconnect(&mut self, to: &Upid) {
        self.node.link(&self.erased(), to, crate::links::LinkMode::Reconnect);
    }

    fn erased(&self) -> MailboxHandle {
        Arc::clone(&self.mailbox) as MailboxHandle
    }

    /// Installs a handler for a protobuf message; bodies that do not parse are logged and dropped.
    pub fn install<M: protobuf::Message>(
        &mut self,
        full_name: &'static str,
        handler: impl Fn(&mut P, Upid, M, &mut Context<P>) + 'static,
    ) {
        self.install_raw(
            full_name,
            move |process, from, body, context| match M::parse_from_bytes(&body) {
                Ok(message) => handler(process, from, message, context),
                Err(error) => tracing::warn!(upid = %from, name = full_name, %error, "message does not parse; dropped"),
            },
        );
    }

    /// Installs a handler for a message whose body has a form of its own. A second one for the same name takes over.
    pub fn install_raw(
        &mut self,
        name: &'static str,
        handler: impl Fn(&mut P, Upid, Bytes, &mut Context<P>) + 'static,
    ) {
        if let Some(index) = self.handler_by_name.get(name) {
            self.handlers[*index as usize] = Rc::new(handler);
            return;
        }
        let Ok(index) = u32::try_from(self.handlers.len()) else {
            return;
        };
        self.handlers.push(Rc::new(handler));
        self.handler_by_name.insert(name, index);
        self.mailbox.install_name(name, index);
    }

    pub(crate) fn handler(&self, index: u32) -> Option<MessageHandler<P>> {
        self.handlers.get(index as usize).map(Rc::clone)
    }

    pub(crate) fn handler_named(&self, name: &str) -> Option<MessageHandler<P>> {
        self.handler(*self.handler_by_name.get(name)?)
    }

    /// Offers HTTP below `/ID/path`; the longest name that fits a request wins.
    pub fn route(
        &mut self,
        path: &str,
        options: RouteOptions,
        handler: impl Fn(&mut P, Request, Responder, &mut Context<P>) + 'static,
    ) {
        let index = self.mailbox.core().routes_mut().insert(path, options);
        debug_assert_eq!(index, self.routes.len());
        self.routes.push(Rc::new(handler));
    }

    pub(crate) fn route_handler(&self, index: usize) -> Option<RouteHandler<P>> {
        self.routes.get(index).map(Rc::clone)
    }

    /// Runs `callback` in this process after `duration` of the node's clock.
    pub fn delay(&mut self, duration: Duration, callback: impl FnOnce(&mut P, &mut Context<P>) + 'static) -> TimerId {
        self.timer_next += 1;
        let timer = TimerId(self.timer_next);
        let mailbox = Arc::clone(&self.mailbox);
        let clock = self.node.clock();
        let action = Box::new(move || {
            let _ = mailbox.push(Envelope::Timer(timer));
        });
        let handle = clock.schedule(clock.now() + duration, action);
        self.timers.insert(
            timer,
            PendingTimer {
                handle,
                callback: Box::new(callback),
            },
        );
        timer
    }

    /// Takes a delayed callback back; it never runs afterwards, not even when its time has come already. Ids of
    /// timers that have run are ignored.
    pub fn cancel(&mut self, timer: TimerId) {
        if let Some(pending) = self.timers.remove(&timer) {
            self.node.clock().cancel(pending.handle);
        }
    }

    pub(crate) fn take_timer(&mut self, timer: TimerId) -> Option<TimerCallback<P>> {
        self.timers.remove(&timer).map(|pending| pending.callback)
    }

    pub(crate) fn cancel_all_timers(&mut self) {
        for (_, pending) in self.timers.drain() {
            self.node.clock().cancel(pending.handle);
        }
    }

    /// Runs `work` on a thread for blocking work and `then` back in this process. `then` does not run when the process
    /// terminates first or when `work` panics, which is logged.
    pub fn run_blocking<R: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> R + Send + 'static,
        then: impl FnOnce(&mut P, R, &mut Context<P>) + 'static,
    ) {
        self.run_async(
            async move { tokio::task::spawn_blocking(work).await },
            move |process, result, context| match result {
                Ok(result) => then(process, result, context),
                Err(error) => tracing::error!(upid = %context.pid(), %error, "blocking work failed"),
            },
        );
    }

    /// Runs `future` on this process's thread, beside the process, and `then` inside the process with its result.
    /// Both are dropped when the process terminates first.
    pub fn run_async<R: 'static>(
        &mut self,
        future: impl Future<Output = R> + 'static,
        then: impl FnOnce(&mut P, R, &mut Context<P>) + 'static,
    ) {
        self.work.next += 1;
        let id = self.work.next;
        let (finished, mailbox) = (Rc::clone(&self.work.finished), Arc::clone(&self.mailbox));
        let handle = actix_rt::spawn(async move {
            let result = future.await;
            let completion: Completion<P> = Box::new(move |process, context| then(process, result, context));
            finished.borrow_mut().insert(id, completion);
            mailbox.push(Envelope::Finished(id));
        });
        self.work.running.insert(id, handle);
    }

    pub(crate) fn take_completion(&mut self, id: u64) -> Option<Completion<P>> {
        self.work.running.remove(&id);
        self.work.finished.borrow_mut().remove(&id)
    }

    /// Ends this process after the event that it handles now; what is still queued is dropped.
    pub fn terminate_self(&mut self) {
        self.terminating = true;
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.terminating
    }
}
