//! JSON of answers. Lists of the state are written even when they are empty, as clients know them; everything else is
//! the JSON form of the message.

use mesos::json::{ObjectWriter, write_agent_names, write_object};
use mesos_proto::v0::master::response::{GetAgents, GetExecutors, GetFrameworks, GetState, GetTasks};
use mesos_proto::v0::master::{Event, Response as Answer};
use protobuf::MessageDyn;

/// The JSON document of an answer.
#[must_use]
pub fn to_json(answer: &Answer) -> String {
    let mut json = String::with_capacity(1024);
    let lists = answer.get_state.is_some()
        || answer.get_tasks.is_some()
        || answer.get_executors.is_some()
        || answer.get_frameworks.is_some()
        || answer.get_agents.is_some();
    if !lists {
        write_agent_names(answer, &mut json);
        return json;
    }
    write_object(&mut json, |object| {
        object.text("type", format_args!("{:?}", answer.type_()));
        if let Some(listed) = answer.get_state.as_ref() {
            object.object("get_state", |object| state(object, listed));
        }
        if let Some(listed) = answer.get_tasks.as_ref() {
            object.object("get_tasks", |object| tasks(object, listed));
        }
        if let Some(listed) = answer.get_executors.as_ref() {
            object.object("get_executors", |object| executors(object, listed));
        }
        if let Some(listed) = answer.get_frameworks.as_ref() {
            object.object("get_frameworks", |object| frameworks(object, listed));
        }
        if let Some(listed) = answer.get_agents.as_ref() {
            object.object("get_agents", |object| agents(object, listed));
        }
    });
    json
}

/// The JSON document of an event.
#[must_use]
pub fn event_to_json(event: &Event) -> String {
    let mut json = String::with_capacity(256);
    let Some(subscribed) = event.subscribed.as_ref() else {
        write_agent_names(event, &mut json);
        return json;
    };
    write_object(&mut json, |object| {
        object.text("type", format_args!("{:?}", event.type_()));
        object.object("subscribed", |object| {
            object.object("get_state", |object| state(object, &subscribed.get_state));
            object.number("heartbeat_interval_seconds", subscribed.heartbeat_interval_seconds());
        });
    });
    json
}

fn state(object: &mut ObjectWriter<'_>, state: &GetState) {
    object.object("get_tasks", |object| tasks(object, &state.get_tasks));
    object.object("get_executors", |object| executors(object, &state.get_executors));
    object.object("get_frameworks", |object| frameworks(object, &state.get_frameworks));
    object.object("get_agents", |object| agents(object, &state.get_agents));
}

fn list<M: MessageDyn>(object: &mut ObjectWriter<'_>, key: &str, messages: &[M]) {
    object.array(key, messages, |json, message| write_agent_names(message, json));
}

fn tasks(object: &mut ObjectWriter<'_>, listed: &GetTasks) {
    list(object, "tasks", &listed.tasks);
    list(object, "unreachable_tasks", &listed.unreachable_tasks);
    list(object, "completed_tasks", &listed.completed_tasks);
}

fn executors(object: &mut ObjectWriter<'_>, listed: &GetExecutors) {
    list(object, "executors", &listed.executors);
}

fn frameworks(object: &mut ObjectWriter<'_>, listed: &GetFrameworks) {
    list(object, "frameworks", &listed.frameworks);
    list(object, "completed_frameworks", &listed.completed_frameworks);
}

fn agents(object: &mut ObjectWriter<'_>, listed: &GetAgents) {
    list(object, "agents", &listed.agents);
    list(object, "recovered_agents", &listed.recovered_agents);
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::master::response::Type;

    use super::*;

    #[test]
    fn empty_lists_of_the_state_are_written() {
        let mut answer = Answer::new();
        answer.set_type(Type::GET_AGENTS);
        answer.get_agents.mut_or_insert_default();
        assert_eq!(
            to_json(&answer),
            r#"{"type":"GET_AGENTS","get_agents":{"agents":[],"recovered_agents":[]}}"#
        );
        let mut answer = Answer::new();
        answer.set_type(Type::GET_OPERATIONS);
        answer.get_operations.mut_or_insert_default();
        assert_eq!(to_json(&answer), r#"{"type":"GET_OPERATIONS","get_operations":{}}"#);
    }
}
