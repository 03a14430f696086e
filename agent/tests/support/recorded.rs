//! Recorded requests and answers of the original agent.

use std::path::{Path, PathBuf};

use super::http::Answer;

/// One recorded exchange.
pub struct Exchange {
    /// Name of the recording.
    pub name: String,
    /// The request line.
    pub line: String,
    /// Headers of the request, without those that belong to its connection.
    pub headers: Vec<(String, String)>,
    /// Body of the request.
    pub body: Vec<u8>,
    /// The answer.
    pub answer: Answer,
}

/// The folder of recordings; none when they are not at hand.
pub fn folder(below: &str) -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden")).join(below);
    if !folder.exists() {
        eprintln!("skipped: recordings in {below} are not at hand");
        return None;
    }
    Some(folder)
}

/// All exchanges in a folder, in the order of their names.
pub fn exchanges(below: &str) -> Vec<Exchange> {
    let Some(folder) = folder(below) else { return Vec::new() };
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| exchange(path)).collect()
}

fn exchange(path: &Path) -> Exchange {
    let bytes = std::fs::read(path).expect("a recording");
    let marker = b">>>>>>>> RESPONSE (raw bytes, chunking kept)\n";
    let at = bytes
        .windows(marker.len())
        .position(|part| part == marker)
        .expect("an answer");
    let request = bytes[..at].strip_prefix(b">>>>>>>> REQUEST\n").expect("a request");
    let (head, body) = split_head(request);
    let mut lines = head.lines();
    let line = lines.next().expect("a request line").trim().to_owned();
    let own = ["host", "content-length", "connection"];
    let headers = lines.filter_map(|line| line.trim().split_once(": "));
    let headers = headers.filter(|(name, _)| !own.contains(&name.to_lowercase().as_str()));
    let mut answer = Answer::parse(&bytes[at + marker.len()..]);
    // A line feed ends the recording, not the body.
    if answer.body.ends_with(b"\n") {
        answer.body.pop();
    }
    Exchange {
        name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
        line,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.strip_suffix(b"\n").unwrap_or(body).to_vec(),
        answer,
    }
}

fn split_head(request: &[u8]) -> (String, &[u8]) {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    (head, &request[end + 4..])
}

/// One wrong request and the answer's head.
pub struct Mistake {
    pub name: String,
    pub line: String,
    pub content_type: String,
    pub accept: String,
    pub body: Vec<u8>,
    pub status: u16,
    pub answer_type: String,
    pub allow: String,
}

/// The recorded mistakes whose names begin with one of `prefixes`; truncated ones are left out.
pub fn mistakes(prefixes: &[&str]) -> Vec<Mistake> {
    let Some(path) = folder("errors.tsv") else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).expect("a table");
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() >= 10 && prefixes.iter().any(|prefix| row[0].starts_with(prefix)));
    rows.filter_map(|row| {
        let status = row[6].split(' ').nth(1)?.parse().ok()?;
        Some(Mistake {
            name: row[0].to_owned(),
            line: row[1].to_owned(),
            content_type: row[2].to_owned(),
            accept: row[3].to_owned(),
            body: unescape(row[5]),
            status,
            answer_type: row[7].to_owned(),
            allow: row[8].to_owned(),
        })
    })
    .collect()
}

/// Bodies stand in the table with the escapes of JSON strings; code points are bytes.
fn unescape(text: &str) -> Vec<u8> {
    let text: String = serde_json::from_str(&format!("\"{text}\"")).expect("a string");
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).expect("a byte"))
        .collect()
}
