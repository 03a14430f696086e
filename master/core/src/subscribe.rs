//! Subscribing: new frameworks, frameworks that come back, retries and takeovers.
//!
//! Source: shared facts, `scheduler_calls.tsv` (SUBSCRIBE), `pitfalls.md` D10, D11, D22.

use std::collections::BTreeSet;
use std::sync::Arc;

use libprocess_types::Upid;
use mesos::ids::FrameworkId;
use mesos_allocator::api::FrameworkInfo as AllocatorFramework;
use mesos_allocator::constraints::OfferConstraints as CompiledConstraints;
use mesos_proto::v0::mesos::FrameworkInfo;
use mesos_proto::v0::scheduler::OfferConstraints;
use mesos_proto::v0::scheduler::call::{Subscribe, Type};

use crate::effect::{Change, Effect};
use crate::error_text::with_causes;
use crate::framework_info::{self, FAILED_OVER, FrameworkInfoError};
use crate::input::{MasterTimer, RequestId, StreamId};
use crate::master::Master;
use crate::model::{Connection, FrameworkState};
use crate::notify::Notice;

/// A checked subscription.
pub(crate) struct Subscription {
    pub(crate) info: FrameworkInfo,
    pub(crate) suppressed_roles: BTreeSet<String>,
    pub(crate) offer_constraints: Option<OfferConstraints>,
    /// The constraints as the allocator asks them.
    pub(crate) compiled_constraints: Option<Arc<CompiledConstraints>>,
    pub(crate) force: bool,
}

impl Subscription {
    /// What the allocator needs to know.
    pub(crate) fn for_allocator(&self) -> AllocatorFramework {
        let mut info = AllocatorFramework::from_proto(&self.info, self.suppressed_roles.clone());
        info.offer_constraints.clone_from(&self.compiled_constraints);
        info
    }

    /// Id that the framework claims to have.
    fn framework_id(&self) -> Option<FrameworkId> {
        self.info
            .id
            .as_ref()
            .filter(|id| !id.value().is_empty())
            .map(FrameworkId::from)
    }
}

impl Master {
    /// A scheduler subscribes over HTTP: every refusal is an ERROR event on an open stream.
    pub(crate) fn subscribe_stream(
        &mut self,
        request: RequestId,
        stream: StreamId,
        mut call: Subscribe,
        principal: Option<&str>,
    ) {
        self.count_subscription(&call);
        let info = call.framework_info.mut_or_insert_default();
        if !info.has_principal() {
            info.principal = principal.map(str::to_owned);
        }
        self.effects.push(Effect::OpenStream {
            request,
            stream: stream.clone(),
        });
        let connection = Connection::Stream(stream);
        let subscription = match self.check_subscription(call) {
            Ok(subscription) => subscription,
            Err(error) => return self.refuse_subscription(&connection, &with_causes(&error)),
        };
        match subscription.framework_id() {
            None => self.subscribe_new(&connection, subscription),
            Some(id) => self.subscribe_again(&connection, &id, subscription),
        }
    }

    /// A scheduler driver subscribes over libprocess.
    pub(crate) fn subscribe_process(&mut self, from: &Upid, call: Subscribe) {
        self.count_subscription(&call);
        let connection = Connection::Process(from.clone());
        let subscription = match self.check_subscription(call) {
            Ok(subscription) => subscription,
            Err(error) => return self.refuse_subscription(&connection, &with_causes(&error)),
        };
        let same_process = self
            .frameworks
            .values()
            .find(|framework| framework.upid.as_ref() == Some(from));
        let same_process = same_process.map(|framework| framework.id.clone());
        match (subscription.framework_id(), same_process) {
            (None, Some(known)) => {
                tracing::info!(framework_id = %known, upid = %from, "subscription repeated, acknowledged again");
                self.deliver(&connection, &known, Notice::Registered);
            }
            (None, None) => self.subscribe_new(&connection, subscription),
            (Some(id), Some(known)) if id != known => {
                // An answer would reach the framework that already lives at this address.
                tracing::warn!(framework_id = %id, upid = %from, "another framework is at this address, dropped");
            }
            (Some(id), _) => self.subscribe_again(&connection, &id, subscription),
        }
    }

    fn count_subscription(&mut self, call: &Subscribe) {
        let known = call.framework_info.id.as_ref().is_some_and(|id| !id.value().is_empty());
        self.count(if known {
            "master/messages_reregister_framework"
        } else {
            "master/messages_register_framework"
        });
    }

    fn check_subscription(&self, call: Subscribe) -> Result<Subscription, FrameworkInfoError> {
        let info = call.framework_info.unwrap_or_default();
        framework_info::validate(&info, &self.config)?;
        if let Some(id) = info.id.as_ref() {
            let id = FrameworkId::from(id);
            if self.is_completed(&id) {
                return Err(FrameworkInfoError::Removed);
            }
        }
        let constraints = call.offer_constraints.into_option();
        let compiled_constraints =
            framework_info::validate_options(&info, &call.suppressed_roles, constraints.as_ref(), &self.config)?;
        Ok(Subscription {
            info,
            suppressed_roles: call.suppressed_roles.into_iter().collect(),
            offer_constraints: constraints,
            compiled_constraints,
            force: call.force.unwrap_or(false),
        })
    }

    fn refuse_subscription(&mut self, connection: &Connection, reason: &str) {
        tracing::info!(error = reason, "subscription refused");
        self.deliver(connection, &FrameworkId::new(""), Notice::Error(reason.to_owned()));
        if let Connection::Stream(stream) = connection {
            self.effects.push(Effect::CloseStream(stream.clone()));
        }
    }

    fn subscribe_new(&mut self, connection: &Connection, mut subscription: Subscription) {
        let id = self.next_framework_id();
        subscription.info.id = Some(id.to_proto()).into();
        tracing::info!(framework_id = %id, name = subscription.info.name(), "framework subscribed");
        let state = FrameworkState::Active(connection.clone());
        self.add_framework(&id, subscription, state);
        self.count_call(&id, Type::SUBSCRIBE);
        self.watch(&id, connection);
        self.notify(&id, Notice::Registered);
        self.start_heartbeat(connection);
        self.publish(Change::FrameworkAdded(id));
    }

    /// A framework with an id: one that is here, or one that this master does not know since it was elected.
    fn subscribe_again(&mut self, connection: &Connection, id: &FrameworkId, mut subscription: Subscription) {
        if !self.frameworks.contains_key(id) {
            self.recover_framework(&subscription.info);
        }
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        let old = framework.info.clone();
        subscription.info = match framework_info::merge_resubscription(&old, subscription.info) {
            Ok(info) => info,
            Err(error) => return self.refuse_subscription(connection, &with_causes(&error)),
        };
        let expected = match connection {
            Connection::Stream(_) => true,
            Connection::Process(from) => {
                framework.is_recovered() || subscription.force || framework.upid.as_ref() == Some(from)
            }
        };
        if !expected {
            tracing::warn!(framework_id = %id, "subscription from an unexpected process refused");
            return self.refuse_subscription(connection, FAILED_OVER);
        }
        let was_recovered = framework.is_recovered();
        let force = subscription.force;
        self.count_call(id, Type::SUBSCRIBE);
        self.update_framework_info(id, subscription);
        self.cancel_timer(MasterTimer::FrameworkFailover(id.clone()));
        match (connection, was_recovered) {
            (_, true) => self.activate_recovered(id, connection),
            (Connection::Stream(_), false) => self.take_over(id, connection),
            (Connection::Process(_), false) if force => self.take_over(id, connection),
            (Connection::Process(_), false) => self.return_to_process(id, connection),
        }
        self.tell_agents_of_framework(id);
    }

    /// The framework was known only from agents: it is here now.
    fn activate_recovered(&mut self, id: &FrameworkId, connection: &Connection) {
        let now = self.now;
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.registered_time = now;
            framework.reregistered_time = Some(now);
        }
        self.connect(id, connection);
        let notice = match connection {
            Connection::Process(_) => Notice::Registered,
            Connection::Stream(_) => Notice::Reregistered,
        };
        self.notify(id, notice);
        self.start_heartbeat(connection);
    }

    /// A scheduler takes its framework over: the older one, if it is still connected, is told to stop.
    fn take_over(&mut self, id: &FrameworkId, connection: &Connection) {
        tracing::info!(framework_id = %id, "framework failed over");
        let older = self
            .frameworks
            .get(id)
            .and_then(|framework| framework.connection().cloned());
        if let Some(older) = older.filter(|older| older != connection) {
            self.deliver(&older, id, Notice::Error(FAILED_OVER.to_owned()));
            if let Connection::Stream(stream) = older {
                self.effects.push(Effect::CloseStream(stream.clone()));
                self.cancel_timer(MasterTimer::Heartbeat(stream));
            }
        }
        self.discard_offers_of_framework(id);
        self.mark_reregistered(id);
        self.connect(id, connection);
        self.notify(id, Notice::Registered);
        self.start_heartbeat(connection);
    }

    /// The same driver process subscribes again: its offers may be stale on its side, so they are withdrawn.
    fn return_to_process(&mut self, id: &FrameworkId, connection: &Connection) {
        self.rescind_offers_of_framework(id);
        self.mark_reregistered(id);
        self.connect(id, connection);
        self.notify(id, Notice::Reregistered);
    }

    fn mark_reregistered(&mut self, id: &FrameworkId) {
        let now = self.now;
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.reregistered_time = Some(now);
        }
    }

    /// Takes over the connection and lets the allocator offer again.
    fn connect(&mut self, id: &FrameworkId, connection: &Connection) {
        self.watch(id, connection);
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        let was_active = framework.is_active();
        let (before, principal) = (framework.upid.take(), framework.info.principal.clone());
        framework.upid = match connection {
            Connection::Process(upid) => Some(upid.clone()),
            Connection::Stream(_) => None,
        };
        framework.unregistered_time = None;
        framework.state = FrameworkState::Active(connection.clone());
        if !was_active {
            self.allocator.activate_framework(self.now, id);
        }
        if let Some(before) = before {
            self.forget_scheduler(&before);
        }
        if let Connection::Process(upid) = connection {
            self.note_scheduler(upid, principal.as_deref());
        }
    }

    fn watch(&mut self, id: &FrameworkId, connection: &Connection) {
        if let Connection::Process(upid) = connection {
            tracing::debug!(framework_id = %id, %upid, "linking to the scheduler");
            self.effects.push(Effect::Link(upid.clone()));
        }
    }

    fn start_heartbeat(&mut self, connection: &Connection) {
        if let Connection::Stream(stream) = connection {
            self.heartbeat(stream);
        }
    }
}
