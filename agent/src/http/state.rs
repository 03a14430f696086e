//! `/state` and `/flags`: pure functions from the core's state to JSON.
//!
//! Source: shared facts, `legacy_json_keys.tsv` (keys and their order) and `libprocess_wire.md` section 8 (endpoint
//! form of resources).

use std::collections::BTreeMap;

use libprocess::Upid;
use libprocess::builtin::VersionInfo;
use mesos::attributes::Attributes;
use mesos::json::{ObjectWriter, write_object};
use mesos::legacy_json::{summary, write_full};
use mesos::resources::{Resource, Resources};
use mesos_agent_core::Agent;

use super::records::write_framework;

/// What an agent tells about itself that the core does not know.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The flags as they are shown to operators.
    pub flags: BTreeMap<String, String>,
    /// Version and build of the program.
    pub version: VersionInfo,
}

/// The document of `/state`.
#[must_use]
pub fn render(agent: &Agent, identity: &Identity) -> String {
    let mut json = String::with_capacity(16 * 1024);
    write_object(&mut json, |object| {
        version(object, &identity.version);
        object.number("start_time", agent.started().as_secs_f64());
        description(object, agent);
        resources(object, agent);
        object.array("resource_providers", std::iter::empty::<()>(), |_, ()| {});
        object.field("attributes", |json| {
            // Attributes were checked when the flags were read.
            let attributes = Attributes::from_protobuf(&agent.info().attributes).unwrap_or_default();
            json.push_str(&attributes.to_json());
        });
        if let Some(master) = agent.master() {
            object.string("master_hostname", &host_name(master));
        }
        if let Some(folder) = identity.flags.get("log_dir") {
            object.string("log_dir", folder);
        }
        if let Some(file) = identity.flags.get("external_log_file") {
            object.string("external_log_file", file);
        }
        flags(object, &identity.flags);
        object.array("frameworks", agent.frameworks(), write_framework);
        object.array("completed_frameworks", agent.completed_frameworks(), write_framework);
    });
    json
}

/// The document of `/flags`.
#[must_use]
pub fn render_flags(identity: &Identity) -> String {
    let mut json = String::with_capacity(4096);
    write_object(&mut json, |object| flags(object, &identity.flags));
    json
}

fn flags(object: &mut ObjectWriter<'_>, flags: &BTreeMap<String, String>) {
    object.object("flags", |object| {
        for (name, value) in flags {
            object.string(name, value);
        }
    });
}

fn version(object: &mut ObjectWriter<'_>, version: &VersionInfo) {
    object.string("version", &version.version);
    for (key, value) in [
        ("git_sha", &version.git_sha),
        ("git_branch", &version.git_branch),
        ("git_tag", &version.git_tag),
    ] {
        if let Some(value) = value {
            object.string(key, value);
        }
    }
    object.string("build_date", version.build_date.as_deref().unwrap_or_default());
    object.number("build_time", version.build_time.unwrap_or_default());
    object.string("build_user", version.build_user.as_deref().unwrap_or_default());
}

fn description(object: &mut ObjectWriter<'_>, agent: &Agent) {
    let info = agent.info();
    object.string("id", info.id.value());
    object.text("pid", &agent.config().pid);
    object.string("hostname", info.hostname());
    let capabilities = &agent.config().capabilities;
    object.strings("capabilities", capabilities.iter().map(|kind| format!("{kind:?}")));
    object.message_if_set("domain", info.domain.as_ref());
    object.message_if_set("drain_config", agent.drain_config());
}

fn resources(object: &mut ObjectWriter<'_>, agent: &Agent) {
    let total = agent.total_resources();
    let allocated = allocated(agent);
    let reserved = |object: &mut ObjectWriter<'_>, key: &str, resources: &Resources| {
        object.object(key, |object| {
            for (role, resources) in resources.reservations() {
                summary(object, &role, &resources);
            }
        });
    };
    summary(object, "resources", total);
    reserved(object, "reserved_resources", total);
    summary(object, "unreserved_resources", &total.unreserved());
    object.object("reserved_resources_full", |object| {
        for (role, resources) in total.reservations() {
            object.field(&role, |json| write_full(json, &resources));
        }
    });
    object.field("unreserved_resources_full", |json| {
        write_full(json, &total.unreserved());
    });
    reserved(object, "reserved_resources_allocated", &allocated);
    summary(object, "unreserved_resources_allocated", &allocated.unreserved());
}

/// What executors and tasks hold.
#[must_use]
pub fn allocated(agent: &Agent) -> Resources {
    agent
        .frameworks()
        .flat_map(|framework| {
            let used = framework.used_resources();
            used.into_iter()
                .filter_map(|message| Resource::from_protobuf(&message).ok())
        })
        .collect()
}

/// A host as people call it, without asking anybody.
fn host_name(upid: &Upid) -> String {
    let ip = *upid.address().ip();
    match upid.host() {
        Some(host) => host.to_owned(),
        None if ip.is_loopback() => "localhost".to_owned(),
        None => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use libprocess::Time;
    use mesos_agent_core::recovery::RecoveredState;
    use mesos_agent_core::{AgentConfig, Input};
    use mesos_proto::v0::mesos as pb;
    use serde_json::{Value, json};

    use super::*;

    /// An agent with a dynamic reservation and a volume in another.
    fn agent() -> Agent {
        let mut info = pb::SlaveInfo::new();
        info.set_hostname("h".to_owned());
        info.resources = Resources::parse("cpus:4;mem:64;disk:1000", "*")
            .expect("resources")
            .to_protobuf();
        let pid = "slave(1)@127.0.0.1:5051".parse().expect("an address");
        let mut agent = Agent::new(
            AgentConfig::new(pid, info, "/w".into()),
            Time::from_secs_f64(1_795_176_176.5),
        );
        let reserved = |name: &str, value: f64, disk: &str| -> pb::Resource {
            let text = format!(
                r#"{{"name":"{name}","type":"SCALAR","scalar":{{"value":{value}}},{disk}
                "reservations":[{{"type":"DYNAMIC","role":"ops","principal":"op"}}]}}"#
            );
            mesos::json::from_str(&text).expect("a resource")
        };
        let volume = r#""disk":{"persistence":{"id":"vol-1","principal":"op"},
            "volume":{"mode":"RW","container_path":"data"}},"#;
        let state = RecoveredState {
            resources: vec![reserved("cpus", 0.5, ""), reserved("disk", 128.0, volume)],
            ..RecoveredState::default()
        };
        agent.step(Time::from_secs_f64(1_795_176_177.0), Input::Recovered(Box::new(state)));
        agent
    }

    #[test]
    fn reservations_and_volumes_are_carved_from_what_the_agent_has() {
        let state: Value = serde_json::from_str(&render(&agent(), &Identity::default())).expect("JSON");
        let amounts = |cpus: f64, mem: f64, disk: f64| json!({"cpus": cpus, "mem": mem, "disk": disk, "gpus": 0.0});
        assert_eq!(state["resources"], amounts(4.0, 64.0, 1000.0));
        assert_eq!(state["unreserved_resources"], amounts(3.5, 64.0, 872.0));
        assert_eq!(state["reserved_resources"], json!({"ops": amounts(0.5, 0.0, 128.0)}));
        let full = state["reserved_resources_full"]["ops"].as_array().expect("a list");
        let volume = full.iter().find(|one| one["name"] == "disk").expect("the volume");
        assert_eq!(volume["disk"]["persistence"]["id"], "vol-1");
        assert_eq!(
            (&volume["role"], &volume["reservation"]),
            (&json!("ops"), &json!({"principal": "op"}))
        );
        assert_eq!(state["reserved_resources_allocated"], json!({}));
    }

    #[test]
    fn an_agent_without_a_master_tells_what_it_can() {
        let state: Value = serde_json::from_str(&render(&agent(), &Identity::default())).expect("JSON");
        assert_eq!(state["id"], "");
        assert_eq!(state["start_time"], 1_795_176_176.5);
        assert!(state.get("master_hostname").is_none());
        assert_eq!(state["frameworks"], json!([]));
    }
}
