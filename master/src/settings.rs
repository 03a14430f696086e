//! From flags to what the core, the allocator and the node are told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libprocess::Upid;
use mesos::flags::{Flags, checks};
use mesos::resources::ResourceQuantities;
use mesos::values::Scalar;
use mesos_allocator::api::{AllocatorOptions, SorterKind};
use mesos_allocator::constraints::ExpressionLimits;
use mesos_master_core::{MasterConfig, RateLimits};
use mesos_node::SettingsError;
use mesos_proto::v0::mesos::master_info::capability::Type as Capability;
use mesos_proto::v0::mesos::{Address, MasterInfo, master_info};
use protobuf::MessageField;

/// How this master presents itself.
///
/// The address as a number is in network order read as a host integer, as C++ Mesos has it.
///
/// # Errors
///
/// Says what is wrong with the domain.
pub fn master_info(flags: &Flags, pid: &Upid) -> Result<MasterInfo, SettingsError> {
    let ip = *pid.address().ip();
    let hostname = mesos_node::hostname(flags, ip);
    let mut info = MasterInfo::new();
    info.set_id(uuid::Uuid::new_v4().to_string());
    info.set_ip(u32::from_ne_bytes(ip.octets()));
    info.set_port(u32::from(pid.address().port()));
    info.set_pid(pid.to_string());
    info.set_hostname(hostname.clone());
    info.set_version(mesos::version::MESOS_VERSION.to_owned());
    let mut address = Address::new();
    address.set_hostname(hostname);
    address.set_ip(ip.to_string());
    address.set_port(i32::from(pid.address().port()));
    info.address = MessageField::some(address);
    info.domain = mesos_node::domain(flags)?.into();
    for kind in [
        Capability::AGENT_UPDATE,
        Capability::AGENT_DRAINING,
        Capability::QUOTA_V2,
    ] {
        let mut capability = master_info::Capability::new();
        capability.set_type(kind);
        info.capabilities.push(capability);
    }
    Ok(info)
}

/// Settings of the rules.
///
/// # Errors
///
/// Names the flag whose value is out of bounds.
pub fn master_config(flags: &Flags, info: MasterInfo, seed: u64) -> Result<MasterConfig, SettingsError> {
    let mut config = MasterConfig::new(info, seed);
    config.agent_ping_timeout = flags.duration("agent_ping_timeout");
    config.max_agent_ping_timeouts = u32::try_from(flags.uint("max_agent_ping_timeouts")).unwrap_or(u32::MAX);
    config.agent_reregister_timeout = flags.duration("agent_reregister_timeout");
    config.recovery_agent_removal_limit = percentage(flags, "recovery_agent_removal_limit")?;
    config.agent_removal_interval = removal_interval(flags)?;
    config.rate_limits = rate_limits(flags)?;
    config.expression_limits = ExpressionLimits {
        memory_bytes: flags
            .bytes("offer_constraints_re2_max_mem")
            .map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        program_size: flags.count("offer_constraints_re2_max_program_size"),
    };
    config.offer_timeout = flags.duration_if_set("offer_timeout");
    config.allocation_interval = flags.duration("allocation_interval");
    config.max_completed_frameworks = flags.count("max_completed_frameworks");
    config.max_completed_tasks_per_framework = flags.count("max_completed_tasks_per_framework");
    config.max_unreachable_tasks_per_framework = flags.count("max_unreachable_tasks_per_framework");
    config.registry_gc_interval = flags.duration("registry_gc_interval");
    config.registry_max_agent_age = flags.duration("registry_max_agent_age");
    config.registry_max_agent_count = flags.count("registry_max_agent_count");
    config.root_submissions = flags.bool("root_submissions");
    let roles: BTreeSet<String> = flags.list("roles").into_iter().map(str::to_owned).collect();
    config.role_whitelist = Some(roles).filter(|roles| !roles.is_empty());
    config.weights = weights(flags)?;
    config.require_agent_domain = flags.bool("require_agent_domain");
    Ok(config)
}

/// Time between two removals, from a rate such as `1/10mins`.
fn removal_interval(flags: &Flags) -> Result<Option<Duration>, SettingsError> {
    let Some(text) = flags.text("agent_removal_rate_limit") else {
        return Ok(None);
    };
    let wrong = |reason: String| SettingsError::new("agent_removal_rate_limit", text, reason);
    let (count, time) = checks::parse_rate(text).map_err(wrong)?;
    let interval = Duration::try_from_secs_f64(time.as_secs_f64() / count);
    interval.map(Some).map_err(|error| wrong(error.to_string()))
}

fn rate_limits(flags: &Flags) -> Result<RateLimits, SettingsError> {
    let Some(json) = flags.json("rate_limits") else {
        return Ok(RateLimits::none());
    };
    let wrong = |reason: String| SettingsError::new("rate_limits", &json.to_string(), reason);
    let message = mesos::json::from_value(json).map_err(|error| wrong(error.to_string()))?;
    RateLimits::from_proto(&message).map_err(|error| wrong(error.to_string()))
}

fn percentage(flags: &Flags, flag: &'static str) -> Result<f64, SettingsError> {
    let text = flags.string(flag);
    let share = checks::parse_percent(text).map_err(|reason| SettingsError::new(flag, text, reason))?;
    Ok(share * 100.0)
}

/// Settings of the allocator.
///
/// # Errors
///
/// Names the flag whose value cannot be read.
pub fn allocator_options(flags: &Flags, seed: u64) -> Result<AllocatorOptions, SettingsError> {
    Ok(AllocatorOptions {
        allocation_interval: flags.duration("allocation_interval"),
        role_sorter: sorter(flags, "role_sorter")?,
        framework_sorter: sorter(flags, "framework_sorter")?,
        fair_sharing_excluded: flags
            .list("fair_sharing_excluded_resource_names")
            .into_iter()
            .map(str::to_owned)
            .collect(),
        filter_gpu_resources: flags.bool("filter_gpu_resources"),
        min_allocatable: min_allocatable(flags.string("min_allocatable_resources"))?,
        agent_recovery_factor: flags.float("allocator_agent_recovery_factor").unwrap_or(0.8),
        recovery_timeout: flags.duration("allocator_recovery_timeout"),
        region: mesos_node::domain(flags)?.map(|domain| domain.fault_domain.region.name().to_owned()),
        seed,
        ..AllocatorOptions::default()
    })
}

fn sorter(flags: &Flags, flag: &'static str) -> Result<SorterKind, SettingsError> {
    match flags.string(flag) {
        "drf" => Ok(SorterKind::Drf),
        "random" => Ok(SorterKind::Random),
        other => Err(SettingsError::new(flag, other, "expected drf or random")),
    }
}

/// Reads `cpus:0.01|mem:32`: alternatives of quantities that make an offer worth making.
fn min_allocatable(text: &str) -> Result<Vec<BTreeMap<String, Scalar>>, SettingsError> {
    let alternatives = checks::parse_min_allocatable(text)
        .map_err(|reason| SettingsError::new("min_allocatable_resources", text, reason))?;
    let by_name = |quantities: &ResourceQuantities| {
        let amounts = quantities.iter().map(|(name, amount)| (name.to_string(), amount));
        amounts.collect()
    };
    Ok(alternatives.iter().map(by_name).collect())
}

/// Reads `role=weight,role=weight`.
///
/// # Errors
///
/// Names the flag when a pair cannot be read or a weight is not above zero.
pub fn weights(flags: &Flags) -> Result<BTreeMap<String, f64>, SettingsError> {
    let text = flags.text("weights").unwrap_or_default();
    let weights = checks::parse_weights(text).map_err(|reason| SettingsError::new("weights", text, reason))?;
    Ok(weights.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<MasterConfig, SettingsError> {
        let arguments = arguments.iter().map(std::ffi::OsString::from);
        let outcome = mesos::flags::master::FLAGS.read(arguments, Vec::new());
        let Ok(mesos::flags::Outcome::Run(flags)) = outcome else {
            panic!("flags: {outcome:?}")
        };
        let pid: Upid = "master@127.0.0.1:5050".parse().expect("an address");
        let info = master_info(&flags, &pid)?;
        allocator_options(&flags, 0)?;
        master_config(&flags, info, 0)
    }

    #[test]
    fn limits_and_domain_come_from_flags() {
        let config = settings(&[
            "--agent_removal_rate_limit=1/10mins",
            "--offer_constraints_re2_max_mem=8KB",
            "--offer_constraints_re2_max_program_size=50",
            r#"--rate_limits={"limits":[{"principal":"a","qps":2.5,"capacity":10},{"principal":"b"}]}"#,
            r#"--domain={"fault_domain":{"region":{"name":"west"},"zone":{"name":"w-1"}}}"#,
        ]);
        let config = config.expect("good flags");
        assert_eq!(config.agent_removal_interval, Some(Duration::from_secs(600)));
        assert_eq!(config.expression_limits.memory_bytes, 8192);
        assert_eq!(config.expression_limits.program_size, 50);
        assert_ne!(config.rate_limits, RateLimits::none());
        assert_eq!(config.info.domain.fault_domain.zone.name(), "w-1");
    }

    #[test]
    fn limits_that_make_no_sense_name_the_flag_and_the_value() {
        let rows = [
            (
                r#"{"limits":[{"principal":"a","qps":0}]}"#,
                "`qps` of principal `a` is 0",
            ),
            (
                r#"{"limits":[{"principal":"a","qps":-1}]}"#,
                "`qps` of principal `a` is -1",
            ),
            (
                r#"{"limits":[{"principal":"a"},{"principal":"a"}]}"#,
                "principal `a` twice",
            ),
            (
                r#"{"limits":[],"aggregate_default_qps":0}"#,
                "`aggregate_default_qps` is 0",
            ),
            (r#"{"limits":[{"qps":1}]}"#, "principal"),
        ];
        for (json, text) in rows {
            let error = settings(&[&format!("--rate_limits={json}")])
                .expect_err(json)
                .to_string();
            assert!(error.contains("--rate_limits") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn alternatives_of_quantities_are_read() {
        let read = min_allocatable("cpus:0.01|mem:32;disk:5").expect("valid");
        let scalar = Scalar::from_f64;
        assert_eq!(
            read,
            [
                BTreeMap::from([("cpus".to_owned(), scalar(0.01))]),
                BTreeMap::from([("mem".to_owned(), scalar(32.0)), ("disk".to_owned(), scalar(5.0))]),
            ]
        );
        for text in ["cpus", "cpus:x", "cpus:-1", "cpus:NaN"] {
            let error = min_allocatable(text).expect_err(text);
            assert!(error.to_string().contains("min_allocatable_resources") && error.to_string().contains(text));
        }
    }
}
