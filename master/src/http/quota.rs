//! `/quota`: guarantees and limits of roles.

use libprocess::http::media::{method_not_allowed, plain};
use libprocess::{Context, Request, Responder, Response};
use mesos::resources::{Resource, ResourceValue, Resources};
use mesos_master_core::{Master, OperatorCall, quota_config};
use mesos_proto::v0::quota::{QuotaInfo, QuotaRequest, QuotaStatus};

use super::mutation::{parse_json, principal_of};
use crate::process::MasterProcess;

/// Answers a request.
pub fn serve(
    master: &mut MasterProcess,
    request: &Request,
    responder: Responder,
    context: &mut Context<MasterProcess>,
) {
    let call = match request.method.as_str() {
        "GET" => return responder.send(Response::ok_json(mesos::json::to_string(&status(master.core())))),
        "POST" => parse_json::<QuotaRequest>(request).map(|asked| OperatorCall::SetQuota(Box::new(asked))),
        "DELETE" => role_of_path(request).map(OperatorCall::RemoveQuota),
        _ => Err(method_not_allowed(&request.method, &["GET", "POST", "DELETE"])),
    };
    match call {
        Ok(call) => master.operator_call(call, principal_of(request), responder, context),
        Err(refusal) => responder.send(refusal),
    }
}

fn role_of_path(request: &Request) -> Result<String, Response> {
    let role = request.remainder.trim_matches('/');
    if role.is_empty() {
        return Err(plain(400, "the path must be /quota/ROLE"));
    }
    Ok(role.to_owned())
}

/// The quota of all roles that have some.
#[must_use]
pub fn status(core: &Master) -> QuotaStatus {
    let mut status = QuotaStatus::new();
    for (role, quota) in core.quotas() {
        let guarantees = quota.guarantees.iter();
        let resources: Resources = guarantees
            .map(|(name, amount)| Resource::new(name, ResourceValue::Scalar(*amount)))
            .collect();
        let mut info = QuotaInfo::new();
        info.set_role(role.clone());
        info.guarantee = resources.to_protobuf();
        status.infos.push(info);
        status.configs.push(quota_config(role, quota));
    }
    status
}
