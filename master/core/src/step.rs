//! The door of the core: one input in, effects out.

use std::time::Duration;

use libprocess_types::Time;
use mesos_registrar::{Answer, Operation, OperationError, Outcome, WriteId};

use crate::effect::{Change, Effect};
use crate::input::{Input, MasterTimer};
use crate::master::{Master, Pending, Phase};

impl Master {
    /// Takes one input at a point in time and gives what is to be done, in order. Time never runs backwards.
    pub fn step(&mut self, now: Time, input: Input) -> Vec<Effect> {
        self.now = self.now.max(now);
        match input {
            Input::Recovered(registry) => self.recovered(registry),
            Input::SchedulerCall(call) => self.scheduler_call(*call),
            Input::Operator(request) => self.operator(*request),
            Input::RegistryStored(answer) => self.registry_stored(answer),
            Input::RegistryFailed(error) => self.effects.push(Effect::Abort(error.to_string())),
            _ if self.phase == Phase::Recovering => {
                tracing::debug!("input dropped: the master has not recovered");
                self.count("master/dropped_messages");
            }
            Input::Message { from, message } => self.arrived(from, message),
            Input::AgentReturned { from, report } => self.reregister_agent(&from, *report),
            Input::Exited(upid) => self.broke(upid),
            Input::Whitelist(hostnames) => self.allocator.update_whitelist(self.now, hostnames),
            Input::SchedulerStreamClosed(stream) => self.stream_closed(&stream),
            Input::Timer(timer) => self.timer(timer),
        }
        self.settle_drains();
        self.allocate_changed();
        std::mem::take(&mut self.effects)
    }

    fn timer(&mut self, timer: MasterTimer) {
        match timer {
            MasterTimer::AllocationRound => self.allocation_round(),
            MasterTimer::Ping(observer) => self.ping_timed_out(observer),
            MasterTimer::FrameworkFailover(id) => self.framework_timed_out(&id),
            MasterTimer::Heartbeat(stream) => self.heartbeat(&stream),
            MasterTimer::OfferExpiry(id) => self.offer_expired(&id),
            MasterTimer::RateLimit(principal) => self.release_messages(principal.as_deref()),
            MasterTimer::AgentRemoval => self.release_removals(),
            MasterTimer::AgentReregistration => self.recovered_agents_timed_out(),
            MasterTimer::AgentReturn(id) => self.agent_return_timed_out(&id),
            MasterTimer::RegistryCleanup => self.clean_registry(),
        }
    }

    fn registry_stored(&mut self, answer: Answer) {
        let Answer { write, outcomes } = answer;
        let Some(pending) = self.pending.remove(&write) else {
            tracing::warn!(?write, "answer to an unknown registry write ignored");
            return;
        };
        let outcome: Result<Outcome, OperationError> = outcomes.into_iter().next().unwrap_or(Ok(Outcome::Unchanged));
        match pending {
            Pending::Lead { registry } => self.lead(&registry),
            Pending::Admit { upid, message } => self.agent_admitted(&upid, *message, &outcome),
            Pending::Readmit { upid, report } => self.agent_readmitted(&upid, *report, &outcome),
            Pending::Unreachable { agent_id, since, cause } => {
                self.agent_marked_unreachable(&agent_id, *since, &cause, &outcome);
            }
            Pending::Gone {
                agent_id,
                since,
                request,
            } => self.agent_marked_gone(&agent_id, *since, request, &outcome),
            Pending::Remove {
                agent_id,
                cause,
                counter,
            } => self.agent_removed(&agent_id, &cause, counter, &outcome),
            Pending::Prune { unreachable, gone } => self.registry_cleaned(&unreachable, &gone),
            Pending::Weights { weights, request } => self.weights_stored(&weights, request),
            Pending::Drain {
                agent_id,
                config,
                request,
            } => self.drain_stored(&agent_id, *config, request, &outcome),
            Pending::Drained { agent_id } => self.drained_stored(&agent_id, &outcome),
            Pending::Deactivate { agent_id, request } => self.deactivation_stored(&agent_id, request, &outcome),
            Pending::Reactivate { agent_id, request } => self.reactivation_stored(&agent_id, request, &outcome),
            Pending::Maintenance { change, request } => self.maintenance_stored(change, request),
            Pending::Quota { changes, request } => self.quota_stored(&changes, request),
        }
    }

    /// Hands changes to the registrar and remembers what follows.
    pub(crate) fn store(&mut self, operations: Vec<Operation>, then: Pending) -> WriteId {
        let write = WriteId(self.next_write);
        self.next_write += 1;
        self.pending.insert(write, then);
        self.effects.push(Effect::StoreRegistry { write, operations });
        write
    }

    pub(crate) fn set_timer(&mut self, timer: MasterTimer, after: Duration) {
        self.effects.push(Effect::SetTimer { timer, after });
    }

    pub(crate) fn cancel_timer(&mut self, timer: MasterTimer) {
        self.effects.push(Effect::CancelTimer(timer));
    }

    pub(crate) fn publish(&mut self, change: Change) {
        self.effects.push(Effect::Publish(change));
    }

    pub(crate) fn count(&mut self, key: &'static str) {
        *self.counters.entry(key).or_default() += 1;
    }
}
