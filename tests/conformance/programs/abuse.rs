//! Bad input over real sockets: the right refusal or a closed connection, bounded memory, and the next request is
//! served.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use mesos_tests_conformance::{Cluster, exchange, get};

use super::cluster;

/// What abuse may add to the memory of the program, all cases together.
const MEMORY_ALLOWANCE_BYTES: u64 = 256 * 1024 * 1024;

const SCHEDULER: &str = "/api/v1/scheduler";
const EXECUTOR: &str = "/api/v1/executor";
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// One bad request and the answers that are right; 0 stands for a closed connection without an answer.
struct Case {
    name: &'static str,
    to: To,
    request: Vec<u8>,
    right: &'static [u16],
}

#[derive(Clone, Copy)]
enum To {
    Master,
    Agent,
}

fn post(path: &str, content_type: Option<&str>, more: &str, body: &[u8]) -> Vec<u8> {
    let content_type = content_type
        .map(|kind| format!("Content-Type: {kind}\r\n"))
        .unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{content_type}{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn call(name: &'static str, path: &str, kind: &str, body: &[u8], right: &'static [u16]) -> Case {
    let to = if path == SCHEDULER { To::Master } else { To::Agent };
    Case {
        name,
        to,
        request: post(path, Some(kind), "", body),
        right,
    }
}

fn raw(name: &'static str, to: To, request: impl Into<Vec<u8>>, right: &'static [u16]) -> Case {
    Case {
        name,
        to,
        request: request.into(),
        right,
    }
}

fn subscribe(framework: &str) -> Vec<u8> {
    format!(r#"{{"type":"SUBSCRIBE","subscribe":{{"framework_info":{framework}}}}}"#).into_bytes()
}

fn encodings() -> Vec<Case> {
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    let deep_field = [br#"{"type":"SUBSCRIBE","x":"#.to_vec(), deep.clone(), b"}".to_vec()].concat();
    let mut cases = Vec::new();
    for path in [SCHEDULER, EXECUTOR] {
        let to = if path == SCHEDULER { To::Master } else { To::Agent };
        cases.extend([
            raw("no content type", to, post(path, None, "", b"{}"), &[400]),
            call("text", path, "text/plain", b"hello", &[415]),
            call("charset", path, "application/json; charset=utf-8", b"{}", &[415]),
            call("garbage as protobuf", path, PROTOBUF, b"\xff\xff\xff\xff\xff", &[400]),
            call("truncated protobuf", path, PROTOBUF, b"\x0a\x40abc", &[400]),
            call("empty protobuf", path, PROTOBUF, b"", &[400]),
            call("truncated JSON", path, JSON, br#"{"type":"#, &[400]),
            call("no JSON", path, JSON, b"\xff\xfe", &[400]),
            call("an array", path, JSON, b"[]", &[400]),
            call("deep JSON", path, JSON, &deep, &[400]),
            call("deep JSON in an unknown field", path, JSON, &deep_field, &[400]),
            call("a number for an enum", path, JSON, br#"{"type":5}"#, &[400]),
            call("an object for an enum", path, JSON, br#"{"type":{}}"#, &[400]),
            raw(
                "wrong method",
                to,
                format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
                &[405],
            ),
        ]);
    }
    cases
}

fn calls() -> Vec<Case> {
    let stream = "Mesos-Stream-Id: 00000000-0000-0000-0000-000000000000\r\n";
    let foreign = br#"{"type":"TEARDOWN","framework_id":{"value":"nobody"}}"#;
    let unknown_field = br#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u"}},"nope":[{}]}"#;
    let twice = br#"{"type":"TEARDOWN","type":"SUBSCRIBE","framework_id":{"value":"f"}}"#;
    vec![
        call("missing name", SCHEDULER, JSON, &subscribe(r#"{"user":"u"}"#), &[400]),
        call("text for an object", SCHEDULER, JSON, &subscribe(r#""u""#), &[400]),
        call(
            "array for a text",
            SCHEDULER,
            JSON,
            &subscribe(r#"{"user":["u"],"name":"n"}"#),
            &[400],
        ),
        call(
            "unknown field beside a missing one",
            SCHEDULER,
            JSON,
            unknown_field,
            &[400],
        ),
        call("duplicate field, the last counts", SCHEDULER, JSON, twice, &[400]),
        call("unknown framework", SCHEDULER, JSON, foreign, &[400]),
        raw(
            "foreign stream",
            To::Master,
            post(SCHEDULER, Some(JSON), stream, foreign),
            &[400],
        ),
        raw(
            "stream id on a subscription",
            To::Master,
            post(SCHEDULER, Some(JSON), stream, &subscribe(r#"{"user":"u","name":"n"}"#)),
            &[400],
        ),
        raw(
            "nothing acceptable",
            To::Master,
            post(
                SCHEDULER,
                Some(JSON),
                "Accept: text/html\r\n",
                &subscribe(r#"{"user":"u","name":"n"}"#),
            ),
            &[406],
        ),
        call(
            "unknown executor",
            EXECUTOR,
            JSON,
            br#"{"type":"SUBSCRIBE","executor_id":{"value":"e"},"framework_id":{"value":"f"},"subscribe":{}}"#,
            &[400],
        ),
    ]
}

fn framing() -> Vec<Case> {
    let message = |path: &str, from: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nUser-Agent: libprocess/{from}\r\nLibprocess-From: {from}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let huge =
        format!("POST {SCHEDULER} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: 1073741824\r\n\r\n{{");
    let both = format!(
        "POST {SCHEDULER} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let header = format!(
        "GET /health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "y".repeat(1024 * 1024)
    );
    let mut cases = Vec::new();
    for to in [To::Master, To::Agent] {
        cases.extend([
            raw(
                "declared body of a gibibyte",
                to,
                huge.clone().replace(SCHEDULER, "/state"),
                &[400, 413, 0],
            ),
            raw("two lengths", to, both.clone(), &[400, 0]),
            raw("header of a mebibyte", to, header.clone(), &[400, 431, 0]),
            raw("no HTTP", to, "\x16\x03\x01 hello\r\n\r\n", &[400, 0]),
            raw("no version", to, "GET /health\r\n\r\n", &[400, 0]),
            raw(
                "message to nobody",
                to,
                message("/nobody/x.Message", "a@127.0.0.1:1"),
                &[404],
            ),
            raw(
                "message without a name",
                to,
                message("/", "a@127.0.0.1:1"),
                &[400, 404, 500, 0],
            ),
            raw(
                "message from nowhere",
                to,
                message("/master/x", "not-an-address"),
                &[400, 404, 500, 0],
            ),
            raw(
                "unknown process",
                to,
                "GET /nobody/here HTTP/1.1\r\nHost: x\r\n\r\n",
                &[404],
            ),
            raw(
                "parent in the path",
                to,
                "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
                &[404],
            ),
            raw(
                "bad escape",
                to,
                "GET /state%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                &[400, 404, 0],
            ),
            raw(
                "bad escape in the query",
                to,
                "GET /health?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                &[400, 0],
            ),
            raw(
                "parent in a file's path",
                to,
                "GET /files/read?path=/../../etc/passwd&offset=0&length=10 HTTP/1.1\r\nHost: x\r\n\r\n",
                &[400, 403, 404],
            ),
        ]);
    }
    cases
}

fn address(cluster: &Cluster, to: To) -> SocketAddr {
    match to {
        To::Master => cluster.master(),
        To::Agent => cluster.agents()[0],
    }
}

fn assert_serves(cluster: &Cluster, after: &str) {
    for to in [To::Master, To::Agent] {
        let answer = get(address(cluster, to), "/health").expect("a connection");
        assert_eq!(answer.status, 200, "after {after}; log:\n{}", cluster.log());
    }
}

#[test]
fn every_bad_request_is_refused_and_the_next_one_is_served() {
    let cluster = cluster(1);
    let before = cluster.resident_bytes();
    let mut wrong = Vec::new();
    for case in encodings().into_iter().chain(calls()).chain(framing()) {
        let status = exchange(address(&cluster, case.to), &case.request)
            .expect("a connection")
            .status;
        if !case.right.contains(&status) {
            let place = if matches!(case.to, To::Master) {
                "master"
            } else {
                "agent"
            };
            wrong.push(format!(
                "{} ({place}): {status}, expected one of {:?}",
                case.name, case.right
            ));
        }
        assert_serves(&cluster, case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let grown = cluster.resident_bytes().saturating_sub(before);
    assert!(grown < MEMORY_ALLOWANCE_BYTES, "{grown} bytes more");
}

#[test]
fn idle_connections_and_clients_that_never_read_do_no_harm() {
    let cluster = cluster(1);
    let before = cluster.resident_bytes();
    let idle: Vec<TcpStream> = (0..2000)
        .map(|number| {
            let mut stream = TcpStream::connect(cluster.master()).expect("a connection");
            if number % 2 == 0 {
                // Half of them begin a request and never end it.
                stream.write_all(b"GET /state HTTP/1.1\r\nHo").expect("written");
            }
            stream
        })
        .collect();
    let silent: Vec<TcpStream> = (0..50)
        .map(|number| {
            let mut stream = TcpStream::connect(cluster.master()).expect("a connection");
            let body = subscribe(&format!(r#"{{"user":"root","name":"silent-{number}"}}"#));
            stream
                .write_all(&post(SCHEDULER, Some(JSON), "", &body))
                .expect("written");
            stream
        })
        .collect();
    assert_serves(&cluster, "2000 idle connections and 50 silent streams");
    let grown = cluster.resident_bytes().saturating_sub(before);
    assert!(grown < MEMORY_ALLOWANCE_BYTES, "{grown} bytes more");
    drop((idle, silent));
    assert_serves(&cluster, "their end");
}
