//! The agent's metrics: computed from the core's state whenever somebody asks.
//!
//! Source: shared facts, `metrics.tsv`.

use std::time::Duration;

use libprocess::metrics::Sample;
use libprocess::{Context, Time};
use mesos::resources::Resources;
use mesos_agent_core::{Agent, AgentState, Counters, Executor, ExecutorState, Framework};
use mesos_containerizer::ContainerizerError;
use mesos_proto::v0::mesos::TaskState;

use crate::http::state::allocated;
use crate::process::AgentProcess;

/// Name of the source.
const SOURCE: &str = "slave";

/// Keys of things that do not exist here and therefore never count: image provisioning, resource providers, the
/// fetcher's cache, failures to destroy (a destruction is repeated until it works).
const NEVER: [(&str, Sample); 8] = [
    ("containerizer/fetcher/cache_size_total_bytes", Sample::gauge(0.0)),
    ("containerizer/fetcher/cache_size_used_bytes", Sample::gauge(0.0)),
    ("containerizer/mesos/container_destroy_errors", Sample::counter(0.0)),
    (
        "containerizer/mesos/provisioner/bind/remove_rootfs_errors",
        Sample::counter(0.0),
    ),
    (
        "containerizer/mesos/provisioner/remove_container_errors",
        Sample::counter(0.0),
    ),
    ("resource_provider_manager/events/disconnect", Sample::counter(0.0)),
    ("resource_provider_manager/events/subscribe", Sample::counter(0.0)),
    ("resource_provider_manager/subscribed", Sample::gauge(0.0)),
];

/// What the process counts beside the core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    fetches_succeeded: u64,
    fetches_failed: u64,
    recovery: Option<Duration>,
}

impl Tally {
    /// Counts the fetch that belongs to a launch with this error.
    pub fn count_fetch(&mut self, error: Option<&ContainerizerError>) {
        match error {
            None => self.fetches_succeeded += 1,
            Some(ContainerizerError::Fetch(_)) => self.fetches_failed += 1,
            Some(_) => {}
        }
    }

    /// Recovery ended.
    pub fn recovered(&mut self, started: Time, now: Time) {
        self.recovery = Some(now.saturating_since(started));
    }
}

/// Offers the metrics of this agent on its node.
pub fn install(context: &Context<AgentProcess>) {
    let me = context.me();
    context.node().metrics().source(SOURCE, move || {
        let asked = me.call(|agent, context| samples(agent, context.now()));
        // An agent that is gone has no numbers.
        Box::pin(async move { asked.await.unwrap_or_default() })
    });
}

/// Takes them back.
pub fn uninstall(context: &Context<AgentProcess>) {
    context.node().metrics().remove_source(SOURCE);
}

/// All numbers at one moment.
#[must_use]
pub fn samples(agent: &AgentProcess, now: Time) -> Vec<(String, Sample)> {
    let mut samples = Vec::with_capacity(80);
    let mut add = |name: String, sample: Sample| samples.push((name, sample));
    counters(agent.core().counters(), &mut add);
    gauges(agent.core(), now, &mut add);
    for name in ["cpus", "gpus", "mem", "disk"] {
        amounts(agent.core(), name, &mut add);
    }
    let gauge = |count: u64| Sample::gauge(float(count));
    let counter = |count: u64| Sample::counter(float(count));
    let tally = agent.tally;
    if let Some(recovery) = tally.recovery {
        add(
            "slave/recovery_time_secs".to_owned(),
            Sample::gauge(recovery.as_secs_f64()),
        );
    }
    for (name, sample) in [
        (
            "containerizer/fetcher/task_fetches_succeeded",
            counter(tally.fetches_succeeded),
        ),
        (
            "containerizer/fetcher/task_fetches_failed",
            counter(tally.fetches_failed),
        ),
        (
            "gc/path_removals_succeeded",
            counter(agent.core().collections().succeeded()),
        ),
        ("gc/path_removals_failed", counter(agent.core().collections().failed())),
        (
            "gc/path_removals_pending",
            gauge(agent.core().collections().pending() as u64),
        ),
    ] {
        add(name.to_owned(), sample);
    }
    for (name, sample) in NEVER {
        add(name.to_owned(), sample);
    }
    samples
}

fn counters(counters: &Counters, add: &mut impl FnMut(String, Sample)) {
    for (name, count) in [
        ("recovery_errors", counters.recovery_errors),
        ("valid_status_updates", counters.valid_status_updates),
        ("invalid_status_updates", counters.invalid_status_updates),
        ("valid_framework_messages", counters.valid_framework_messages),
        ("invalid_framework_messages", counters.invalid_framework_messages),
        ("executors_terminated", counters.executors_terminated),
        ("executors_preempted", counters.executors_preempted),
        ("container_launch_errors", counters.container_launch_errors),
        ("tasks_finished", counters.tasks_finished),
        ("tasks_failed", counters.tasks_failed),
        ("tasks_killed", counters.tasks_killed),
        ("tasks_lost", counters.tasks_lost),
        ("tasks_gone", counters.tasks_gone),
    ] {
        add(format!("slave/{name}"), Sample::counter(float(count)));
    }
}

fn gauges(core: &Agent, now: Time, add: &mut impl FnMut(String, Sample)) {
    let executors = || core.frameworks().flat_map(Framework::executors);
    let in_state = |state: ExecutorState| executors().filter(|executor| executor.state() == state).count();
    let tasks = |state: TaskState| {
        let launched = executors().flat_map(Executor::launched_tasks);
        launched.filter(|task| task.state() == state).count()
    };
    let queued: usize = executors().map(|executor| executor.queued_tasks().count()).sum();
    for (name, count) in [
        ("registered", usize::from(core.state() == AgentState::Running)),
        ("frameworks_active", core.frameworks().count()),
        ("tasks_staging", queued + tasks(TaskState::TASK_STAGING)),
        ("tasks_starting", tasks(TaskState::TASK_STARTING)),
        ("tasks_running", tasks(TaskState::TASK_RUNNING)),
        ("tasks_killing", tasks(TaskState::TASK_KILLING)),
        ("executors_registering", in_state(ExecutorState::Registering)),
        ("executors_running", in_state(ExecutorState::Running)),
        ("executors_terminating", in_state(ExecutorState::Terminating)),
    ] {
        add(format!("slave/{name}"), Sample::gauge(float(count as u64)));
    }
    let uptime = now.saturating_since(core.started()).as_secs_f64();
    add("slave/uptime_secs".to_owned(), Sample::gauge(uptime));
    let age = core.collections().allowed_age().as_secs_f64();
    add(
        "slave/executor_directory_max_allowed_age_secs".to_owned(),
        Sample::gauge(age),
    );
}

fn amounts(core: &Agent, name: &str, add: &mut impl FnMut(String, Sample)) {
    let (total, used) = (core.total_resources(), allocated(core));
    let mut three = |infix: &str, total: &Resources, used: &Resources| {
        let (total, used) = (total.get_scalar(name).to_f64(), used.get_scalar(name).to_f64());
        let share = if total > 0.0 { used / total } else { 0.0 };
        for (suffix, value) in [("total", total), ("used", used), ("percent", share)] {
            add(format!("slave/{name}{infix}_{suffix}"), Sample::gauge(value));
        }
    };
    three("", &total.nonrevocable(), &used.nonrevocable());
    let lendable = core.oversubscribed_resources().cloned().unwrap_or_default();
    three("_revocable", &lendable, &used.revocable());
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
