//! Frameworks as `/state`, `/frameworks` and `/state-summary` show them.

use mesos::json::{ObjectWriter, write_object};
use mesos_master_core::{Framework, Offer};
use mesos_proto::v0::mesos::framework_info::capability::Type;
use mesos_proto::v0::scheduler::OfferConstraints;

use super::View;
use super::resources::summary;
use super::task::{executor, task};

/// Appends a framework with everything that belongs to it.
pub fn framework(json: &mut String, view: &View<'_>, framework: &Framework) {
    write_object(json, |object| {
        brief_members(object, view, framework);
        description(object, view, framework);
        object.array("tasks", framework.tasks().values(), |json, own| {
            task(json, &own.message());
        });
        object.array(
            "unreachable_tasks",
            framework.unreachable_tasks().iter(),
            |json, (_, own)| {
                task(json, &own.message());
            },
        );
        object.array("completed_tasks", framework.completed_tasks().iter(), |json, own| {
            task(json, &own.message());
        });
        object.array("offers", view.offers(framework.id()), |json, own| offer(json, own));
        object.array("executors", view.executors(framework.id()), |json, (agent, own)| {
            executor(json, own, agent.as_str());
        });
        if let Some(labels) = framework.info().labels.as_ref() {
            object.array("labels", &labels.labels, |json, label| mesos::json::write(label, json));
        }
        let constraints = framework
            .offer_constraints()
            .cloned()
            .unwrap_or_else(OfferConstraints::new);
        object.message("offer_constraints", &constraints);
    });
}

/// Writes the members that all endpoints share.
pub fn brief_members(object: &mut ObjectWriter<'_>, view: &View<'_>, framework: &Framework) {
    let info = framework.info();
    object.text("id", framework.id());
    object.string("name", info.name());
    if let Some(upid) = framework.upid() {
        object.text("pid", upid);
    }
    summary(object, "used_resources", &view.used(framework.id()));
    summary(object, "offered_resources", &view.offered(framework.id()));
    let known = info
        .capabilities
        .iter()
        .map(mesos_proto::v0::mesos::framework_info::Capability::type_);
    object.strings(
        "capabilities",
        known
            .filter(|kind| *kind != Type::UNKNOWN)
            .map(|kind| format!("{kind:?}")),
    );
    object.string("hostname", info.hostname());
    object.string("webui_url", info.webui_url());
    object.boolean("active", framework.is_active());
    object.boolean("connected", framework.is_connected());
    object.boolean("recovered", framework.is_recovered());
}

fn description(object: &mut ObjectWriter<'_>, view: &View<'_>, framework: &Framework) {
    let info = framework.info();
    object.string("user", info.user());
    object.number("failover_timeout", info.failover_timeout());
    object.boolean("checkpoint", info.checkpoint());
    object.number("registered_time", framework.registered_time().as_secs_f64());
    let ended = framework.unregistered_time();
    object.number("unregistered_time", ended.map_or(0.0, libprocess::Time::as_secs_f64));
    if info.has_principal() {
        object.string("principal", info.principal());
    }
    let held = &view.used(framework.id()) + &view.offered(framework.id());
    summary(object, "resources", &held);
    if let Some(time) = framework.reregistered_time() {
        object.number("reregistered_time", time.as_secs_f64());
    }
    if framework.capabilities().multi_role {
        object.strings("roles", &info.roles);
    } else {
        object.string("role", info.role());
    }
}

fn offer(json: &mut String, offer: &Offer) {
    write_object(json, |object| {
        object.text("id", offer.id());
        object.text("framework_id", offer.framework_id());
        object.object("allocation_info", |object| object.string("role", offer.role()));
        object.text("slave_id", offer.agent_id());
        summary(object, "resources", offer.resources());
    });
}
