//! Firewall, authentication and authorization over real sockets.

mod http_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use http_support::{Raw, start};
use libprocess::http::auth::{BasicAuthenticator, DisabledEndpoints};

#[tokio::test]
async fn realms_ask_for_credentials_as_recorded() {
    let (node, _) = start(|_| {}).await;
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/guarded").await.text(), "nobody");
    let secrets = BTreeMap::from([("ops".to_owned(), "opss".to_owned())]);
    node.access()
        .set_authenticator("probe-realm", Arc::new(BasicAuthenticator::new("probe-realm", secrets)));
    for headers in [
        "",
        "Authorization: Basic b3BzOnp6eg==\r\n",
        "Authorization: Bearer x\r\n",
    ] {
        client
            .send(format!("GET /guarded HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"probe-realm\""));
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.text(), "401 Unauthorized.");
    }
    client
        .send("GET /guarded HTTP/1.1\r\nHost: x\r\nAuthorization: Basic b3BzOm9wc3M=\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.text(), "ops");
    assert_eq!(client.get("/small").await.status, 200);
    node.access().remove_authenticator("probe-realm");
    assert_eq!(client.get("/guarded").await.text(), "nobody");
    node.stop().await;
}

#[tokio::test]
async fn disabled_endpoints_are_refused_before_authentication() {
    let (node, _) = start(|_| {}).await;
    let secrets = BTreeMap::new();
    node.access()
        .set_authenticator("probe-realm", Arc::new(BasicAuthenticator::new("probe-realm", secrets)));
    node.access()
        .set_firewall(vec![Arc::new(DisabledEndpoints::new(["/guarded".to_owned()]))]);
    let mut client = Raw::connect(&node).await;
    assert_eq!(client.get("/guarded").await.status, 403);
    assert_eq!(client.get("/probe/guarded").await.status, 401);
    assert_eq!(client.get("/small").await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn endpoint_authorizers_see_the_principal() {
    let (node, _) = start(|_| {}).await;
    let secrets = BTreeMap::from([
        ("ops".to_owned(), "opss".to_owned()),
        ("dev".to_owned(), "devs".to_owned()),
    ]);
    node.access()
        .set_authenticator("probe-realm", Arc::new(BasicAuthenticator::new("probe-realm", secrets)));
    node.access().set_endpoint_authorizer(
        "/probe/guarded",
        Arc::new(|request| {
            let principal = request
                .principal
                .as_ref()
                .and_then(|principal| principal.value.as_deref());
            let allowed = principal == Some("ops");
            Box::pin(std::future::ready(allowed))
        }),
    );
    let mut client = Raw::connect(&node).await;
    client
        .send("GET /guarded HTTP/1.1\r\nHost: x\r\nAuthorization: Basic b3BzOm9wc3M=\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    client
        .send("GET /guarded HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZGV2OmRldnM=\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 403);
    assert_eq!(client.get("/small").await.status, 200);
    node.stop().await;
}
