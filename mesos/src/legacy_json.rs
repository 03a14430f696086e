//! What the older JSON endpoints of master and agent show alike: tasks, labels, resources.
//!
//! Source: shared facts, `legacy_json_keys.tsv` (keys and their order) and `libprocess_wire.md` section 8.

use std::collections::BTreeMap;

use mesos_proto::v0::mesos as pb;

use crate::json::{ObjectWriter, write, write_array, write_object};
use crate::resources::format::to_endpoint;
use crate::resources::{Resource, Resources};

/// Appends a task.
pub fn write_task(json: &mut String, task: &pb::Task) {
    write_object(json, |object| {
        object.string("id", task.task_id.value());
        object.string("name", task.name());
        object.string("framework_id", task.framework_id.value());
        object.string("executor_id", task.executor_id.value());
        object.string("slave_id", task.slave_id.value());
        object.text("state", format_args!("{:?}", task.state()));
        summary_of_messages(object, "resources", &task.resources);
        if !task.limits.is_empty() {
            let limits: BTreeMap<_, _> = task.limits.iter().collect();
            object.object("limits", |object| {
                for (name, limit) in limits {
                    object.number(name, limit.value());
                }
            });
        }
        if let Some(role) = allocation_role(&task.resources) {
            object.string("role", role);
        }
        object.array("statuses", &task.statuses, write_status);
        if task.has_user() {
            object.string("user", task.user());
        }
        labels(object, task.labels.as_ref());
        object.message_if_set("discovery", task.discovery.as_ref());
        object.message_if_set("container", task.container.as_ref());
        object.message_if_set("health_check", task.health_check.as_ref());
    });
}

fn write_status(json: &mut String, status: &pb::TaskStatus) {
    write_object(json, |object| {
        object.text("state", format_args!("{:?}", status.state()));
        object.number("timestamp", status.timestamp());
        labels(object, status.labels.as_ref());
        if let Some(container) = status.container_status.as_ref() {
            object.object("container_status", |object| {
                object.message_if_set("container_id", container.container_id.as_ref());
                if !container.network_infos.is_empty() {
                    object.array("network_infos", &container.network_infos, |json, info| {
                        write(info, json);
                    });
                }
            });
        }
        if status.has_healthy() {
            object.boolean("healthy", status.healthy());
        }
    });
}

/// Writes labels as an array under `labels`, when there are any.
pub fn labels(object: &mut ObjectWriter<'_>, labels: Option<&pb::Labels>) {
    if let Some(labels) = labels {
        object.array("labels", &labels.labels, |json, label| write(label, json));
    }
}

/// Writes the summary object of resources under `key`.
pub fn summary(object: &mut ObjectWriter<'_>, key: &str, resources: &Resources) {
    object.field(key, |json| resources.write_summary_json(json));
}

/// Writes the summary object of resources that stand in a message; those that make no sense are left out.
pub fn summary_of_messages<'a>(
    object: &mut ObjectWriter<'_>,
    key: &str,
    messages: impl IntoIterator<Item = &'a pb::Resource>,
) {
    summary(object, key, &sensible(messages));
}

/// Resources that stand in a message; those that make no sense are left out.
pub fn sensible<'a>(messages: impl IntoIterator<Item = &'a pb::Resource>) -> Resources {
    messages
        .into_iter()
        .filter_map(|message| Resource::from_protobuf(message).ok())
        .collect()
}

/// Appends resources as messages in endpoint form: both ways to tell a reservation, where both can.
pub fn write_full(json: &mut String, resources: &Resources) {
    write_array(json, resources.to_protobuf(), |json, mut resource| {
        to_endpoint(&mut resource);
        write(&resource, json);
    });
}

/// The role that the first of these resources is allocated to.
#[must_use]
pub fn allocation_role(messages: &[pb::Resource]) -> Option<&str> {
    messages
        .first()?
        .allocation_info
        .as_ref()
        .map(pb::resource::AllocationInfo::role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::from_str;

    #[test]
    fn a_task_has_the_recorded_form() {
        let task: pb::Task = from_str(
            r#"{"name":"n","task_id":{"value":"t"},"framework_id":{"value":"f"},"slave_id":{"value":"s"},
            "state":"TASK_RUNNING","resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1},
            "allocation_info":{"role":"*"}}],"statuses":[{"task_id":{"value":"t"},"state":"TASK_RUNNING",
            "timestamp":2.5,"healthy":true,"container_status":{"container_id":{"value":"c"},"executor_pid":7,
            "network_infos":[{"ip_addresses":[{"ip_address":"127.0.0.1"}]}]}}],
            "labels":{"labels":[{"key":"k"}]}}"#,
        )
        .expect("a task");
        let mut json = String::new();
        write_task(&mut json, &task);
        assert_eq!(
            json,
            "{\"id\":\"t\",\"name\":\"n\",\"framework_id\":\"f\",\"executor_id\":\"\",\"slave_id\":\"s\",\
             \"state\":\"TASK_RUNNING\",\"resources\":{\"disk\":0.0,\"mem\":0.0,\"gpus\":0.0,\"cpus\":0.1},\
             \"role\":\"*\",\"statuses\":[{\"state\":\"TASK_RUNNING\",\"timestamp\":2.5,\"container_status\":\
             {\"container_id\":{\"value\":\"c\"},\"network_infos\":[{\"ip_addresses\":[{\"protocol\":\"IPv4\",\
             \"ip_address\":\"127.0.0.1\"}]}]},\"healthy\":true}],\"labels\":[{\"key\":\"k\"}]}"
        );
    }

    #[test]
    fn full_resources_tell_one_reservation_both_ways() {
        let resources = Resources::parse("cpus(ops):1;mem:2", "*").expect("resources");
        let mut json = String::new();
        write_full(&mut json, &resources);
        assert!(
            json.contains(r#""role":"ops","reservations":[{"type":"STATIC","role":"ops"}]"#),
            "{json}"
        );
        assert!(json.contains(r#""role":"*""#), "{json}");
    }
}
