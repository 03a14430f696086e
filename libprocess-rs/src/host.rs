//! The actix actor that carries a process.
//!
//! The actor's only stream says that the mailbox has something; one turn then handles many events.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use futures_core::Stream;

use crate::context::Context;
use crate::mailbox::{Envelope, Mailbox, Message, Name, turn_events_max};
use crate::node::Node;
use crate::process::Process;

/// How often a process whose mailbox ran empty looks again before it goes to sleep. A sender that is a little slower
/// would otherwise pay for a wake-up by the system with almost every message.
const EMPTY_POLLS_MAX: u32 = 32;

/// Says that something waits in a mailbox.
pub(crate) struct Arrival;

/// Yields whenever the mailbox or the rest of a turn is not empty.
struct Arrivals<P: Process> {
    mailbox: Arc<Mailbox<P>>,
    unfinished: Rc<Cell<bool>>,
    /// How often the mailbox was found empty since something arrived.
    empty_polls: u32,
}

impl<P: Process> Stream for Arrivals<P> {
    type Item = Arrival;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Arrival>> {
        if self.unfinished.get() {
            return Poll::Ready(Some(Arrival));
        }
        let looks_again = self.empty_polls < EMPTY_POLLS_MAX;
        let waiting = self.mailbox.poll_waiting((!looks_again).then_some(task.waker()));
        match waiting {
            Poll::Pending if looks_again => {
                self.empty_polls += 1;
                task.waker().wake_by_ref();
            }
            Poll::Pending | Poll::Ready(()) => self.empty_polls = 0,
        }
        waiting.map(|()| Some(Arrival))
    }
}

/// The actor around one process.
pub(crate) struct Host<P: Process> {
    process: Box<P>,
    context: Context<P>,
    mailbox: Arc<Mailbox<P>>,
    /// Taken from the mailbox; what is left of it is handled before anything newer.
    turn: VecDeque<Envelope<P>>,
    unfinished: Rc<Cell<bool>>,
    _farewell: Farewell<P>,
}

/// Tells the node that the process is gone, also when a handler panicked.
struct Farewell<P: Process> {
    node: Node,
    mailbox: Arc<Mailbox<P>>,
}

impl<P: Process> Drop for Farewell<P> {
    fn drop(&mut self) {
        // Refuses first: whoever links from now on is told at once, whoever linked before is told by the node.
        self.mailbox.refuse();
        self.node.process_gone(self.mailbox.core().pid());
        self.mailbox.close();
    }
}

impl<P: Process> Host<P> {
    /// Starts the actor on the current arbiter.
    pub(crate) fn start(node: Node, mailbox: Arc<Mailbox<P>>, make: impl FnOnce() -> P) {
        let farewell = Farewell {
            node: node.clone(),
            mailbox: Arc::clone(&mailbox),
        };
        let host = Self {
            process: Box::new(make()),
            context: Context::new(node, Arc::clone(&mailbox)),
            mailbox,
            turn: VecDeque::new(),
            unfinished: Rc::default(),
            _farewell: farewell,
        };
        Actor::start(host);
    }

    /// Ends the actor when the process asked for it.
    fn settle(&mut self, actor: &mut actix::Context<Self>) {
        if self.context.is_terminating() {
            self.context.cancel_all_timers();
            self.process.finalize(&mut self.context);
            actor.stop();
        }
    }

    fn handle_one(&mut self, envelope: Envelope<P>) {
        let (process, context) = (&mut self.process, &mut self.context);
        match envelope {
            Envelope::Message(message) => Self::handle_message(process, context, message),
            Envelope::Dispatch(action) => action(process, context),
            Envelope::Http {
                route,
                request,
                responder,
            } => {
                if let Some(handler) = context.route_handler(route) {
                    handler(process, *request, responder, context);
                }
            }
            Envelope::Exited(upid) => process.exited(&upid, context),
            Envelope::Timer(timer) => {
                if let Some(callback) = context.take_timer(timer) {
                    callback(process, context);
                }
            }
            Envelope::Finished(id) => {
                if let Some(completion) = context.take_completion(id) {
                    completion(process, context);
                }
            }
            Envelope::Terminate => context.terminate_self(),
        }
    }

    fn handle_message(process: &mut P, context: &mut Context<P>, message: Message) {
        let Message { from, name, body } = message;
        let handler = match &name {
            Name::Installed(index) => context.handler(*index),
            // Queued before the handler was installed, or none is.
            Name::Other(name) => context.handler_named(name),
        };
        match (handler, name) {
            (Some(handler), _) => handler(process, from, body, context),
            (None, Name::Other(name)) => process.message(from, &name, body, context),
            (None, Name::Installed(_)) => {}
        }
    }

    fn take_turn(&mut self, actor: &mut actix::Context<Self>) {
        if self.turn.is_empty() {
            self.mailbox.take_into(&mut self.turn);
        }
        for _ in 0..turn_events_max() {
            if self.context.is_terminating() {
                break;
            }
            let Some(envelope) = self.turn.pop_front() else { break };
            self.handle_one(envelope);
        }
        self.unfinished
            .set(!self.turn.is_empty() && !self.context.is_terminating());
        self.settle(actor);
    }
}

impl<P: Process> Actor for Host<P> {
    type Context = actix::Context<Self>;

    fn started(&mut self, actor: &mut Self::Context) {
        self.process.initialize(&mut self.context);
        self.mailbox.core().set_running();
        self.settle(actor);
        if !self.context.is_terminating() {
            let unfinished = Rc::clone(&self.unfinished);
            actor.add_stream(Arrivals {
                mailbox: Arc::clone(&self.mailbox),
                unfinished,
                empty_polls: 0,
            });
        }
    }
}

impl<P: Process> StreamHandler<Arrival> for Host<P> {
    fn handle(&mut self, _: Arrival, actor: &mut Self::Context) {
        if !self.context.is_terminating() {
            self.take_turn(actor);
        }
    }
}
