//! Agents as `/state`, `/slaves` and `/state-summary` show them.

use mesos::attributes::Attributes;
use mesos::json::{ObjectWriter, write_object};
use mesos_master_core::{Agent, Resources};
use mesos_proto::v0::mesos::SlaveInfo;

use super::View;
use super::resources::{full, summary};

/// Writes the members that all endpoints share.
pub fn members(object: &mut ObjectWriter<'_>, view: &View<'_>, agent: &Agent) {
    description(object, agent.id().as_str(), agent.info());
    object.text("pid", agent.upid());
    object.number("registered_time", agent.registered_time().as_secs_f64());
    if let Some(time) = agent.reregistered_time() {
        object.number("reregistered_time", time.as_secs_f64());
    }
    summary(object, "resources", agent.total());
    summary(object, "used_resources", &used(agent));
    summary(object, "offered_resources", &view.offered_of(agent));
    object.object("reserved_resources", |object| {
        for (role, resources) in agent.total().reservations() {
            summary(object, &role, &resources);
        }
    });
    summary(object, "unreserved_resources", &agent.total().unreserved());
    object.boolean("active", agent.is_active());
    let plans = view.core.plans();
    object.boolean("deactivated", plans.is_deactivated(agent.id()));
    object.string("version", agent.version());
    object.strings("capabilities", agent.capabilities().names());
    object.message_if_set("drain_info", plans.drain(agent.id()));
    if let Some(started) = plans.drain_started(agent.id()) {
        object.number("estimated_drain_start_time_seconds", started.as_secs_f64());
    }
}

/// Writes what `/slaves` adds: resources as messages.
pub fn full_members(object: &mut ObjectWriter<'_>, view: &View<'_>, agent: &Agent) {
    object.object("reserved_resources_full", |object| {
        for (role, resources) in agent.total().reservations() {
            object.field(&role, |json| full(json, &resources));
        }
    });
    object.field("unreserved_resources_full", |json| {
        full(json, &agent.total().unreserved());
    });
    object.field("used_resources_full", |json| full(json, &used(agent)));
    object.field("offered_resources_full", |json| full(json, &view.offered_of(agent)));
}

/// Appends an agent of the registry that has not come back yet.
pub fn recovered(json: &mut String, info: &SlaveInfo) {
    write_object(json, |object| description(object, info.id.value(), info));
}

fn description(object: &mut ObjectWriter<'_>, id: &str, info: &SlaveInfo) {
    object.string("id", id);
    object.string("hostname", info.hostname());
    object.integer("port", i64::from(info.port()));
    object.field("attributes", |json| {
        // Attributes were checked when the agent registered.
        let attributes = Attributes::from_protobuf(&info.attributes).unwrap_or_default();
        json.push_str(&attributes.to_json());
    });
    object.message_if_set("domain", info.domain.as_ref());
}

/// What tasks and executors of all frameworks hold.
#[must_use]
pub fn used(agent: &Agent) -> Resources {
    agent.used().values().sum()
}
