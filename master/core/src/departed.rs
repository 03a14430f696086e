//! Accepted offers whose agent went away before their operations were carried out: nothing of them happens.
//!
//! Taking offers and carrying operations out are two halves of one call. Whatever comes between them may take time, in
//! which the agent may be removed or lose its link.
//!
//! Source: shared facts, `task_reasons.tsv` (REASON_SLAVE_REMOVED, REASON_SLAVE_DISCONNECTED).

use mesos::ids::AgentId;
use mesos_allocator::api::Hold;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::mesos::task_status::Reason;

use crate::accept::{Accepted, tasks_of};
use crate::master::Master;
use crate::status::{self, Verdict};

/// How the agent of accepted offers went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentDeparture {
    /// It is no longer registered.
    Removed,
    /// Its link broke.
    Disconnected,
}

impl Master {
    pub(crate) fn departure_of(&self, id: &AgentId) -> Option<AgentDeparture> {
        match self.agents.get(id) {
            None => Some(AgentDeparture::Removed),
            Some(agent) if !agent.is_connected() => Some(AgentDeparture::Disconnected),
            Some(_) => None,
        }
    }

    /// Every part of the call is told that it did not happen; what was offered comes back without a filter.
    pub(crate) fn refuse_departed(&mut self, accepted: &Accepted, operations: &[Operation], departure: AgentDeparture) {
        let (reason, message) = match departure {
            AgentDeparture::Removed => (Reason::REASON_SLAVE_REMOVED, "the agent of the offers was removed"),
            AgentDeparture::Disconnected => (
                Reason::REASON_SLAVE_DISCONNECTED,
                "the agent of the offers is disconnected",
            ),
        };
        let framework_id = &accepted.framework_id;
        let framework = self.frameworks.get(framework_id);
        let aware = framework.is_some_and(|framework| framework.capabilities.partition_aware);
        let state = status::for_capability(aware, TaskState::TASK_DROPPED);
        let verdict = Verdict::new(state, reason, message);
        for operation in operations {
            match operation.type_() {
                OperationType::LAUNCH | OperationType::LAUNCH_GROUP => {
                    self.refuse_tasks(framework_id, tasks_of(operation), &verdict);
                }
                _ => self.drop_operation(framework_id, operation, message),
            }
        }
        self.allocator.recover_resources(
            self.now,
            framework_id,
            &accepted.agent_id,
            &accepted.remaining,
            None,
            Hold::Offered,
        );
    }
}

#[cfg(test)]
mod tests {
    use libprocess_types::{Time, Upid};
    use mesos::capabilities::AgentCapabilities;
    use mesos::ids::OfferId;
    use mesos_allocator::HierarchicalAllocator;
    use mesos_allocator::api::{AllocatorOptions, OfferFilters};
    use mesos_proto::internal::wire::messages::{RegisterFrameworkMessage, RegisterSlaveMessage};
    use mesos_proto::v0::mesos::framework_info::{Capability, capability};
    use mesos_proto::v0::mesos::{MasterInfo, Resource, TaskInfo, value};
    use mesos_registrar::{Registrar, Registry};

    use super::*;
    use crate::{Effect, Input, MasterConfig};

    fn upid(text: &str) -> Upid {
        text.parse().expect("an address")
    }

    /// A master with its registrar: writes are stored at once.
    struct Scene {
        master: Master,
        registrar: Registrar,
        sent: Vec<Effect>,
    }

    impl Scene {
        fn step(&mut self, input: Input) {
            let mut inputs = vec![input];
            while let Some(input) = inputs.pop() {
                let effects = self.master.step(Time::from_secs_f64(100.0), input);
                for effect in effects {
                    match effect {
                        Effect::StoreRegistry { write, operations } => self.registrar.submit(write, operations),
                        other => self.sent.push(other),
                    }
                }
                if self.registrar.next_batch().is_some() {
                    let answers = self.registrar.finish(Ok(())).expect("stored");
                    inputs.extend(answers.into_iter().map(Input::RegistryStored));
                }
            }
        }

        fn message(&mut self, from: &str, message: impl Into<mesos::Message>) {
            let (from, message) = (upid(from), message.into());
            self.step(Input::Message { from, message });
        }
    }

    fn cpus() -> Vec<Resource> {
        let mut resource = Resource::new();
        resource.set_name("cpus".to_owned());
        resource.set_type(value::Type::SCALAR);
        resource.scalar.mut_or_insert_default().set_value(1.0);
        vec![resource]
    }

    fn scene(aware: bool) -> Scene {
        let mut info = MasterInfo::new();
        info.set_id("m".to_owned());
        let allocator = HierarchicalAllocator::new(AllocatorOptions::default());
        let mut scene = Scene {
            master: Master::new(MasterConfig::new(info, 0), Box::new(allocator)),
            registrar: Registrar::new(Registry::new()),
            sent: Vec::new(),
        };
        scene.step(Input::Recovered(Box::new(Registry::new())));
        let mut agent = RegisterSlaveMessage::new();
        agent.set_version("1.11.0".to_owned());
        agent.agent_capabilities = AgentCapabilities::all().to_proto();
        let info = agent.slave.mut_or_insert_default();
        info.set_hostname("host".to_owned());
        info.set_checkpoint(true);
        info.resources = cpus();
        scene.message("slave(1)@127.0.0.1:5051", agent);
        let mut framework = RegisterFrameworkMessage::new();
        let info = framework.framework.mut_or_insert_default();
        info.set_user("root".to_owned());
        info.set_name("test".to_owned());
        if aware {
            let mut capability = Capability::new();
            capability.set_type(capability::Type::PARTITION_AWARE);
            info.capabilities.push(capability);
        }
        scene.message("scheduler@127.0.0.1:6000", framework);
        scene
    }

    /// What a framework is told of a launch whose agent went away in between.
    fn told(aware: bool, departure: AgentDeparture) -> (TaskState, Reason) {
        let mut scene = scene(aware);
        let offers: Vec<OfferId> = scene.master.offers.keys().cloned().collect();
        let framework_id = scene.master.offers[&offers[0]].framework_id.clone();
        let accepted = scene.master.take_offers(&framework_id, &offers).expect("offered");
        let agent_id = accepted.agent_id.clone();
        match departure {
            AgentDeparture::Removed => scene.master.remove_agent(&agent_id, "test", None),
            AgentDeparture::Disconnected => scene.master.disconnect_agent(&agent_id),
        }
        scene.step(Input::Exited(upid("nobody@127.0.0.1:1")));
        let mut task = TaskInfo::new();
        task.set_name("t".to_owned());
        task.task_id.mut_or_insert_default().set_value("t".to_owned());
        task.slave_id = Some(agent_id.to_proto()).into();
        task.resources = cpus();
        task.command.mut_or_insert_default().set_value("true".to_owned());
        let mut operation = Operation::new();
        operation.set_type(OperationType::LAUNCH);
        operation.launch.mut_or_insert_default().task_infos.push(task);
        let filters = OfferFilters::from_refuse_seconds(None);
        scene.master.carry_out(accepted, vec![operation], filters);
        scene.sent.clear();
        scene.step(Input::Exited(upid("nobody@127.0.0.1:1")));
        scene.master.check_invariants().expect("nothing half-applied");
        assert!(scene.master.frameworks[&framework_id].tasks.is_empty());
        let status = scene.sent.iter().find_map(|effect| match effect {
            Effect::Send {
                message: mesos::Message::StatusUpdate(update),
                ..
            } => Some((*update.update.status).clone()),
            _ => None,
        });
        let status = status.expect("told");
        assert!(!status.has_uuid());
        (status.state(), status.reason())
    }

    #[test]
    fn launches_on_agents_that_went_away_are_dropped() {
        let removed = Reason::REASON_SLAVE_REMOVED;
        let disconnected = Reason::REASON_SLAVE_DISCONNECTED;
        for (aware, departure, expected) in [
            (true, AgentDeparture::Removed, (TaskState::TASK_DROPPED, removed)),
            (false, AgentDeparture::Removed, (TaskState::TASK_LOST, removed)),
            (
                true,
                AgentDeparture::Disconnected,
                (TaskState::TASK_DROPPED, disconnected),
            ),
            (
                false,
                AgentDeparture::Disconnected,
                (TaskState::TASK_LOST, disconnected),
            ),
        ] {
            assert_eq!(told(aware, departure), expected, "{departure:?}");
        }
    }
}
