//! Resources in the forms of the older endpoints.

use std::collections::BTreeMap;

use mesos::json::{ObjectWriter, write, write_array, write_object};
use mesos::resources::format::to_endpoint;
use mesos::resources::{Resource, ResourceValue, Resources};
use mesos::values::Scalar;
use mesos_proto::v0::mesos as proto;

/// Sums by name: ranges and sets count their elements.
pub type Amounts = BTreeMap<String, Scalar>;

/// Appends the summary object of resources under `key`.
pub fn summary(object: &mut ObjectWriter<'_>, key: &str, resources: &Resources) {
    object.field(key, |json| resources.write_summary_json(json));
}

/// Appends the summary object of resources that stand in a message; those that make no sense are left out.
pub fn summary_of_messages(object: &mut ObjectWriter<'_>, key: &str, messages: &[proto::Resource]) {
    let resources: Resources = messages
        .iter()
        .filter_map(|message| Resource::from_protobuf(message).ok())
        .collect();
    summary(object, key, &resources);
}

/// Appends resources as messages in endpoint form.
pub fn full(json: &mut String, resources: &Resources) {
    write_array(json, endpoint_form(resources), |json, resource| write(&resource, json));
}

/// Resources as messages in endpoint form: both ways to tell a reservation, where both can.
#[must_use]
pub fn endpoint_form(resources: &Resources) -> Vec<proto::Resource> {
    let mut messages = resources.to_protobuf();
    messages.iter_mut().for_each(to_endpoint);
    messages
}

/// Sums by name.
#[must_use]
pub fn amounts(resources: &Resources) -> Amounts {
    let mut amounts = Amounts::new();
    for resource in resources.iter() {
        let whole = |count: u64| Scalar::from_whole(i64::try_from(count).unwrap_or(i64::MAX / 1000));
        let amount = match resource.value() {
            ResourceValue::Scalar(scalar) => *scalar,
            ResourceValue::Ranges(ranges) => whole(ranges.count()),
            ResourceValue::Set(_) => whole(0),
        };
        if !amount.is_zero() {
            *amounts.entry(resource.name().to_string()).or_default() += amount;
        }
    }
    amounts
}

/// Appends sums as an object of numbers.
pub fn write_amounts(json: &mut String, amounts: &Amounts) {
    write_object(json, |object| {
        for (name, amount) in amounts {
            object.number(name, amount.to_f64());
        }
    });
}

/// The role that the first of these resources is allocated to.
#[must_use]
pub fn allocation_role(messages: &[proto::Resource]) -> Option<&str> {
    messages
        .first()?
        .allocation_info
        .as_ref()
        .map(mesos_proto::v0::mesos::resource::AllocationInfo::role)
}
