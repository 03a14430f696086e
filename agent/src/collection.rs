//! Folders of finished work, removed once they are old enough.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use libprocess::{Context, TimerId};

use crate::process::AgentProcess;
use crate::sandboxes;

/// What waits for its removal, and what became of the rest.
#[derive(Debug, Default)]
pub struct Collections {
    timers: BTreeMap<PathBuf, TimerId>,
    /// Removals that worked.
    pub succeeded: u64,
    /// Removals that did not.
    pub failed: u64,
}

impl Collections {
    /// How many folders wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.timers.len()
    }
}

impl AgentProcess {
    /// Removes a folder after a while; an earlier plan for it is dropped.
    pub(crate) fn schedule_collection(&mut self, path: PathBuf, after: Duration, context: &mut Context<Self>) {
        let due = path.clone();
        let id = context.delay(after, move |agent: &mut Self, context| agent.collect(due, context));
        if let Some(earlier) = self.collections.timers.insert(path, id) {
            context.cancel(earlier);
        }
    }

    /// Keeps a folder after all.
    pub(crate) fn unschedule_collection(&mut self, path: &PathBuf, context: &mut Context<Self>) {
        if let Some(id) = self.collections.timers.remove(path) {
            context.cancel(id);
        }
    }

    fn collect(&mut self, path: PathBuf, context: &mut Context<Self>) {
        self.collections.timers.remove(&path);
        let folder = path.clone();
        context.run_blocking(
            move || {
                let real = folder.canonicalize()?;
                std::fs::remove_dir_all(&folder).map(|()| real)
            },
            move |agent: &mut Self, removed: std::io::Result<PathBuf>, _| match removed {
                Ok(real) => {
                    sandboxes::detach_below(&agent.files, &real);
                    tracing::info!(path = %path.display(), "folder collected");
                    agent.collections.succeeded += 1;
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "folder could not be collected");
                    agent.collections.failed += 1;
                }
            },
        );
    }
}
