//! What holds of operations after every step.

use mesos::ids::FrameworkId;

use super::state::is_terminal;
use crate::Resources;
use crate::master::{InvariantError, Master};
use crate::model::{Agent, Claim, Operation};

impl Master {
    /// Every operation is known to its agent and its framework, and claims nothing after its end.
    pub(crate) fn check_operations(&self) -> Result<(), InvariantError> {
        for agent in self.agents.values() {
            for operation in agent.operations.values() {
                self.check_operation(agent, operation)?;
            }
        }
        for framework in self.frameworks.values() {
            for (uuid, agent_id) in &framework.operations {
                let agent = self.agents.get(agent_id);
                if agent.is_none_or(|agent| !agent.operations.contains_key(uuid)) {
                    let text = format!(
                        "framework {} has operation {uuid}, agent {agent_id} has not",
                        framework.id
                    );
                    return Err(InvariantError(text));
                }
            }
            let unknown = framework.operation_ids.iter();
            let mut unknown = unknown.filter(|(_, uuid)| !framework.operations.contains_key(*uuid));
            if let Some((id, uuid)) = unknown.next() {
                let text = format!(
                    "framework {} names operation {uuid} '{id}', but has it not",
                    framework.id
                );
                return Err(InvariantError(text));
            }
        }
        Ok(())
    }

    fn check_operation(&self, agent: &Agent, operation: &Operation) -> Result<(), InvariantError> {
        let uuid = &operation.uuid;
        let fail = |text: &str| {
            Err(InvariantError(format!(
                "operation {uuid} on agent {}: {text}",
                agent.id
            )))
        };
        if operation.agent_id != agent.id {
            return fail("it belongs to another agent");
        }
        if is_terminal(operation.state()) && operation.claim != Claim::Nothing {
            return fail("it has ended and claims resources");
        }
        let owner = operation.framework_id.as_ref().and_then(|id| self.frameworks.get(id));
        match (&operation.claim, owner) {
            (Claim::Held(_), None) => return fail("it holds resources for a framework that is not there"),
            (Claim::Withheld(_), Some(_)) => return fail("its framework is there and does not hold its resources"),
            _ => {}
        }
        if owner.is_some_and(|framework| framework.operations.get(uuid) != Some(&agent.id)) {
            return fail("its framework does not know it");
        }
        Ok(())
    }
}

impl Agent {
    /// What operations hold for frameworks.
    pub(crate) fn held_by_operations(&self) -> impl Iterator<Item = (&FrameworkId, &Resources)> {
        self.operations.values().filter_map(|operation| match &operation.claim {
            Claim::Held(resources) => operation.framework_id.as_ref().map(|id| (id, resources)),
            Claim::Nothing | Claim::Speculated(_) | Claim::Withheld(_) => None,
        })
    }
}
