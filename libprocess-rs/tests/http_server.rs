//! The server over real sockets: routes, methods, order, limits, broken requests.

mod http_support;

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http_support::{Raw, start, until, within};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncWriteExt;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[tokio::test]
async fn routes_are_found_directly_by_delegate_and_by_escaped_id() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    for path in [
        "/probe/echo/a/b?x=1&y=a+b&x=2",
        "/echo/a/b?x=2;y=a%20b",
        "/%70robe/echo/a/b/?y=a%20b;x=2",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.text(),
            "method GET\nremainder a/b\nquery x=2,y=a b\nbody \n",
            "{path}"
        );
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
        assert!(answer.header("Date").is_some_and(|date| date.ends_with(" GMT")));
        assert_eq!(
            answer.header("Content-Length"),
            Some(answer.body.len().to_string().as_str())
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn unknown_and_odd_paths_get_their_status() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    for (path, status) in [
        ("/", 404),
        ("/nope", 404),
        ("/probe/nope", 404),
        ("/probe", 404),
        ("/echo/../small", 404),
        ("/echo/%2e%2e/small", 404),
        ("/echo/a%zz", 400),
        ("/echo?a=%zz", 400),
        ("/echo?a=%f", 400),
        ("*", 400),
        ("echo", 400),
    ] {
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
    let answer = client.get("/nope").await;
    assert_eq!(answer.text(), "404 Not Found.");
    node.stop().await;
}

#[tokio::test]
async fn other_methods_get_405_and_the_allowed_ones() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    for method in ["GET", "DELETE", "PUT", "OPTIONS"] {
        client.send(format!("{method} /post HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("Allow"), Some("POST"));
        assert!(
            answer.text().contains("POST") && answer.text().contains(method),
            "{}",
            answer.text()
        );
    }
    client.send(post("/post", "", b"x")).await;
    assert_eq!(client.answer().await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_options_is_like_any_method() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client
        .send("HEAD /small HTTP/1.1\r\nHost: x\r\n\r\nOPTIONS /small HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("7")));
    let options = client.answer().await;
    assert_eq!((options.status, options.text().as_str()), (200, "{\"a\":1}"));
    node.stop().await;
}

#[tokio::test]
async fn pipelined_answers_keep_the_order_of_requests() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    // Small answers let more requests of a connection be in progress at a time.
    for _ in 0..4 {
        assert_eq!(client.get("/small").await.status, 200);
    }
    let mut batch = String::from("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    for number in 0..40 {
        batch += &format!("GET /echo/{number} HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    client.send(batch).await;
    // Those behind the held one reach the process before it answers.
    until(&probe, "later requests", |probe| {
        probe.held.len() == 1 && probe.requests.len() == 15
    })
    .await;
    probe.dispatch(|probe, _| {
        for responder in probe.held.drain(..) {
            responder.send(libprocess::Response::ok_json("\"held\""));
        }
    });
    assert_eq!(client.answer().await.text(), "\"held\"");
    for number in 0..40 {
        assert!(client.answer().await.text().contains(&format!("remainder {number}\n")));
    }
    node.stop().await;
}

#[tokio::test]
async fn messages_and_requests_alternate_on_one_connection() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    let message = |id: &str, header: &str, body: &str| {
        format!(
            "POST /{id}/some.Message HTTP/1.1\r\n{header}Host: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    client
        .send(message("probe", "User-Agent: libprocess/a@127.0.0.1:1\r\n", "one"))
        .await;
    assert_eq!(client.answer().await.status, 202);
    assert_eq!(client.get("/small").await.text(), "{\"a\":1}");
    client
        .send(message("probe", "User-Agent: libprocess/a@127.0.0.1:1\r\n", "two"))
        .await;
    assert_eq!(client.answer().await.status, 202);
    client
        .send(message("nobody", "User-Agent: libprocess/a@127.0.0.1:1\r\n", "x"))
        .await;
    assert_eq!(client.answer().await.status, 404);
    assert_eq!(client.get("/small").await.status, 200);
    client
        .send(message(
            "%70robe",
            "User-Agent: libprocess/a@127.0.0.1:1\r\nLibprocess-From: b@127.0.0.1:2\r\n",
            "three",
        ))
        .await;
    assert_eq!(client.answer().await.status, 202);
    client
        .send(message("probe", "Libprocess-From: nonsense\r\n", "x"))
        .await;
    assert_eq!(client.answer().await.status, 500);
    let messages = probe
        .call(|probe, _| probe.messages.clone())
        .await
        .expect("the probe lives");
    let seen: Vec<(&str, &str, &[u8])> = messages
        .iter()
        .map(|(from, name, body)| (from.as_str(), name.as_str(), body.as_ref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("a@127.0.0.1:1", "some.Message", &b"one"[..]),
            ("a@127.0.0.1:1", "some.Message", b"two"),
            ("b@127.0.0.1:2", "some.Message", b"three"),
        ]
    );
    node.stop().await;
}

#[tokio::test]
async fn foreign_senders_are_refused_when_addresses_must_match() {
    let (node, _) = start(|config| config.require_peer_address_ip_match = true).await;
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/small").await.status, 200);
    client
        .send(post("/probe/m", "Libprocess-From: a@10.1.2.3:1\r\n", b""))
        .await;
    assert_eq!(client.answer().await.status, 400);
    client
        .send(post("/probe/m", "Libprocess-From: a@127.0.0.1:1\r\n", b""))
        .await;
    assert_eq!(client.answer().await.status, 202);
    node.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_when_asked_for() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    let plain = client.get("/big").await;
    assert_eq!(plain.header("Content-Encoding"), None);
    let ask =
        |path: &str, encoding: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n");
    client.send(ask("/big", "deflate, gzip;q=0.5")).await;
    let packed = client.answer().await;
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 10);
    let mut inflated = Vec::new();
    GzDecoder::new(packed.body.as_slice())
        .read_to_end(&mut inflated)
        .expect("gzip data");
    assert_eq!(inflated, plain.body);
    for (path, encoding) in [
        ("/big", "gzip;q=0"),
        ("/big", "identity"),
        ("/small", "gzip"),
        ("/file", "gzip"),
    ] {
        client.send(ask(path, encoding)).await;
        assert_eq!(
            client.answer().await.header("Content-Encoding"),
            None,
            "{path} {encoding}"
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn compressed_requests_are_inflated_up_to_the_limit() {
    let (node, _) = start(|config| config.body_limit_bytes = 100_000).await;
    let mut client = Raw::connect(&node).await;
    client
        .send(post("/echo", "Content-Encoding: gzip\r\n", &gzip(b"hello")))
        .await;
    assert!(client.answer().await.text().contains("body hello\n"));
    client.send(post("/echo", "Content-Encoding: gzip\r\n", b"abc")).await;
    assert_eq!(client.answer().await.status, 400);
    client
        .send(post("/echo", "Content-Encoding: gzip\r\n", &gzip(&vec![0; 50_000_000])))
        .await;
    assert_eq!(client.answer().await.status, 413);
    assert_eq!(client.get("/small").await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn jsonp_wraps_json_answers_only() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    let wrapped = client.get("/small?jsonp=cb").await;
    assert_eq!(wrapped.text(), "cb({\"a\":1})");
    assert_eq!(wrapped.header("Content-Type"), Some("text/javascript"));
    assert_eq!(
        client.get("/small?jsonp=").await.header("Content-Type"),
        Some("application/json")
    );
    assert_eq!(
        client.get("/echo?jsonp=cb").await.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(client.get("/small?jsonp=a(b)//").await.status, 400);
    client.send(post("/small?jsonp=cb", "", b"")).await;
    assert_eq!(client.answer().await.text(), "{\"a\":1}");
    node.stop().await;
}

#[tokio::test]
async fn long_heads_and_bodies_are_refused() {
    let (node, _) = start(|config| config.body_limit_bytes = 1000).await;
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/small").await.status, 200);
    client
        .send(format!(
            "GET /small HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "y".repeat(70_000)
        ))
        .await;
    assert_eq!(client.answer().await.status, 431);
    client.expect_closed().await;
    let mut client = Raw::connect(&node).await;
    client.send(post("/echo", "", &[b'x'; 1000])).await;
    assert_eq!(client.answer().await.status, 200);
    client
        .send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 413);
    client.expect_closed().await;
    node.stop().await;
}

#[tokio::test]
async fn endless_chunks_are_cut_off() {
    let (node, _) = start(|config| config.body_limit_bytes = 100_000).await;
    let mut client = Raw::connect(&node).await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    within("refusal of an endless body", async {
        while client.stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let mut other = Raw::connect(&node).await;
    assert_eq!(other.get("/small").await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let (node, _) = start(|_| {}).await;
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\nabcde");
        // As the first request of a connection it may end it without an answer.
        let mut client = Raw::connect(&node).await;
        client.send(&request).await;
        client.expect_refused(400).await;
        let mut client = Raw::connect(&node).await;
        assert_eq!(client.get("/small").await.status, 200);
        client.send(&request).await;
        assert_eq!(client.answer().await.status, 400, "{headers}");
        client.expect_closed().await;
    }
    let mut client = Raw::connect(&node).await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        .await;
    client.expect_refused(400).await;
    node.stop().await;
}

#[tokio::test]
async fn requests_without_host_are_served() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    for _ in 0..2 {
        client.send("GET /small HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
    node.stop().await;
}

#[tokio::test]
async fn connections_end_when_the_client_asks() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client
        .send("GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.header("Connection"), Some("close"));
    client.expect_closed().await;
    let mut client = Raw::connect(&node).await;
    client.send("GET /small HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    client.expect_closed().await;
    let mut client = Raw::connect(&node).await;
    client
        .send("GET /small HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.header("Connection"), Some("keep-alive"));
    client
        .send("GET /small HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn answers_may_end_the_connection() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client
        .send("GET /last HTTP/1.1\r\nHost: x\r\n\r\nGET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.header("Connection"), Some("close"));
    client.expect_closed().await;
    node.stop().await;
}

#[tokio::test]
async fn half_closed_clients_get_their_answer() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client
        .send("GET /small HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    client.stream.shutdown().await.expect("open until now");
    assert_eq!(client.answer().await.text(), "{\"a\":1}");
    assert_eq!(client.answer().await.status, 200);
    client.expect_closed().await;
    node.stop().await;
}

#[tokio::test]
async fn bodies_are_announced_with_100_continue() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!(client.head().await.status, 100);
    client.send("hi").await;
    assert!(client.answer().await.text().contains("body hi\n"));
    node.stop().await;
}

#[tokio::test]
async fn unanswered_requests_give_500() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/drop").await.status, 500);
    assert_eq!(client.get("/empty").await.header("Content-Length"), Some("0"));
    node.stop().await;
}

#[tokio::test]
async fn garbage_ends_the_connection_only() {
    let (node, _) = start(|_| {}).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"[..],
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\n\n",
    ] {
        let mut client = Raw::connect(&node).await;
        client.send(garbage).await;
        client.stream.shutdown().await.expect("open until now");
        within("the end", async {
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest).await;
            assert!(
                rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"),
                "{}",
                String::from_utf8_lossy(&rest)
            );
        })
        .await;
    }
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/small").await.status, 200);
    node.stop().await;
}

/// Requests with bytes changed, dropped and doubled at seeded places.
#[tokio::test]
async fn mangled_requests_never_take_the_node_down() {
    let (node, probe) = start(|config| config.body_limit_bytes = 10_000).await;
    let samples: [&[u8]; 4] = [
        b"GET /echo/a?b=c%20d HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0.5\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        b"POST /probe/m HTTP/1.1\r\nUser-Agent: libprocess/a@127.0.0.1:1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
    ];
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..400 {
        let mut request = samples[round % samples.len()].to_vec();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..request.len());
            match random.random_range(0..3) {
                0 => request[place] = random.random(),
                1 => drop(request.remove(place)),
                _ => request.insert(place, request[place]),
            }
        }
        let mut client = Raw::connect(&node).await;
        // Half of them begin on a connection that has turned to HTTP already.
        if round % 8 >= 4 {
            assert_eq!(client.get("/small").await.status, 200);
        }
        client.send(&request).await;
        let _ = client.stream.shutdown().await;
        within("the end", async {
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest).await;
        })
        .await;
    }
    assert_eq!(Raw::connect(&node).await.get("/small").await.status, 200);
    assert!(!probe.is_gone());
    node.stop().await;
}

#[tokio::test]
async fn two_thousand_idle_connections_do_not_matter() {
    let (node, _) = start(|_| {}).await;
    let mut idle = Vec::new();
    for number in 0..2000 {
        let mut client = Raw::connect(&node).await;
        if number % 2 == 0 {
            client.send("GET /small HTTP/1.1\r\nHo").await;
        }
        idle.push(client);
    }
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/small").await.status, 200);
    idle[0].send("st: x\r\n\r\n").await;
    assert_eq!(idle[0].answer().await.body, Bytes::from_static(b"{\"a\":1}"));
    node.stop().await;
}
