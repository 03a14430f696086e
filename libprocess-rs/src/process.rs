//! What a process is, and handles to running ones.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use libprocess_types::Upid;
use thiserror::Error;

use crate::context::Context;
use crate::mailbox::{Envelope, Mailbox, MailboxHandle, Message};

/// An actor with an address. Its methods run one at a time, in the order in which events arrived, on one thread.
///
/// No method may block: slow work belongs into [`Context::run_blocking`] or [`Context::run_async`].
pub trait Process: Sized + 'static {
    /// Runs before the first event; installs handlers and routes.
    fn initialize(&mut self, context: &mut Context<Self>) {
        let _ = context;
    }

    /// Runs when a process that this one linked to is gone, or when the connection to its node broke.
    ///
    /// The link is used up then; link again for another signal.
    fn exited(&mut self, upid: &Upid, context: &mut Context<Self>) {
        let _ = (upid, context);
    }

    /// Receives messages for whose name no handler is installed. The default drops them, as libprocess does.
    fn message(&mut self, from: Upid, name: &str, body: Bytes, context: &mut Context<Self>) {
        let _ = (from, body, context);
        tracing::trace!(name, "message without handler dropped");
    }

    /// Runs last, when the process was told to terminate or its node stops.
    fn finalize(&mut self, context: &mut Context<Self>) {
        let _ = context;
    }
}

/// How a new process gets its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessId<'a> {
    /// The id as given.
    Exact(&'a str),
    /// `PREFIX(N)`, N counting from 1 for each prefix of a node.
    Numbered(&'a str),
}

/// The process has terminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the process has terminated")]
pub struct Gone;

/// A handle to a process of this OS process. Cheap to clone and free to move between threads; does not keep the
/// process alive.
pub struct ProcessRef<P: Process> {
    mailbox: Arc<Mailbox<P>>,
}

impl<P: Process> ProcessRef<P> {
    pub(crate) fn new(mailbox: Arc<Mailbox<P>>) -> Self {
        Self { mailbox }
    }

    pub(crate) fn mailbox(&self) -> MailboxHandle {
        Arc::clone(&self.mailbox) as MailboxHandle
    }

    /// The address of the process.
    #[must_use]
    pub fn pid(&self) -> &Upid {
        self.mailbox.core().pid()
    }

    /// Runs `action` inside the process, after everything that was queued before. Lost when the process is gone.
    pub fn dispatch(&self, action: impl FnOnce(&mut P, &mut Context<P>) + Send + 'static) {
        self.mailbox.push(Envelope::Dispatch(Box::new(action)));
    }

    /// Runs `action` inside the process and hands back its result.
    ///
    /// # Errors
    ///
    /// The future fails when the process terminates before `action` ran.
    pub fn call<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, Gone>> + Send + 'static {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.dispatch(move |process, context| drop(sender.send(action(process, context))));
        async move { receiver.await.map_err(|_| Gone) }
    }

    /// Delivers a message as if it had come from `from`, without a socket.
    pub fn post(&self, from: &Upid, name: &str, body: Bytes) {
        let name = self.mailbox.resolve_name(name);
        self.mailbox.push(Envelope::Message(Message {
            from: from.clone(),
            name,
            body,
        }));
    }

    /// Ends the process once it has handled what was queued before.
    pub fn terminate(&self) {
        self.mailbox.push(Envelope::Terminate);
    }

    /// Whether the process has terminated.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Completes when the process has terminated.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        self.mailbox.core().wait_gone()
    }

    /// Completes when the process has run [`Process::initialize`] (or has terminated).
    pub fn ready(&self) -> impl Future<Output = ()> + Send + 'static {
        self.mailbox.core().wait_ready()
    }
}

impl<P: Process> Clone for ProcessRef<P> {
    fn clone(&self) -> Self {
        Self {
            mailbox: Arc::clone(&self.mailbox),
        }
    }
}

impl<P: Process> std::fmt::Debug for ProcessRef<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ProcessRef({})", self.pid())
    }
}
