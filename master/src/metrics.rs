//! The master's metrics: read from the core whenever somebody asks, under the names that dashboards know.
//!
//! Source: shared facts, `metrics.tsv`.

mod frameworks;

use std::time::Duration;

use libprocess::metrics::{Metrics, Sample, Timer};
use libprocess::{QueuedEvents, Time};
use mesos_master_core::{Agent, Framework, Master, Phase, Resources};
use mesos_proto::v0::mesos::TaskState;
use mesos_registrar::Registrar;

use crate::http::render::resources::Amounts;
use crate::http::render::{Identity, agent};
use crate::http::roles;

/// Counters that exist from the start; those that nothing counts yet stay zero.
const COUNTERS: &[&str] = &[
    "dropped_messages",
    "http_cache_hits",
    "invalid_executor_to_framework_messages",
    "invalid_framework_to_executor_messages",
    "invalid_operation_status_update_acknowledgements",
    "invalid_operation_status_updates",
    "invalid_status_update_acknowledgements",
    "invalid_status_updates",
    "messages_authenticate",
    "messages_deactivate_framework",
    "messages_decline_offers",
    "messages_executor_to_framework",
    "messages_exited_executor",
    "messages_framework_to_executor",
    "messages_kill_task",
    "messages_launch_tasks",
    "messages_operation_status_update",
    "messages_operation_status_update_acknowledgement",
    "messages_reconcile_operations",
    "messages_reconcile_tasks",
    "messages_register_framework",
    "messages_register_slave",
    "messages_reregister_framework",
    "messages_reregister_slave",
    "messages_resource_request",
    "messages_revive_offers",
    "messages_status_update",
    "messages_status_update_acknowledgement",
    "messages_suppress_offers",
    "messages_unregister_framework",
    "messages_unregister_slave",
    "messages_update_slave",
    "recovery_slave_removals",
    "slave_registrations",
    "slave_removals",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_reregistrations",
    "slave_shutdowns_canceled",
    "slave_shutdowns_completed",
    "slave_shutdowns_scheduled",
    "slave_unreachable_canceled",
    "slave_unreachable_completed",
    "slave_unreachable_scheduled",
    "tasks_dropped",
    "tasks_error",
    "tasks_failed",
    "tasks_finished",
    "tasks_gone",
    "tasks_gone_by_operator",
    "tasks_killed",
    "tasks_lost",
    "valid_executor_to_framework_messages",
    "valid_framework_to_executor_messages",
    "valid_operation_status_update_acknowledgements",
    "valid_operation_status_updates",
    "valid_status_update_acknowledgements",
    "valid_status_updates",
];

/// Kinds of operations that have figures of their own.
const OPERATIONS: [&str; 8] = [
    "reserve",
    "unreserve",
    "create",
    "destroy",
    "grow_volume",
    "shrink_volume",
    "create_disk",
    "destroy_disk",
];
/// Figures of operations, and whether they only grow.
const OPERATION_FIGURES: [(&str, bool); 9] = [
    ("total", true),
    ("pending", false),
    ("recovering", false),
    ("unreachable", false),
    ("finished", true),
    ("failed", true),
    ("error", true),
    ("dropped", true),
    ("gone_by_operator", true),
];

/// Live task states with a gauge.
const LIVE: [(TaskState, &str); 4] = [
    (TaskState::TASK_STAGING, "staging"),
    (TaskState::TASK_STARTING, "starting"),
    (TaskState::TASK_RUNNING, "running"),
    (TaskState::TASK_KILLING, "killing"),
];

/// Where numbers go.
struct Numbers(Vec<(String, Sample)>);

impl Numbers {
    fn gauge(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), Sample::gauge(value)));
    }

    fn counter(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), Sample::counter(value)));
    }

    fn operations(&mut self, figure: &str, grows: bool, value: u64) {
        let name = format!("master/operations/{figure}");
        if grows {
            self.counter(name, float(value));
        } else {
            self.gauge(name, float(value));
        }
    }

    fn amounts(&mut self, prefix: &str, suffix: &str, amounts: &Amounts) {
        for (name, amount) in amounts {
            self.gauge(format!("{prefix}/{name}/{suffix}"), amount.to_f64());
        }
    }

    fn count(&mut self, name: impl Into<String>, count: usize) {
        self.gauge(name, float(count as u64));
    }
}

/// All numbers of a master at one moment.
#[must_use]
pub fn collect(core: &Master, identity: &Identity, queued: QueuedEvents, now: Time) -> Vec<(String, Sample)> {
    let mut numbers = Numbers(Vec::with_capacity(256));
    numbers.gauge(
        "master/uptime_secs",
        now.saturating_since(identity.started).as_secs_f64(),
    );
    numbers.count("master/elected", usize::from(core.phase() == Phase::Leading));
    numbers.count("master/event_queue_messages", queued.messages);
    numbers.count("master/event_queue_dispatches", queued.dispatches);
    numbers.count("master/event_queue_http_requests", queued.http_requests);
    numbers.count("master/outstanding_offers", core.offers().len());
    agents(&mut numbers, core);
    all_frameworks(&mut numbers, core);
    frameworks::principals(&mut numbers, core);
    resources(&mut numbers, core);
    counters(&mut numbers, core);
    operations(&mut numbers, core);
    allocator(&mut numbers, core, now);
    if identity
        .flags
        .get("publish_per_framework_metrics")
        .is_none_or(|value| value == "true")
    {
        for framework in core.frameworks().values() {
            frameworks::one(&mut numbers, framework);
        }
    }
    numbers.0
}

/// How many operators are told what changes.
#[must_use]
pub fn subscribers(count: usize) -> (String, Sample) {
    let name = "master/operator_event_stream_subscribers".to_owned();
    (name, Sample::gauge(float(count as u64)))
}

/// Numbers of the registrar. Its storage answers at once: no operation waits between two events.
#[must_use]
pub fn registrar(registrar: &Registrar) -> Vec<(String, Sample)> {
    let queued = registrar.queued_operations() as u64;
    vec![
        ("registrar/queued_operations".to_owned(), Sample::gauge(float(queued))),
        (
            "registrar/registry_size_bytes".to_owned(),
            Sample::gauge(float(registrar.size())),
        ),
    ]
}

/// Measures how long the registry takes to be stored.
#[must_use]
pub fn state_store(metrics: &Metrics) -> Timer {
    metrics.timer("registrar/state_store_ms", Some(Duration::from_secs(24 * 60 * 60)))
}

/// Measures how long the registry takes to be read.
#[must_use]
pub fn state_fetch(metrics: &Metrics) -> Timer {
    metrics.timer("registrar/state_fetch_ms", None)
}

fn agents(numbers: &mut Numbers, core: &Master) {
    let count = |matches: fn(&Agent) -> bool| core.agents().values().filter(|agent| matches(agent)).count();
    numbers.count("master/slaves_connected", count(mesos_master_core::Agent::is_connected));
    numbers.count("master/slaves_disconnected", count(|agent| !agent.is_connected()));
    numbers.count("master/slaves_active", count(mesos_master_core::Agent::is_active));
    numbers.count("master/slaves_inactive", count(|agent| !agent.is_active()));
    numbers.count("master/slaves_unreachable", core.unreachable_agents().len());
}

fn all_frameworks(numbers: &mut Numbers, core: &Master) {
    let all = || core.frameworks().values();
    let count = |matches: fn(&Framework) -> bool| all().filter(|framework| matches(framework)).count();
    numbers.count(
        "master/frameworks_connected",
        count(mesos_master_core::Framework::is_connected),
    );
    numbers.count(
        "master/frameworks_disconnected",
        count(|framework| !framework.is_connected()),
    );
    numbers.count(
        "master/frameworks_active",
        count(mesos_master_core::Framework::is_active),
    );
    numbers.count("master/frameworks_inactive", count(|framework| !framework.is_active()));
    for (state, name) in LIVE {
        let tasks = all().flat_map(|framework| framework.tasks().values());
        let count = tasks.filter(|task| task.state() == state).count();
        numbers.count(format!("master/tasks_{name}"), count);
    }
    let unreachable = all().map(|framework| framework.unreachable_tasks().len()).sum();
    numbers.count("master/tasks_unreachable", unreachable);
}

fn resources(numbers: &mut Numbers, core: &Master) {
    let total: Resources = core.agents().values().map(Agent::total).sum();
    let used: Resources = core.agents().values().map(agent::used).sum();
    for (suffix, total, used) in [
        ("", total.nonrevocable(), used.nonrevocable()),
        ("_revocable", total.revocable(), used.revocable()),
    ] {
        for name in ["cpus", "gpus", "mem", "disk"] {
            let (total, used) = (total.get_scalar(name).to_f64(), used.get_scalar(name).to_f64());
            numbers.gauge(format!("master/{name}{suffix}_total"), total);
            numbers.gauge(format!("master/{name}{suffix}_used"), used);
            let share = if total > 0.0 { used / total } else { 0.0 };
            numbers.gauge(format!("master/{name}{suffix}_percent"), share);
        }
    }
}

fn counters(numbers: &mut Numbers, core: &Master) {
    for name in COUNTERS {
        let name = format!("master/{name}");
        let value = core.counters().get(name.as_str()).copied().unwrap_or(0);
        numbers.counter(name, float(value));
    }
    for (name, value) in core.counters() {
        let listed = name
            .strip_prefix("master/")
            .is_some_and(|name| COUNTERS.contains(&name));
        if !listed {
            numbers.counter(*name, float(*value));
        }
    }
}

/// Operations by kind, and all together.
fn operations(numbers: &mut Numbers, core: &Master) {
    let pending = core.pending_operations();
    for (figure, grows) in OPERATION_FIGURES {
        let mut all = 0;
        for kind in OPERATIONS {
            let value = match figure {
                "pending" => pending.get(kind).copied().unwrap_or_default(),
                _ => core.operation_counts().get(kind, figure),
            };
            all += value;
            numbers.operations(&format!("{kind}/{figure}"), grows, value);
        }
        numbers.operations(figure, grows, all);
    }
}

fn allocator(numbers: &mut Numbers, core: &Master, now: Time) {
    let metrics = core.allocator().metrics(now);
    // Calls of the allocator run inside the master's steps: nothing ever waits for it.
    numbers.count("allocator/event_queue_dispatches", 0);
    numbers.count("allocator/mesos/event_queue_dispatches", 0);
    numbers.counter("allocator/mesos/allocation_runs", float(metrics.allocation_runs));
    numbers.amounts("allocator/mesos/resources", "total", &metrics.total);
    let held = &metrics.offered_or_allocated;
    numbers.amounts("allocator/mesos/resources", "offered_or_allocated", held);
    for (role, quota) in &metrics.quotas {
        let prefix = format!("allocator/mesos/quota/roles/{role}/resources");
        numbers.amounts(&prefix, "guarantee", &quota.quota.guarantees);
        numbers.amounts(&prefix, "limit", &quota.quota.limits);
        numbers.amounts(&prefix, "offered_or_allocated", &quota.offered_or_allocated);
    }
    for (role, known) in roles::roles(core) {
        let prefix = format!("allocator/mesos/quota/roles/{role}/resources");
        numbers.amounts(&prefix, "consumed", &known.consumed);
        let filters = metrics.offer_filters_active.get(&role).copied().unwrap_or(0);
        let name = format!("allocator/mesos/offer_filters/roles/{role}/active");
        numbers.gauge(name, float(filters));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}
