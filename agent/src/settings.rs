//! From flags and the machine to what the core and the containerizer are told.

use std::path::{Path, PathBuf};

use libprocess::Upid;
use mesos::attributes::Attributes;
use mesos::flags::Flags;
use mesos_agent_core::{AgentConfig, ReconfigurationPolicy, RecoverMode, Strictness};
use mesos_containerizer::{Config, HelperCommand};
use mesos_node::SettingsError;
use mesos_proto::v0::mesos::SlaveInfo;

use crate::{machine, modules};

/// Search path of executors when the agent itself has none, and of containers that others launch.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The agent's folders, absolute: helpers run with other working directories.
#[derive(Clone, Debug)]
pub struct Folders {
    /// State that survives a restart.
    pub work_dir: PathBuf,
    /// State that a reboot may take.
    pub runtime_dir: PathBuf,
}

impl Folders {
    /// Makes the folders of the flags and finds their absolute paths.
    ///
    /// # Errors
    ///
    /// Names the flag whose folder cannot be had.
    pub fn prepare(flags: &Flags) -> Result<Self, SettingsError> {
        let absolute = |flag: &'static str, path: &Path| {
            let made = std::fs::create_dir_all(path).and_then(|()| path.canonicalize());
            made.map_err(|error| SettingsError::new(flag, &path.display().to_string(), error.to_string()))
        };
        Ok(Self {
            work_dir: absolute("work_dir", Path::new(flags.string("work_dir")))?,
            runtime_dir: absolute("runtime_dir", &runtime_dir(flags))?,
        })
    }
}

/// What executors start from, below what the agent sets for them: the flag, or the agent's own environment without
/// what speaks to the agent itself.
fn base_environment(flags: &Flags) -> Vec<(String, String)> {
    let given = flags
        .json("executor_environment_variables")
        .and_then(|json| json.as_object());
    let mut variables: Vec<(String, String)> = match given {
        Some(given) => given
            .iter()
            // Values are texts: the flag was checked for that.
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        None => std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !name.starts_with("MESOS_") && !name.starts_with("LIBPROCESS_"))
            .collect(),
    };
    if !variables.iter().any(|(name, _)| name == "PATH") {
        variables.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    variables
}

/// How this agent presents itself to masters; the id is the core's to fill in.
///
/// # Errors
///
/// Names the flag whose resources, attributes or domain cannot be read.
pub fn agent_info(flags: &Flags, pid: &Upid, work_dir: &Path) -> Result<SlaveInfo, SettingsError> {
    let mut info = SlaveInfo::new();
    info.set_hostname(mesos_node::hostname(flags, *pid.address().ip()));
    info.set_port(i32::from(pid.address().port()));
    let text = flags.text("resources").unwrap_or_default();
    let wrong = |reason: String| SettingsError::new("resources", text, reason);
    let resources = machine::complete_resources(text, flags.string("default_role"), work_dir);
    info.resources = resources.map_err(|error| wrong(error.to_string()))?.to_protobuf();
    if let Some(text) = flags.text("attributes") {
        let attributes =
            Attributes::parse(text).map_err(|error| SettingsError::new("attributes", text, error.to_string()))?;
        info.attributes = attributes.to_protobuf();
    }
    info.domain = mesos_node::domain(flags)?.into();
    info.set_checkpoint(true);
    Ok(info)
}

/// Settings of the rules.
///
/// # Errors
///
/// Names the flag whose value is out of bounds.
pub fn agent_config(
    flags: &Flags,
    pid: &Upid,
    folders: &Folders,
    launcher_dir: PathBuf,
) -> Result<AgentConfig, SettingsError> {
    let info = agent_info(flags, pid, &folders.work_dir)?;
    let mut config = AgentConfig::new(pid.clone(), info, folders.work_dir.clone());
    config.base_environment = base_environment(flags);
    config.launcher_dir = launcher_dir;
    config.sandbox_directory = PathBuf::from(flags.string("sandbox_directory"));
    config.registration_backoff_factor = flags.duration("registration_backoff_factor");
    config.executor_registration_timeout = flags.duration("executor_registration_timeout");
    config.executor_reregistration_timeout = flags.duration("executor_reregistration_timeout");
    config.executor_reregistration_retry_interval = flags.duration_if_set("executor_reregistration_retry_interval");
    config.executor_shutdown_grace_period = flags.duration("executor_shutdown_grace_period");
    config.recovery_timeout = flags.duration("recovery_timeout");
    config.gc_delay = flags.duration("gc_delay");
    config.gc_disk_headroom = flags.float("gc_disk_headroom").unwrap_or(config.gc_disk_headroom);
    config.disk_watch_interval = flags.duration("disk_watch_interval");
    config.max_completed_executors_per_framework = flags.count("max_completed_executors_per_framework");
    config.recover = match flags.string("recover") {
        "reconnect" => RecoverMode::Reconnect,
        "cleanup" => RecoverMode::Cleanup,
        other => return Err(SettingsError::new("recover", other, "expected reconnect or cleanup")),
    };
    (config.resource_estimator, config.qos_controller) = modules::read(flags)?;
    config.oversubscribed_resources_interval = flags.duration("oversubscribed_resources_interval");
    config.qos_correction_interval_min = flags.duration("qos_correction_interval_min");
    config.reconfiguration_policy = match flags.string("reconfiguration_policy") {
        "additive" => ReconfigurationPolicy::Additive,
        _ => ReconfigurationPolicy::Equal,
    };
    config.strict = if flags.bool("strict") {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    config.enforced_limits = enforced_limits(flags.string("isolation"));
    config.switch_user = flags.bool("switch_user");
    config.http_command_executor = flags.bool("http_command_executor");
    // Executors that receive messages listen where the agent does.
    config.libprocess_ip = flags
        .text("ip")
        .map(str::to_owned)
        .or_else(|| std::env::var("LIBPROCESS_IP").ok());
    config.seed = uuid::Uuid::new_v4().as_u128();
    Ok(config)
}

/// The resources whose limits the isolators hold tasks to.
fn enforced_limits(isolation: &str) -> Vec<String> {
    let isolators: Vec<&str> = isolation.split(',').map(str::trim).collect();
    let held = |name: &&str| {
        isolators
            .iter()
            .any(|isolator| *isolator == "cgroups/all" || *isolator == format!("cgroups/{name}"))
    };
    ["cpus", "mem"]
        .into_iter()
        .filter(|name| held(&name.trim_end_matches('s')))
        .map(str::to_owned)
        .collect()
}

/// Settings of the containerizer.
#[must_use]
pub fn containerizer_config(flags: &Flags, pid: &Upid, folders: &Folders, launcher_dir: &Path) -> Config {
    Config {
        work_dir: folders.work_dir.clone(),
        runtime_dir: folders.runtime_dir.clone(),
        helper: HelperCommand::in_launcher_dir(launcher_dir),
        isolation: flags.string("isolation").to_owned(),
        enforce_container_disk_quota: flags.bool("enforce_container_disk_quota"),
        container_disk_watch_interval: flags.duration("container_disk_watch_interval"),
        switch_user: flags.bool("switch_user"),
        fetcher_stall_timeout: flags.duration("fetcher_stall_timeout"),
        ip: Some(std::net::IpAddr::V4(*pid.address().ip())),
    }
}

/// Folder of what a reboot may take: the flag, or a folder of this user.
fn runtime_dir(flags: &Flags) -> PathBuf {
    if flags.is_given("runtime_dir") {
        return PathBuf::from(flags.string("runtime_dir"));
    }
    let machine_wide = Path::new("/var/run/mesos");
    let writable = std::fs::create_dir_all(machine_wide).is_ok()
        && nix::unistd::access(machine_wide, nix::unistd::AccessFlags::W_OK).is_ok();
    if writable {
        machine_wide.to_owned()
    } else {
        std::env::temp_dir().join("mesos/runtime")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use mesos::flags::Outcome;

    use super::*;

    fn flags(more: &str) -> Flags {
        let arguments = ["--master=127.0.0.1:1", "--work_dir=/w", more].map(OsString::from);
        match mesos::flags::agent::FLAGS.read(arguments, Vec::new()) {
            Ok(Outcome::Run(flags)) => flags,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_environment_of_executors_can_be_replaced_but_for_a_search_path() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let replaced = base_environment(&flags(r#"--executor_environment_variables={"A": "b"}"#));
        assert_eq!(replaced, [pair("A", "b"), pair("PATH", DEFAULT_PATH)]);
        let own_path = base_environment(&flags(r#"--executor_environment_variables={"PATH": "/opt/bin"}"#));
        assert_eq!(own_path, [pair("PATH", "/opt/bin")]);
        let inherited = base_environment(&flags("--strict"));
        assert!(inherited.iter().any(|(name, _)| name == "PATH"));
        assert!(!inherited.iter().any(|(name, _)| name.starts_with("MESOS_")));
    }

    #[test]
    fn limits_are_held_by_control_groups_only() {
        assert!(enforced_limits("posix/cpu,posix/mem").is_empty());
        assert_eq!(enforced_limits("posix/cpu, cgroups/mem"), ["mem"]);
        assert_eq!(enforced_limits("cgroups/cpu"), ["cpus"]);
        assert_eq!(enforced_limits("cgroups/all"), ["cpus", "mem"]);
    }
}
