//! What the containerizer knows of its containers.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::Resource;
use tokio::sync::{Mutex, watch};

use crate::process_tree::TreeRoot;
use crate::termination::Termination;

/// Ends that are remembered for callers that ask late.
const ENDED_MAX: usize = 4096;

/// A container from the call that launches it until its last process has ended.
#[derive(Debug)]
pub(crate) struct Live {
    /// Host path of the sandbox.
    pub sandbox: PathBuf,
    /// The account it runs as; the agent's own when unset.
    pub user: Option<String>,
    /// Requests.
    pub resources: Vec<Resource>,
    /// Ceilings.
    pub limits: BTreeMap<String, f64>,
    /// Its init, once that exists.
    pub root: Option<TreeRoot>,
    /// Held while the sandbox changes: by an update of the outermost container, and by the preparing of those inside
    /// it, which may share folders that the update brings.
    pub changing: Arc<Mutex<()>>,
    /// Set to end the container.
    pub destroy: watch::Sender<bool>,
    /// Filled when the container has ended.
    pub done: watch::Receiver<Option<Termination>>,
}

/// All containers by id.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Those that exist.
    pub live: BTreeMap<ContainerId, Live>,
    ended: VecDeque<(ContainerId, Termination)>,
}

impl Registry {
    /// Moves a container to those that have ended. With an outermost one goes the memory of those inside it.
    pub fn end(&mut self, container_id: &ContainerId, termination: Termination) {
        self.live.remove(container_id);
        if !container_id.is_nested() {
            self.ended.retain(|(ended, _)| ended.root() != container_id);
        }
        self.remember(container_id, termination);
    }

    /// Keeps the end of a container that is not known to run.
    pub fn remember(&mut self, container_id: &ContainerId, termination: Termination) {
        self.ended.push_back((container_id.clone(), termination));
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// Forgets the end of a container.
    pub fn forget(&mut self, container_id: &ContainerId) {
        self.ended.retain(|(ended, _)| ended != container_id);
    }

    /// How a container ended that does not exist any more.
    pub fn termination(&self, container_id: &ContainerId) -> Option<&Termination> {
        self.ended
            .iter()
            .rev()
            .find(|(ended, _)| ended == container_id)
            .map(|(_, termination)| termination)
    }

    /// The lock on the sandbox of the outermost container around this one, or of itself.
    pub fn changing(&self, container_id: &ContainerId) -> Option<Arc<Mutex<()>>> {
        let root = self.live.get(container_id.root())?;
        Some(Arc::clone(&root.changing))
    }

    /// The containers that run directly in another one.
    pub fn nested_in(&self, container_id: &ContainerId) -> Vec<ContainerId> {
        self.live
            .keys()
            .filter(|nested| nested.parent() == Some(container_id))
            .cloned()
            .collect()
    }
}
