//! `/maintenance/schedule`, `/maintenance/status`, `/machine/down`, `/machine/up`.
//!
//! Source: shared facts, `endpoints.tsv`; golden `endpoints/master/*maintenance*`, `mutations/`.

use libprocess::http::media::method_not_allowed;
use libprocess::{Context, Request, Responder, Response};
use mesos_master_core::{MaintenanceChange, OperatorCall};
use mesos_proto::v0::mesos::MachineID;

use super::mutation::{parse_json, parse_json_array, post_only, principal_of};
use super::render::sorted_json;
use crate::process::MasterProcess;

/// The schedule: GET reads it, POST puts another one in its place.
pub fn schedule(
    master: &mut MasterProcess,
    request: &Request,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let change = match request.method.as_str() {
        "GET" => return responder.send(Response::ok_json(sorted_json(master.core().machines().schedule()))),
        "POST" => parse_json(request).map(|schedule| MaintenanceChange::Schedule(Box::new(schedule))),
        _ => Err(method_not_allowed(&request.method, &["GET", "POST"])),
    };
    carry_out(master, request, change, responder, context);
}

/// Machines that drain and machines that are down.
#[must_use]
pub fn status(master: &MasterProcess, request: &Request) -> Response {
    if request.method.as_str() == "GET" {
        Response::ok_json(sorted_json(&master.core().maintenance_status()))
    } else {
        method_not_allowed(&request.method, &["GET"])
    }
}

/// Takes machines down or up: POST an array of machines.
pub fn machines(
    master: &mut MasterProcess,
    request: &Request,
    change: fn(Vec<MachineID>) -> MaintenanceChange,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let change = post_only(request).and_then(|()| parse_json_array(request)).map(change);
    carry_out(master, request, change, responder, context);
}

fn carry_out(
    master: &mut MasterProcess,
    request: &Request,
    change: Result<MaintenanceChange, Response>,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    match change {
        Ok(change) => {
            let call = OperatorCall::Maintenance(change);
            master.operator_call(call, principal_of(request), responder, context);
        }
        Err(refusal) => responder.send(refusal),
    }
}
