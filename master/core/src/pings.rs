//! Watching agents: a ping each period; too many unanswered ones and the agent is given up.
//!
//! Source: shared facts, `messages_flow.tsv` (PingSlaveMessage), `constants.tsv`.

use libprocess_types::Upid;
use mesos_proto::internal::wire::messages::PingSlaveMessage;

use crate::effect::{Effect, Sender};
use crate::input::{MasterTimer, ObserverId};
use crate::master::Master;
use crate::removal::Silence;

impl Master {
    pub(crate) fn start_observer(&mut self) -> ObserverId {
        self.next_observer += 1;
        let observer = ObserverId(self.next_observer);
        self.effects.push(Effect::StartObserver(observer));
        observer
    }

    pub(crate) fn stop_observer(&mut self, observer: ObserverId) {
        self.observers.remove(&observer);
        self.cancel_timer(MasterTimer::Ping(observer));
        self.effects.push(Effect::StopObserver(observer));
    }

    /// Sends a ping and sets the time for its answer.
    pub(crate) fn ping(&mut self, observer: ObserverId) {
        let Some(agent) = self.observers.get(&observer).and_then(|id| self.agents.get_mut(id)) else {
            return;
        };
        agent.awaits_pong = true;
        let mut message = PingSlaveMessage::new();
        message.set_connected(agent.is_connected());
        let to = agent.upid.clone();
        self.effects.push(Effect::Send {
            sender: Sender::Observer(observer),
            to,
            message: message.into(),
        });
        self.set_timer(MasterTimer::Ping(observer), self.config.agent_ping_timeout);
    }

    /// The time for an answer is over. Pings go on while the registry is told of a lost agent.
    pub(crate) fn ping_timed_out(&mut self, observer: ObserverId) {
        let Some(agent) = self.observers.get(&observer).and_then(|id| self.agents.get_mut(id)) else {
            return;
        };
        if agent.awaits_pong {
            agent.missed_pings += 1;
            if agent.missed_pings >= self.config.max_agent_ping_timeouts {
                let id = agent.id.clone();
                self.schedule_removal(&id, Silence::Pings);
            }
        }
        self.ping(observer);
    }

    /// An agent answered.
    pub(crate) fn pong(&mut self, from: &Upid) {
        let Some(id) = self.agent_upids.get(from).cloned() else {
            tracing::debug!(upid = %from, "pong of an unknown agent ignored");
            return;
        };
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.missed_pings = 0;
            agent.awaits_pong = false;
        }
        self.cancel_removal(&id, Silence::Pings);
    }
}
