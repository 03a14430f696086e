//! Numbers of single frameworks, and of the principals whose schedulers speak libprocess.
//!
//! Source: shared facts, `metrics.tsv`.

use libprocess::http::uri::percent_encode;
use mesos_master_core::{Framework, Master};
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;
use mesos_proto::v0::scheduler::call::Type as CallType;
use mesos_proto::v0::scheduler::event::Type as EventType;

use super::{LIVE, Numbers, float};

/// Calls with a counter of their own.
const CALLS: [(CallType, &str); 17] = [
    (CallType::SUBSCRIBE, "subscribe"),
    (CallType::TEARDOWN, "teardown"),
    (CallType::ACCEPT, "accept"),
    (CallType::DECLINE, "decline"),
    (CallType::ACCEPT_INVERSE_OFFERS, "accept_inverse_offers"),
    (CallType::DECLINE_INVERSE_OFFERS, "decline_inverse_offers"),
    (CallType::REVIVE, "revive"),
    (CallType::KILL, "kill"),
    (CallType::SHUTDOWN, "shutdown"),
    (CallType::ACKNOWLEDGE, "acknowledge"),
    (CallType::ACKNOWLEDGE_OPERATION_STATUS, "acknowledge_operation_status"),
    (CallType::RECONCILE, "reconcile"),
    (CallType::RECONCILE_OPERATIONS, "reconcile_operations"),
    (CallType::MESSAGE, "message"),
    (CallType::REQUEST, "request"),
    (CallType::SUPPRESS, "suppress"),
    (CallType::UPDATE_FRAMEWORK, "update_framework"),
];

/// Events with a counter of their own.
const EVENTS: [(EventType, &str); 11] = [
    (EventType::SUBSCRIBED, "subscribed"),
    (EventType::OFFERS, "offers"),
    (EventType::INVERSE_OFFERS, "inverse_offers"),
    (EventType::RESCIND, "rescind"),
    (EventType::RESCIND_INVERSE_OFFER, "rescind_inverse_offer"),
    (EventType::UPDATE, "update"),
    (EventType::UPDATE_OPERATION_STATUS, "update_operation_status"),
    (EventType::MESSAGE, "message"),
    (EventType::FAILURE, "failure"),
    (EventType::ERROR, "error"),
    (EventType::HEARTBEAT, "heartbeat"),
];

/// Operations with a counter of their own.
const OPERATIONS: [(OperationType, &str); 10] = [
    (OperationType::LAUNCH, "launch"),
    (OperationType::LAUNCH_GROUP, "launch_group"),
    (OperationType::RESERVE, "reserve"),
    (OperationType::UNRESERVE, "unreserve"),
    (OperationType::CREATE, "create"),
    (OperationType::DESTROY, "destroy"),
    (OperationType::GROW_VOLUME, "grow_volume"),
    (OperationType::SHRINK_VOLUME, "shrink_volume"),
    (OperationType::CREATE_DISK, "create_disk"),
    (OperationType::DESTROY_DISK, "destroy_disk"),
];

/// States in which tasks end.
const ENDS: [(TaskState, &str); 8] = [
    (TaskState::TASK_FINISHED, "finished"),
    (TaskState::TASK_FAILED, "failed"),
    (TaskState::TASK_KILLED, "killed"),
    (TaskState::TASK_ERROR, "error"),
    (TaskState::TASK_LOST, "lost"),
    (TaskState::TASK_DROPPED, "dropped"),
    (TaskState::TASK_GONE, "gone"),
    (TaskState::TASK_GONE_BY_OPERATOR, "gone_by_operator"),
];

/// Numbers of one framework.
pub(super) fn one(numbers: &mut Numbers, framework: &Framework) {
    let name = percent_encode(framework.info().name());
    let prefix = format!("master/frameworks/{name}/{}", framework.id());
    let counters = framework.counters();
    numbers.count(format!("{prefix}/subscribed"), usize::from(framework.is_connected()));
    numbers.counter(format!("{prefix}/calls"), float(counters.calls()));
    for (kind, name) in CALLS {
        numbers.counter(format!("{prefix}/calls/{name}"), float(counters.calls_of(kind)));
    }
    numbers.counter(format!("{prefix}/events"), float(counters.events()));
    for (kind, name) in EVENTS {
        numbers.counter(format!("{prefix}/events/{name}"), float(counters.events_of(kind)));
    }
    for (name, count) in [
        ("sent", counters.offers_sent()),
        ("accepted", counters.offers_accepted()),
        ("declined", counters.offers_declined()),
        ("rescinded", counters.offers_rescinded()),
    ] {
        numbers.counter(format!("{prefix}/offers/{name}"), float(count));
    }
    numbers.counter(format!("{prefix}/operations"), float(counters.operations()));
    for (kind, name) in OPERATIONS {
        numbers.counter(
            format!("{prefix}/operations/{name}"),
            float(counters.operations_of(kind)),
        );
    }
    tasks(numbers, &prefix, framework);
    for role in framework.roles() {
        let suppressed = framework.suppressed_roles().contains(role);
        numbers.count(format!("{prefix}/roles/{role}/suppressed"), usize::from(suppressed));
    }
}

fn tasks(numbers: &mut Numbers, prefix: &str, framework: &Framework) {
    for (state, name) in LIVE {
        let count = framework.tasks().values().filter(|task| task.state() == state).count();
        numbers.count(format!("{prefix}/tasks/active/task_{name}"), count);
    }
    let unreachable = framework.unreachable_tasks().len();
    numbers.count(format!("{prefix}/tasks/active/task_unreachable"), unreachable);
    // No task of the model is in this state: it is what is said of tasks that are not known.
    numbers.count(format!("{prefix}/tasks/active/task_unknown"), 0);
    for (state, name) in ENDS {
        let count = float(framework.counters().ended_in(state));
        numbers.counter(format!("{prefix}/tasks/terminal/task_{name}"), count);
    }
}

/// Messages over libprocess, by the principals of frameworks.
pub(super) fn principals(numbers: &mut Numbers, core: &Master) {
    for (principal, counts) in core.message_counts() {
        numbers.counter(
            format!("frameworks/{principal}/messages_received"),
            float(counts.received),
        );
        numbers.counter(
            format!("frameworks/{principal}/messages_processed"),
            float(counts.processed),
        );
    }
}
