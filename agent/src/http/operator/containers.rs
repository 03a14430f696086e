//! Calls about containers: from a call to what the containerizer is asked, and from its answers to responses. Pure.
//!
//! Source: shared facts, `operator_calls.tsv` and `golden/errors.tsv` (rows `agentop`).

use libprocess::Response;
use libprocess::http::StatusCode;
use libprocess::http::media::{MediaType, plain};
use mesos::convert::{devolve, evolve};
use mesos::ids::ContainerId;
use mesos::resources::Resources;
use mesos::validation::command::validate_command;
use mesos::validation::container::validate_container;
use mesos_agent_core::unenforced;
use mesos_containerizer::{ContainerKind, ContainerizerError, LaunchRequest, Termination};
use mesos_node::describe;
use mesos_proto::v0::mesos::{CommandInfo, ContainerInfo, Resource};
use mesos_proto::v1;
use mesos_proto::v1::agent::Response as Answer;
use mesos_proto::v1::agent::call::Type;
use mesos_proto::v1::agent::response;
use protobuf::MessageField;

use super::encode::encode;
use super::parse::{self, Call};
use crate::settings::DEFAULT_PATH;

/// The signal of a kill that names none: `KILL`.
const SIGNAL_DEFAULT: i32 = 9;

/// What a call about containers asks for.
#[derive(Clone, Debug)]
pub enum ContainerCall {
    /// Launch a container and answer when its command may run.
    Launch(ContainerId, Box<LaunchRequest>),
    /// Launch a container that looks into another one, and answer with its output.
    Session(ContainerId, Box<LaunchRequest>),
    /// Answer when the container has ended.
    Wait(ContainerId),
    /// Send a signal.
    Kill(ContainerId, i32),
    /// Remove what an ended container left.
    Remove(ContainerId),
    /// Stream input or output of a running container.
    Attach(ContainerId),
}

/// Whether containers run as the users of their commands (the flag `switch_user`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// They do.
    Switched,
    /// They all run as the agent does.
    Ignored,
}

/// The parts of a launch in the three calls that launch.
#[derive(Default)]
struct Described {
    command: CommandInfo,
    container: Option<ContainerInfo>,
    resources: Vec<Resource>,
    limits: Vec<(String, f64)>,
}

/// Reads a call that has the field of its type; `enforced_limits` names the resources whose limits an isolator of this
/// agent holds containers to.
///
/// # Errors
///
/// The answer to send: 400, naming the field.
pub fn read(call: &Call, users: Users, enforced_limits: &[String]) -> Result<ContainerCall, Response> {
    let refuse = |reason: String| plain(400, reason);
    let field = format!("{:?}", call.kind).to_lowercase();
    let container_id = parse::container_of(call).map(ContainerId::from);
    let container_id = container_id.ok_or_else(|| refuse(format!("`{field}.container_id` is missing")))?;
    if let Err(error) = container_id.validate() {
        return Err(refuse(format!("`{field}.container_id` cannot be used: {error}")));
    }
    if is_for_nested(call.kind) && !container_id.is_nested() {
        return Err(refuse(format!("`{field}.container_id.parent` is missing")));
    }
    let message = &call.message;
    Ok(match call.kind {
        Type::LAUNCH_CONTAINER | Type::LAUNCH_NESTED_CONTAINER => {
            let described = described(call);
            check(&field, &container_id, &described).map_err(refuse)?;
            check_limits(&field, &described, enforced_limits).map_err(refuse)?;
            let kind = if container_id.is_nested() {
                ContainerKind::Managed
            } else {
                ContainerKind::Standalone
            };
            ContainerCall::Launch(container_id, Box::new(request(described, kind, users)))
        }
        Type::LAUNCH_NESTED_CONTAINER_SESSION => {
            let described = described(call);
            check(&field, &container_id, &described).map_err(refuse)?;
            check_session(&field, &described).map_err(refuse)?;
            ContainerCall::Session(container_id, Box::new(request(described, ContainerKind::Debug, users)))
        }
        Type::WAIT_CONTAINER | Type::WAIT_NESTED_CONTAINER => ContainerCall::Wait(container_id),
        Type::KILL_CONTAINER => ContainerCall::Kill(container_id, signal(message.kill_container.signal)),
        Type::KILL_NESTED_CONTAINER => ContainerCall::Kill(container_id, signal(message.kill_nested_container.signal)),
        Type::REMOVE_CONTAINER | Type::REMOVE_NESTED_CONTAINER => ContainerCall::Remove(container_id),
        _ => ContainerCall::Attach(container_id),
    })
}

fn is_for_nested(kind: Type) -> bool {
    matches!(
        kind,
        Type::LAUNCH_NESTED_CONTAINER
            | Type::LAUNCH_NESTED_CONTAINER_SESSION
            | Type::WAIT_NESTED_CONTAINER
            | Type::KILL_NESTED_CONTAINER
            | Type::REMOVE_NESTED_CONTAINER
    )
}

fn signal(named: Option<i32>) -> i32 {
    named.unwrap_or(SIGNAL_DEFAULT)
}

fn described(call: &Call) -> Described {
    let of = |command: &MessageField<v1::mesos::CommandInfo>, container: &MessageField<v1::mesos::ContainerInfo>| {
        Described {
            command: command.as_ref().map(devolve).unwrap_or_default(),
            container: container.as_ref().map(devolve),
            ..Described::default()
        }
    };
    let message = &call.message;
    match call.kind {
        Type::LAUNCH_NESTED_CONTAINER => {
            let launch = &message.launch_nested_container;
            of(&launch.command, &launch.container)
        }
        Type::LAUNCH_NESTED_CONTAINER_SESSION => {
            let launch = &message.launch_nested_container_session;
            of(&launch.command, &launch.container)
        }
        _ => {
            let launch = &message.launch_container;
            let limits = launch.limits.iter().map(|(name, limit)| (name.clone(), limit.value()));
            Described {
                resources: launch.resources.iter().map(devolve).collect(),
                limits: limits.collect(),
                ..of(&launch.command, &launch.container)
            }
        }
    }
}

/// What must hold for a launch.
fn check(field: &str, container_id: &ContainerId, launch: &Described) -> Result<(), String> {
    validate_command(&launch.command)
        .map_err(|error| format!("`{field}.command` cannot be used: {}", describe(&error)))?;
    if let Some(container) = &launch.container {
        validate_container(container)
            .map_err(|error| format!("`{field}.container` cannot be used: {}", describe(&error)))?;
    }
    let resources = Resources::from_protobuf(&launch.resources)
        .map_err(|error| format!("`{field}.resources` cannot be used: {}", describe(&error)))?;
    let share_cgroups = share_cgroups(launch);
    match container_id.parent() {
        // Nobody accounts for what standalone containers use.
        None => {
            for resource in resources.iter() {
                if resource.reservation_role().is_some() || resource.is_persistent_volume() || resource.is_revocable() {
                    return Err(format!(
                        "`{field}.resources` of a container without a parent must be unreserved and not revocable, and \
                         no persistent volumes"
                    ));
                }
            }
            if share_cgroups == Some(true) {
                return Err(format!(
                    "`{field}.container.linux_info.share_cgroups` must not be true without a parent"
                ));
            }
        }
        Some(parent) if parent.is_nested() => {
            for (given, name) in [
                (!launch.resources.is_empty(), "resources"),
                (!launch.limits.is_empty(), "limits"),
                (
                    share_cgroups == Some(false),
                    "container.linux_info.share_cgroups = false",
                ),
            ] {
                if given {
                    return Err(format!("`{field}.{name}` is only for containers nested once"));
                }
            }
        }
        Some(_) => {}
    }
    Ok(())
}

/// A ceiling that nobody holds would be a promise that is not kept.
fn check_limits(field: &str, launch: &Described, enforced: &[String]) -> Result<(), String> {
    match unenforced(launch.limits.iter().map(|(name, _)| name), enforced) {
        Some(name) => Err(format!(
            "`{field}.limits` of '{name}' cannot be held: this agent has no isolator that limits it"
        )),
        None => Ok(()),
    }
}

fn share_cgroups(launch: &Described) -> Option<bool> {
    let container = launch.container.as_ref()?;
    container.linux_info.as_ref()?.share_cgroups
}

fn check_session(field: &str, launch: &Described) -> Result<(), String> {
    if share_cgroups(launch) == Some(false) {
        return Err(format!(
            "`{field}.container.linux_info.share_cgroups` must not be false"
        ));
    }
    if launch
        .container
        .as_ref()
        .is_some_and(|container| container.tty_info.is_some())
    {
        return Err(format!(
            "`{field}.container.tty_info` is not supported: there are no terminals yet"
        ));
    }
    Ok(())
}

fn request(launch: Described, kind: ContainerKind, users: Users) -> LaunchRequest {
    // What executors inherit of the agent is not for containers that others start; a search path they all have. A
    // look into a container has that of the container.
    let path = (kind != ContainerKind::Debug).then(|| ("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    LaunchRequest {
        kind,
        user: launch.command.user.clone().filter(|_| users == Users::Switched),
        command: launch.command,
        environment: path.into_iter().collect(),
        resources: launch.resources,
        limits: launch.limits.into_iter().collect(),
        container_info: launch.container,
        ..LaunchRequest::default()
    }
}

/// The answer to a launch that did not work. A container of that id counts as launched.
#[must_use]
pub fn not_launched(error: &ContainerizerError) -> Response {
    match error {
        ContainerizerError::AlreadyLaunched(_) => Response::status(StatusCode::ACCEPTED),
        ContainerizerError::Stopped => plain(503, describe(error)),
        error => plain(400, describe(error)),
    }
}

/// The answer to a kill.
#[must_use]
pub fn killed(container_id: &ContainerId, result: &Result<bool, ContainerizerError>) -> Response {
    match result {
        Ok(true) => Response::status(StatusCode::OK),
        Ok(false) => unknown(container_id),
        Err(error) => plain(400, describe(error)),
    }
}

/// The answer to a removal.
#[must_use]
pub fn removed(result: &Result<(), ContainerizerError>) -> Response {
    match result {
        Ok(()) => Response::status(StatusCode::OK),
        Err(ContainerizerError::UnknownContainer(container_id)) => unknown(container_id),
        Err(error) => plain(500, describe(error)),
    }
}

/// Nobody knows the container, or it has ended.
#[must_use]
pub fn unknown(container_id: &ContainerId) -> Response {
    plain(404, format!("container {container_id} is not known"))
}

/// The answer to a wait, in the form that belongs to the call.
#[must_use]
pub fn ended(kind: Type, container_id: &ContainerId, end: Option<&Termination>, media_type: MediaType) -> Response {
    let Some(end) = end else {
        return unknown(container_id);
    };
    let end = end.to_proto();
    let limitation = (!end.limited_resources.is_empty()).then(|| {
        let mut limitation = v1::mesos::TaskResourceLimitation::new();
        limitation.resources = end.limited_resources.iter().map(evolve).collect();
        limitation
    });
    let state = end
        .state
        .map(|state| state.value())
        .map(protobuf::EnumOrUnknown::from_i32);
    let reason = end
        .reason
        .map(|reason| reason.value())
        .map(protobuf::EnumOrUnknown::from_i32);
    let mut answer = Answer::new();
    if kind == Type::WAIT_NESTED_CONTAINER {
        answer.set_type(response::Type::WAIT_NESTED_CONTAINER);
        let wait = answer.wait_nested_container.mut_or_insert_default();
        (wait.exit_status, wait.state, wait.reason) = (end.status, state, reason);
        (wait.message, wait.limitation) = (end.message, limitation.into());
    } else {
        answer.set_type(response::Type::WAIT_CONTAINER);
        let wait = answer.wait_container.mut_or_insert_default();
        (wait.exit_status, wait.state, wait.reason) = (end.status, state, reason);
        (wait.message, wait.limitation) = (end.message, limitation.into());
    }
    encode(&answer, media_type)
}

#[cfg(test)]
mod tests {
    use libprocess::http::Body;
    use mesos_proto::v0::mesos::task_status::Reason;

    use super::*;
    use crate::http::operator::parse::Framing;

    fn call(json: &str) -> Call {
        let message: v1::agent::Call = mesos::json::from_str(json).expect("a call");
        Call {
            kind: message.type_(),
            message,
            media_type: MediaType::Json,
            framing: Framing::Plain,
        }
    }

    fn refusal(json: &str) -> String {
        let refused = read(&call(json), Users::Switched, &[]).expect_err(json);
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        match refused.body {
            Body::Full(text) => String::from_utf8_lossy(&text).into_owned(),
            _ => String::new(),
        }
    }

    #[test]
    fn a_launch_has_what_the_call_says() {
        let json = r#"{"type":"LAUNCH_CONTAINER","launch_container":{
            "container_id":{"value":"n","parent":{"value":"p"}},
            "command":{"value":"true","user":"nobody"},"limits":{"cpus":{"value":2}},
            "resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}}"#;
        let held = ["cpus".to_owned()];
        let Ok(ContainerCall::Launch(container_id, request)) = read(&call(json), Users::Switched, &held) else {
            panic!("a launch")
        };
        assert_eq!(container_id, ContainerId::new("p").child("n"));
        assert_eq!(request.kind, ContainerKind::Managed);
        assert_eq!(
            (request.command.value(), request.user.as_deref()),
            ("true", Some("nobody"))
        );
        assert_eq!(request.resources[0].scalar.value().to_string(), "1");
        assert_eq!(request.limits.get("cpus"), Some(&2.0));
        assert_eq!(request.environment.keys().collect::<Vec<_>>(), ["PATH"]);
        let Ok(ContainerCall::Launch(_, request)) = read(&call(json), Users::Ignored, &held) else {
            panic!("a launch")
        };
        assert_eq!(request.user, None);
        let alone = r#"{"type":"LAUNCH_CONTAINER","launch_container":{"container_id":{"value":"a"},"command":{}}}"#;
        let Ok(ContainerCall::Launch(_, request)) = read(&call(alone), Users::Switched, &[]) else {
            panic!("a launch")
        };
        assert_eq!(request.kind, ContainerKind::Standalone);
    }

    #[test]
    fn wrong_calls_are_refused_by_the_name_of_the_field() {
        let launch = |id: &str, rest: &str| {
            format!(r#"{{"type":"LAUNCH_CONTAINER","launch_container":{{"container_id":{id}{rest}}}}}"#)
        };
        let resource = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1}"#;
        let (alone, twice) = (
            r#"{"value":"a"}"#,
            r#"{"value":"c","parent":{"value":"b","parent":{"value":"a"}}}"#,
        );
        for (json, named) in [
            (launch(r#"{"value":"a/b"}"#, ""), "launch_container.container_id"),
            (
                launch(twice, &format!(r#","resources":[{resource}}}]"#)),
                "launch_container.resources",
            ),
            (
                launch(twice, r#","limits":{"cpus":{"value":1}}"#),
                "launch_container.limits",
            ),
            (
                launch(alone, r#","limits":{"cpus":{"value":1}}"#),
                "`launch_container.limits` of 'cpus'",
            ),
            (
                launch(alone, &format!(r#","resources":[{resource},"role":"r"}}]"#)),
                "launch_container.resources",
            ),
            (
                launch(alone, &format!(r#","resources":[{resource},"revocable":{{}}}}]"#)),
                "launch_container.resources",
            ),
            (
                launch(
                    alone,
                    r#","command":{"environment":{"variables":[{"name":"A","type":"VALUE"}]}}"#,
                ),
                "launch_container.command",
            ),
            (
                r#"{"type":"WAIT_NESTED_CONTAINER","wait_nested_container":{"container_id":{"value":"a"}}}"#.to_owned(),
                "wait_nested_container.container_id.parent",
            ),
            (
                r#"{"type":"LAUNCH_NESTED_CONTAINER_SESSION","launch_nested_container_session":{"container_id":
                {"value":"b","parent":{"value":"a"}},"container":{"type":"MESOS","tty_info":{}}}}"#
                    .to_owned(),
                "container.tty_info",
            ),
        ] {
            let text = refusal(&json);
            assert!(text.contains(named), "{text}");
        }
    }

    #[test]
    fn kills_and_ends_have_the_form_of_their_call() {
        let json = r#"{"type":"KILL_CONTAINER","kill_container":{"container_id":{"value":"a"}}}"#;
        let named = r#"{"type":"KILL_NESTED_CONTAINER","kill_nested_container":{"container_id":{"value":"n",
            "parent":{"value":"p"}},"signal":15}}"#;
        assert!(matches!(
            read(&call(json), Users::Switched, &[]),
            Ok(ContainerCall::Kill(_, 9))
        ));
        assert!(matches!(
            read(&call(named), Users::Switched, &[]),
            Ok(ContainerCall::Kill(_, 15))
        ));
        let id = ContainerId::new("a");
        let end = Termination {
            status: Some(256),
            reason: Some(Reason::REASON_CONTAINER_LIMITATION_MEMORY),
            message: Some("too much".to_owned()),
            ..Termination::default()
        };
        let text = |kind| match ended(kind, &id, Some(&end), MediaType::Json).body {
            Body::Full(text) => String::from_utf8_lossy(&text).into_owned(),
            _ => String::new(),
        };
        let fields = r#"{"exit_status":256,"reason":"REASON_CONTAINER_LIMITATION_MEMORY","message":"too much"}"#;
        assert_eq!(
            text(Type::WAIT_CONTAINER),
            format!(r#"{{"type":"WAIT_CONTAINER","wait_container":{fields}}}"#)
        );
        assert_eq!(
            text(Type::WAIT_NESTED_CONTAINER),
            format!(r#"{{"type":"WAIT_NESTED_CONTAINER","wait_nested_container":{fields}}}"#)
        );
        let status = |response: Response| response.status.as_u16();
        assert_eq!(status(ended(Type::WAIT_CONTAINER, &id, None, MediaType::Json)), 404);
        assert_eq!(
            status(not_launched(&ContainerizerError::AlreadyLaunched(id.clone()))),
            202
        );
        assert_eq!(status(not_launched(&ContainerizerError::NoCommand)), 400);
        assert_eq!(status(killed(&id, &Ok(false))), 404);
        assert_eq!(status(removed(&Err(ContainerizerError::NotEnded(id.clone())))), 500);
    }
}
