//! `/state`: everything that the master knows.

use mesos::json::{ObjectWriter, write_object};
use mesos_master_core::{Agent, Master};
use mesos_proto::v0::mesos::MasterInfo;

use super::render::{Identity, View, agent, framework};

/// The JSON document.
#[must_use]
pub fn render(core: &Master, identity: &Identity) -> String {
    let view = View::new(core);
    let mut json = String::with_capacity(4096);
    write_object(&mut json, |object| {
        build(object, identity);
        master(object, core, identity);
        object.array("slaves", core.agents().values(), |json, own| {
            write_object(json, |object| agent::members(object, &view, own));
        });
        object.array("recovered_slaves", core.recovered_agents().values(), |json, info| {
            agent::recovered(json, info);
        });
        object.array("frameworks", core.frameworks().values(), |json, own| {
            framework::framework(json, &view, own);
        });
        object.array(
            "completed_frameworks",
            core.completed_frameworks().iter(),
            |json, own| {
                framework::framework(json, &view, own);
            },
        );
        object.strings::<&str>("orphan_tasks", []);
        object.strings::<&str>("unregistered_frameworks", []);
    });
    json
}

/// Version and build.
fn build(object: &mut ObjectWriter<'_>, identity: &Identity) {
    let version = &identity.version;
    object.string("version", &version.version);
    for (key, value) in [
        ("git_sha", &version.git_sha),
        ("git_branch", &version.git_branch),
        ("git_tag", &version.git_tag),
        ("build_date", &version.build_date),
    ] {
        if let Some(value) = value {
            object.string(key, value);
        }
    }
    if let Some(time) = version.build_time {
        object.number("build_time", time);
    }
    if let Some(user) = &version.build_user {
        object.string("build_user", user);
    }
}

fn master(object: &mut ObjectWriter<'_>, core: &Master, identity: &Identity) {
    let info = core.info();
    object.number("start_time", identity.started.as_secs_f64());
    if let Some(time) = core.elected_time() {
        object.number("elected_time", time.as_secs_f64());
    }
    object.string("id", info.id());
    object.string("pid", info.pid());
    object.string("hostname", info.hostname());
    let capabilities = info
        .capabilities
        .iter()
        .map(|capability| format!("{:?}", capability.type_()));
    object.strings("capabilities", capabilities);
    let active = core.agents().values().filter(|agent| Agent::is_active(agent)).count();
    object.number("activated_slaves", float(active));
    object.number("deactivated_slaves", float(core.agents().len() - active));
    object.number("unreachable_slaves", float(core.unreachable_agents().len()));
    object.message_if_set("domain", info.domain.as_ref());
    object.string("leader", info.pid());
    object.object("leader_info", |object| leader(object, info));
    for (key, flag) in [
        ("cluster", "cluster"),
        ("log_dir", "log_dir"),
        ("external_log_file", "external_log_file"),
    ] {
        if let Some(value) = identity.flags.get(flag) {
            object.string(key, value);
        }
    }
    object.object("flags", |object| flags(object, identity));
}

fn leader(object: &mut ObjectWriter<'_>, info: &MasterInfo) {
    object.string("id", info.id());
    object.string("pid", info.pid());
    object.integer("port", i64::from(info.port()));
    object.string("hostname", info.hostname());
    object.message_if_set("domain", info.domain.as_ref());
}

/// Writes the flags that have a value.
pub fn flags(object: &mut ObjectWriter<'_>, identity: &Identity) {
    for (name, value) in &identity.flags {
        object.string(name, value);
    }
}

/// A count as the number with a fraction that some keys have.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub const fn float(count: usize) -> f64 {
    count as f64
}
