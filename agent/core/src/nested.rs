//! Containers inside those of executors: what the agent remembers of them for updates of the tasks in them.
//!
//! Source: the recorded exchange `w5`: TASK_STARTING and the terminal update of a task in a group name only its
//! container; updates in between tell process and networks of that container, not those of the executor's.

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos as pb;

use crate::agent::Agent;
use crate::executor::{Executor, ExecutorState};

impl Agent {
    /// A container runs inside that of an executor.
    pub(crate) fn nested_container_running(&mut self, container_id: ContainerId, status: pb::ContainerStatus) {
        if let Some(executor) = self.owner_of(&container_id) {
            executor.nested.insert(container_id, status);
        }
    }

    /// A container inside that of an executor ended.
    pub(crate) fn nested_container_ended(&mut self, container_id: &ContainerId) {
        if let Some(executor) = self.owner_of(container_id) {
            executor.nested.remove(container_id);
        }
    }

    /// The executor that runs in the outermost container of a nested one.
    fn owner_of(&mut self, container_id: &ContainerId) -> Option<&mut Executor> {
        let root = container_id.root();
        self.frameworks
            .values_mut()
            .flat_map(|framework| framework.executors.values_mut())
            .filter(|executor| container_id.is_nested() && executor.state != ExecutorState::Terminated)
            .find(|executor| executor.container_id == *root)
    }
}
