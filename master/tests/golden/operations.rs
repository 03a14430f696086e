//! Reservations and volumes over real sockets: recorded requests of operators in their order, and what is read
//! afterwards.

use libprocess::http::Method;
use libprocess::http::client::Client;
use serde_json::{Value, json};

use crate::changes::ask;
use crate::cluster::Cluster;
use crate::exchange::{golden, recorded, send};

/// Recorded changes of reservations, in the order in which they were made.
const RESERVATIONS: &[&str] = &[
    "RESERVE",
    "RESERVE_norole",
    "RESERVE_toomuch",
    "UNRESERVE",
    "UNRESERVE_again",
    "v0_reserve",
    "v0_unreserve",
];

/// The agent in the recordings; its id is as long as any.
const RECORDED_AGENT: &str = "b89917cd-4427-49cd-ac06-2050b8d3b5b8-S0";

#[tokio::test]
async fn reservations_are_changed_as_recorded() {
    let cluster = Cluster::start().await;
    cluster.populate().await;
    let agent = cluster.agent_id_text().await;
    let address = cluster.master.node().bound_address();
    for name in RESERVATIONS {
        let (request, recorded) = recorded(&golden().join(format!("mutations/{name}.http")));
        let request = String::from_utf8(request).expect("text");
        assert!(request.contains(RECORDED_AGENT), "{name}");
        let request = request.replace(RECORDED_AGENT, &agent);
        let answer = send(address, request.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, recorded.status, "{name}: {text}");
        assert_eq!(answer.header_names(), recorded.header_names(), "{name}");
        let recorded_text = String::from_utf8_lossy(&recorded.body);
        assert_eq!(text.is_empty(), recorded_text.trim().is_empty(), "{name}: {text}");
    }
    cluster.stop().await;
}

/// Some disk, reserved dynamically.
fn disk(amount: f64) -> Value {
    json!({"name": "disk", "type": "SCALAR", "scalar": {"value": amount},
        "reservations": [{"type": "DYNAMIC", "role": "z", "principal": "p"}]})
}

fn volume(amount: f64) -> Value {
    let mut volume = disk(amount);
    volume["disk"] =
        json!({"persistence": {"id": "data", "principal": "p"}, "volume": {"container_path": "data", "mode": "RW"}});
    volume
}

/// What the agent has reserved for the role, as the older endpoint shows it.
async fn reserved(client: &mut Client) -> Value {
    let (status, text) = ask(client, Method::GET, "/slaves", "application/json", "").await;
    assert_eq!(status, 200);
    let slaves: Value = serde_json::from_str(&text).expect("JSON");
    slaves["slaves"][0]["reserved_resources_full"]["z"].clone()
}

#[tokio::test]
async fn volumes_are_made_resized_and_destroyed() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let cluster = Cluster::start().await;
    cluster.populate().await;
    let mut client = Client::new(cluster.master.node().bound_address());
    let id = cluster.agent_id_text().await;
    let calls = [
        ("RESERVE_RESOURCES", json!({"resources": [disk(150.0)]}), 202),
        ("CREATE_VOLUMES", json!({"volumes": [volume(100.0)]}), 202),
        ("CREATE_VOLUMES", json!({"volumes": [volume(10.0)]}), 400),
        (
            "GROW_VOLUME",
            json!({"volume": volume(100.0), "addition": disk(50.0)}),
            202,
        ),
        (
            "GROW_VOLUME",
            json!({"volume": volume(150.0), "addition": disk(50.0)}),
            409,
        ),
        (
            "SHRINK_VOLUME",
            json!({"volume": volume(150.0), "subtract": {"value": 30.0}}),
            202,
        ),
        ("UNRESERVE_RESOURCES", json!({"resources": [volume(120.0)]}), 400),
    ];
    for (kind, mut body, status) in calls {
        body["agent_id"] = json!({"value": id});
        let call = json!({"type": kind, kind.to_lowercase(): body}).to_string();
        let answer = ask(&mut client, Method::POST, "/api/v1", "application/json", call).await;
        assert_eq!(answer.0, status, "{kind}: {}", answer.1);
    }
    let full = reserved(&mut client).await;
    let volumes = full.as_array().expect("a list").iter();
    let volumes: Vec<&Value> = volumes.filter(|resource| resource["disk"].is_object()).collect();
    assert_eq!(
        (volumes.len(), &volumes[0]["scalar"]["value"]),
        (1, &json!(120.0)),
        "{full}"
    );
    let (_, text) = ask(
        &mut client,
        Method::POST,
        "/api/v1",
        "application/json",
        r#"{"type":"GET_OPERATIONS"}"#,
    )
    .await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let operations = answer["get_operations"]["operations"].as_array().expect("a list");
    assert_eq!(operations.len(), 4, "{text}");
    assert!(
        operations
            .iter()
            .all(|one| one["latest_status"]["state"] == "OPERATION_PENDING"),
        "{text}"
    );
    let forms = [
        (
            "/destroy-volumes",
            format!("slaveId={id}&volumes=[{}]", volume(120.0)),
            202,
        ),
        (
            "/destroy-volumes",
            format!("slaveId={id}&volumes=[{}]", volume(120.0)),
            400,
        ),
        (
            "/create-volumes",
            format!("slaveId={id}&volumes=[{}]", volume(1000.0)),
            409,
        ),
        (
            "/create-volumes",
            format!("slaveId={id}&volumes=[{}]", volume(20.0)),
            202,
        ),
        (
            "/destroy-volumes",
            format!("slaveId={id}&volumes=[{}]", volume(20.0)),
            202,
        ),
        ("/unreserve", format!("slaveId={id}&resources=[{}]", disk(150.0)), 202),
    ];
    for (path, form, status) in forms {
        let answer = ask(&mut client, Method::POST, path, FORM, form).await;
        assert_eq!(answer.0, status, "{path}: {}", answer.1);
    }
    assert_eq!(reserved(&mut client).await, Value::Null);
    let (_, text) = ask(&mut client, Method::GET, "/metrics/snapshot", "application/json", "").await;
    let metrics: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(metrics["master/operations/create/total"], 2.0);
    assert_eq!(metrics["master/operations/pending"], 8.0);
    cluster.stop().await;
}
