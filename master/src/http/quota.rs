//! `/quota`: guarantees and limits of roles. Only reading is supported yet.

use libprocess::http::media::{method_not_allowed, plain};
use libprocess::{Request, Response};
use mesos::resources::{Resource, ResourceValue, Resources};
use mesos::values::Scalar;
use mesos_master_core::Master;
use mesos_proto::v0::quota::{QuotaConfig, QuotaInfo, QuotaRequest, QuotaStatus};

use super::mutation::{not_supported, parse_json};
use super::operator::check;

/// Answers a request.
#[must_use]
pub fn respond(core: &Master, request: &Request) -> Response {
    match request.method.as_str() {
        "GET" => Response::ok_json(mesos::json::to_string(&status(core))),
        "POST" => set(request),
        "DELETE" => plain(400, format!("role '{}' has no quota", request.remainder)),
        _ => method_not_allowed(&request.method, &["GET", "POST", "DELETE"]),
    }
}

fn set(request: &Request) -> Response {
    let asked: QuotaRequest = match parse_json(request) {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    if let Err(reason) = check::role_with_quota(asked.role()) {
        return plain(400, reason);
    }
    if asked.guarantee.is_empty() {
        return plain(400, format!("no guarantee for role '{}' is given", asked.role()));
    }
    not_supported("setting quota")
}

/// The quota of all roles that have some.
#[must_use]
pub fn status(core: &Master) -> QuotaStatus {
    let mut status = QuotaStatus::new();
    for (role, metrics) in core.allocator().metrics(core.now()).quotas {
        let guarantees = metrics.quota.guarantees.iter();
        let resources: Resources = guarantees
            .map(|(name, amount)| Resource::new(name, ResourceValue::Scalar(*amount)))
            .collect();
        let mut info = QuotaInfo::new();
        info.set_role(role.clone());
        info.guarantee = resources.to_protobuf();
        status.infos.push(info);
        let mut config = QuotaConfig::new();
        config.set_role(role);
        let proto = |(name, amount): (String, Scalar)| (name, amount.to_proto());
        config.guarantees = metrics.quota.guarantees.into_iter().map(proto).collect();
        config.limits = metrics.quota.limits.into_iter().map(proto).collect();
        status.configs.push(config);
    }
    status
}
