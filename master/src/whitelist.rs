//! The file that lists the host names of agents which may be offered (`--whitelist`): one a line, read again and again.
//!
//! An empty file allows no agent. While the file cannot be read what was read last stays in force; before that, all
//! agents are allowed. Offers that are out stay out.
//!
//! Source: shared facts, `flags_master.tsv`, `constants.tsv` (whitelist_watch_interval).

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use libprocess::{Context, Process, ProcessRef};
use mesos_master_core::Input;

use crate::process::MasterProcess;

/// Time between two looks at the file.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Where the flag's value says that the list is; `None` when it allows every agent.
#[must_use]
pub fn path_of(value: &str) -> Option<PathBuf> {
    let path = value.strip_prefix("file://").unwrap_or(value);
    (path != "*").then(|| PathBuf::from(path))
}

/// Reads the list out of the file's text.
fn hostnames(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Looks at the file and tells the master what changed.
pub struct WhitelistWatcher {
    path: PathBuf,
    master: ProcessRef<MasterProcess>,
    last: Option<BTreeSet<String>>,
}

impl WhitelistWatcher {
    /// Watches this file for this master.
    #[must_use]
    pub const fn new(path: PathBuf, master: ProcessRef<MasterProcess>) -> Self {
        Self {
            path,
            master,
            last: None,
        }
    }

    fn watch(context: &mut Context<Self>, path: PathBuf) {
        context.run_blocking(
            move || std::fs::read_to_string(path),
            |watcher, read, context| {
                watcher.take(read);
                context.delay(WATCH_INTERVAL, |watcher, context| {
                    Self::watch(context, watcher.path.clone());
                });
            },
        );
    }

    fn take(&mut self, read: io::Result<String>) {
        let path = self.path.display();
        let list = match read {
            Ok(text) => hostnames(&text),
            Err(error) => {
                tracing::error!(%path, %error, "cannot read the whitelist; what was read last stays in force");
                return;
            }
        };
        if self.last.as_ref() == Some(&list) {
            return;
        }
        tracing::info!(%path, agents = list.len(), "whitelist changed");
        self.last = Some(list.clone());
        self.master
            .dispatch(move |master, context| master.apply(Input::Whitelist(Some(list)), context));
    }
}

impl Process for WhitelistWatcher {
    fn initialize(&mut self, context: &mut Context<Self>) {
        Self::watch(context, self.path.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_names_a_file_or_everything() {
        assert_eq!(path_of("*"), None);
        assert_eq!(path_of("file:///etc/agents"), Some(PathBuf::from("/etc/agents")));
        assert_eq!(path_of("agents"), Some(PathBuf::from("agents")));
    }

    #[test]
    fn each_line_is_a_host_name() {
        assert_eq!(hostnames(""), BTreeSet::new());
        let read = hostnames("one\n\ntwo\r\nthree");
        assert_eq!(read.into_iter().collect::<Vec<_>>(), ["one", "three", "two"]);
    }
}
