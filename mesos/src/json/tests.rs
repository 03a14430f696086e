//! The JSON dialect in both directions.

use mesos_proto::v0::{mesos as v0, quota, scheduler as v0_scheduler};
use mesos_proto::v1::{master, mesos as v1, scheduler};
use proptest::prelude::*;
use proptest::test_runner::TestRng;
use protobuf::EnumOrUnknown;
use protobuf::reflect::MessageDescriptor;

use super::plan::{EnumPlan, Kind, Label, Plan};
use super::*;
use crate::wire::{WireValue, put_field, put_nested};

fn call(text: &str) -> Result<scheduler::Call, JsonError> {
    from_str(text)
}

#[test]
fn fields_stand_in_declaration_order_with_their_defaults() {
    let mut info = v1::FrameworkInfo::new();
    info.set_hostname("h".into());
    info.set_name("n".into());
    info.set_user("u".into());
    info.roles = vec!["b".into(), "a".into()];
    assert_eq!(
        to_string(&info),
        r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false,"roles":["b","a"],"hostname":"h"}"#
    );
}

#[test]
fn deprecated_defaults_are_left_out() {
    let info: v1::FrameworkInfo = from_str(r#"{"user":"u","name":"n"}"#).expect("a framework");
    assert!(!to_string(&info).contains("\"role\""));
}

#[test]
fn defaults_stand_between_present_fields() {
    let mut check = v1::HealthCheck::new();
    check.set_timeout_seconds(3.0);
    check.set_consecutive_failures(0);
    assert_eq!(
        to_string(&check),
        "{\"delay_seconds\":15.0,\"interval_seconds\":10.0,\"timeout_seconds\":3.0,\"consecutive_failures\":0,\
         \"grace_period_seconds\":10.0}"
    );
}

#[test]
fn an_enum_number_without_name_counts_as_absent() {
    let mut address = v0::network_info::IPAddress::new();
    address.protocol = Some(EnumOrUnknown::from_i32(99));
    assert_eq!(to_string(&address), r#"{"protocol":"IPv4"}"#);
    let mut status = v0::TaskStatus::new();
    status.reason = Some(EnumOrUnknown::from_i32(9999));
    assert_eq!(to_string(&status), "{}");
}

#[test]
fn agent_names_replace_slave_names() {
    let mut status = v0::TaskStatus::new();
    status.slave_id = Some(crate::ids::AgentId::new("slave-1").to_proto()).into();
    status.set_source(v0::task_status::Source::SOURCE_SLAVE);
    status.set_reason(v0::task_status::Reason::REASON_SLAVE_REMOVED);
    let text = to_string_agent_names(&status);
    assert_eq!(
        text,
        r#"{"source":"SOURCE_AGENT","reason":"REASON_AGENT_REMOVED","agent_id":{"value":"slave-1"}}"#
    );
    assert_eq!(
        to_string(&status),
        r#"{"source":"SOURCE_SLAVE","reason":"REASON_SLAVE_REMOVED","slave_id":{"value":"slave-1"}}"#
    );
}

#[test]
fn numbers_that_json_lacks_are_an_error_or_null() {
    let mut scalar = v1::value::Scalar::new();
    scalar.set_value(f64::NAN);
    let mut resource = v1::Resource::new();
    resource.scalar = Some(scalar).into();
    let mut offer = v1::Offer::new();
    offer.resources = vec![resource];
    let error = try_to_string(&offer).expect_err("NaN");
    assert_eq!(error.path(), Some("resources.scalar.value"));
    assert_eq!(to_string(&offer), r#"{"resources":[{"scalar":{"value":null}}]}"#);
    let mut out = "kept".to_owned();
    assert!(try_write(&offer, &mut out).is_err());
    assert_eq!(out, "kept");
}

#[test]
fn errors_name_the_place() {
    for (text, error) in [
        ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
        ("", "not JSON: EOF while parsing a value at line 1 column 0"),
        ("{} {}", "not JSON: trailing characters at line 1 column 4"),
        ("[]", "expected an object, found an array"),
        ("{}", ""),
        (
            r#"{"subscribe":{}}"#,
            "missing required field: subscribe.framework_info",
        ),
        (
            r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"roles":[]}}}"#,
            "missing required fields: subscribe.framework_info.user, subscribe.framework_info.name",
        ),
        (
            r#"{"subscribe":{"framework_info":{"user":1,"name":"n"}}}"#,
            "subscribe.framework_info.user: expected a string, found a number",
        ),
        (r#"{"subscribe":[]}"#, "subscribe: expected an object, found an array"),
        (r#"{"type":3}"#, "type: expected the name of a value, found a number"),
        (
            r#"{"acknowledge":{"agent_id":{"value":{}}}}"#,
            "acknowledge.agent_id.value: expected a string, found an object",
        ),
        (
            r#"{"accept":{"offer_ids":[{"value":"a"},{"value":["b"]}]}}"#,
            "accept.offer_ids[1].value: expected a string, found an array",
        ),
        (r#"{"accept":{"operations":[{"type":"NO_SUCH"}]}}"#, ""),
        (
            r#"{"message":{"data":"*"}}"#,
            "message.data: not base64: Invalid symbol 42, offset 0.",
        ),
        (
            r#"{"decline":{"filters":{"refuse_seconds":"x"}}}"#,
            "decline.filters.refuse_seconds: expected a number, found \"x\"",
        ),
        (
            r#"{"decline":{"filters":{"refuse_seconds":true}}}"#,
            "decline.filters.refuse_seconds: expected a number, found a truth value",
        ),
    ] {
        match call(text) {
            Ok(_) => assert_eq!(error, "", "{text}"),
            Err(found) => assert_eq!(found.to_string(), error, "{text}"),
        }
    }
}

#[test]
fn an_unknown_enum_name_is_an_error_only_where_a_value_is_required() {
    assert!(!call(r#"{"type":"NEW_CALL"}"#).expect("a call").has_type());
    let error = from_str::<v1::TaskStatus>(r#"{"task_id":{"value":"t"},"state":"TASK_NEW"}"#).expect_err("required");
    assert_eq!(error.to_string(), "state: unknown value \"TASK_NEW\"");
}

#[test]
fn readers_forgive() {
    let call = call(
        r#"{"unknown":{"a":[1,{"b":null}]},"type":"KILL","type":"DECLINE","framework_id":null,
            "decline":{"offer_ids":{"value":"single"},"filters":{"refuse_seconds":"2.5"}}}"#,
    )
    .expect("a call");
    assert_eq!(call.type_(), scheduler::call::Type::DECLINE);
    assert!(call.framework_id.is_none());
    assert_eq!(call.decline.offer_ids[0].value(), "single");
    assert!((call.decline.filters.refuse_seconds() - 2.5).abs() < f64::EPSILON);
}

#[test]
fn quoted_scalars_and_fractions_are_accepted() {
    let info: v1::MasterInfo = from_str(r#"{"id":"m","ip":"7","port":5050.9}"#).expect("a master");
    assert_eq!((info.ip(), info.port()), (7, 5050));
    let info: v1::FrameworkInfo =
        from_str(r#"{"user":"u","name":"n","checkpoint":"true","failover_timeout":"Infinity"}"#).expect("a framework");
    assert!(info.checkpoint() && info.failover_timeout().is_infinite());
    assert!(from_str::<v1::FrameworkInfo>(r#"{"user":"u","name":"n","checkpoint":1}"#).is_err());
    assert!(from_str::<v1::FrameworkInfo>(r#"{"user":"u","name":"n","checkpoint":"yes"}"#).is_err());
}

#[test]
fn numbers_are_narrowed_without_a_check() {
    let info: v1::MasterInfo = from_str(r#"{"id":"m","ip":4294967297,"port":-1}"#).expect("a master");
    assert_eq!((info.ip(), info.port()), (1, u32::MAX));
    let range: v1::value::Range = from_str(r#"{"begin":18446744073709551615,"end":-1}"#).expect("a range");
    assert_eq!((range.begin(), range.end()), (u64::MAX, u64::MAX));
    assert_eq!(
        to_string(&range),
        r#"{"begin":18446744073709551615,"end":18446744073709551615}"#
    );
}

#[test]
fn maps_are_objects_in_the_order_of_their_keys() {
    let text = r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false,"offer_filters":{"a":{},"b":{"min_allocatable_resources":{"quantities":[{"quantities":{"cpus":{"value":1.0},"mem":{"value":2.0}}}]}}}}"#;
    let info: v1::FrameworkInfo = from_str(text).expect("a framework");
    assert_eq!(to_string(&info), text);
    let error = from_str::<v1::FrameworkInfo>(r#"{"offer_filters":{"a b":{"min_allocatable_resources":1}}}"#);
    assert_eq!(
        error.expect_err("a number").path(),
        Some("offer_filters[\"a b\"].min_allocatable_resources")
    );
    assert!(from_str::<v1::FrameworkInfo>(r#"{"offer_filters":[]}"#).is_err());
}

#[test]
fn durations_are_plain_objects() {
    let text = r#"{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":"a"},"max_grace_period":{"seconds":3},"mark_gone":false}}"#;
    let call: master::Call = from_str(text).expect("a call");
    assert_eq!(call.drain_agent.max_grace_period.seconds, 3);
    assert_eq!(to_string(&call), text);
}

#[test]
fn depth_is_bounded_before_anything_is_built() {
    let nested = |levels: usize| {
        let mut text = r#"{"value":"x","parent":"#.repeat(levels - 1);
        text.push_str(r#"{"value":"x"}"#);
        text.push_str(&"}".repeat(levels - 1));
        text
    };
    assert!(from_str::<v1::ContainerID>(&nested(90)).is_ok());
    assert!(
        from_str::<v1::ContainerID>(&nested(MAX_DEPTH)).is_err(),
        "deeper than the wire format is read"
    );
    assert_eq!(
        from_str::<v1::ContainerID>(&nested(MAX_DEPTH + 1)),
        Err(JsonError::TooDeep { limit: MAX_DEPTH })
    );
    assert!(call(&format!(r#"{{"x":{}{}}}"#, "[".repeat(199), "]".repeat(199))).is_ok());
    for text in [
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        "[{\"a\":".repeat(1_000_000),
    ] {
        assert_eq!(call(&text), Err(JsonError::TooDeep { limit: MAX_DEPTH }));
    }
    assert!(call(r#"{"x":"[[[[[\"[[[["}"#).is_ok());
}

#[test]
fn unversioned_and_v1_defaults_differ_where_the_definitions_do() {
    assert_eq!(to_string(&quota::QuotaRequest::new()), r#"{"force":false}"#);
    assert_eq!(to_string(&mesos_proto::v1::quota::QuotaRequest::new()), "{}");
    let subscribe = v0_scheduler::call::Subscribe::new();
    assert_eq!(to_string(&subscribe), "{}");
}

/// Makes random well-formed messages of any type.
struct Generator {
    random: TestRng,
}

impl Generator {
    fn below(&mut self, limit: u32) -> u32 {
        self.random.next_u32() % limit
    }

    fn message(&mut self, plan: &'static Plan, depth: usize, out: &mut Vec<u8>) {
        for field in &plan.fields {
            let required = matches!(field.label, Label::Required);
            let leaf = !matches!(field.kind, Kind::Message(_));
            if !required && ((!leaf && depth > 3) || self.below(3) != 0) {
                continue;
            }
            let count = if matches!(field.label, Label::Repeated) {
                self.below(3) + 1
            } else {
                1
            };
            for _ in 0..count {
                match &field.label {
                    Label::Map(key) => put_nested::<()>(out, field.number, |out| {
                        self.value(1, key, depth, out);
                        self.value(2, &field.kind, depth, out);
                        Ok(())
                    })
                    .expect("no error"),
                    _ => self.value(field.number, &field.kind, depth, out),
                }
            }
        }
    }

    fn text(&mut self) -> String {
        let choices = ["", "a", "slave", "\"\\\n\u{1}", "x/y", "é漢😀", "*"];
        choices[self.below(7) as usize].to_owned()
    }

    fn value(&mut self, number: u32, kind: &'static Kind, depth: usize, out: &mut Vec<u8>) {
        let bits = self.random.next_u64() >> self.below(64);
        let value = match kind {
            Kind::Message(link) => {
                put_nested::<()>(out, number, |out| {
                    self.message(link.plan(), depth + 1, out);
                    Ok(())
                })
                .expect("no error");
                return;
            }
            Kind::Text | Kind::Bytes => {
                let text = self.text();
                return put_field(out, number, WireValue::Bytes(text.as_bytes()));
            }
            Kind::Enum(names) => WireValue::Varint(self.enum_number(names)),
            Kind::Bool => WireValue::Varint(bits & 1),
            Kind::Double => WireValue::Fixed64(finite(f64::from_bits(self.random.next_u64())).to_bits()),
            Kind::Float => WireValue::Fixed32(f32::from_bits(self.below(0x7f00_0000)).to_bits()),
            Kind::Int32 => WireValue::Varint(i64::from(low_half(bits).cast_signed()).cast_unsigned()),
            Kind::Uint32 | Kind::Sint32 => WireValue::Varint(bits & 0xffff_ffff),
            // Integers past the signed range pass through a double.
            Kind::Uint64 => WireValue::Varint(bits >> 1),
            Kind::Int64 | Kind::Sint64 => WireValue::Varint(bits),
            Kind::Fixed32 | Kind::Sfixed32 => WireValue::Fixed32(low_half(bits)),
            Kind::Fixed64 => WireValue::Fixed64(bits >> 1),
            Kind::Sfixed64 => WireValue::Fixed64(bits),
        };
        put_field(out, number, value);
    }

    fn enum_number(&mut self, names: &EnumPlan) -> u64 {
        let numbers = names.all_numbers();
        let index = self.below(u32::try_from(numbers.len()).expect("few")) as usize;
        i64::from(numbers[index]).cast_unsigned()
    }
}

fn low_half(bits: u64) -> u32 {
    u32::try_from(bits & 0xffff_ffff).expect("32 bits")
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.25 }
}

fn all_messages() -> Vec<MessageDescriptor> {
    fn add(message: MessageDescriptor, all: &mut Vec<MessageDescriptor>) {
        for nested in message.nested_messages().filter(|nested| !nested.is_map_entry()) {
            add(nested, all);
        }
        all.push(message);
    }
    let mut all = Vec::new();
    for (_, file) in mesos_proto::files() {
        for message in file.messages() {
            add(message, &mut all);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_message_survives_both_directions(seed: [u8; 32]) {
        let mut generator = Generator { random: TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &seed) };
        for descriptor in all_messages() {
            let mut bytes = Vec::new();
            generator.message(plan(&descriptor, Spelling::Declared), 0, &mut bytes);
            let message = descriptor.parse_from_bytes(&bytes).expect("generated bytes are well-formed");
            let mut text = String::new();
            try_write(&*message, &mut text).expect("generated numbers are finite");
            let value = parse_value(text.as_bytes()).expect("written JSON parses");
            let read = from_value_dyn(&descriptor, &value).map_err(|error| format!("{descriptor}: {error}: {text}"));
            let read = read.expect("written JSON is read");
            let mut again = String::new();
            write(&*read, &mut again);
            prop_assert_eq!(&text, &again);
            let agent_names = {
                let mut out = String::new();
                write_agent_names(&*message, &mut out);
                out
            };
            prop_assert!(parse_value(agent_names.as_bytes()).is_ok());
        }
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_a_panic(text in ".{0,60}", bytes: Vec<u8>) {
        drop(call(&text));
        drop(from_slice::<scheduler::Call>(&bytes));
    }

    #[test]
    fn damaged_calls_are_refused_or_read_but_never_a_panic(at in 0..300_usize, with: u8, cut: bool) {
        let mut text = br#"{"framework_id":{"value":"f"},"type":"ACCEPT","accept":{"offer_ids":[{"value":"o"}],"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"t","task_id":{"value":"1"},"agent_id":{"value":"a"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}}]}]}}],"filters":{"refuse_seconds":5.0}}}"#.to_vec();
        let at = at.min(text.len() - 1);
        if cut {
            text.truncate(at);
        } else {
            text[at] = with;
        }
        drop(from_slice::<scheduler::Call>(&text));
    }
}

#[test]
fn every_full_name_belongs_to_one_message() {
    let mut names: Vec<String> = all_messages()
        .iter()
        .map(|message| message.full_name().to_owned())
        .collect();
    names.sort();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
}
