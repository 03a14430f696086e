//! Isolators: each guards or measures one thing about containers.
//!
//! Order is written once, in [`create`]: they prepare in that order and clean up in reverse. Cleaning up is safe
//! without preparing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::{ContainerInfo, Resource, ResourceStatistics};
use thiserror::Error;

use crate::process_tree::ProcessStat;

mod filesystem_posix;
mod posix_cpu;
mod posix_mem;
mod volume_sandbox_path;

pub use filesystem_posix::FilesystemPosix;
pub use posix_cpu::PosixCpu;
pub use posix_mem::PosixMem;
pub use volume_sandbox_path::VolumeSandboxPath;

/// Isolator names of Apache Mesos that this containerizer does not offer yet.
const NOT_YET: [&str; 33] = [
    "filesystem/linux",
    "filesystem/shared",
    "cgroups/all",
    "cgroups/blkio",
    "cgroups/cpu",
    "cgroups/cpuset",
    "cgroups/devices",
    "cgroups/hugetlb",
    "cgroups/mem",
    "cgroups/net_cls",
    "cgroups/net_prio",
    "cgroups/perf_event",
    "cgroups/pids",
    "appc/runtime",
    "docker/runtime",
    "docker/volume",
    "linux/capabilities",
    "linux/devices",
    "linux/nnp",
    "linux/seccomp",
    "namespaces/ipc",
    "namespaces/pid",
    "volume/host_path",
    "volume/image",
    "volume/secret",
    "volume/csi",
    "disk/du",
    "disk/xfs",
    "gpu/nvidia",
    "network/cni",
    "network/port_mapping",
    "network/ports",
    "posix/disk",
];

/// Why isolation failed or cannot be set up.
#[derive(Debug, Error)]
pub enum IsolatorError {
    /// The name is known, the isolator is not there.
    #[error("isolator '{0}' is not supported yet; supported: {SUPPORTED}")]
    NotYet(String),
    /// Nobody knows the name.
    #[error("isolator '{0}' is not known; supported: {SUPPORTED}")]
    Unknown(String),
    /// The name stands there twice.
    #[error("isolator '{0}' is named twice")]
    Twice(String),
    /// The container asks for something that needs another isolator.
    #[error("isolator '{isolator}' does not support {what}")]
    Unsupported {
        /// Who refuses.
        isolator: &'static str,
        /// What was asked for.
        what: String,
    },
    /// A volume cannot be put into the sandbox.
    #[error("failed to link a volume to '{}'", path.display())]
    Volume {
        /// Path in the sandbox.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Names for messages; the aliases are left out.
const SUPPORTED: &str = "posix/cpu, posix/mem, posix/rlimits, filesystem/posix, volume/sandbox_path, \
                         environment_secret";

/// What isolators see of a container.
#[derive(Clone, Copy, Debug)]
pub struct Isolated<'a> {
    /// The container.
    pub container_id: &'a ContainerId,
    /// Host path of its sandbox.
    pub sandbox: &'a Path,
    /// Host path of the sandbox of the container around it.
    pub parent_sandbox: Option<&'a Path>,
    /// Its resources.
    pub resources: &'a [Resource],
    /// Its ceilings.
    pub limits: &'a BTreeMap<String, f64>,
    /// Its settings.
    pub container_info: Option<&'a ContainerInfo>,
}

/// Guards or measures one thing about containers. Calls may block; they come from threads that may.
pub trait Isolator: Send + Sync {
    /// The name in the flag `isolation`.
    fn name(&self) -> &'static str;

    /// Takes up a container of an earlier life of the agent.
    ///
    /// # Errors
    ///
    /// Says why it cannot be isolated any more.
    fn recover(&self, _container: Isolated<'_>) -> Result<(), IsolatorError> {
        Ok(())
    }

    /// Makes ready for a container; its first process does not exist yet.
    ///
    /// # Errors
    ///
    /// Says why the container must not be launched.
    fn prepare(&self, _container: Isolated<'_>) -> Result<(), IsolatorError> {
        Ok(())
    }

    /// Puts the container's first process under guard; it has not run the command yet.
    ///
    /// # Errors
    ///
    /// Says why the container must not be launched.
    fn isolate(&self, _container_id: &ContainerId, _pid: i32) -> Result<(), IsolatorError> {
        Ok(())
    }

    /// Follows a change of the container's resources.
    ///
    /// # Errors
    ///
    /// Says why it could not.
    fn update(&self, _container: Isolated<'_>) -> Result<(), IsolatorError> {
        Ok(())
    }

    /// Adds what it measures to `statistics`; `processes` are those of the container now.
    fn usage(&self, _processes: &[ProcessStat], _statistics: &mut ResourceStatistics) {}

    /// Undoes what was done for a container, also for one that was never prepared.
    fn cleanup(&self, _container_id: &ContainerId) {}
}

/// What the flag `isolation` asks for.
pub struct Isolation {
    /// The isolators in the order of preparing.
    pub isolators: Vec<Box<dyn Isolator>>,
    /// Whether resource limits of processes are set (`posix/rlimits`).
    pub rlimits: bool,
}

/// Makes the isolators that `isolation` names, the file system first.
///
/// # Errors
///
/// Names the first entry that is unknown, not there yet or doubled.
pub fn create(isolation: &str, work_dir: &Path) -> Result<Isolation, IsolatorError> {
    let mut names: Vec<&str> = Vec::new();
    for name in isolation.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        // The older names stand for several at once and may overlap with what is there.
        let (expanded, alias): (&[&str], bool) = match name {
            "process" => (&["posix/cpu", "posix/mem"], true),
            "cgroups" => return Err(IsolatorError::NotYet("cgroups".to_owned())),
            name => (&[name], false),
        };
        for name in expanded {
            match names.contains(name) {
                true if alias => {}
                true => return Err(IsolatorError::Twice((*name).to_owned())),
                false => names.push(name),
            }
        }
    }
    let mut isolation = Isolation {
        isolators: vec![Box::new(FilesystemPosix::new(work_dir)), Box::new(VolumeSandboxPath)],
        rlimits: false,
    };
    for name in names {
        match name {
            // These are always there.
            "filesystem/posix" | "volume/sandbox_path" | "environment_secret" => {}
            "posix/cpu" => isolation.isolators.push(Box::new(PosixCpu)),
            "posix/mem" => isolation.isolators.push(Box::new(PosixMem)),
            "posix/rlimits" => isolation.rlimits = true,
            name if NOT_YET.contains(&name) => return Err(IsolatorError::NotYet(name.to_owned())),
            name => return Err(IsolatorError::Unknown(name.to_owned())),
        }
    }
    Ok(isolation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(isolation: &str) -> Result<Vec<&'static str>, String> {
        create(isolation, Path::new("/work"))
            .map(|made| made.isolators.iter().map(|isolator| isolator.name()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_flag_is_read_in_order_with_its_aliases() {
        let default = vec!["filesystem/posix", "volume/sandbox_path", "posix/cpu", "posix/mem"];
        assert_eq!(names("posix/cpu,posix/mem"), Ok(default.clone()));
        assert_eq!(names("process"), Ok(default.clone()));
        assert_eq!(names(" filesystem/posix , process,posix/rlimits"), Ok(default));
        assert!(create("posix/rlimits", Path::new("/")).expect("known").rlimits);
    }

    #[test]
    fn unknown_doubled_and_missing_isolators_are_refused_by_name() {
        assert!(
            names("posix/cpus")
                .expect_err("unknown")
                .contains("'posix/cpus' is not known")
        );
        assert!(
            names("cgroups/mem")
                .expect_err("missing")
                .contains("'cgroups/mem' is not supported yet")
        );
        assert!(
            names("posix/cpu,posix/cpu")
                .expect_err("doubled")
                .contains("'posix/cpu' is named twice")
        );
    }
}
