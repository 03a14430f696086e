//! Messages and links to other nodes: the facts, sections 2 and 3.

use bytes::Bytes;
use libprocess::Upid;
use tokio::net::TcpListener;

use crate::recorder::{RawPeer, Recording, Seen, address_of, foreign, start_node};

#[tokio::test]
async fn bytes_on_the_wire_are_those_of_libprocess() {
    let node = start_node().await;
    let sender = Recording::start(&node, "sender(1)").await;
    let (listener, to) = foreign("master").await;
    sender.link(&to).await;
    sender.send(&to, "mesos.internal.PingSlaveMessage", "0123456789abcdef");
    sender.send(&to, "PING", "");
    let mut peer = RawPeer::accept(&listener).await;
    let (from, host) = (sender.pid(), to.address());
    let expected = format!(
        "POST /master/mesos.internal.PingSlaveMessage HTTP/1.1\r\nUser-Agent: libprocess/{from}\r\n\
         Libprocess-From: {from}\r\nConnection: Keep-Alive\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n\
         10\r\n0123456789abcdef\r\n0\r\n\r\n\
         POST /master/PING HTTP/1.1\r\nUser-Agent: libprocess/{from}\r\n\
         Libprocess-From: {from}\r\nConnection: Keep-Alive\r\nHost: {host}\r\n\r\n"
    );
    let end = format!("Host: {host}\r\n\r\n");
    assert_eq!(peer.read_until(&end).await, expected);
    node.stop().await;
}

#[tokio::test]
async fn linked_messages_share_one_connection_and_unlinked_ones_close_theirs() {
    let node = start_node().await;
    let sender = Recording::start(&node, "sender").await;
    let (listener, to) = foreign("peer").await;
    sender.send(&to, "temporary", "");
    let mut temporary = RawPeer::accept(&listener).await;
    let head = temporary.read_to_end().await;
    assert!(head.starts_with("POST /peer/temporary "), "{head}");
    drop(temporary);
    sender.link(&to).await;
    let mut persistent = RawPeer::accept(&listener).await;
    for name in ["one", "two"] {
        sender.send(&to, name, "");
        let head = persistent.read_until("\r\n\r\n").await;
        assert!(head.starts_with(&format!("POST /peer/{name} ")), "{head}");
    }
    // Another process at the same address: no other connection.
    let other = Upid::new("other", to.address());
    sender.link(&other).await;
    sender.send(&other, "three", "");
    assert!(
        persistent
            .read_until("\r\n\r\n")
            .await
            .starts_with("POST /other/three ")
    );
    node.stop().await;
}

#[tokio::test]
async fn answers_of_the_peer_are_read_and_ignored() {
    let node = start_node().await;
    let mut sender = Recording::start(&node, "sender").await;
    let (listener, to) = foreign("peer").await;
    sender.link(&to).await;
    let mut peer = RawPeer::accept(&listener).await;
    // More than the buffers of both sockets hold: this ends only because the node reads.
    let answer = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".repeat(400_000);
    peer.write(answer).await;
    sender.send(&to, "after", "");
    assert!(peer.read_until("\r\n\r\n").await.starts_with("POST /peer/after "));
    sender.nothing_more().await;
    node.stop().await;
}

#[tokio::test]
async fn end_of_the_connection_is_an_exit_for_every_linker_and_every_linked_process() {
    let node = start_node().await;
    let mut first = Recording::start(&node, "first").await;
    let mut second = Recording::start(&node, "second").await;
    let mut stranger = Recording::start(&node, "stranger").await;
    let (listener, to) = foreign("peer").await;
    let sibling = Upid::new("sibling", to.address());
    first.link(&to).await;
    first.link(&to).await;
    first.link(&sibling).await;
    second.link(&to).await;
    drop(RawPeer::accept(&listener).await);
    let mut exits = [first.next().await, first.next().await];
    exits.sort_by_key(|seen| format!("{seen:?}"));
    assert_eq!(exits, [Seen::Exited(to.to_string()), Seen::Exited(sibling.to_string())]);
    assert_eq!(second.next().await, Seen::Exited(to.to_string()));
    // The link is used up: the next connection's end says nothing to those that did not link again.
    second.link(&to).await;
    drop(RawPeer::accept(&listener).await);
    assert_eq!(second.next().await, Seen::Exited(to.to_string()));
    first.nothing_more().await;
    stranger.nothing_more().await;
    node.stop().await;
}

#[tokio::test]
async fn failed_connect_is_an_exit_for_linkers_and_silent_for_others() {
    let node = start_node().await;
    let mut linker = Recording::start(&node, "linker").await;
    let (listener, to) = foreign("nobody").await;
    drop(listener);
    linker.send(&to, "lost", "");
    linker.link(&to).await;
    assert_eq!(linker.next().await, Seen::Exited(to.to_string()));
    linker.nothing_more().await;
    node.stop().await;
}

#[tokio::test]
async fn end_of_the_remote_process_alone_is_no_exit() {
    let (here, there) = (start_node().await, start_node().await);
    let mut linker = Recording::start(&here, "linker").await;
    let remote = Recording::start(&there, "remote").await;
    linker.link(remote.pid()).await;
    remote.process.terminate();
    remote.process.wait().await;
    linker.nothing_more().await;
    // The node's end is.
    there.stop().await;
    assert_eq!(linker.next().await, Seen::Exited(remote.pid().to_string()));
    here.stop().await;
}

#[tokio::test]
async fn reconnect_replaces_the_connection_without_an_exit() {
    let node = start_node().await;
    let mut linker = Recording::start(&node, "linker").await;
    let (listener, to) = foreign("peer").await;
    linker.link(&to).await;
    let mut old = RawPeer::accept(&listener).await;
    let again = to.clone();
    linker
        .process
        .call(move |_, context| context.link_reconnect(&again))
        .await
        .expect("the linker lives");
    assert_eq!(old.read_to_end().await, "");
    let mut new = RawPeer::accept(&listener).await;
    linker.send(&to, "on the new one", "");
    linker.send(&to, "new", "");
    assert!(
        new.read_until("\r\n\r\n").await.starts_with("POST /peer/new "),
        "names with blanks are never written"
    );
    linker.nothing_more().await;
    drop(new);
    assert_eq!(linker.next().await, Seen::Exited(to.to_string()));
    node.stop().await;
}

#[tokio::test]
async fn nodes_exchange_messages_of_every_size_in_order() {
    let (here, there) = (start_node().await, start_node().await);
    let sender = Recording::start(&here, "sender").await;
    let mut receiver = Recording::start(&there, "receiver").await;
    sender.link(receiver.pid()).await;
    let sizes = [0, 1, 1000, 16 * 1024 - 1, 16 * 1024, 80 * 1024, 1_000_000, 0, 17];
    for size in sizes {
        sender.send(receiver.pid(), "sized", Bytes::from(vec![b'x'; size]));
    }
    for size in sizes {
        let (from, name, body) = receiver.next_message().await;
        assert_eq!(
            (from, name.as_str(), body.len()),
            (sender.pid().to_string(), "sized", size)
        );
    }
    here.stop().await;
    there.stop().await;
}

/// Closing a temporary connection must not make the receiver lose what it has not read yet.
#[tokio::test]
async fn unlinked_messages_all_arrive() {
    let (here, there) = (start_node().await, start_node().await);
    let sender = Recording::start(&here, "sender").await;
    let mut receiver = Recording::start(&there, "receiver").await;
    let count = 2_000;
    for _ in 0..count {
        sender.send(receiver.pid(), "n", "body");
    }
    for _ in 0..count {
        assert_eq!(receiver.next_message().await.2, "body");
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn stopping_sends_what_processes_said_last() {
    let (here, there) = (start_node().await, start_node().await);
    let sender = Recording::start(&here, "sender").await;
    let mut receiver = Recording::start(&there, "receiver").await;
    sender.link(receiver.pid()).await;
    sender.send(receiver.pid(), "last words", "");
    sender.send(receiver.pid(), "last-words", Bytes::from(vec![1; 500_000]));
    here.stop().await;
    assert_eq!(receiver.next_message().await.2.len(), 500_000);
    there.stop().await;
}

#[tokio::test]
async fn stopped_node_frees_its_port() {
    let node = start_node().await;
    let address = node.address();
    node.stop().await;
    let listener = TcpListener::bind(address).await.expect("the port is free");
    assert_eq!(address_of(&listener), address);
}
