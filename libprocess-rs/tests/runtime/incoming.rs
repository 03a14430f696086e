//! Messages that come in by a socket: every rule of the facts, section 2.

use std::net::Ipv4Addr;

use libprocess::{Node, NodeConfig};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::recorder::{RawPeer, Recording, bounded, start_node};

const SENDER: &str = "Libprocess-From: peer(1)@127.0.0.1:9\r\n";

fn chunked(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\n{SENDER}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
}

fn sized(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\n{SENDER}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn both_framings_and_empty_bodies_arrive_in_order_and_get_202() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write(chunked("/target/first", "one") + &sized("/target/second", "two") + &sized("/target/third/x", ""))
        .await;
    for (name, body) in [("first", "one"), ("second", "two"), ("third/x", "")] {
        let (from, got_name, got_body) = target.next_message().await;
        assert_eq!(
            (from.as_str(), got_name.as_str(), &got_body[..]),
            ("peer(1)@127.0.0.1:9", name, body.as_bytes())
        );
        let answer = peer.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\nDate: "), "{answer}");
        assert!(answer.ends_with(" GMT\r\nContent-Length: 0\r\n\r\n"), "{answer}");
    }
    node.stop().await;
}

#[tokio::test]
async fn input_in_single_bytes_is_understood() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    for byte in (chunked("/target/slow", "abc") + &sized("/target/slower", "defg")).bytes() {
        peer.write([byte]).await;
    }
    assert_eq!(target.next_message().await.2, "abc");
    assert_eq!(target.next_message().await.2, "defg");
    assert_eq!(peer.read_status().await, 202);
    assert_eq!(peer.read_status().await, 202);
    node.stop().await;
}

#[tokio::test]
async fn user_agent_alone_names_the_sender_and_the_other_header_wins() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "slave(1)").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write("POST /slave%281%29/a HTTP/1.1\r\nuser-agent: libprocess/ua@127.0.0.1:7\r\n\r\n")
        .await;
    peer.write(
        "POST /slave(1)/b HTTP/1.1\r\nUser-Agent: libprocess/ua@127.0.0.1:7\r\nLIBPROCESS-FROM: lf@127.0.0.1:8\r\n\r\n",
    )
    .await;
    peer.write("POST /slave(1)/c HTTP/1.1\r\nLibprocess-From: named@localhost:8\r\n\r\n")
        .await;
    peer.write("POST /slave(1)/d HTTP/1.1\r\nLibprocess-From: @0.0.0.0:0\r\n\r\n")
        .await;
    assert_eq!(target.next_message().await.0, "ua@127.0.0.1:7");
    assert_eq!(target.next_message().await.0, "lf@127.0.0.1:8");
    assert_eq!(target.next_message().await.0, "named@127.0.0.1:8");
    assert_eq!(target.next_message().await.0, "@0.0.0.0:0");
    for _ in 0..4 {
        assert_eq!(peer.read_status().await, 202);
    }
    node.stop().await;
}

#[tokio::test]
async fn unknown_process_is_404_and_unreadable_sender_500() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write(chunked("/nobody/name", "lost")).await;
    peer.write("POST /target/name HTTP/1.1\r\nLibprocess-From: garbage\r\nContent-Length: 4\r\n\r\nlost")
        .await;
    peer.write("POST /target/name HTTP/1.1\r\nLibprocess-From: a@no.such.host.invalid:1\r\n\r\n")
        .await;
    peer.write(chunked("/target/name", "kept")).await;
    assert_eq!(peer.read_status().await, 404);
    assert_eq!(peer.read_status().await, 500);
    assert_eq!(peer.read_status().await, 500);
    assert_eq!(peer.read_status().await, 202);
    assert_eq!(target.next_message().await.2, "kept");
    target.nothing_more().await;
    node.stop().await;
}

/// A process that ends and comes back under its id is found again on a connection that knew the first one.
#[tokio::test]
async fn answers_follow_the_life_of_the_receiver() {
    let node = start_node().await;
    let first = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write(chunked("/target/name", "1")).await;
    assert_eq!(peer.read_status().await, 202);
    first.process.terminate();
    first.process.wait().await;
    peer.write(chunked("/target/name", "2")).await;
    assert_eq!(peer.read_status().await, 404);
    let mut second = Recording::start(&node, "target").await;
    peer.write(chunked("/target/name", "3")).await;
    assert_eq!(peer.read_status().await, 202);
    assert_eq!(second.next_message().await.2, "3");
    node.stop().await;
}

#[tokio::test]
async fn sender_at_another_address_is_refused_when_asked_for() {
    let config = NodeConfig {
        require_peer_address_ip_match: true,
        ..NodeConfig::loopback()
    };
    let node = Node::start(config).await.expect("a node on loopback");
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write("POST /target/x HTTP/1.1\r\nLibprocess-From: a@10.1.2.3:1\r\n\r\n")
        .await;
    peer.write("POST /target/x HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\n\r\n")
        .await;
    assert_eq!(peer.read_status().await, 400);
    assert_eq!(peer.read_status().await, 202);
    assert_eq!(target.next_message().await.0, "a@127.0.0.1:1");
    node.stop().await;
}

#[tokio::test]
async fn garbage_closes_the_connection_and_nothing_else() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut good = RawPeer::connect(&node).await;
    for garbage in [
        "\x16\x03\x01\x02".to_owned(),
        "hello\r\n\r\n".to_owned(),
        format!("POST /target/x HTTP/1.1\r\n{SENDER}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("POST /target/x HTTP/1.1\r\n{SENDER}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        format!("POST /target/x\r\n{SENDER}\r\n"),
    ] {
        let mut bad = RawPeer::connect(&node).await;
        bad.write(&garbage).await;
        assert_eq!(bad.read_to_end().await, "", "{garbage:?}");
    }
    good.write(chunked("/target/name", "still here")).await;
    assert_eq!(good.read_status().await, 202);
    assert_eq!(target.next_message().await.2, "still here");
    node.stop().await;
}

#[tokio::test]
async fn endless_head_and_oversized_bodies_are_refused_with_little_memory() {
    let config = NodeConfig {
        body_limit_bytes: 1000,
        ..NodeConfig::loopback()
    };
    let node = Node::start(config).await.expect("a node on loopback");
    let mut target = Recording::start(&node, "target").await;
    let mut endless = RawPeer::connect(&node).await;
    endless
        .write(format!(
            "POST /target/x HTTP/1.1\r\n{SENDER}X-Long: {}",
            "x".repeat(66_000)
        ))
        .await;
    assert!(endless.read_to_end().await.starts_with("HTTP/1.1 431 "));
    let mut declared = RawPeer::connect(&node).await;
    declared
        .write(format!(
            "POST /target/x HTTP/1.1\r\n{SENDER}Content-Length: 1073741824\r\n\r\n"
        ))
        .await;
    assert!(declared.read_to_end().await.starts_with("HTTP/1.1 413 "));
    let mut chunks = RawPeer::connect(&node).await;
    chunks
        .write(format!(
            "POST /target/x HTTP/1.1\r\n{SENDER}Transfer-Encoding: chunked\r\n\r\n40000000\r\n"
        ))
        .await;
    assert!(chunks.read_to_end().await.starts_with("HTTP/1.1 413 "));
    let mut just_fits = RawPeer::connect(&node).await;
    just_fits.write(sized("/target/x", &"y".repeat(1000))).await;
    assert_eq!(just_fits.read_status().await, 202);
    assert_eq!(target.next_message().await.2.len(), 1000);
    node.stop().await;
}

#[tokio::test]
async fn bodies_larger_than_the_read_buffer_arrive_whole() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    let body: String = ('a'..='z').cycle().take(3_000_000).collect();
    peer.write(chunked("/target/big", &body)).await;
    peer.write(sized("/target/big", &body)).await;
    assert_eq!(target.next_message().await.2, body);
    assert_eq!(target.next_message().await.2, body);
    node.stop().await;
}

#[tokio::test]
async fn connection_close_is_honoured_after_the_answer() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write(format!("POST /target/x HTTP/1.1\r\n{SENDER}Connection: close\r\n\r\n"))
        .await;
    let answer = peer.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(target.next_message().await.1, "x");
    node.stop().await;
}

#[tokio::test]
async fn order_is_kept_for_many_messages_of_one_connection() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    let count = 5_000;
    let all: String = (0..count)
        .map(|number| chunked("/target/n", &number.to_string()))
        .collect();
    let writing = tokio::spawn(async move {
        peer.write(all).await;
        for _ in 0..count {
            assert_eq!(peer.read_status().await, 202);
        }
    });
    for number in 0..count {
        assert_eq!(target.next_message().await.2, number.to_string());
    }
    writing.await.expect("all answers");
    node.stop().await;
}

#[tokio::test]
async fn wildcard_address_is_advertised_as_one_that_peers_can_reach() {
    let config = NodeConfig {
        advertise_ip: Some(Ipv4Addr::LOCALHOST),
        ..NodeConfig::default()
    };
    let node = Node::start(config).await.expect("a node on all addresses");
    assert_eq!(node.address().ip(), &Ipv4Addr::LOCALHOST);
    assert_eq!(node.address().port(), node.bound_address().port());
    let mut target = Recording::start(&node, "target").await;
    let mut peer = RawPeer::connect(&node).await;
    peer.write(sized("/target/x", "")).await;
    assert_eq!(target.next_message().await.1, "x");
    node.stop().await;
}

/// A receiver that is far behind makes its connections wait; nothing is lost when it goes on.
#[tokio::test]
async fn flood_for_a_busy_process_waits_and_arrives() {
    let node = start_node().await;
    let mut target = Recording::start(&node, "target").await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    target.process.dispatch(move |_, _| {
        let _ = wait.recv();
    });
    let count: usize = 150_000;
    let stream = TcpStream::connect(node.address()).await.expect("the node listens");
    let (mut reading, mut writing) = stream.into_split();
    let writer = tokio::spawn(async move {
        let all: String = (0..count)
            .map(|number| sized("/target/n", &number.to_string()))
            .collect();
        bounded(writing.write_all(all.as_bytes()))
            .await
            .expect("the node reads");
        writing
    });
    let reader = tokio::spawn(async move {
        let (mut answers, mut received) = (0, Vec::new());
        let mut go_on = Some(go_on);
        while answers < count {
            let bytes = bounded(reading.read_buf(&mut received))
                .await
                .expect("the node answers");
            assert!(bytes > 0, "the node closed the connection");
            let complete = received.windows(4).filter(|window| window == b"\r\n\r\n").count();
            let end = received
                .windows(4)
                .rposition(|window| window == b"\r\n\r\n")
                .map_or(0, |at| at + 4);
            received.drain(..end);
            answers += complete;
            // By now the mailbox is crowded and the node has stopped reading.
            if answers > 64 * 1024 {
                go_on = None;
            }
        }
        drop(go_on);
    });
    for number in 0..count {
        assert_eq!(target.next_message().await.2, number.to_string());
    }
    reader.await.expect("all answers");
    drop(writer.await.expect("all written"));
    node.stop().await;
}
