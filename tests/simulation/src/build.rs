//! What the simulated parts are made of: settings and messages with good defaults.

use std::time::Duration;

use libprocess::Upid;
use mesos_agent_core::AgentConfig;
use mesos_proto::v0::mesos as pb;
use pb::framework_info::capability::Type as FrameworkCapability;

/// What every agent has.
pub const AGENT_CPUS: f64 = 4.0;
/// Memory of every agent, in megabytes.
pub const AGENT_MEM: f64 = 2048.0;
/// Disk of every agent, in megabytes.
pub const AGENT_DISK: f64 = 1000.0;
/// What a task takes.
pub const TASK_CPUS: f64 = 0.5;
/// Memory of a task, in megabytes.
pub const TASK_MEM: f64 = 128.0;
/// What a framework's own executor takes.
pub const EXECUTOR_CPUS: f64 = 0.1;
/// Memory of a framework's own executor, in megabytes.
pub const EXECUTOR_MEM: f64 = 32.0;

/// The framework that keeps reservations and volumes.
pub const KEEPER: usize = 2;
/// Its role.
pub const KEEPER_ROLE: &str = "store";

/// A number of something.
#[must_use]
pub fn scalar(name: &str, value: f64) -> pb::Resource {
    let mut resource = pb::Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(pb::value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(value);
    resource
}

/// Settings of an agent; each life has a seed of its own.
#[must_use]
pub fn agent_config(upid: &Upid, seed: u128) -> AgentConfig {
    let mut info = pb::SlaveInfo::new();
    info.set_hostname(format!("host-{}", upid.address().ip()));
    info.set_port(i32::from(upid.address().port()));
    info.resources = vec![
        scalar("cpus", AGENT_CPUS),
        scalar("mem", AGENT_MEM),
        scalar("disk", AGENT_DISK),
    ];
    AgentConfig {
        executor_registration_timeout: Duration::from_secs(10),
        executor_shutdown_grace_period: Duration::from_secs(3),
        seed,
        ..AgentConfig::new(upid.clone(), info, "/w".into())
    }
}

/// A framework: the first is of the old kind, the second knows partitions and roles, the third refines reservations as
/// well and keeps volumes.
#[must_use]
pub fn framework_info(index: usize) -> pb::FrameworkInfo {
    let mut info = pb::FrameworkInfo::new();
    info.set_user("user".to_owned());
    info.set_name(format!("framework {index}"));
    info.set_checkpoint(true);
    info.set_failover_timeout(7.0 * 24.0 * 3600.0);
    if index > 0 {
        info.roles
            .push(if index == KEEPER { KEEPER_ROLE } else { "web" }.to_owned());
        let refines = (index == KEEPER).then_some(FrameworkCapability::RESERVATION_REFINEMENT);
        let kinds = [FrameworkCapability::MULTI_ROLE, FrameworkCapability::PARTITION_AWARE];
        for kind in kinds.into_iter().chain(refines) {
            let mut capability = pb::framework_info::Capability::new();
            capability.set_type(kind);
            info.capabilities.push(capability);
        }
    }
    info
}

/// An executor that a framework brings along.
#[must_use]
pub fn executor_info(framework: &pb::FrameworkID, id: &str) -> pb::ExecutorInfo {
    let mut executor = pb::ExecutorInfo::new();
    executor.executor_id.mut_or_insert_default().set_value(id.to_owned());
    executor.framework_id = Some(framework.clone()).into();
    executor
        .command
        .mut_or_insert_default()
        .set_value("run-executor".to_owned());
    executor.resources = vec![scalar("cpus", EXECUTOR_CPUS), scalar("mem", EXECUTOR_MEM)];
    executor
}

/// A task for one agent, without command or executor.
#[must_use]
pub fn task_info(id: &str, agent: &pb::SlaveID) -> pb::TaskInfo {
    let mut task = pb::TaskInfo::new();
    task.set_name(id.to_owned());
    task.task_id.mut_or_insert_default().set_value(id.to_owned());
    task.slave_id = Some(agent.clone()).into();
    task.resources = vec![scalar("cpus", TASK_CPUS), scalar("mem", TASK_MEM)];
    task
}

/// How much of a scalar is in an offer.
#[must_use]
pub fn amount(resources: &[pb::Resource], name: &str) -> f64 {
    let named = resources.iter().filter(|resource| resource.name() == name);
    named.map(|resource| resource.scalar.value()).sum()
}
