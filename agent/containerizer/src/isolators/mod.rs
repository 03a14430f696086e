//! Isolators: each guards or measures one thing about containers.
//!
//! Order is written once, in [`create`]: they prepare in that order and clean up in reverse. Cleaning up is safe
//! without preparing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{ContainerInfo, Resource, ResourceStatistics};
use thiserror::Error;

use crate::process_tree::ProcessStat;

mod disk_du;
mod filesystem_posix;
mod posix_cpu;
mod posix_mem;
mod volume_sandbox_path;

pub use disk_du::DiskDu;
pub use filesystem_posix::FilesystemPosix;
pub use posix_cpu::PosixCpu;
pub use posix_mem::PosixMem;
pub use volume_sandbox_path::VolumeSandboxPath;

/// Isolator names of Apache Mesos that this containerizer does not offer yet.
const NOT_YET: [&str; 31] = [
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
    "disk/xfs",
    "gpu/nvidia",
    "network/cni",
    "network/port_mapping",
    "network/ports",
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
const SUPPORTED: &str = "posix/cpu, posix/mem, posix/rlimits, disk/du, filesystem/posix, volume/sandbox_path, \
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

/// A limit that a container broke.
#[derive(Clone, Debug, PartialEq)]
pub struct Limitation {
    /// The resources that it used more of than it had.
    pub resources: Vec<Resource>,
    /// What its tasks are told.
    pub reason: Reason,
    /// The same for people.
    pub message: String,
}

/// What isolators are told of the agent.
#[derive(Clone, Copy, Debug)]
pub struct IsolatorSettings<'a> {
    /// Names as in the flag `isolation`.
    pub isolation: &'a str,
    /// Where persistent volumes stand.
    pub work_dir: &'a Path,
    /// Whether more than the disk quota ends a container.
    pub enforce_disk_quota: bool,
    /// Time between looks at the disk.
    pub disk_watch_interval: Duration,
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

    /// How often [`Isolator::watch`] wants to look; `None`: never.
    fn watch_interval(&self) -> Option<Duration> {
        None
    }

    /// Looks whether a container broke what this isolator guards; then the container is ended.
    fn watch(&self, _container_id: &ContainerId) -> Option<Limitation> {
        None
    }

    /// Adds what it measures to `statistics`; `processes` are those of the container now.
    fn usage(&self, _container_id: &ContainerId, _processes: &[ProcessStat], _statistics: &mut ResourceStatistics) {}

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

/// Makes the isolators that the settings name, the file system first.
///
/// # Errors
///
/// Names the first entry that is unknown, not there yet or doubled.
pub fn create(settings: IsolatorSettings<'_>) -> Result<Isolation, IsolatorError> {
    let mut names: Vec<&str> = Vec::new();
    for name in settings
        .isolation
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        // The older names stand for several at once and may overlap with what is there.
        let (expanded, alias): (&[&str], bool) = match name {
            "process" => (&["posix/cpu", "posix/mem"], true),
            "posix/disk" => (&["disk/du"], true),
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
        isolators: vec![
            Box::new(FilesystemPosix::new(settings.work_dir)),
            Box::new(VolumeSandboxPath),
        ],
        rlimits: false,
    };
    for name in names {
        match name {
            // These are always there.
            "filesystem/posix" | "volume/sandbox_path" | "environment_secret" => {}
            "posix/cpu" => isolation.isolators.push(Box::new(PosixCpu)),
            "posix/mem" => isolation.isolators.push(Box::new(PosixMem)),
            "posix/rlimits" => isolation.rlimits = true,
            "disk/du" => {
                let du = DiskDu::new(settings.enforce_disk_quota, settings.disk_watch_interval);
                isolation.isolators.push(Box::new(du));
            }
            name if NOT_YET.contains(&name) => return Err(IsolatorError::NotYet(name.to_owned())),
            name => return Err(IsolatorError::Unknown(name.to_owned())),
        }
    }
    Ok(isolation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(isolation: &str) -> IsolatorSettings<'_> {
        IsolatorSettings {
            isolation,
            work_dir: Path::new("/work"),
            enforce_disk_quota: false,
            disk_watch_interval: Duration::from_secs(15),
        }
    }

    fn names(isolation: &str) -> Result<Vec<&'static str>, String> {
        create(settings(isolation))
            .map(|made| made.isolators.iter().map(|isolator| isolator.name()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_flag_is_read_in_order_with_its_aliases() {
        let default = vec!["filesystem/posix", "volume/sandbox_path", "posix/cpu", "posix/mem"];
        assert_eq!(names("posix/cpu,posix/mem"), Ok(default.clone()));
        assert_eq!(names("process"), Ok(default.clone()));
        assert_eq!(names(" filesystem/posix , process,posix/rlimits"), Ok(default));
        assert_eq!(
            names("posix/disk,disk/du"),
            Err("isolator 'disk/du' is named twice".to_owned())
        );
        assert_eq!(
            names("posix/disk"),
            Ok(vec!["filesystem/posix", "volume/sandbox_path", "disk/du"])
        );
        assert!(create(settings("posix/rlimits")).expect("known").rlimits);
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
