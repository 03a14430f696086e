//! Calls of the scheduler API, over HTTP and over libprocess.
//!
//! Failures are reported in the order in which Mesos does: the call itself, the framework, its principal, its
//! connection, the stream id. Source: shared facts, `scheduler_calls.tsv`, `pitfalls.md` D7, D8.

use std::collections::BTreeSet;

use libprocess_types::Upid;
use mesos::ids::FrameworkId;
use mesos::validation::framework::{validate_principal, validate_update};
use mesos::validation::validate_scheduler_call;
use mesos_allocator::api::InverseOfferAnswer;
use mesos_proto::v0::scheduler::Call;
use mesos_proto::v0::scheduler::call::{self, Type};

use crate::effect::{Change, Effect, Reply};
use crate::error_text::with_causes;
use crate::framework_info;
use crate::input::{RequestId, SchedulerCall, StreamId};
use crate::master::{Master, Phase};
use crate::model::Connection;
use crate::notify::Notice;
use crate::offers::filters_of;
use crate::subscribe::Subscription;

impl Master {
    /// A call over HTTP.
    pub(crate) fn scheduler_call(&mut self, call: SchedulerCall) {
        let SchedulerCall {
            request,
            call,
            principal,
            stream_header,
            new_stream,
        } = call;
        if self.phase == Phase::Recovering {
            return self.reply(request, Reply::text(503, "the master has not finished recovery"));
        }
        if let Err(error) = validate_scheduler_call(&call) {
            return self.reply(request, Reply::text(400, with_causes(&error)));
        }
        if call.type_() == Type::SUBSCRIBE {
            if stream_header.is_some() {
                let text = "SUBSCRIBE opens a stream: the request must not have the header Mesos-Stream-Id";
                return self.reply(request, Reply::text(400, text));
            }
            let subscribe = call.subscribe.unwrap_or_default();
            if let Err(error) = validate_principal(&subscribe.framework_info, principal.as_deref()) {
                return self.reply(request, Reply::text(400, with_causes(&error)));
            }
            return self.subscribe_stream(request, new_stream, subscribe, principal.as_deref());
        }
        let id = FrameworkId::from(&*call.framework_id);
        if let Err(reply) = self.check_caller(&id, principal.as_deref(), stream_header.as_ref()) {
            return self.reply(request, reply);
        }
        self.count_call(&id, call.type_());
        let reply = match call.type_() {
            Type::UPDATE_FRAMEWORK => match self.update_framework(&id, call.update_framework.unwrap_or_default()) {
                Ok(()) => Reply::empty(200),
                Err(error) => Reply::text(400, error),
            },
            Type::UNKNOWN => Reply::text(501, "scheduler calls of this type are unknown here"),
            _ => {
                self.dispatch_call(&id, call);
                Reply::empty(202)
            }
        };
        self.reply(request, reply);
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.effects.push(Effect::Reply { request, reply });
    }

    /// Whether this client may speak for the framework on this stream.
    fn check_caller(&self, id: &FrameworkId, principal: Option<&str>, stream: Option<&StreamId>) -> Result<(), Reply> {
        let Some(framework) = self.frameworks.get(id) else {
            return Err(Reply::text(400, format!("framework '{id}' is not known")));
        };
        if let (Some(principal), Some(own)) = (principal, framework.info.principal.as_deref())
            && principal != own
        {
            let text = format!("principal '{principal}' is not that of the framework, '{own}'");
            return Err(Reply::text(400, text));
        }
        let own = match framework.connection() {
            None => return Err(Reply::text(403, format!("framework {id} is not subscribed"))),
            Some(Connection::Process(upid)) => {
                let text = format!("framework {id} is connected through libprocess, from {upid}");
                return Err(Reply::text(403, text));
            }
            Some(Connection::Stream(own)) => own,
        };
        match stream {
            None => Err(Reply::text(
                400,
                "all calls but SUBSCRIBE must have the header Mesos-Stream-Id",
            )),
            Some(stream) if stream != own => {
                let text = format!("the stream '{stream}' is not the one of framework {id}");
                Err(Reply::text(400, text))
            }
            Some(_) => Ok(()),
        }
    }

    /// A call over libprocess: failures are dropped, as there is nobody to answer.
    pub(crate) fn process_call(&mut self, from: &Upid, call: Call) {
        if let Err(error) = validate_scheduler_call(&call) {
            tracing::warn!(upid = %from, error = with_causes(&error), "invalid scheduler call dropped");
            self.count("master/dropped_messages");
            return;
        }
        if call.type_() == Type::SUBSCRIBE {
            return self.subscribe_process(from, call.subscribe.unwrap_or_default());
        }
        let Some(id) = self.sent_by(from, &call.framework_id, "Call") else {
            return;
        };
        self.count_call(&id, call.type_());
        match call.type_() {
            Type::UPDATE_FRAMEWORK => {
                if let Err(error) = self.update_framework(&id, call.update_framework.unwrap_or_default()) {
                    self.notify(&id, Notice::Error(error));
                }
            }
            Type::UNKNOWN => tracing::warn!(framework_id = %id, "call of unknown type dropped"),
            _ => self.dispatch_call(&id, call),
        }
    }

    pub(crate) fn count_call(&mut self, id: &FrameworkId, kind: Type) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.counters.call(kind);
        }
    }

    fn dispatch_call(&mut self, id: &FrameworkId, call: Call) {
        tracing::debug!(framework_id = %id, call = ?call.type_(), "scheduler call");
        match call.type_() {
            Type::TEARDOWN => self.teardown(id),
            Type::ACCEPT => self.accept(id, call.accept.unwrap_or_default()),
            Type::DECLINE => self.decline(id, &call.decline),
            Type::REVIVE => self.revive(id, &call.revive.roles),
            Type::SUPPRESS => self.suppress(id, &call.suppress.roles),
            Type::KILL => self.kill(id, call.kill.unwrap_or_default()),
            Type::SHUTDOWN => self.shut_executor_down(id, &call.shutdown),
            Type::ACKNOWLEDGE => self.acknowledge(id, call.acknowledge.unwrap_or_default()),
            Type::RECONCILE => self.reconcile(id, &call.reconcile),
            Type::RECONCILE_OPERATIONS => self.reconcile_operations(id, &call.reconcile_operations),
            Type::MESSAGE => self.message_to_executor(id, call.message.unwrap_or_default()),
            Type::REQUEST => self.count("master/messages_resource_request"),
            Type::ACCEPT_INVERSE_OFFERS => {
                let accept = call.accept_inverse_offers.unwrap_or_default();
                let filters = filters_of(&accept.filters);
                self.answer_inverse_offers(id, &accept.inverse_offer_ids, InverseOfferAnswer::Accepted, filters);
            }
            Type::DECLINE_INVERSE_OFFERS => {
                let decline = call.decline_inverse_offers.unwrap_or_default();
                let filters = filters_of(&decline.filters);
                self.answer_inverse_offers(id, &decline.inverse_offer_ids, InverseOfferAnswer::Declined, filters);
            }
            Type::ACKNOWLEDGE_OPERATION_STATUS => self.acknowledge_operation(id, &call.acknowledge_operation_status),
            Type::SUBSCRIBE | Type::UPDATE_FRAMEWORK | Type::UNKNOWN => {}
        }
    }

    /// Lifts filters and suppression; no roles named means all.
    pub(crate) fn revive(&mut self, id: &FrameworkId, roles: &[String]) {
        self.count("master/messages_revive_offers");
        let Some(roles) = self.roles_to_change(id, roles) else {
            return;
        };
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.suppressed_roles.retain(|role| !roles.contains(role));
        }
        self.allocator.revive_roles(self.now, id, &roles);
    }

    /// Stops offers; no roles named means all.
    pub(crate) fn suppress(&mut self, id: &FrameworkId, roles: &[String]) {
        self.count("master/messages_suppress_offers");
        let Some(roles) = self.roles_to_change(id, roles) else {
            return;
        };
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.suppressed_roles.extend(roles.iter().cloned());
        }
        self.allocator.suppress_roles(self.now, id, &roles);
    }

    fn roles_to_change(&mut self, id: &FrameworkId, roles: &[String]) -> Option<BTreeSet<String>> {
        let framework = self.frameworks.get(id)?;
        if let Some(role) = roles.iter().find(|role| !framework.roles.contains(*role)) {
            tracing::warn!(framework_id = %id, %role, "call names a role of which the framework is no member, dropped");
            return None;
        }
        if roles.is_empty() {
            return Some(framework.roles.clone());
        }
        Some(roles.iter().cloned().collect())
    }

    /// Changes the description of a framework that stays connected.
    fn update_framework(&mut self, id: &FrameworkId, update: call::UpdateFramework) -> Result<(), String> {
        let info = update.framework_info.unwrap_or_default();
        let constraints = update.offer_constraints.into_option();
        let Some(framework) = self.frameworks.get(id) else {
            return Err(format!("framework {id} is not known"));
        };
        let compiled_constraints = framework_info::validate(&info, &self.config)
            .and_then(|()| validate_update(&framework.info, &info).map_err(Into::into))
            .and_then(|()| {
                let suppressed = &update.suppressed_roles;
                framework_info::validate_options(&info, suppressed, constraints.as_ref(), &self.config)
            })
            .map_err(|error| with_causes(&error))?;
        let changed = *framework.info != info;
        let subscription = Subscription {
            info,
            suppressed_roles: update.suppressed_roles.into_iter().collect(),
            offer_constraints: constraints,
            compiled_constraints,
            force: false,
        };
        self.update_framework_info(id, subscription);
        if changed {
            self.tell_agents_of_framework(id);
        } else {
            self.publish(Change::FrameworkUpdated(id.clone()));
        }
        Ok(())
    }
}
