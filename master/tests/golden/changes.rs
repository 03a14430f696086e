//! Changes of weights and quota over real sockets: recorded requests in their order, and what is read afterwards.

use bytes::Bytes;
use libprocess::http::Method;
use libprocess::http::client::Client;

use mesos_proto::v1;
use protobuf::Message as _;

use crate::cluster::Cluster;
use crate::exchange::{golden, recorded, send};

/// Recorded changes of quota, in the order in which they fit each other.
const QUOTA: &[&str] = &[
    "v0_quota_POST",
    "quota",
    "v0_quota_DELETE",
    "v0_quota_POST_toomuch",
    "v0_quota_POST_force",
    "v0_quota_DELETE",
];

#[tokio::test]
async fn quota_is_changed_as_recorded() {
    let cluster = Cluster::start().await;
    cluster.populate().await;
    let address = cluster.master.node().bound_address();
    for name in QUOTA {
        let (request, recorded) = recorded(&golden().join(format!("mutations/{name}.http")));
        let answer = send(address, &request).await;
        assert_eq!(answer.status, recorded.status, "{name}");
        assert_eq!(answer.header_names(), recorded.header_names(), "{name}");
        if recorded.status == 200 {
            let text = |body: &[u8]| String::from_utf8_lossy(body).trim().to_owned();
            assert_eq!(text(&answer.body), text(&recorded.body), "{name}");
        }
    }
    cluster.stop().await;
}

/// Sends a request and gives status and body.
pub async fn ask(client: &mut Client, method: Method, path: &str, kind: &str, body: impl Into<Bytes>) -> (u16, String) {
    let headers = [("Content-Type", kind), ("Accept", "application/json")];
    let answer = client
        .request(method, path, &headers, body.into())
        .await
        .expect("an answer");
    (answer.status.as_u16(), answer.text())
}

async fn call(client: &mut Client, body: &'static str) -> (u16, String) {
    ask(client, Method::POST, "/api/v1", "application/json", body).await
}

#[tokio::test]
async fn weights_and_quota_are_kept() {
    const JSON: &str = "application/json";
    let cluster = Cluster::start().await;
    cluster.populate().await;
    let mut client = Client::new(cluster.master.node().bound_address());
    let weights = r#"[{"role":"w1","weight":4.5}]"#;
    assert_eq!(
        ask(&mut client, Method::PUT, "/weights", JSON, weights).await,
        (200, String::new())
    );
    let update = r#"{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"x/y","weight":0.5}]}}"#;
    assert_eq!(call(&mut client, update).await, (200, String::new()));
    let (_, text) = ask(&mut client, Method::GET, "/weights", JSON, "").await;
    let expected = r#"[{"role":"prod/web","weight":3.0},{"role":"w1","weight":4.5},{"role":"x/y","weight":0.5}]"#;
    assert_eq!(text, expected);
    let mut asked = v1::master::Call::new();
    asked.set_type(v1::master::call::Type::UPDATE_QUOTA);
    let mut config = v1::quota::QuotaConfig::new();
    config.set_role("q1".to_owned());
    let mut cpus = v1::mesos::value::Scalar::new();
    cpus.set_value(2.0);
    config.limits.insert("cpus".to_owned(), cpus);
    asked.update_quota.mut_or_insert_default().quota_configs.push(config);
    let bytes = asked.write_to_bytes().expect("complete");
    let answered = ask(&mut client, Method::POST, "/api/v1", "application/x-protobuf", bytes).await;
    assert_eq!(answered, (200, String::new()));
    let set = r#"{"type":"SET_QUOTA","set_quota":{"quota_request":{"role":"q2","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}}}"#;
    assert_eq!(call(&mut client, set).await.0, 200);
    assert_eq!(call(&mut client, set).await.0, 400);
    let (_, text) = call(&mut client, r#"{"type":"GET_QUOTA"}"#).await;
    assert!(
        text.contains(r#"{"role":"q1","limits":{"cpus":{"value":2.0}}}"#),
        "{text}"
    );
    assert!(text.contains(r#""guarantees":{"cpus":{"value":1.0}}"#), "{text}");
    let (_, text) = ask(&mut client, Method::GET, "/roles", JSON, "").await;
    assert!(
        text.contains(r#""role":"q1","guarantee":{},"limit":{"cpus":2.0}"#),
        "{text}"
    );
    assert!(text.contains(r#"{"name":"x/y","weight":0.5"#), "{text}");
    let (_, text) = ask(&mut client, Method::GET, "/registrar(1)/registry", JSON, "").await;
    assert!(
        text.contains(r#""minimum_capabilities":[{"capability":"QUOTA_V2"}]"#),
        "{text}"
    );
    let remove = r#"{"type":"REMOVE_QUOTA","remove_quota":{"role":"q2"}}"#;
    assert_eq!(call(&mut client, remove).await.0, 200);
    assert_eq!(call(&mut client, remove).await.0, 400);
    cluster.stop().await;
}
