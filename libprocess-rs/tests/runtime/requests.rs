//! HTTP and messages on one port and on one connection, and how requests find their process.

use bytes::Bytes;
use libprocess::{Context, Node, Process, ProcessId, ProcessRef, Request, Response, RouteOptions, Upid};

use crate::recorder::{RawPeer, bounded, start_node};

/// Answers requests with what it knows about them.
#[derive(Default)]
struct Site {
    messages: usize,
}

impl Process for Site {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let echo = |name: &'static str| {
            move |site: &mut Self, request: Request, responder: libprocess::Responder, _: &mut Context<Self>| {
                let text = format!("{name}|{}|{}", request.remainder, site.messages);
                responder.send(Response::text(libprocess::http::StatusCode::OK, text));
            }
        };
        context.route("/state", RouteOptions::default(), echo("state"));
        context.route("/api/v1", RouteOptions::default(), echo("api"));
        context.route("/api/v1/scheduler", RouteOptions::default(), echo("scheduler"));
    }

    fn message(&mut self, _: Upid, _: &str, _: Bytes, _: &mut Context<Self>) {
        self.messages += 1;
    }
}

async fn site(node: &Node, id: &str) -> ProcessRef<Site> {
    let site = node.spawn(ProcessId::Exact(id), Site::default);
    bounded(site.ready()).await;
    site
}

#[tokio::test]
async fn paths_find_their_process_their_route_and_the_delegate() {
    let node = start_node().await;
    let site = site(&node, "slave(1)").await;
    let endpoint = |path: &str| {
        node.resolve_route(path)
            .map(|target| format!("{} {}", target.endpoint(), target.remainder()))
    };
    assert_eq!(endpoint("/slave(1)/state").as_deref(), Some("/slave(1)/state "));
    assert_eq!(
        endpoint("/slave%281%29/api/v1/x%20y/").as_deref(),
        Some("/slave(1)/api/v1 x y")
    );
    assert_eq!(
        endpoint("/slave(1)/api/v1/scheduler").as_deref(),
        Some("/slave(1)/api/v1/scheduler ")
    );
    assert_eq!(endpoint("/state"), None);
    node.set_delegate("slave(1)");
    assert_eq!(endpoint("/state/").as_deref(), Some("/slave(1)/state "));
    assert_eq!(endpoint("/"), None);
    assert_eq!(endpoint("/slave(1)/nothing"), None);
    site.terminate();
    bounded(site.wait()).await;
    assert_eq!(endpoint("/state"), None);
    node.stop().await;
}

#[tokio::test]
async fn messages_and_requests_alternate_on_one_connection() {
    let node = start_node().await;
    let _site = site(&node, "site").await;
    let mut peer = RawPeer::connect(&node).await;
    let message = "POST /site/tick HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nhi\r\n0\r\n\r\n";
    let request = "GET /site/state/rest HTTP/1.1\r\nHost: h\r\n\r\n";
    let lost = "POST /nobody/tick HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nContent-Length: 2\r\n\r\nhi";
    // Each request waits for its turn, because nothing orders a message behind a request that is being authenticated.
    for (before, ticks) in [
        (message.to_owned(), 1),
        (format!("{message}{lost}"), 2),
        (message.repeat(2), 4),
    ] {
        peer.write(before.clone() + request).await;
        for message in before.split("POST /").skip(1) {
            let expected = if message.starts_with("nobody") { 404 } else { 202 };
            assert_eq!(peer.read_status().await, expected);
        }
        let answer = peer.read_until(&format!("state|rest|{ticks}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    node.stop().await;
}

#[tokio::test]
async fn request_for_a_process_that_is_starting_waits_for_its_routes() {
    let node = start_node().await;
    node.spawn(ProcessId::Exact("site"), Site::default);
    let target = bounded(node.resolve_route_when_ready("/site/state")).await;
    assert_eq!(target.expect("its routes are there by now").process_id(), "site");
    node.stop().await;
}
