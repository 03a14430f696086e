//! `/reserve`, `/unreserve`, `/create-volumes`, `/destroy-volumes`, and the operator calls that say the same: from
//! forms and calls to operations. Pure; whether an operation is possible is the core's to say.
//!
//! Source: shared facts, `endpoints.tsv`, `operator_calls.tsv`.

use libprocess::http::media::plain;
use libprocess::{Context, Request, Responder, Response};
use mesos::ids::AgentId;
use mesos_master_core::OperatorCall;
use mesos_proto::v0::master::Call;
use mesos_proto::v0::master::call::Type as CallType;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::Type;
use mesos_proto::v0::mesos::{Resource, SlaveID};

use super::mutation::{field, form, post_only, principal_of, read_array};
use crate::process::MasterProcess;

/// Answers one of the older endpoints.
pub fn serve(
    master: &mut MasterProcess,
    request: &Request,
    responder: Responder,
    context: &mut Context<MasterProcess>,
    kind: Type,
) {
    match read_form(request, kind) {
        Ok(call) => master.operator_call(call, principal_of(request), responder, context),
        Err(refusal) => responder.send(refusal),
    }
}

/// Reads the form of a request: `slaveId`, and `resources` (also `source` for a reservation) or `volumes`.
fn read_form(request: &Request, kind: Type) -> Result<OperatorCall, Response> {
    post_only(request)?;
    let form = form(request)?;
    let agent_id = AgentId::new(field(&form, "slaveId")?);
    let list = |name: &str| -> Result<Vec<Resource>, Response> {
        read_array(field(&form, name)?.as_bytes())
            .map_err(|reason| plain(400, format!("'{name}' is not what is expected: {reason}")))
    };
    let mut operation = Operation::new();
    operation.set_type(kind);
    match kind {
        Type::RESERVE => {
            let reserve = operation.reserve.mut_or_insert_default();
            reserve.resources = list("resources")?;
            if form.contains_key("source") {
                reserve.source = list("source")?;
            }
        }
        Type::UNRESERVE => operation.unreserve.mut_or_insert_default().resources = list("resources")?,
        Type::CREATE => operation.create.mut_or_insert_default().volumes = list("volumes")?,
        Type::DESTROY => operation.destroy.mut_or_insert_default().volumes = list("volumes")?,
        _ => {}
    }
    Ok(OperatorCall::Operate {
        agent_id,
        operation: Box::new(operation),
    })
}

/// The operation that a call asks for; nothing for other calls.
#[must_use]
pub fn of_call(call: &Call) -> Option<OperatorCall> {
    let mut operation = Operation::new();
    let (agent_id, kind): (&SlaveID, Type) = match call.type_() {
        CallType::RESERVE_RESOURCES => {
            let asked = &call.reserve_resources;
            let reserve = operation.reserve.mut_or_insert_default();
            reserve.source.clone_from(&asked.source);
            reserve.resources.clone_from(&asked.resources);
            (&asked.slave_id, Type::RESERVE)
        }
        CallType::UNRESERVE_RESOURCES => {
            let asked = &call.unreserve_resources;
            let resources = &mut operation.unreserve.mut_or_insert_default().resources;
            resources.clone_from(&asked.resources);
            (&asked.slave_id, Type::UNRESERVE)
        }
        CallType::CREATE_VOLUMES => {
            let asked = &call.create_volumes;
            let volumes = &mut operation.create.mut_or_insert_default().volumes;
            volumes.clone_from(&asked.volumes);
            (&asked.slave_id, Type::CREATE)
        }
        CallType::DESTROY_VOLUMES => {
            let asked = &call.destroy_volumes;
            let volumes = &mut operation.destroy.mut_or_insert_default().volumes;
            volumes.clone_from(&asked.volumes);
            (&asked.slave_id, Type::DESTROY)
        }
        CallType::GROW_VOLUME => {
            let asked = &call.grow_volume;
            let grow = operation.grow_volume.mut_or_insert_default();
            grow.volume.clone_from(&asked.volume);
            grow.addition.clone_from(&asked.addition);
            (&asked.slave_id, Type::GROW_VOLUME)
        }
        CallType::SHRINK_VOLUME => {
            let asked = &call.shrink_volume;
            let shrink = operation.shrink_volume.mut_or_insert_default();
            shrink.volume.clone_from(&asked.volume);
            shrink.subtract.clone_from(&asked.subtract);
            (&asked.slave_id, Type::SHRINK_VOLUME)
        }
        _ => return None,
    };
    operation.set_type(kind);
    Some(OperatorCall::Operate {
        agent_id: AgentId::from(agent_id),
        operation: Box::new(operation),
    })
}

#[cfg(test)]
mod tests {
    use libprocess::http::Method;

    use super::*;

    fn post(body: &str) -> Request {
        let mut request = Request::new(Method::POST, "/x");
        request.body = bytes::Bytes::copy_from_slice(body.as_bytes());
        request
    }

    const CPUS: &str =
        r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"z","reservation":{"principal":"p"}}]"#;

    #[test]
    fn forms_become_operations() {
        let table = [
            (Type::RESERVE, format!("slaveId=a&resources={CPUS}&source={CPUS}")),
            (Type::UNRESERVE, format!("slaveId=a&resources={CPUS}")),
            (Type::CREATE, format!("slaveId=a&volumes={CPUS}")),
            (Type::DESTROY, format!("slaveId=a&volumes={CPUS}")),
        ];
        for (kind, body) in table {
            let call = read_form(&post(&body), kind).expect("a form");
            let OperatorCall::Operate { agent_id, operation } = call else {
                panic!("{call:?}")
            };
            assert_eq!((agent_id.as_str(), operation.type_()), ("a", kind));
            let named = match kind {
                Type::RESERVE => operation.reserve.source.len() + operation.reserve.resources.len() - 1,
                Type::UNRESERVE => operation.unreserve.resources.len(),
                Type::CREATE => operation.create.volumes.len(),
                _ => operation.destroy.volumes.len(),
            };
            assert_eq!(named, 1, "{kind:?}");
        }
    }

    #[test]
    fn malformed_forms_are_refused() {
        let bodies = [
            "",
            "slaveId=a",
            "resources=[]",
            "slaveId=a&resources={}",
            "slaveId=a&resources=[5]",
            "slaveId=a&resources=%5B",
        ];
        for body in bodies {
            let refusal = read_form(&post(body), Type::RESERVE).expect_err(body);
            assert_eq!(refusal.status.as_u16(), 400, "{body}");
        }
        let get = Request::new(Method::GET, "/x");
        let refusal = read_form(&get, Type::CREATE).expect_err("GET");
        assert_eq!(refusal.status.as_u16(), 405);
    }

    #[test]
    fn calls_become_operations() {
        let mut call = Call::new();
        call.set_type(CallType::GROW_VOLUME);
        let grow = call.grow_volume.mut_or_insert_default();
        grow.slave_id.mut_or_insert_default().set_value("a".to_owned());
        grow.addition.mut_or_insert_default().set_name("disk".to_owned());
        let Some(OperatorCall::Operate { agent_id, operation }) = of_call(&call) else {
            panic!("no operation")
        };
        assert_eq!((agent_id.as_str(), operation.type_()), ("a", Type::GROW_VOLUME));
        assert_eq!(operation.grow_volume.addition.name(), "disk");
        call.set_type(CallType::GET_STATE);
        assert_eq!(of_call(&call), None);
    }
}
