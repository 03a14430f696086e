//! From an answer to the bytes of a response.
//!
//! In JSON, answers about frameworks, executors and tasks show lists that are empty, which other messages leave out.
//!
//! Source: the recorded answers; facts, `libprocess_wire.md` section 6, for all else.

use libprocess::Response;
use libprocess::http::StatusCode;
use libprocess::http::media::{MediaType, plain};
use mesos::json::{ObjectWriter, write, write_object};
use mesos_proto::v1::agent::Response as Answer;
use mesos_proto::v1::agent::response::{GetExecutors, GetFrameworks, GetTasks, Type};
use protobuf::Message as _;

/// The response that carries an answer.
#[must_use]
pub fn encode(answer: &Answer, media_type: MediaType) -> Response {
    match media_type {
        MediaType::Json => Response::ok_json(json(answer)),
        MediaType::Protobuf => match answer.write_to_bytes() {
            Ok(bytes) => Response::bytes(StatusCode::OK, media_type.as_str(), bytes),
            Err(error) => plain(500, format!("the answer cannot be encoded: {error}")),
        },
    }
}

fn json(answer: &Answer) -> String {
    let mut json = String::with_capacity(1024);
    let members = |object: &mut ObjectWriter<'_>| match answer.type_() {
        Type::GET_TASKS => object.object("get_tasks", |object| tasks(object, &answer.get_tasks)),
        Type::GET_EXECUTORS => object.object("get_executors", |object| executors(object, &answer.get_executors)),
        Type::GET_FRAMEWORKS => object.object("get_frameworks", |object| frameworks(object, &answer.get_frameworks)),
        _ => object.object("get_state", |object| {
            let state = &answer.get_state;
            object.object("get_tasks", |object| tasks(object, &state.get_tasks));
            object.object("get_executors", |object| executors(object, &state.get_executors));
            object.object("get_frameworks", |object| frameworks(object, &state.get_frameworks));
        }),
    };
    match answer.type_() {
        Type::GET_TASKS | Type::GET_EXECUTORS | Type::GET_FRAMEWORKS | Type::GET_STATE => {
            write_object(&mut json, |object| {
                object.text("type", format_args!("{:?}", answer.type_()));
                members(object);
            });
        }
        _ => write(answer, &mut json),
    }
    json
}

fn tasks(object: &mut ObjectWriter<'_>, all: &GetTasks) {
    for (key, tasks) in [
        ("pending_tasks", &all.pending_tasks),
        ("queued_tasks", &all.queued_tasks),
        ("launched_tasks", &all.launched_tasks),
        ("terminated_tasks", &all.terminated_tasks),
        ("completed_tasks", &all.completed_tasks),
    ] {
        object.array(key, tasks, |json, task| write(task, json));
    }
}

fn executors(object: &mut ObjectWriter<'_>, all: &GetExecutors) {
    object.array("executors", &all.executors, |json, executor| write(executor, json));
    object.array("completed_executors", &all.completed_executors, |json, executor| {
        write(executor, json);
    });
}

fn frameworks(object: &mut ObjectWriter<'_>, all: &GetFrameworks) {
    object.array("frameworks", &all.frameworks, |json, framework| write(framework, json));
    object.array("completed_frameworks", &all.completed_frameworks, |json, framework| {
        write(framework, json);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lists_of_tasks_are_shown_and_others_are_not() {
        let mut answer = Answer::new();
        answer.set_type(Type::GET_TASKS);
        assert_eq!(
            json(&answer),
            "{\"type\":\"GET_TASKS\",\"get_tasks\":{\"pending_tasks\":[],\"queued_tasks\":[],\"launched_tasks\":[],\
             \"terminated_tasks\":[],\"completed_tasks\":[]}}"
        );
        answer.set_type(Type::GET_OPERATIONS);
        answer.get_operations.mut_or_insert_default();
        assert_eq!(json(&answer), r#"{"type":"GET_OPERATIONS","get_operations":{}}"#);
    }

    #[test]
    fn protobuf_answers_have_their_own_content_type() {
        let mut answer = Answer::new();
        answer.set_type(Type::GET_HEALTH);
        answer.get_health.mut_or_insert_default().set_healthy(true);
        let response = encode(&answer, MediaType::Protobuf);
        assert_eq!(
            response
                .headers
                .get("content-type")
                .and_then(|value| value.to_str().ok()),
            Some("application/x-protobuf")
        );
        let libprocess::http::Body::Full(body) = response.body else {
            panic!("a full body")
        };
        // As recorded.
        assert_eq!(body.as_ref(), [0x08, 0x01, 0x12, 0x02, 0x08, 0x01]);
    }
}
