//! `/weights`: weights of roles.

use libprocess::http::media::method_not_allowed;
use libprocess::{Context, Request, Responder, Response};
use mesos_master_core::{Master, OperatorCall};

use super::mutation::{parse_json_array, principal_of};
use crate::process::MasterProcess;

/// Answers a request.
pub fn serve(
    master: &mut MasterProcess,
    request: &Request,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    match request.method.as_str() {
        "GET" => responder.send(Response::ok_json(render(master.core()))),
        "PUT" => match parse_json_array(request) {
            Ok(infos) => {
                let call = OperatorCall::UpdateWeights(infos);
                master.operator_call(call, principal_of(request), responder, context);
            }
            Err(refusal) => responder.send(refusal),
        },
        _ => responder.send(method_not_allowed(&request.method, &["GET", "PUT"])),
    }
}

fn render(core: &Master) -> String {
    let mut json = String::new();
    mesos::json::write_array(&mut json, core.weights(), |json, (role, weight)| {
        mesos::json::write_object(json, |object| {
            object.string("role", role);
            object.number("weight", *weight);
        });
    });
    json
}
