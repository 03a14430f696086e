//! Messages that the original programs sent travel through our sender and our receiver unchanged.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use bytes::Bytes;
use libprocess::Upid;

use crate::recorder::{Recording, start_node};

struct Recorded {
    to: Upid,
    from: Upid,
    name: String,
    body: Bytes,
}

/// All recorded messages, or nothing when the recordings are not beside the repository.
fn recorded() -> Vec<Recorded> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/wire"));
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no recordings in {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    let mut messages = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"))
    {
        for line in std::fs::read_to_string(file).expect("a readable recording").lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
            let text = |key: &str| {
                line[key]
                    .as_str()
                    .unwrap_or_else(|| panic!("no {key} in {line}"))
                    .to_owned()
            };
            let body = base64::engine::general_purpose::STANDARD
                .decode(text("body"))
                .expect("base64");
            messages.push(Recorded {
                to: text("to").parse().expect("an address"),
                from: text("from").parse().expect("an address"),
                name: text("name"),
                body: body.into(),
            });
        }
    }
    messages
}

#[tokio::test]
async fn recorded_messages_travel_unchanged() {
    let messages = recorded();
    let (here, there) = (start_node().await, start_node().await);
    let mut receivers = BTreeMap::new();
    for message in &messages {
        if !receivers.contains_key(message.to.id()) {
            let recording = Recording::start(&there, message.to.id()).await;
            receivers.insert(message.to.id().to_owned(), recording);
        }
    }
    // One lasting connection keeps the order of all of them.
    let linker = Recording::start(&here, "linker").await;
    linker.link(&there.pid("anybody")).await;
    for message in &messages {
        here.send(
            &message.from,
            &there.pid(message.to.id()),
            &message.name,
            message.body.clone(),
        );
    }
    for message in &messages {
        let receiver = receivers.get_mut(message.to.id()).expect("spawned above");
        let (from, name, body) = receiver.next_message().await;
        assert_eq!((from, name), (message.from.to_string(), message.name.clone()));
        assert_eq!(body, message.body, "{} from {}", message.name, message.from);
    }
    here.stop().await;
    there.stop().await;
}
