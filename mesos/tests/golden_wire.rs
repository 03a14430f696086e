//! Messages that real masters, agents, drivers and log replicas sent are decoded and encoded again, and their JSON
//! form is compared with a decoding made by other software.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesos::{Message, json};
use protobuf::MessageDyn;
use protobuf::reflect::MessageDescriptor;
use serde_json::Value;

struct Recorded {
    place: String,
    name: String,
    body: Vec<u8>,
    decoded: Value,
}

fn recorded() -> Vec<Recorded> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/wire"));
    assert!(
        folder.is_dir(),
        "the recorded messages are not there: {} (the shared folder belongs beside the checkout)",
        folder.display()
    );
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a file");
        for (index, line) in text.lines().enumerate() {
            let value: Value = serde_json::from_str(line).expect("one object a line");
            let cell = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            all.push(Recorded {
                place: format!("{}:{}", path.display(), index + 1),
                name: cell("name"),
                body: STANDARD.decode(cell("body")).expect("base64"),
                decoded: value["decoded"].clone(),
            });
        }
    }
    assert!(all.len() > 1_000, "{} messages are recorded", all.len());
    all
}

fn descriptors() -> HashMap<String, MessageDescriptor> {
    let messages = mesos_proto::files()
        .into_iter()
        .flat_map(|(_, file)| file.messages().collect::<Vec<_>>());
    messages
        .map(|message| (message.full_name().to_owned(), message))
        .collect()
}

#[test]
fn every_recorded_name_is_known_and_its_bytes_come_back() {
    let descriptors = descriptors();
    let mut unknown = BTreeMap::new();
    let (mut same, mut reordered) = (0, 0);
    for message in recorded() {
        let encoded = match Message::decode(&message.name, &message.body) {
            Some(decoded) => decoded
                .unwrap_or_else(|error| panic!("{}: {error}", message.place))
                .encode(),
            None if message.name.starts_with("mesos.internal.log.") => {
                let decoded = descriptors[&message.name]
                    .parse_from_bytes(&message.body)
                    .expect("a log message");
                decoded.write_to_bytes_dyn().expect("a complete message")
            }
            None => {
                *unknown.entry(message.name).or_insert(0) += 1;
                continue;
            }
        };
        if encoded == message.body {
            same += 1;
            continue;
        }
        // The recorded programs write fields in the order of their numbers, at every level; the order is no part of
        // the format.
        reordered += 1;
        let descriptor = &descriptors[&message.name];
        let parse = |bytes: &[u8]| descriptor.parse_from_bytes(bytes).expect("well-formed");
        assert_eq!(encoded.len(), message.body.len(), "{}", message.place);
        assert!(
            descriptor.eq(&*parse(&encoded), &*parse(&message.body)),
            "{}",
            message.place
        );
    }
    println!("{same} messages came back byte for byte, {reordered} with fields in another order");
    assert!(unknown.is_empty(), "unknown names: {unknown:?}");
}

/// Whether our JSON says what the other decoding says. That one leaves explicit defaults out and quotes 64-bit
/// integers.
fn compare(ours: &Value, theirs: &Value, path: &str) -> Result<(), String> {
    let differ = || Err(format!("{path}: {ours} against {theirs}"));
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in theirs {
                let own = ours.get(name).ok_or_else(|| format!("{path}.{name} is missing"))?;
                compare(own, value, &format!("{path}.{name}"))?;
            }
            Ok(())
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .try_for_each(|(own, value)| compare(own, value, &format!("{path}[]"))),
        (Value::Number(own), Value::Number(value)) if own.as_f64() == value.as_f64() => Ok(()),
        (Value::Number(own), Value::String(value)) if own.to_string() == *value => Ok(()),
        (own, value) if own == value => Ok(()),
        _ => differ(),
    }
}

#[test]
fn our_json_agrees_with_another_decoding() {
    let descriptors = descriptors();
    let mut compared = 0;
    for message in recorded().iter().filter(|message| message.decoded.is_object()) {
        let decoded = descriptors[&message.name]
            .parse_from_bytes(&message.body)
            .expect("well-formed");
        let text = json_text(&*decoded);
        let ours = json::parse_value(text.as_bytes()).expect("our JSON parses");
        compare(&ours, &message.decoded, &message.name).unwrap_or_else(|error| panic!("{}: {error}", message.place));
        compared += 1;

        let again = json::from_value_dyn(&descriptors[&message.name], &ours).expect("our JSON is read");
        assert_eq!(json_text(&*again), text, "{}", message.place);
    }
    assert!(compared > 1_000, "{compared} messages were compared");
}

fn json_text(message: &dyn MessageDyn) -> String {
    let mut text = String::new();
    json::try_write(message, &mut text).expect("finite numbers");
    text
}
