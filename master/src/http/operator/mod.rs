//! `/api/v1`: calls of operators.
//!
//! - `check`: what a call must have, before anybody looks at the state
//! - `answers`: answers to questions, made of the core's state
//! - `json`: how answers are written
//! - `machine`: questions about this program: metrics, log level, files
//! - `subscribers`: streams of events
//!
//! Source: shared facts, `operator_calls.tsv`; golden `errors.tsv`.

mod answers;
pub mod check;
mod json;
mod machine;
pub mod subscribers;

use libprocess::http::StatusCode;
use libprocess::http::media::{MediaType, method_not_allowed, plain};
use libprocess::{Context, Request, Responder, Response};
use mesos::ids::{AgentId, FrameworkId};
use mesos_master_core::{MaintenanceChange, OperatorCall};
use mesos_proto::v0::master::call::Type;
use mesos_proto::v0::master::{Call, Response as Answer};
use mesos_proto::v0::mesos::DrainConfig;
use mesos_proto::v1;
use protobuf::Message as _;

use super::mutation::principal_of;
use super::render::View;
use super::{operations, recovering};
use crate::process::MasterProcess;

/// A call with the encoding that its answer shall have.
#[derive(Debug)]
pub struct Asked {
    call: Call,
    wanted: MediaType,
}

/// Answers a request.
pub fn serve(
    master: &mut MasterProcess,
    request: &Request,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let asked = match recovering(master).map_or_else(|| parse(request), Err) {
        Ok(asked) => asked,
        Err(refusal) => return responder.send(refusal),
    };
    let Asked { call, wanted } = asked;
    if let Err(reason) = check::semantics(&call, master.core()) {
        return responder.send(plain(400, reason));
    }
    if let Some(change) = change(&call) {
        return master.operator_call(change, principal_of(request), responder, context);
    }
    match call.type_() {
        Type::SUBSCRIBE => master.subscribe_operator(wanted, responder, context),
        Type::GET_METRICS => machine::metrics(&call, wanted, responder, context),
        Type::GET_LOGGING_LEVEL => machine::logging_level(wanted, responder, context),
        Type::SET_LOGGING_LEVEL => machine::set_logging_level(&call, responder, context),
        Type::LIST_FILES => machine::list_files(master, &call, wanted, responder, context),
        Type::READ_FILE => machine::read_file(master, &call, wanted, responder, context),
        kind => {
            let answer = answers::answer(kind, &View::new(master.core()), master.identity());
            responder.send(answer.map_or_else(|| not_supported(kind), |answer| encode(&answer, wanted)));
        }
    }
}

/// The change that a call asks the core for; nothing for questions and for what is not supported.
fn change(call: &Call) -> Option<OperatorCall> {
    Some(match call.type_() {
        Type::TEARDOWN => OperatorCall::Teardown(FrameworkId::from(&*call.teardown.framework_id)),
        Type::MARK_AGENT_GONE => OperatorCall::MarkAgentGone(AgentId::from(&*call.mark_agent_gone.slave_id)),
        Type::DRAIN_AGENT => OperatorCall::DrainAgent {
            agent_id: AgentId::from(&*call.drain_agent.slave_id),
            config: drain_config(call),
        },
        Type::DEACTIVATE_AGENT => OperatorCall::DeactivateAgent(AgentId::from(&*call.deactivate_agent.slave_id)),
        Type::REACTIVATE_AGENT => OperatorCall::ReactivateAgent(AgentId::from(&*call.reactivate_agent.slave_id)),
        Type::UPDATE_MAINTENANCE_SCHEDULE => {
            let schedule = Box::new((*call.update_maintenance_schedule.schedule).clone());
            OperatorCall::Maintenance(MaintenanceChange::Schedule(schedule))
        }
        Type::START_MAINTENANCE => {
            let machines = call.start_maintenance.machines.clone();
            OperatorCall::Maintenance(MaintenanceChange::Start(machines))
        }
        Type::STOP_MAINTENANCE => {
            let machines = call.stop_maintenance.machines.clone();
            OperatorCall::Maintenance(MaintenanceChange::Stop(machines))
        }
        Type::UPDATE_WEIGHTS => OperatorCall::UpdateWeights(call.update_weights.weight_infos.clone()),
        Type::UPDATE_QUOTA => OperatorCall::UpdateQuota {
            configs: call.update_quota.quota_configs.clone(),
            force: call.update_quota.force(),
        },
        Type::SET_QUOTA => OperatorCall::SetQuota(Box::new((*call.set_quota.quota_request).clone())),
        Type::REMOVE_QUOTA => OperatorCall::RemoveQuota(call.remove_quota.role().to_owned()),
        _ => return operations::of_call(call),
    })
}

/// How a call wants an agent to be drained.
fn drain_config(call: &Call) -> DrainConfig {
    let asked = &call.drain_agent;
    let mut config = DrainConfig::new();
    config.max_grace_period = asked.max_grace_period.clone();
    config.set_mark_gone(asked.mark_gone());
    config
}

/// Reads a request.
///
/// # Errors
///
/// The answer to send: 400, 405, 406, 415, or 501 for a call of no known type.
pub fn parse(request: &Request) -> Result<Asked, Response> {
    if request.method.as_str() != "POST" {
        return Err(method_not_allowed(&request.method, &["POST"]));
    }
    let no_call = |error: String| plain(400, format!("the body is no call of an operator: {error}"));
    let versioned: v1::master::Call = match MediaType::of_body(request)? {
        MediaType::Json => mesos::json::from_slice(&request.body).map_err(|error| no_call(error.to_string()))?,
        MediaType::Protobuf => {
            v1::master::Call::parse_from_bytes(&request.body).map_err(|error| no_call(error.to_string()))?
        }
    };
    let call = mesos::convert::devolve_master_call(&versioned);
    check::form(&call).map_err(|reason| plain(400, reason))?;
    let Some(wanted) = MediaType::wanted(request) else {
        let reason = "header Accept allows neither application/json nor application/x-protobuf";
        return Err(plain(406, reason));
    };
    if call.type_() == Type::UNKNOWN {
        return Err(plain(501, "a call of type UNKNOWN asks for nothing"));
    }
    Ok(Asked { call, wanted })
}

/// An answer in the form that was asked for.
#[must_use]
pub fn encode(answer: &Answer, wanted: MediaType) -> Response {
    let bytes = match wanted {
        MediaType::Json => json::to_json(answer).into_bytes(),
        MediaType::Protobuf => mesos::convert::evolve_to_bytes::<Answer, v1::master::Response>(answer),
    };
    Response::bytes(StatusCode::OK, wanted.as_str(), bytes)
}

/// What this master does not do yet is refused, never taken without effect.
fn not_supported(kind: Type) -> Response {
    plain(501, format!("{kind:?} is not supported yet by this master"))
}

#[cfg(test)]
mod tests {
    use libprocess::http::Method;

    use super::*;

    fn post(content_type: &str, body: &[u8]) -> Request {
        let mut request = Request::new(Method::POST, "/api/v1");
        let headers = Response::status(StatusCode::OK).with_header("Content-Type", content_type);
        request.headers = headers.headers;
        request.body = bytes::Bytes::copy_from_slice(body);
        request
    }

    #[test]
    fn malformed_calls_are_refused() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        for (body, status) in [
            (b"{\"type\":".as_slice(), 400),
            (b"[]", 400),
            (b"", 400),
            (b"{}", 400),
            (b"{\"type\":5}", 400),
            (b"{\"type\":\"NO_SUCH_TYPE\"}", 400),
            (b"{\"type\":\"UNKNOWN\"}", 501),
            (b"{\"type\":\"TEARDOWN\"}", 400),
            (deep.as_bytes(), 400),
        ] {
            let refusal = parse(&post("application/json", body)).expect_err("refused");
            assert_eq!(refusal.status.as_u16(), status, "{:?}", String::from_utf8_lossy(body));
        }
        let refusal = parse(&post("application/x-protobuf", b"\xff\xff\xff")).expect_err("refused");
        assert_eq!(refusal.status.as_u16(), 400);
        let refusal = parse(&post("text/plain", b"{}")).expect_err("refused");
        assert_eq!(refusal.status.as_u16(), 415);
    }

    #[test]
    fn calls_are_read_in_both_encodings() {
        let json = br#"{"type":"MARK_AGENT_GONE","mark_agent_gone":{"agent_id":{"value":"a"}}}"#;
        let asked = parse(&post("application/json", json)).expect("valid");
        assert_eq!(asked.call.mark_agent_gone.slave_id.value(), "a");
        let bytes = mesos::convert::evolve_master_call(&asked.call)
            .write_to_bytes()
            .expect("complete");
        let again = parse(&post("application/x-protobuf", &bytes)).expect("valid");
        assert_eq!(again.call, asked.call);
    }
}
