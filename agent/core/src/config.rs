//! What the agent's rules are told once, at start.

use std::path::PathBuf;
use std::time::Duration;

use crate::oversubscription::{QosController, ResourceEstimator};
use crate::reconfiguration::ReconfigurationPolicy;
use libprocess_types::Upid;
use mesos_proto::v0::mesos as pb;
use pb::slave_info::capability::Type as Capability;

/// What an agent does with executors that it finds after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecoverMode {
    /// Adopt the executors that still run.
    #[default]
    Reconnect,
    /// Kill every executor and stop, as before an incompatible upgrade.
    Cleanup,
}

/// How strictly recovery takes damaged checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// An error in the checkpoints stops the agent.
    #[default]
    Strict,
    /// Errors are counted and the damaged parts are left out.
    Lenient,
}

/// Settings of an agent core. Flags are parsed elsewhere; durations here are already checked.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Address of the agent's own process, `slave(1)@ip:port`.
    pub pid: Upid,
    /// What the agent announces: hostname, port, resources, attributes, domain. An id is set by registration or
    /// recovery. Resources may stand in any reservation format.
    pub info: pb::SlaveInfo,
    /// Version told to masters, `X.Y.Z`.
    pub version: String,
    /// Announced capabilities, in the order of the announcement.
    pub capabilities: Vec<Capability>,
    /// Absolute path of the work directory.
    pub work_dir: PathBuf,
    /// Absolute path of the directory that holds `mesos-executor`.
    pub launcher_dir: PathBuf,
    /// Path of the sandbox inside containers that have a root file system of their own.
    pub sandbox_directory: PathBuf,
    /// Base of the registration back-off; 1 s.
    pub registration_backoff_factor: Duration,
    /// Time from launch to registration of an executor; 1 min.
    pub executor_registration_timeout: Duration,
    /// Time executors have to come back after an agent restart; 2 s.
    pub executor_reregistration_timeout: Duration,
    /// Repeats the reconnect message to libprocess executors when set.
    pub executor_reregistration_retry_interval: Option<Duration>,
    /// Time between the shutdown of an executor and its destruction; 5 s.
    pub executor_shutdown_grace_period: Duration,
    /// Period of HEARTBEAT events to v1 executors; 30 min.
    pub executor_heartbeat_interval: Duration,
    /// How long executors keep waiting for a missing agent; 15 min.
    pub recovery_timeout: Duration,
    /// Age at which sandboxes and checkpoints of finished work are removed; 1 week.
    pub gc_delay: Duration,
    /// Share of the disk that is to stay free, from 0 to 1; folders are removed earlier for it; 0.1.
    pub gc_disk_headroom: f64,
    /// How often the disk's usage is measured; 1 min.
    pub disk_watch_interval: Duration,
    /// How much may be lent as revocable; nothing without one.
    pub resource_estimator: Option<ResourceEstimator>,
    /// How often the estimate is made; 15 s.
    pub oversubscribed_resources_interval: Duration,
    /// When revocable resources are taken back; never without one.
    pub qos_controller: Option<QosController>,
    /// Shortest time between two looks at whether they must be; 0.
    pub qos_correction_interval_min: Duration,
    /// Frameworks remembered after they ended; 50.
    pub max_completed_frameworks: usize,
    /// Executors remembered for each framework; 150.
    pub max_completed_executors_per_framework: usize,
    /// Tasks remembered for each executor; 200.
    pub max_completed_tasks_per_executor: usize,
    /// What happens to executors found after a restart.
    pub recover: RecoverMode,
    /// How far the agent may differ from its earlier life.
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// How damaged checkpoints are taken.
    pub strict: Strictness,
    /// Names of the resources whose limits (`TaskInfo.limits`) an isolator of this agent holds tasks to.
    pub enforced_limits: Vec<String>,
    /// Run executors as the user of the framework or command.
    pub switch_user: bool,
    /// The command executor speaks the v1 API.
    pub http_command_executor: bool,
    /// `LIBPROCESS_IP` of the agent, handed on to executors when it is set.
    pub libprocess_ip: Option<String>,
    /// Variables that executors inherit: the agent's own without `MESOS_*` and `LIBPROCESS_*`, and a search path.
    pub base_environment: Vec<(String, String)>,
    /// Unix socket for v1 executors, when they use one.
    pub domain_socket: Option<PathBuf>,
    /// Seed of every random choice: back-offs and UUIDs. Must be fresh for each start of a real agent, since container
    /// ids come from it.
    pub seed: u128,
}

impl AgentConfig {
    /// The defaults of Apache Mesos around the three things that have none.
    ///
    /// Source: shared facts, `constants.tsv` and `flags_agent.tsv`.
    #[must_use]
    pub fn new(pid: Upid, info: pb::SlaveInfo, work_dir: PathBuf) -> Self {
        Self {
            pid,
            info,
            version: "1.11.0".to_owned(),
            capabilities: vec![
                Capability::MULTI_ROLE,
                Capability::HIERARCHICAL_ROLE,
                Capability::RESERVATION_REFINEMENT,
                Capability::RESOURCE_PROVIDER,
                Capability::RESIZE_VOLUME,
                Capability::AGENT_OPERATION_FEEDBACK,
                Capability::AGENT_DRAINING,
                Capability::TASK_RESOURCE_LIMITS,
            ],
            work_dir,
            launcher_dir: PathBuf::from("/usr/libexec/mesos"),
            sandbox_directory: PathBuf::from("/mnt/mesos/sandbox"),
            registration_backoff_factor: Duration::from_secs(1),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_reregistration_retry_interval: None,
            executor_shutdown_grace_period: Duration::from_secs(5),
            executor_heartbeat_interval: Duration::from_secs(30 * 60),
            recovery_timeout: Duration::from_secs(15 * 60),
            gc_delay: Duration::from_secs(7 * 24 * 3600),
            gc_disk_headroom: 0.1,
            disk_watch_interval: Duration::from_secs(60),
            resource_estimator: None,
            oversubscribed_resources_interval: Duration::from_secs(15),
            qos_controller: None,
            qos_correction_interval_min: Duration::ZERO,
            max_completed_frameworks: 50,
            max_completed_executors_per_framework: 150,
            max_completed_tasks_per_executor: 200,
            recover: RecoverMode::default(),
            reconfiguration_policy: ReconfigurationPolicy::default(),
            strict: Strictness::default(),
            enforced_limits: Vec::new(),
            switch_user: true,
            http_command_executor: false,
            libprocess_ip: None,
            base_environment: Vec::new(),
            domain_socket: None,
            seed: 0,
        }
    }
}
