//! Answers that real masters and agents gave in JSON are read as their message and printed again: the text must come
//! back, byte for byte.
//!
//! Four liberties are taken. Numbers with a fraction are compared by value: of the texts with the fewest digits that
//! give the same double, the recorded programs do not always print the one nearest to it. Some lists of state answers
//! were printed though empty, which the answer's renderer adds. Agent descriptions were printed from the unversioned
//! message, which has a field that the v1 one lacks; see [`agent_descriptions_have_the_unversioned_field`]. The
//! entries of a map (quota configurations have some) were recorded in the order of a hash.

use std::fs;
use std::path::{Path, PathBuf};

use mesos::json;
use mesos_proto::v1::{agent, master, scheduler};
use protobuf::MessageFull;

fn golden(folder: &str) -> PathBuf {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden")).join(folder);
    assert!(
        path.is_dir(),
        "the recorded answers are not there: {} (the shared folder belongs beside the checkout)",
        path.display()
    );
    path
}

fn recordings(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(golden(folder))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a file")))
        .collect();
    files.sort();
    files
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Head and body of the recorded answer.
fn answer(recording: &[u8]) -> Option<(String, &[u8])> {
    let marker = b">>>>>>>> RESPONSE";
    let response = &recording[find(recording, marker)?..];
    let response = &response[find(response, b"\n")? + 1..];
    let (end, gap) = match find(response, b"\r\n\r\n") {
        Some(end) => (end, 4),
        None => (find(response, b"\n\n")?, 2),
    };
    Some((
        String::from_utf8_lossy(&response[..end]).into_owned(),
        &response[end + gap..],
    ))
}

/// Splits a text into what stands between numbers with a fraction, and those numbers.
fn split_numbers(text: &str) -> (String, Vec<f64>) {
    let mut shape = String::new();
    let mut numbers = Vec::new();
    let mut in_string = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && !".-e".contains(character));
        let candidate = &rest[..digits.unwrap_or(rest.len())];
        if !in_string && candidate.contains('.') {
            numbers.push(candidate.parse().expect("a number"));
            shape.push('#');
            rest = &rest[candidate.len()..];
            continue;
        }
        let taken = if first == '\\' { 2 } else { first.len_utf8() };
        in_string ^= first == '"';
        shape.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    (shape, numbers)
}

fn assert_same(text: &str, again: &str, place: &str) {
    if text == again {
        return;
    }
    if text.contains("\"guarantees\":{") {
        let value = |text: &str| json::parse_value(text.as_bytes()).expect("JSON");
        assert_eq!(value(text), value(again), "{place}");
        return;
    }
    let (shape, numbers) = split_numbers(text);
    let (shape_again, numbers_again) = split_numbers(again);
    if shape != shape_again {
        let at = shape
            .bytes()
            .zip(shape_again.bytes())
            .take_while(|(left, right)| left == right)
            .count();
        let excerpt = |text: &str| {
            let bytes = &text.as_bytes()[at.saturating_sub(150)..(at + 80).min(text.len())];
            String::from_utf8_lossy(bytes).into_owned()
        };
        panic!(
            "{place}: differs at {at}:\n  recorded {}\n  printed  {}",
            excerpt(&shape),
            excerpt(&shape_again)
        );
    }
    assert_eq!(numbers, numbers_again, "{place}");
}

/// Takes out what answers have beyond their v1 message.
fn without_extras(text: &str) -> String {
    let mut text = text.replace("\"},\"checkpoint\":true}", "\"}}");
    while let Some(list) = text.find("\":[]") {
        let mut start = text[..list].rfind('"').expect("a key begins with a quote");
        let mut end = list + 4;
        if text[end..].starts_with(',') {
            end += 1;
        } else if text[..start].ends_with(',') {
            start -= 1;
        }
        text.replace_range(start..end, "");
    }
    text
}

fn check<M: MessageFull>(text: &str, place: &str) {
    let text = &without_extras(text);
    let message: M = json::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_same(text, &json::to_string(&message), place);
}

fn check_folder<M: MessageFull>(folder: &str) -> usize {
    let mut checked = 0;
    for (name, recording) in recordings(folder) {
        let Some((head, body)) = answer(&recording) else {
            continue;
        };
        if !head.contains("200 OK") || !head.contains("Content-Type: application/json") {
            continue;
        }
        let body = std::str::from_utf8(body).expect("JSON is UTF-8").trim_end();
        check::<M>(body, &name);
        checked += 1;
    }
    checked
}

#[test]
fn agent_descriptions_have_the_unversioned_field() {
    let mut info = mesos_proto::v0::mesos::SlaveInfo::new();
    info.set_hostname("h".into());
    info.id = Some(mesos::ids::AgentId::new("S0").to_proto()).into();
    info.set_checkpoint(true);
    assert_eq!(
        json::to_string_agent_names(&info),
        r#"{"hostname":"h","port":5051,"id":{"value":"S0"},"checkpoint":true}"#
    );
}

#[test]
fn operator_answers_come_back() {
    assert!(check_folder::<master::Response>("operator/master") >= 15);
    assert!(check_folder::<agent::Response>("operator/agent") >= 12);
}

/// Undoes the chunked transfer coding and the record lengths; a torn end is left out.
fn records(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut stream = Vec::new();
    while let Some(end) = find(body, b"\n") {
        let line = String::from_utf8_lossy(&body[..end]);
        let Ok(length) = usize::from_str_radix(line.trim(), 16) else {
            break;
        };
        let data = &body[end + 1..];
        if length == 0 || data.len() < length {
            break;
        }
        stream.extend_from_slice(&data[..length]);
        body = &data[length..];
        body = body
            .strip_prefix(b"\r\n")
            .or_else(|| body.strip_prefix(b"\n"))
            .unwrap_or(body);
    }
    let mut records = Vec::new();
    let mut rest = &stream[..];
    while let Some(end) = find(rest, b"\n") {
        let Ok(length) = String::from_utf8_lossy(&rest[..end]).parse::<usize>() else {
            break;
        };
        let Some(record) = rest.get(end + 1..end + 1 + length) else {
            break;
        };
        records.push(record.to_vec());
        rest = &rest[end + 1 + length..];
    }
    records
}

fn check_stream<M: MessageFull>(file: &str) {
    let recording = fs::read(golden("streams").join(file)).expect("a recorded stream");
    let (_, body) = answer(&recording).expect("an answer");
    let records = records(body);
    assert!(!records.is_empty(), "{file} has records");
    for (index, record) in records.iter().enumerate() {
        check::<M>(
            std::str::from_utf8(record).expect("JSON is UTF-8"),
            &format!("{file} record {index}"),
        );
    }
}

#[test]
fn events_come_back() {
    check_stream::<master::Event>("operator_subscribe_json.http");
    check_stream::<scheduler::Event>("scheduler_subscribe_json.http");
    check_stream::<scheduler::Event>("scheduler_subscribe_json_noaccept.http");
}

#[test]
fn recorded_requests_are_read() {
    let mut read = 0;
    for folder in ["operator/master", "mutations"] {
        for (name, recording) in recordings(folder) {
            let request = &recording[..find(&recording, b">>>>>>>> RESPONSE").unwrap_or(recording.len())];
            let is_call =
                find(request, b"/api/v1 ").is_some() && find(request, b"Content-Type: application/json").is_some();
            let Some(start) = find(request, b"\r\n\r\n")
                .map(|at| at + 4)
                .or_else(|| find(request, b"\n\n").map(|at| at + 2))
            else {
                continue;
            };
            if !is_call {
                continue;
            }
            let text = std::str::from_utf8(&request[start..]).expect("JSON is UTF-8");
            json::from_str::<master::Call>(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
            read += 1;
        }
    }
    assert!(read >= 15, "{read} requests were read");
}
