//! Folders of finished work: each is removed at a certain age, sooner when the disk fills, and not at all when its
//! path is used again.
//!
//! Removal itself is the shell's: it moves a folder out of the way between two checkpoints, so that nothing that is
//! written afterwards can be hit, and deletes it at leisure.
//!
//! Source: shared facts, `flags_agent.tsv` (`gc_delay`, `gc_disk_headroom`, `disk_watch_interval`) and `metrics.tsv`
//! (`gc/...`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libprocess_types::Time;
use tracing::{info, warn};

use crate::agent::Agent;
use crate::effect::Effect;
use crate::input::AgentTimer;
use crate::outbox::When;

/// What became of a folder that was to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// It is gone.
    Removed,
    /// It was not there.
    Absent,
    /// It is still there, at least in part; why, for people.
    Failed(String),
}

/// Folders that wait for their removal.
#[derive(Clone, Debug)]
pub struct Collections {
    due: BTreeMap<PathBuf, Time>,
    removing: BTreeSet<PathBuf>,
    next: Option<Time>,
    allowed_age: Duration,
    succeeded: u64,
    failed: u64,
}

impl Collections {
    pub(crate) fn new(delay: Duration, headroom: f64) -> Self {
        Self {
            due: BTreeMap::new(),
            removing: BTreeSet::new(),
            next: None,
            allowed_age: allowed_age(delay, headroom, 0.0),
            succeeded: 0,
            failed: 0,
        }
    }

    /// How many folders wait or are being removed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.due.len() + self.removing.len()
    }

    /// When a folder is to be removed, if nothing shortens its time.
    #[must_use]
    pub fn due(&self, path: &Path) -> Option<Time> {
        self.due.get(path).copied()
    }

    /// The age that folders may reach at the disk usage that was measured last.
    #[must_use]
    pub const fn allowed_age(&self) -> Duration {
        self.allowed_age
    }

    /// Folders that were removed.
    #[must_use]
    pub const fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Folders that could not be removed.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Takes out what is due at `time`.
    fn take_due(&mut self, time: Time) -> Vec<PathBuf> {
        let ripe = self.due.iter().filter(|(_, due)| **due <= time);
        let ripe: Vec<PathBuf> = ripe.map(|(path, _)| path.clone()).collect();
        for path in &ripe {
            self.due.remove(path);
            self.removing.insert(path.clone());
        }
        ripe
    }
}

/// The age that folders may reach: all of `delay` on an empty disk without headroom, nothing when only the headroom is
/// left. `usage` and `headroom` are shares of the disk, from 0 to 1.
fn allowed_age(delay: Duration, headroom: f64, usage: f64) -> Duration {
    let share = (1.0 - headroom - usage).clamp(0.0, 1.0);
    delay.mul_f64(if share.is_finite() { share } else { 0.0 })
}

impl Agent {
    /// Folders that wait for their removal.
    #[must_use]
    pub const fn collections(&self) -> &Collections {
        &self.collections
    }

    /// Removes a folder once it is old enough. During recovery its age counts from its last change, else from now.
    pub(crate) fn schedule_gc(&mut self, path: PathBuf) {
        let changed = self.folder_times.get(&path).copied().unwrap_or(self.now);
        let due = changed.min(self.now) + self.config.gc_delay;
        self.collections.due.insert(path, due);
        self.set_collection_timer();
    }

    /// Keeps a folder that is used again. One that is being moved away is made anew by whoever uses it.
    pub(crate) fn unschedule_gc(&mut self, path: &Path) {
        self.collections.due.remove(path);
    }

    fn set_collection_timer(&mut self) {
        let Some(first) = self.collections.due.values().min().copied() else {
            return;
        };
        if self.collections.next.is_none_or(|next| first < next) {
            self.collections.next = Some(first);
            let after = first.saturating_since(self.now);
            self.set_timer(AgentTimer::Collection, after);
        }
    }

    /// Some folder has reached its age, unless it is used again.
    pub(crate) fn collect_folders(&mut self) {
        self.collections.next = None;
        self.collect_due_at(self.now);
        self.set_collection_timer();
    }

    fn collect_due_at(&mut self, time: Time) {
        let paths = self.collections.take_due(time);
        if !paths.is_empty() {
            info!(count = paths.len(), "removing folders of finished work");
            self.out.push(When::Held, Effect::CollectFolders { paths });
        }
    }

    /// The shell removed a folder, or could not.
    pub(crate) fn folder_collected(&mut self, path: &Path, result: &Collected) {
        if !self.collections.removing.remove(path) {
            return;
        }
        match result {
            Collected::Removed => self.collections.succeeded += 1,
            Collected::Absent => {}
            Collected::Failed(error) => {
                warn!(path = %path.display(), error, "a folder could not be removed");
                self.collections.failed += 1;
            }
        }
    }

    /// Looks at the disk now and then.
    pub(crate) fn watch_disk(&mut self) {
        self.emit(Effect::MeasureDisk);
        self.set_timer(AgentTimer::DiskWatch, self.config.disk_watch_interval);
    }

    /// How full the disk of the work directory is, as a share from 0 to 1.
    pub(crate) fn disk_measured(&mut self, usage: Result<f64, String>) {
        let usage = match usage {
            Ok(usage) => usage,
            Err(error) => {
                warn!(error, "the disk usage cannot be measured");
                return;
            }
        };
        let delay = self.config.gc_delay;
        let age = allowed_age(delay, self.config.gc_disk_headroom, usage);
        info!(usage, allowed_age = ?age, "disk usage measured");
        self.collections.allowed_age = age;
        // What is due within the rest of the delay has reached the age.
        self.collect_due_at(self.now + delay.saturating_sub(age));
    }

    /// Folders of agents that ran here under other ids. When their work ended is not known: their time begins now.
    pub(crate) fn collect_earlier_agents(&mut self, folders: Vec<PathBuf>) {
        for folder in folders {
            info!(path = %folder.display(), "an earlier agent's folder will be removed");
            self.schedule_gc(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_shrinks_with_the_free_space_above_the_headroom() {
        let week = Duration::from_secs(7 * 24 * 3600);
        for (headroom, usage, share) in [
            (0.0, 0.0, 1.0),
            (0.1, 0.0, 0.9),
            (0.1, 0.5, 0.4),
            (0.1, 0.9, 0.0),
            (0.1, 1.0, 0.0),
            (1.0, 0.0, 0.0),
            (0.1, f64::NAN, 0.0),
        ] {
            let age = allowed_age(week, headroom, usage).as_secs_f64();
            assert!(
                (age - week.as_secs_f64() * share).abs() < 1.0,
                "{headroom} {usage}: {age}"
            );
        }
    }
}
