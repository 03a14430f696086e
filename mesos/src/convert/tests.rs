//! Every pair of twins converts both ways, exceptions included.

use std::collections::HashMap;
use std::fs;

use mesos_proto::{v0, v1};
use protobuf::descriptor::FieldDescriptorProto;
use protobuf::reflect::{MessageDescriptor, RuntimeFieldType, RuntimeType};

use super::exceptions::EXCEPTIONS;
use super::*;
use crate::wire::{WireValue, put_field};

fn messages() -> HashMap<String, MessageDescriptor> {
    fn add(message: MessageDescriptor, all: &mut HashMap<String, MessageDescriptor>) {
        for nested in message.nested_messages().filter(|nested| !nested.is_map_entry()) {
            add(nested, all);
        }
        all.insert(message.full_name().to_owned(), message);
    }
    let mut all = HashMap::new();
    for (_, file) in mesos_proto::files() {
        for message in file.messages() {
            add(message, &mut all);
        }
    }
    all
}

/// All messages that both trees have.
fn pairs() -> Vec<(MessageDescriptor, MessageDescriptor)> {
    let all = messages();
    let mut pairs: Vec<_> = all
        .iter()
        .filter(|(name, _)| !name.starts_with("mesos.v1."))
        .filter_map(|(name, unversioned)| Some((unversioned.clone(), all.get(&v1_name(name)?)?.clone())))
        .collect();
    pairs.sort_by(|left, right| left.0.full_name().cmp(right.0.full_name()));
    pairs
}

/// What decides how the bytes of a field are read: label, type, and the twin of a message or enum type.
fn shape(field: &FieldDescriptorProto) -> String {
    let type_name = field.type_name().trim_start_matches('.');
    let type_name = if type_name.starts_with("mesos.v1.") {
        type_name.to_owned()
    } else {
        v1_name(type_name).unwrap_or_else(|| type_name.to_owned())
    };
    format!("{:?} {:?} {type_name}", field.label(), field.type_())
}

/// Numbers of fields that one side reads differently from the other, or not at all.
fn disagreements(left: &MessageDescriptor, right: &MessageDescriptor) -> Vec<i32> {
    let table = |message: &MessageDescriptor| -> HashMap<i32, String> {
        message
            .proto()
            .field
            .iter()
            .map(|field| (field.number(), shape(field)))
            .collect()
    };
    let (left, right) = (table(left), table(right));
    let mut numbers: Vec<i32> = left.keys().chain(right.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|number| left.get(number) != right.get(number));
    numbers
}

fn is_exception(name: &str) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.from == name)
}

#[test]
fn bytes_are_trusted_only_where_both_trees_agree() {
    let pairs = pairs();
    assert!(pairs.len() > 250, "{} pairs", pairs.len());
    for (unversioned, v1) in &pairs {
        let numbers = disagreements(unversioned, v1);
        let name = unversioned.full_name();
        if numbers.is_empty() {
            assert!(
                !is_exception(name) && !is_exception(v1.full_name()),
                "{name} needs no handler"
            );
        } else if name == "mesos.SlaveInfo" {
            // Going up, the field that v1 lacks becomes an unknown one.
            assert_eq!(numbers, [7]);
            assert!(is_exception(v1.full_name()));
        } else {
            assert!(
                is_exception(name) && is_exception(v1.full_name()),
                "{name} differs at {numbers:?}"
            );
        }
    }
}

#[test]
fn enums_of_both_trees_have_the_same_numbers() {
    let numbers = |field: RuntimeFieldType| match field {
        RuntimeFieldType::Singular(RuntimeType::Enum(kind)) | RuntimeFieldType::Repeated(RuntimeType::Enum(kind)) => {
            Some(kind.values().map(|value| value.value()).collect::<Vec<_>>())
        }
        _ => None,
    };
    for (unversioned, v1) in pairs() {
        for field in unversioned.fields() {
            let number = u32::try_from(field.number()).expect("positive");
            let Some(twin) = v1.field_by_number(number) else {
                continue;
            };
            assert_eq!(
                numbers(field.runtime_field_type()),
                numbers(twin.runtime_field_type()),
                "{}.{}",
                unversioned.full_name(),
                field.name()
            );
        }
    }
}

#[test]
fn exceptions_are_the_ones_of_the_facts() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/facts/protobuf/unversioned_vs_v1.tsv"
    );
    let table = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{path}: {error} (the shared folder belongs beside the checkout)"));
    let mut differing: Vec<&str> = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|row| {
            matches!(
                row[0],
                "type-differs" | "label-differs" | "field-only-unversioned" | "field-only-v1"
            )
        })
        .map(|row| row[2])
        .collect();
    differing.sort_unstable();
    differing.dedup();
    let mut handled: Vec<&str> = EXCEPTIONS
        .iter()
        .map(|exception| exception.from)
        .filter(|name| name.starts_with("mesos.v1."))
        .collect();
    handled.sort_unstable();
    assert_eq!(handled, differing);
}

#[test]
fn no_exception_hides_in_a_map_or_in_another_exception() {
    let all = messages();
    for message in all.values() {
        for field in message.fields() {
            let inside = match field.runtime_field_type() {
                RuntimeFieldType::Map(_, RuntimeType::Message(inside)) => inside,
                RuntimeFieldType::Singular(RuntimeType::Message(inside))
                | RuntimeFieldType::Repeated(RuntimeType::Message(inside))
                    if is_exception(message.full_name()) =>
                {
                    inside
                }
                _ => continue,
            };
            assert!(
                matches!(route(&inside), Route::AsIs),
                "{}.{}",
                message.full_name(),
                field.name()
            );
        }
    }
}

#[test]
fn subscribe_moves_its_fields_both_ways() {
    let mut call = v1::scheduler::Call::new();
    call.set_type(v1::scheduler::call::Type::SUBSCRIBE);
    let mut info = v1::mesos::FrameworkInfo::new();
    info.set_user("u".into());
    info.set_name("n".into());
    let mut subscribe = v1::scheduler::call::Subscribe::new();
    subscribe.framework_info = Some(info).into();
    subscribe.suppressed_roles = vec!["a".into(), "b".into()];
    subscribe.offer_constraints = Some(v1::scheduler::OfferConstraints::new()).into();
    call.subscribe = Some(subscribe).into();

    let mut unversioned = devolve_scheduler_call(&call);
    assert_eq!(unversioned.subscribe.suppressed_roles, ["a", "b"]);
    assert!(unversioned.subscribe.offer_constraints.is_some());
    assert!(!unversioned.subscribe.has_force());
    assert_eq!(unversioned.subscribe.framework_info.name(), "n");
    let direct = devolve_from_bytes::<v1::scheduler::Call, v0::scheduler::Call>(&serialize(&call));
    assert_eq!(direct.expect("valid"), unversioned);
    assert!(devolve_from_bytes::<v1::scheduler::Call, v0::scheduler::Call>(&[0xff]).is_err());

    unversioned.subscribe.mut_or_insert_default().set_force(true);
    assert_eq!(evolve_scheduler_call(&unversioned), call);
}

#[test]
fn subscribe_keeps_unknown_fields_but_never_takes_them_for_others() {
    let mut call = v1::scheduler::Call::new();
    let subscribe = call.subscribe.mut_or_insert_default();
    subscribe
        .special_fields
        .mut_unknown_fields()
        .add_length_delimited(4, b"later".to_vec());
    subscribe.special_fields.mut_unknown_fields().add_varint(77, 7);
    let unversioned = devolve_scheduler_call(&call);
    assert!(unversioned.subscribe.offer_constraints.is_none());
    let unknown: Vec<u32> = unversioned
        .subscribe
        .special_fields
        .unknown_fields()
        .iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(unknown, [77]);
}

#[test]
fn grace_periods_change_their_unit() {
    for (seconds, nanos, total) in [
        (0, 0, 0),
        (3, 0, 3_000_000_000),
        (1, 5, 1_000_000_005),
        (-2, -1, -2_000_000_001),
    ] {
        let mut call = v1::master::Call::new();
        call.set_type(v1::master::call::Type::DRAIN_AGENT);
        let drain = call.drain_agent.mut_or_insert_default();
        drain.agent_id = Some(crate::ids::AgentId::new("a").to_v1()).into();
        drain.set_mark_gone(true);
        let period = drain.max_grace_period.mut_or_insert_default();
        period.seconds = seconds;
        period.nanos = nanos;
        let unversioned = devolve_master_call(&call);
        assert_eq!(unversioned.drain_agent.max_grace_period.nanoseconds(), total);
        assert_eq!(unversioned.drain_agent.slave_id.value(), "a");
        assert!(unversioned.drain_agent.mark_gone());
        assert_eq!(evolve_master_call(&unversioned), call);
    }
    let mut call = v1::master::Call::new();
    call.drain_agent
        .mut_or_insert_default()
        .max_grace_period
        .mut_or_insert_default()
        .seconds = i64::MAX;
    assert_eq!(
        devolve_master_call(&call).drain_agent.max_grace_period.nanoseconds(),
        i64::MAX
    );
}

#[test]
fn agents_of_v1_keep_checkpoints_wherever_they_stand() {
    let mut event = v1::executor::Event::new();
    event.set_type(v1::executor::event::Type::SUBSCRIBED);
    event
        .subscribed
        .mut_or_insert_default()
        .agent_info
        .mut_or_insert_default()
        .set_hostname("h".into());
    let unversioned = devolve_executor_event(&event);
    assert!(unversioned.subscribed.slave_info.checkpoint());
    assert_eq!(unversioned.subscribed.slave_info.hostname(), "h");

    let mut response = v1::master::Response::new();
    let agents = &mut response.get_agents.mut_or_insert_default().agents;
    agents.resize(2, v1::master::response::get_agents::Agent::new());
    for agent in agents {
        agent.agent_info.mut_or_insert_default().set_hostname("h".into());
        agent.set_active(true);
        agent.set_version("1.11.0".into());
    }
    let unversioned = devolve_master_response(&response);
    assert!(
        unversioned
            .get_agents
            .agents
            .iter()
            .all(|agent| agent.agent_info.checkpoint())
    );
}

#[test]
fn unknown_fields_survive_there_and_back() {
    let mut bytes = Vec::new();
    put_field(&mut bytes, 1, WireValue::Bytes(b"name"));
    put_field(&mut bytes, 5000, WireValue::Bytes(b"from the future"));
    let mut task = v0::mesos::TaskInfo::new();
    protobuf::Message::merge_from_bytes(&mut task, &bytes).expect("well-formed");
    let v1 = evolve_task_info(&task);
    assert_eq!(serialize(&v1), bytes);
    assert_eq!(devolve_task_info(&v1), task);
}

#[test]
fn unversioned_messages_become_v1_json_and_bytes_directly() {
    let mut status = v0::mesos::TaskStatus::new();
    status.task_id = Some(crate::ids::TaskId::new("t").to_proto()).into();
    status.slave_id = Some(crate::ids::AgentId::new("S0").to_proto()).into();
    status.set_state(v0::mesos::TaskState::TASK_RUNNING);
    status.set_reason(v0::mesos::task_status::Reason::REASON_SLAVE_REREGISTERED);
    let mut text = String::new();
    evolve_to_json::<_, v1::mesos::TaskStatus>(&status, &mut text);
    assert_eq!(text, json::to_string(&evolve_task_status(&status)));
    assert_eq!(
        text,
        "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_RUNNING\",\"reason\":\"REASON_AGENT_REREGISTERED\",\
         \"agent_id\":{\"value\":\"S0\"}}"
    );
    assert_eq!(
        evolve_to_bytes::<_, v1::mesos::TaskStatus>(&status),
        serialize(&evolve_task_status(&status))
    );
}
