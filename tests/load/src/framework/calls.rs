//! Calls of emulated frameworks, and tasks cut from offers.

use std::time::Duration;

use mesos::values::Scalar;
use mesos_proto::v0::mesos::{self as proto, Filters, Labels, Offer, OfferID, Resource, TaskInfo, TaskStatus};
use mesos_proto::v0::scheduler::{Call, call};
use protobuf::MessageField;

/// What a task takes of its agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    /// Processors.
    pub cpus: f64,
    /// Memory in megabytes.
    pub mem_mb: f64,
}

fn call(kind: call::Type) -> Call {
    let mut call = Call::new();
    call.set_type(kind);
    call
}

fn refusing(duration: Duration) -> MessageField<Filters> {
    let mut filters = Filters::new();
    filters.set_refuse_seconds(duration.as_secs_f64());
    MessageField::some(filters)
}

pub(super) fn subscribe(info: &proto::FrameworkInfo) -> Call {
    let mut call = call(call::Type::SUBSCRIBE);
    // The original takes the id of a framework that comes back from both places and wants them equal.
    call.framework_id.clone_from(&info.id);
    call.subscribe.mut_or_insert_default().framework_info = MessageField::some(info.clone());
    call
}

pub(super) fn suppress() -> Call {
    call(call::Type::SUPPRESS)
}

pub(super) fn revive() -> Call {
    call(call::Type::REVIVE)
}

pub(super) fn decline(offers: Vec<OfferID>, refuse: Duration) -> Call {
    let mut call = call(call::Type::DECLINE);
    let decline = call.decline.mut_or_insert_default();
    decline.offer_ids = offers;
    decline.filters = refusing(refuse);
    call
}

/// Accepts one offer; what the tasks leave comes back at once.
pub(super) fn accept(offer: &Offer, tasks: Vec<TaskInfo>, refuse: Duration) -> Call {
    let mut call = call(call::Type::ACCEPT);
    let accept = call.accept.mut_or_insert_default();
    accept.offer_ids = offer.id.as_ref().into_iter().cloned().collect();
    accept.filters = refusing(refuse);
    let mut operation = proto::offer::Operation::new();
    operation.set_type(proto::offer::operation::Type::LAUNCH);
    operation.launch.mut_or_insert_default().task_infos = tasks;
    accept.operations.push(operation);
    call
}

/// Acknowledges an update; nothing for one that nobody waits for.
pub(super) fn acknowledge(status: TaskStatus) -> Option<Call> {
    let uuid = status.uuid.filter(|uuid| !uuid.is_empty())?;
    let mut call = call(call::Type::ACKNOWLEDGE);
    let acknowledge = call.acknowledge.mut_or_insert_default();
    acknowledge.slave_id = status.slave_id;
    acknowledge.task_id = status.task_id;
    acknowledge.set_uuid(uuid);
    Some(call)
}

/// How many tasks of this need an offer has room for.
pub(super) fn room(offer: &Offer, need: Need) -> u64 {
    let fits = |name: &str, wanted: f64| {
        let wanted = Scalar::from_f64(wanted).thousandths();
        if wanted <= 0 {
            return u64::MAX;
        }
        let pieces =
            scalars(offer, name).map(|resource| Scalar::from_f64(resource.scalar.value()).thousandths() / wanted);
        u64::try_from(pieces.sum::<i64>()).unwrap_or_default()
    };
    fits("cpus", need.cpus).min(fits("mem", need.mem_mb))
}

fn scalars<'a>(offer: &'a Offer, name: &str) -> impl Iterator<Item = &'a Resource> {
    offer.resources.iter().filter(move |resource| resource.name() == name)
}

/// Cuts tasks from an offer, each resource whole from one of the offered ones; stops when nothing fits any more.
pub(super) fn cut_tasks(
    offer: &Offer,
    need: Need,
    labels: Option<&Labels>,
    mut ids: impl Iterator<Item = String>,
    count: u64,
) -> Vec<TaskInfo> {
    let mut left: Vec<(Resource, i64)> = offer
        .resources
        .iter()
        .map(|resource| {
            (
                resource.clone(),
                Scalar::from_f64(resource.scalar.value()).thousandths(),
            )
        })
        .collect();
    let mut tasks = Vec::new();
    for _ in 0..count {
        let (Some(cpus), Some(mem)) = (take(&mut left, "cpus", need.cpus), take(&mut left, "mem", need.mem_mb)) else {
            break;
        };
        let Some(id) = ids.next() else { break };
        let mut task = TaskInfo::new();
        task.set_name("load".to_owned());
        task.task_id.mut_or_insert_default().set_value(id);
        task.slave_id.clone_from(&offer.slave_id);
        task.resources = vec![cpus, mem];
        task.command.mut_or_insert_default().set_value("true".to_owned());
        task.labels = labels.cloned().into();
        tasks.push(task);
    }
    tasks
}

fn take(left: &mut [(Resource, i64)], name: &str, amount: f64) -> Option<Resource> {
    let millis = Scalar::from_f64(amount).thousandths();
    let (resource, rest) = left
        .iter_mut()
        .find(|(resource, rest)| resource.name() == name && *rest >= millis)?;
    *rest -= millis;
    let mut taken = resource.clone();
    taken.scalar.mut_or_insert_default().set_value(amount);
    Some(taken)
}
