//! Operations whose framework is not there. What they consume belongs to nobody whom the allocator knows, so it leaves
//! the agent's total until the operation ends or the framework returns.

use mesos::ids::{AgentId, FrameworkId};

use crate::master::Master;
use crate::model::{Agent, Claim, Operation, OperationUuid};

impl Master {
    /// A framework ends: its open operations go on without it. Gives the agents whose totals change; the allocator
    /// hears of them when it has forgotten the framework.
    pub(crate) fn orphan_operations(&mut self, framework_id: &FrameworkId) -> Vec<AgentId> {
        let Some(framework) = self.frameworks.get_mut(framework_id) else {
            return Vec::new();
        };
        framework.operation_ids.clear();
        let mut changed = Vec::new();
        for (uuid, agent_id) in std::mem::take(&mut framework.operations) {
            let Some(agent) = self.agents.get_mut(&agent_id) else {
                continue;
            };
            if agent.withhold(framework_id, &uuid) && !changed.contains(&agent_id) {
                changed.push(agent_id);
            }
        }
        changed
    }

    /// A framework comes, or comes back: operations that agents have of it are its own again.
    pub(crate) fn adopt_operations(&mut self, framework_id: &FrameworkId) -> Vec<(AgentId, OperationUuid)> {
        let mut adopted = Vec::new();
        let mut changed = Vec::new();
        for agent in self.agents.values_mut() {
            let own = agent.operations.values();
            let own: Vec<OperationUuid> = own
                .filter(|operation| operation.framework_id.as_ref() == Some(framework_id))
                .map(|operation| operation.uuid.clone())
                .collect();
            for uuid in own {
                if agent.give_back(framework_id, &uuid) {
                    changed.push(agent.id.clone());
                }
                adopted.push((agent.id.clone(), uuid));
            }
        }
        for agent_id in changed {
            self.tell_allocator_total(&agent_id);
        }
        adopted
    }

    /// Notes which operations a framework has that was just added.
    pub(crate) fn index_operations(&mut self, framework_id: &FrameworkId, adopted: Vec<(AgentId, OperationUuid)>) {
        for (agent_id, uuid) in adopted {
            let operation = self.agents.get(&agent_id).and_then(|agent| agent.operations.get(&uuid));
            let id = operation.and_then(Operation::id);
            if let Some(framework) = self.frameworks.get_mut(framework_id) {
                framework.operations.insert(uuid.clone(), agent_id);
                if let Some(id) = id {
                    framework.operation_ids.insert(id, uuid);
                }
            }
        }
    }

    /// Tells the allocator what an agent has now.
    pub(crate) fn tell_allocator_total(&mut self, agent_id: &AgentId) {
        if let Some(agent) = self.agents.get(agent_id) {
            let info = self.machines.allocator_info(agent);
            self.allocator
                .update_agent(self.now, agent_id, info, Some(&agent.total));
        }
    }
}

impl Agent {
    /// Takes what an operation holds out of the used resources and out of the total; whether there was something.
    fn withhold(&mut self, framework_id: &FrameworkId, uuid: &OperationUuid) -> bool {
        let Some(operation) = self.operations.get_mut(uuid) else {
            return false;
        };
        let Claim::Held(resources) = &operation.claim else {
            return false;
        };
        let resources = resources.clone();
        operation.claim = Claim::Withheld(resources.clone());
        self.release(framework_id, &resources);
        self.total -= &resources.unallocate();
        true
    }

    /// The reverse of [`Agent::withhold`].
    fn give_back(&mut self, framework_id: &FrameworkId, uuid: &OperationUuid) -> bool {
        let Some(operation) = self.operations.get_mut(uuid) else {
            return false;
        };
        let Claim::Withheld(resources) = &operation.claim else {
            return false;
        };
        let resources = resources.clone();
        operation.claim = Claim::Held(resources.clone());
        self.total += resources.unallocate();
        self.hold(framework_id, &resources);
        true
    }
}
