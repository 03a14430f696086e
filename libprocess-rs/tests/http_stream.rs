//! Streamed answers over real sockets: chunks, back-pressure, clients that go away.

mod http_support;

use bytes::Bytes;
use http_support::{Probe, Raw, start, until, within};
use libprocess::http::client::{Client, ClientError, ClientLimits};
use libprocess::http::{Method, StatusCode};
use libprocess::{ProcessRef, StreamError, recordio};
use tokio::io::AsyncWriteExt;

const SUBSCRIBE: &str = "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

async fn write(probe: &ProcessRef<Probe>, chunk: impl Into<Bytes>) -> Result<(), StreamError> {
    let chunk = chunk.into();
    let written = probe
        .call(move |probe, _| probe.streams.last().map(|stream| stream.write(chunk)))
        .await;
    written.expect("the probe lives").expect("a stream is open")
}

#[tokio::test]
async fn each_write_is_one_chunk() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client.send(SUBSCRIBE).await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(head.header("Content-Type"), Some("application/json"));
    assert_eq!(head.header("Content-Length"), None);
    for text in ["one", "two", "three"] {
        write(&probe, recordio::encode(text.as_bytes())).await.expect("room");
    }
    write(&probe, Bytes::new()).await.expect("an empty chunk is skipped");
    for text in ["3\none", "3\ntwo", "5\nthree"] {
        assert_eq!(client.chunk().await.as_deref(), Some(text.as_bytes()));
    }
    probe.dispatch(|probe, _| probe.streams.clear());
    assert_eq!(client.chunk().await, None);
    until(&probe, "end of the stream", |probe| probe.streams_closed == 1).await;
    client.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn streams_hold_up_later_answers_until_they_end() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client
        .send(format!("{SUBSCRIBE}GET /echo/later HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await;
    client.head().await;
    until(&probe, "the later request", |probe| probe.requests.len() == 1).await;
    write(&probe, "x").await.expect("room");
    assert_eq!(client.chunk().await.as_deref(), Some(&b"x"[..]));
    probe.dispatch(|probe, _| probe.streams.clear());
    assert_eq!(client.chunk().await, None);
    assert_eq!(client.answer().await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_without_a_write() {
    let (node, probe) = start(|_| {}).await;
    for number in 1..=2 {
        let mut client = Raw::connect(&node).await;
        client.send(SUBSCRIBE).await;
        client.head().await;
        if number == 1 {
            drop(client);
        } else {
            // Half closing counts as going away: who streams does not speak any more.
            client.stream.shutdown().await.expect("open until now");
        }
        until(&probe, "notice", move |probe| probe.streams_closed == number).await;
        assert_eq!(write(&probe, "x").await, Err(StreamError::Closed));
    }
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_never_reads_fills_a_bounded_queue() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client.send(SUBSCRIBE).await;
    client.head().await;
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let accepted = within("refusal", async {
        let mut accepted = 0_usize;
        loop {
            match write(&probe, chunk.clone()).await {
                Ok(()) => accepted += chunk.len(),
                Err(error) => {
                    assert_eq!(error, StreamError::Full);
                    return accepted;
                }
            }
        }
    })
    .await;
    assert!(accepted < 64 * 1024 * 1024, "{accepted}");
    let mut other = Raw::connect(&node).await;
    assert_eq!(other.get("/small").await.status, 200);
    // Giving the stream up does not wait for the client, and what was queued still arrives once it reads.
    probe.dispatch(|probe, _| probe.streams.clear());
    let mut received = 0;
    while let Some(chunk) = client.chunk().await {
        received += chunk.len();
    }
    assert_eq!(received, accepted);
    node.stop().await;
}

#[tokio::test]
async fn many_small_writes_are_bounded_too() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client.send(SUBSCRIBE).await;
    client.head().await;
    let refused = probe.call(|probe, _| {
        let stream = probe.streams.last().expect("a stream is open");
        (0..1_000_000).any(|_| stream.write(Bytes::from_static(b"x")) == Err(StreamError::Full))
    });
    assert!(within("refusal", refused).await.expect("the probe lives"));
    node.stop().await;
}

#[tokio::test]
async fn bytes_without_end_behind_a_stream_end_the_connection() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client.send(SUBSCRIBE).await;
    client.head().await;
    let request = "GET /small HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    within("the end", async {
        while client.stream.write_all(request.as_bytes()).await.is_ok() {}
    })
    .await;
    until(&probe, "notice", |probe| probe.streams_closed == 1).await;
    node.stop().await;
}

#[tokio::test]
async fn clients_that_never_read_their_answers_stop_being_read() {
    let (node, _) = start(|_| {}).await;
    let client = Raw::connect(&node).await;
    let request = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let mut sent = 0_usize;
    // The socket's buffers fill once the node stops reading: 100 KB of answer for each 30 bytes of request.
    while let Ok(Ok(())) = tokio::time::timeout(std::time::Duration::from_millis(500), client.stream.writable()).await {
        match client.stream.try_write(request.as_bytes()) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(sent < 64 * 1024 * 1024, "the node reads on and on");
    }
    let mut other = Raw::connect(&node).await;
    assert_eq!(other.get("/small").await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn old_clients_get_streams_without_chunks() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client.send("GET /stream HTTP/1.0\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!(
        (head.header("Transfer-Encoding"), head.header("Connection")),
        (None, Some("close"))
    );
    write(&probe, "abc").await.expect("room");
    assert_eq!(client.take(3).await, b"abc");
    probe.dispatch(|probe, _| probe.streams.clear());
    client.expect_closed().await;
    node.stop().await;
}

#[tokio::test]
async fn stopping_the_node_ends_its_streams() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    client.send(SUBSCRIBE).await;
    client.head().await;
    node.stop().await;
    within("the end", async {
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest).await;
    })
    .await;
}

#[tokio::test]
async fn the_client_reads_records_and_keeps_its_connection_for_calls() {
    let (node, probe) = start(|_| {}).await;
    let mut client = Client::new(node.bound_address());
    for _ in 0..3 {
        let answer = client.get("/small").await.expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "{\"a\":1}"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let body = Bytes::from_static(b"hello");
    let answer = client
        .request(Method::POST, "/echo", &[("X-Thing", "1")], body)
        .await
        .expect("an answer");
    assert!(answer.text().contains("body hello\n"));
    assert_eq!(
        client
            .request(Method::HEAD, "/big", &[], Bytes::new())
            .await
            .expect("an answer")
            .body
            .len(),
        0
    );
    assert!(client.get("/big").await.expect("an answer").body.len() > 100_000);

    let stream = client
        .open(Method::POST, "/stream", &[], Bytes::new())
        .await
        .expect("an answer");
    assert_eq!(stream.status, StatusCode::OK);
    let mut records = stream.into_records();
    for text in ["first", "", "third"] {
        write(&probe, recordio::encode(text.as_bytes())).await.expect("room");
        let record = within("a record", records.next_record())
            .await
            .expect("a record")
            .expect("more to come");
        assert_eq!(record, text.as_bytes());
    }
    // The stream took the connection along; calls go on over another one.
    assert_eq!(client.get("/small").await.expect("an answer").status, StatusCode::OK);
    probe.dispatch(|probe, _| probe.streams.clear());
    assert_eq!(within("the end", records.next_record()).await.expect("the end"), None);

    let stream = client
        .open(Method::POST, "/stream", &[], Bytes::new())
        .await
        .expect("an answer");
    drop(stream);
    until(&probe, "notice", |probe| probe.streams_closed == 2).await;
    node.stop().await;
    assert!(matches!(
        client.get("/small").await,
        Err(ClientError::Connect { .. } | ClientError::Broken { .. })
    ));
}

#[tokio::test]
async fn the_client_is_bounded() {
    let (node, probe) = start(|_| {}).await;
    let limits = ClientLimits {
        answer_patience: Some(std::time::Duration::from_millis(50)),
        body_bytes_max: 1000,
        ..ClientLimits::default()
    };
    let mut client = Client::with_limits(node.bound_address(), limits);
    assert!(matches!(client.get("/big").await, Err(ClientError::TooLarge { .. })));
    assert!(matches!(client.get("/hold").await, Err(ClientError::TimedOut { .. })));
    let mut records = client
        .open(Method::GET, "/stream", &[], Bytes::new())
        .await
        .expect("an answer")
        .into_records();
    write(&probe, "5000\n").await.expect("room");
    assert!(matches!(
        within("refusal", records.next_record()).await,
        Err(ClientError::Record(_))
    ));
    node.stop().await;
}
