//! Each rule with what breaks it, as JSON that a framework could send.

use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::{
    CheckInfo, ContainerInfo, Environment, ExecutorInfo, FrameworkInfo, HealthCheck, Resource, TaskGroupInfo, TaskInfo,
};
use mesos_proto::v0::{executor as executor_api, scheduler as scheduler_api};
use protobuf::MessageFull;
use serde_json::{Value, json};

use super::calls::{CallError, validate_executor_call, validate_scheduler_call};
use super::check::{CheckError, validate_check, validate_health_check};
use super::command::{CommandError, validate_environment};
use super::container::{ContainerError, validate_container};
use super::executor::{ExecutorError, LaunchedFor, validate_executor, validate_same_executor};
use super::framework::{
    FrameworkError, validate_framework, validate_principal, validate_suppressed_roles, validate_update,
};
use super::operation::{OperationError, validate_operation};
use super::task::{TaskContext, TaskError, validate_task, validate_task_group};
use super::usage::{UsageError, read_usage};

fn message<M: MessageFull>(json: &Value) -> M {
    crate::json::from_value(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// `base` with the fields of `changes` in place of its own; `null` removes a field.
fn with(base: &Value, changes: &Value) -> Value {
    let mut changed = base.clone();
    for (key, value) in changes.as_object().expect("an object") {
        let fields = changed.as_object_mut().expect("an object");
        if value.is_null() {
            fields.remove(key);
        } else {
            fields.insert(key.clone(), value.clone());
        }
    }
    changed
}

fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

macro_rules! refused {
    ($result:expr, $error:pat) => {{
        let error = $result.expect_err("the rule is broken");
        assert!(matches!(error, $error), "{error:?}");
        assert!(!error.to_string().is_empty());
    }};
}

#[test]
fn frameworks() {
    let base = json!({"user": "u", "name": "n"});
    let multi = json!([{"type": "MULTI_ROLE"}]);
    let check = |changes: Value| validate_framework(&message::<FrameworkInfo>(&with(&base, &changes)));
    check(json!({})).expect("fine");
    check(json!({"id": {"value": ""}, "role": "a/b", "failover_timeout": 1e9})).expect("fine");
    check(json!({"roles": ["a", "b"], "capabilities": multi, "offer_filters": {"a": {}}})).expect("fine");
    refused!(check(json!({"id": {"value": "a/b"}})), FrameworkError::Id { .. });
    refused!(check(json!({"roles": ["a"]})), FrameworkError::RolesWithoutCapability);
    refused!(
        check(json!({"role": "a", "capabilities": multi})),
        FrameworkError::RoleWithCapability { .. }
    );
    refused!(check(json!({"role": "/bad"})), FrameworkError::Role { .. });
    refused!(
        check(json!({"roles": ["a", "a"], "capabilities": multi})),
        FrameworkError::DuplicateRole { .. }
    );
    for seconds in [json!(-1.0), json!(1e10), json!("Infinity"), json!("-Infinity")] {
        refused!(
            check(json!({"failover_timeout": seconds})),
            FrameworkError::FailoverTimeout { .. }
        );
    }
    check(json!({"offer_filters": {"b": {}}})).expect("roles of others are the allocator's to leave out");
    let filter = |quantities: Value| json!({"*": {"min_allocatable_resources": {"quantities": [quantities]}}});
    let quantity = |value: Value| filter(json!({"quantities": {"cpus": {"value": value}}}));
    check(json!({"offer_filters": quantity(json!(0))})).expect("fine");
    refused!(
        check(json!({"offer_filters": filter(json!({}))})),
        FrameworkError::EmptyFilter { .. }
    );
    for value in [json!(-1), json!("Infinity"), json!(1e-310)] {
        refused!(
            check(json!({"offer_filters": quantity(value)})),
            FrameworkError::FilterQuantity { .. }
        );
    }

    let info = |changes: Value| message::<FrameworkInfo>(&with(&base, &changes));
    validate_principal(&info(json!({"principal": "p"})), None).expect("fine");
    refused!(
        validate_principal(&info(json!({"principal": "p"})), Some("q")),
        FrameworkError::Principal { .. }
    );
    refused!(
        validate_suppressed_roles(&info(json!({})), &["b".to_owned()]),
        FrameworkError::SuppressedRole { .. }
    );
    let renamed = validate_update(&info(json!({"principal": "secret"})), &info(json!({"principal": "p"})));
    refused!(renamed.clone(), FrameworkError::PrincipalChanged { .. });
    assert!(!renamed.expect_err("refused").to_string().contains("secret"));
    for changes in [json!({"user": "v"}), json!({"checkpoint": true})] {
        refused!(
            validate_update(&info(json!({})), &info(changes)),
            FrameworkError::Changed { .. }
        );
    }
    validate_update(&info(json!({})), &info(json!({"name": "m", "webui_url": "w"}))).expect("these may change");
}

#[test]
fn environments() {
    let check = |variable: Value| validate_environment(&message::<Environment>(&json!({"variables": [variable]})));
    let reference = json!({"type": "REFERENCE", "reference": {"name": "r"}});
    check(json!({"name": "a", "value": "b"})).expect("fine");
    check(json!({"name": "a", "type": "SECRET", "secret": reference})).expect("fine");
    refused!(check(json!({"name": "a"})), CommandError::ValueMissing { .. });
    refused!(
        check(json!({"name": "a", "value": "b", "secret": reference})),
        CommandError::SecretWithValue { .. }
    );
    refused!(
        check(json!({"name": "a", "type": "SECRET"})),
        CommandError::SecretMissing { .. }
    );
    refused!(
        check(json!({"name": "a", "type": "SECRET", "value": "b", "secret": reference})),
        CommandError::ValueWithSecret { .. }
    );
    refused!(
        check(json!({"name": "a", "type": "SECRET", "secret": {}})),
        CommandError::Secret { .. }
    );
    let with_nul = json!({"type": "VALUE", "value": {"data": "AA=="}});
    refused!(
        check(json!({"name": "a", "type": "SECRET", "secret": with_nul})),
        CommandError::SecretWithNul { .. }
    );
    refused!(
        check(json!({"name": "a", "type": "UNKNOWN", "value": "b"})),
        CommandError::UnknownType { .. }
    );
    refused!(
        check(json!({"name": "a", "value": "b\u{0}c"})),
        CommandError::Nul { .. }
    );
}

#[test]
fn checks_and_health_checks() {
    let shell = json!({"value": "true"});
    let plain = |json: Value| validate_check(&message::<CheckInfo>(&json));
    let health = |json: Value| validate_health_check(&message::<HealthCheck>(&json));
    plain(json!({"type": "COMMAND", "command": {"command": shell}})).expect("fine");
    plain(json!({"type": "HTTP", "http": {"port": 80, "path": "/a"}, "delay_seconds": 0})).expect("fine");
    plain(json!({"type": "TCP", "tcp": {"port": 80}})).expect("fine");
    health(json!({"type": "HTTP", "http": {"port": 80, "scheme": "https"}})).expect("fine");
    refused!(plain(json!({})), CheckError::UnknownType);
    refused!(health(json!({"type": "UNKNOWN"})), CheckError::UnknownType);
    refused!(plain(json!({"type": "TCP"})), CheckError::Missing { field: "tcp", .. });
    plain(json!({"type": "TCP", "tcp": {"port": 1}, "http": {"port": 1}})).expect("what it does not use is no matter");
    health(json!({"type": "HTTP", "http": {"port": 1}, "command": {}})).expect("what it does not use is no matter");
    refused!(
        plain(json!({"type": "COMMAND", "command": {"command": {}}})),
        CheckError::NothingToRun { shell: true }
    );
    refused!(
        health(json!({"type": "COMMAND", "command": {"shell": false}})),
        CheckError::NothingToRun { shell: false }
    );
    let broken = json!({"value": "true", "environment": {"variables": [{"name": "a"}]}});
    refused!(
        health(json!({"type": "COMMAND", "command": broken})),
        CheckError::Command(_)
    );
    refused!(
        health(json!({"type": "HTTP", "http": {"port": 80, "path": "a"}})),
        CheckError::RelativePath { .. }
    );
    refused!(
        health(json!({"type": "HTTP", "http": {"port": 80, "scheme": "ftp"}})),
        CheckError::Scheme { .. }
    );
    refused!(
        plain(json!({"type": "TCP", "tcp": {"port": 70000}})),
        CheckError::Port { port: 70000 }
    );
    for field in [
        "delay_seconds",
        "interval_seconds",
        "timeout_seconds",
        "grace_period_seconds",
    ] {
        let mut json = json!({"type": "TCP", "tcp": {"port": 1}});
        json[field] = json!(-0.5);
        refused!(health(json), CheckError::Time { .. });
    }
}

#[test]
fn containers() {
    let check = |json: Value| validate_container(&message::<ContainerInfo>(&json));
    let volume = |volume: Value| {
        let base = json!({"mode": "RW", "container_path": "/c"});
        check(json!({"type": "MESOS", "volumes": [with(&base, &volume)]}))
    };
    check(json!({"type": "DOCKER", "docker": {"image": "i"}})).expect("fine");
    refused!(validate_container(&ContainerInfo::new()), ContainerError::UnknownType);
    refused!(check(json!({"type": "DOCKER"})), ContainerError::DockerMissing);
    refused!(
        check(json!({"type": "DOCKER", "docker": {"image": ""}})),
        ContainerError::EmptyImage
    );
    let mapping = json!([{"host_port": 70000, "container_port": 1}]);
    refused!(
        check(json!({"type": "DOCKER", "docker": {"image": "i", "port_mappings": mapping}})),
        ContainerError::Port { .. }
    );
    volume(json!({"host_path": "/h"})).expect("fine");
    volume(json!({"source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "a"}}})).expect("fine");
    refused!(
        volume(json!({"container_path": ""})),
        ContainerError::EmptyContainerPath
    );
    refused!(
        volume(json!({"host_path": "/h", "source": {"type": "HOST_PATH", "host_path": {"path": "/h"}}})),
        ContainerError::SeveralSources { .. }
    );
    refused!(volume(json!({"source": {}})), ContainerError::UnknownSource { .. });
    for kind in ["DOCKER_VOLUME", "HOST_PATH", "SANDBOX_PATH", "SECRET", "CSI_VOLUME"] {
        refused!(
            volume(json!({"source": {"type": kind}})),
            ContainerError::SourceMissing { .. }
        );
    }
    for path in ["/a", "../a", "a/.."] {
        let source = json!({"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": path}});
        refused!(volume(json!({"source": source})), ContainerError::SandboxPath { .. });
    }
    refused!(
        volume(json!({"source": {"type": "SECRET", "secret": {}}})),
        ContainerError::Secret { .. }
    );
    let limits = |limits: Value| check(json!({"type": "MESOS", "rlimit_info": {"rlimits": limits}}));
    limits(json!([{"type": "RLMT_CORE"}, {"type": "RLMT_CPU", "soft": 1, "hard": 2}])).expect("fine");
    refused!(limits(json!([{}])), ContainerError::UnknownLimit);
    refused!(
        limits(json!([{"type": "RLMT_CORE"}, {"type": "RLMT_CORE"}])),
        ContainerError::DuplicateLimit { .. }
    );
    refused!(
        limits(json!([{"type": "RLMT_CORE", "soft": 1}])),
        ContainerError::HalfLimit { .. }
    );
    refused!(
        limits(json!([{"type": "RLMT_CORE", "soft": 2, "hard": 1}])),
        ContainerError::SoftAboveHard { .. }
    );
}

#[test]
fn resources_of_one_user() {
    let check = |resources: Value| {
        let messages: Vec<Resource> = resources.as_array().expect("an array").iter().map(message).collect();
        read_usage(&messages)
    };
    let allocated = |name: &str, role: &str| with(&scalar(name, 1.0), &json!({"allocation_info": {"role": role}}));
    let volume = |path: &str| {
        let disk = json!({"persistence": {"id": "v"}, "volume": {"mode": "RW", "container_path": path}});
        with(&scalar("disk", 1.0), &json!({"role": "a", "disk": disk, "shared": {}}))
    };
    check(json!([
        allocated("cpus", "a"),
        allocated("mem", "a"),
        scalar("disk", 0.00001)
    ]))
    .expect("fine");
    refused!(check(json!([scalar("cpus", -1.0)])), UsageError::Invalid(_));
    refused!(
        check(json!([allocated("cpus", "a"), allocated("mem", "b")])),
        UsageError::MixedRoles { .. }
    );
    let revocable = with(&scalar("cpus", 1.0), &json!({"revocable": {}}));
    refused!(
        check(json!([scalar("cpus", 1.0), revocable])),
        UsageError::MixedRevocable { .. }
    );
    refused!(
        check(json!([volume("x"), volume("y")])),
        UsageError::DuplicateVolume { .. }
    );
    refused!(check(json!([scalar("gpus", 0.5)])), UsageError::FractionalGpus { .. });
}

fn task_base() -> Value {
    json!({
        "name": "t", "task_id": {"value": "t1"}, "slave_id": {"value": "s"},
        "resources": [scalar("cpus", 1.0), scalar("mem", 64.0)], "command": {"value": "true"},
    })
}

fn executor_base() -> Value {
    json!({"executor_id": {"value": "e"}, "command": {"value": "run"}, "resources": [scalar("cpus", 0.1)]})
}

fn context() -> TaskContext<'static> {
    TaskContext {
        framework_id: "f",
        agent_id: "s",
        id_in_use: &|id| id == "used",
    }
}

#[test]
fn tasks() {
    let check = |changes: Value| validate_task(&message::<TaskInfo>(&with(&task_base(), &changes)), &context());
    let needed = check(json!({})).expect("fine");
    assert_eq!(needed.tasks.to_string(), "cpus:1; mem:64");
    let needed = check(json!({"command": null, "executor": executor_base()})).expect("fine");
    assert_eq!(needed.executor.to_string(), "cpus:0.1");
    check(json!({"limits": {"cpus": {"value": "Infinity"}, "mem": {"value": 64}}})).expect("fine");

    refused!(check(json!({"task_id": {"value": "a/b"}})), TaskError::Id { .. });
    refused!(
        check(json!({"task_id": {"value": "used"}})),
        TaskError::DuplicateId { .. }
    );
    refused!(
        check(json!({"slave_id": {"value": "other"}})),
        TaskError::OtherAgent { .. }
    );
    refused!(
        check(json!({"command": null})),
        TaskError::ExecutorOrCommand { found: "neither", .. }
    );
    refused!(
        check(json!({"executor": executor_base()})),
        TaskError::ExecutorOrCommand { found: "both", .. }
    );
    let broken = json!({"value": "true", "environment": {"variables": [{"name": "a"}]}});
    refused!(check(json!({"command": broken})), TaskError::Command { .. });
    refused!(
        check(json!({"container": {"type": "DOCKER"}})),
        TaskError::Container { .. }
    );
    let own_cgroups = json!({"type": "MESOS", "linux_info": {"share_cgroups": false}});
    refused!(check(json!({"container": own_cgroups})), TaskError::OwnCgroups { .. });
    refused!(check(json!({"check": {}})), TaskError::Check { .. });
    refused!(check(json!({"health_check": {}})), TaskError::HealthCheck { .. });
    for field in [
        json!({"kill_policy": {"grace_period": {"nanoseconds": -1}}}),
        json!({"max_completion_time": {"nanoseconds": -1}}),
    ] {
        refused!(check(field), TaskError::NegativeDuration { .. });
    }
    refused!(check(json!({"resources": []})), TaskError::NoResources { .. });
    refused!(
        check(json!({"resources": [scalar("gpus", 0.5)]})),
        TaskError::Resources { .. }
    );
    refused!(
        check(json!({"limits": {"disk": {"value": 1}}})),
        TaskError::LimitOfOther { .. }
    );
    refused!(
        check(json!({"resources": [scalar("mem", 1.0)], "limits": {"cpus": {"value": 1}}})),
        TaskError::LimitWithoutRequest { .. }
    );
    refused!(
        check(json!({"limits": {"cpus": {"value": 0.5}}})),
        TaskError::LimitBelowRequest { .. }
    );
    refused!(
        check(json!({"command": null, "executor": with(&executor_base(), &json!({"command": null}))})),
        TaskError::Executor(ExecutorError::CommandMissing { .. })
    );
    let revocable = with(&scalar("cpus", 1.0), &json!({"revocable": {}}));
    let executor = with(&executor_base(), &json!({"resources": [revocable]}));
    refused!(
        check(json!({"command": null, "executor": executor})),
        TaskError::Resources {
            source: UsageError::MixedRevocable { .. },
            ..
        }
    );
}

#[test]
fn task_groups() {
    let resources = [scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 1.0)];
    let default = json!({"executor_id": {"value": "e"}, "type": "DEFAULT", "resources": resources});
    let check = |tasks: Value, executor: &Value| {
        let group = message::<TaskGroupInfo>(&json!({"tasks": tasks}));
        validate_task_group(&group, &message::<ExecutorInfo>(executor), &context())
    };
    let other = with(&task_base(), &json!({"task_id": {"value": "t2"}}));
    let needed = check(json!([task_base(), other]), &default).expect("fine");
    assert_eq!(needed.tasks.to_string(), "cpus:2; mem:128");
    refused!(check(json!([]), &default), TaskError::EmptyGroup);
    refused!(
        check(json!([task_base(), task_base()]), &default),
        TaskError::DuplicateId { .. }
    );
    let with_executor = with(&task_base(), &json!({"executor": executor_base()}));
    refused!(
        check(json!([with_executor]), &default),
        TaskError::ExecutorInGroup { .. }
    );
    let same = with(&task_base(), &json!({"executor": default}));
    check(json!([same]), &default).expect("an executor that is the group's is fine");
    let bare = with(&task_base(), &json!({"command": null}));
    check(json!([bare]), &default).expect("an image may say what to run");
    let docker = with(
        &task_base(),
        &json!({"container": {"type": "DOCKER", "docker": {"image": "i"}}}),
    );
    refused!(check(json!([docker]), &default), TaskError::DockerInGroup { .. });
    refused!(
        check(json!([task_base()]), &executor_base()),
        TaskError::Executor(ExecutorError::TypeMissing { .. })
    );
}

#[test]
fn executors() {
    let check = |changes: Value, launched_for| {
        validate_executor(
            &message::<ExecutorInfo>(&with(&executor_base(), &changes)),
            "f",
            launched_for,
        )
    };
    let alone = |changes: Value| check(changes, LaunchedFor::Task);
    let grouped = |changes: Value| check(changes, LaunchedFor::TaskGroup);
    alone(json!({"framework_id": {"value": "f"}})).expect("fine");
    let enough = json!([scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 1.0)]);
    grouped(json!({"type": "CUSTOM", "resources": enough})).expect("fine");
    refused!(alone(json!({"executor_id": {"value": ".."}})), ExecutorError::Id { .. });
    refused!(
        alone(json!({"framework_id": {"value": "g"}})),
        ExecutorError::OtherFramework { .. }
    );
    refused!(alone(json!({"command": null})), ExecutorError::CommandMissing { .. });
    refused!(
        alone(json!({"type": "DEFAULT", "command": null})),
        ExecutorError::DefaultOutsideGroup { .. }
    );
    refused!(
        grouped(json!({"type": "DEFAULT"})),
        ExecutorError::CommandOnDefault { .. }
    );
    refused!(
        grouped(json!({"type": "CUSTOM", "command": null})),
        ExecutorError::CommandMissing { .. }
    );
    let docker = json!({"type": "DOCKER", "docker": {"image": "i"}});
    refused!(
        grouped(json!({"type": "CUSTOM", "container": docker})),
        ExecutorError::DockerInGroup { .. }
    );
    let broken = json!({"environment": {"variables": [{"name": "a"}]}});
    refused!(alone(json!({"command": broken})), ExecutorError::Command { .. });
    refused!(
        alone(json!({"container": {"type": "DOCKER"}})),
        ExecutorError::Container { .. }
    );
    refused!(
        alone(json!({"resources": [scalar("gpus", 0.1)]})),
        ExecutorError::Resources { .. }
    );
    let disk = json!({"persistence": {"id": "v"}, "volume": {"mode": "RW", "container_path": "c"}});
    let shared = with(&scalar("disk", 1.0), &json!({"role": "a", "disk": disk, "shared": {}}));
    refused!(
        alone(json!({"resources": [shared]})),
        ExecutorError::SharedResources { .. }
    );
    refused!(
        alone(json!({"shutdown_grace_period": {"nanoseconds": -1}})),
        ExecutorError::NegativeGracePeriod { .. }
    );
}

#[test]
fn one_executor_has_one_description() {
    let known = message::<ExecutorInfo>(&executor_base());
    let same =
        |changes: Value| validate_same_executor(&known, &message::<ExecutorInfo>(&with(&executor_base(), &changes)));
    same(json!({})).expect("equal");
    // One amount in two parts, and in the older form.
    let parts = json!([with(&scalar("cpus", 0.06), &json!({"role": "*"})), scalar("cpus", 0.04)]);
    same(json!({"resources": parts})).expect("the same amount");
    refused!(
        same(json!({"resources": []})),
        ExecutorError::Differs { field: "resources", .. }
    );
    refused!(
        same(json!({"command": {"value": "walk"}})),
        ExecutorError::Differs { field: "command", .. }
    );
    refused!(
        same(json!({"data": "AA=="})),
        ExecutorError::Differs { field: "data", .. }
    );
    refused!(
        same(json!({"labels": {"labels": [{"key": "k"}]}})),
        ExecutorError::Differs { field: "labels", .. }
    );
}

#[test]
fn operations() {
    let check = |json: Value| validate_operation(&message::<Operation>(&json));
    let reserved = with(
        &scalar("cpus", 1.0),
        &json!({"reservations": [{"type": "DYNAMIC", "role": "a"}]}),
    );
    check(json!({"type": "LAUNCH", "launch": {}})).expect("fine");
    check(json!({"type": "RESERVE", "reserve": {"resources": [reserved]}, "id": {"value": "o"}})).expect("fine");
    refused!(check(json!({})), OperationError::UnknownType);
    refused!(check(json!({"type": "UNKNOWN"})), OperationError::UnknownType);
    for kind in [
        "LAUNCH",
        "LAUNCH_GROUP",
        "RESERVE",
        "UNRESERVE",
        "CREATE",
        "DESTROY",
        "GROW_VOLUME",
    ] {
        refused!(check(json!({"type": kind})), OperationError::Missing { .. });
    }
    for kind in ["SHRINK_VOLUME", "CREATE_DISK", "DESTROY_DISK"] {
        refused!(check(json!({"type": kind})), OperationError::Missing { .. });
    }
    refused!(
        check(json!({"type": "RESERVE", "reserve": {}})),
        OperationError::Empty { .. }
    );
    refused!(
        check(json!({"type": "CREATE", "create": {}})),
        OperationError::Empty { .. }
    );
    refused!(
        check(json!({"type": "LAUNCH", "launch": {}, "id": {"value": "o"}})),
        OperationError::IdOnLaunch { .. }
    );
    refused!(
        check(json!({"type": "RESERVE", "reserve": {"resources": [reserved]}, "id": {"value": ""}})),
        OperationError::Id { .. }
    );
    let plain = json!({"type": "RESERVE", "reserve": {"resources": [scalar("cpus", 1.0)]}});
    refused!(check(plain), OperationError::Resources(_));
}

#[test]
fn scheduler_calls() {
    let check = |json: Value| validate_scheduler_call(&message::<scheduler_api::Call>(&json));
    let info = |id: &str| json!({"framework_info": {"user": "u", "name": "n", "id": {"value": id}}});
    let id = json!({"value": "f"});
    check(json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u", "name": "n"}}})).expect("fine");
    check(json!({"type": "SUBSCRIBE", "framework_id": id, "subscribe": info("f")})).expect("fine");
    for kind in ["TEARDOWN", "REVIVE", "SUPPRESS", "UNKNOWN"] {
        check(json!({"type": kind, "framework_id": id})).expect("fine");
        refused!(check(json!({"type": kind})), CallError::FrameworkIdMissing { .. });
    }
    refused!(check(json!({})), CallError::UnknownType);
    refused!(check(json!({"type": "NO_SUCH_TYPE"})), CallError::UnknownType);
    refused!(
        check(json!({"type": "SUBSCRIBE"})),
        CallError::Missing { field: "subscribe", .. }
    );
    for outer in [json!({"value": "a"}), json!(null)] {
        let call = json!({"type": "SUBSCRIBE", "framework_id": outer, "subscribe": info("b")});
        refused!(check(call), CallError::FrameworkIdsDiffer { .. });
    }
    for kind in [
        "ACCEPT",
        "DECLINE",
        "ACCEPT_INVERSE_OFFERS",
        "DECLINE_INVERSE_OFFERS",
        "KILL",
        "SHUTDOWN",
        "ACKNOWLEDGE",
        "ACKNOWLEDGE_OPERATION_STATUS",
        "RECONCILE",
        "RECONCILE_OPERATIONS",
        "MESSAGE",
        "REQUEST",
        "UPDATE_FRAMEWORK",
    ] {
        let error = check(json!({"type": kind, "framework_id": id})).expect_err("nothing in it");
        assert_eq!(
            error,
            CallError::Missing {
                call: kind.to_owned(),
                field: field_of(kind)
            }
        );
    }
    let acknowledge = |uuid: &str| {
        let acknowledge = json!({"slave_id": {"value": "s"}, "task_id": {"value": "t"}, "uuid": uuid});
        check(json!({"type": "ACKNOWLEDGE", "framework_id": id, "acknowledge": acknowledge}))
    };
    acknowledge("AAAAAAAAAAAAAAAAAAAAAA==").expect("fine");
    refused!(acknowledge("AAAA"), CallError::Uuid { length: 3, .. });
    let status = json!({"operation_id": {"value": "o"}, "uuid": "AAAAAAAAAAAAAAAAAAAAAA=="});
    refused!(
        check(json!({
            "type": "ACKNOWLEDGE_OPERATION_STATUS", "framework_id": id, "acknowledge_operation_status": status,
        })),
        CallError::Missing {
            field: "acknowledge_operation_status.agent_id",
            ..
        }
    );
    refused!(
        check(json!({"type": "UPDATE_FRAMEWORK", "framework_id": id, "update_framework": info("g")})),
        CallError::FrameworkIdsDiffer { .. }
    );
}

fn field_of(kind: &str) -> &'static str {
    let fields = [
        "accept",
        "decline",
        "accept_inverse_offers",
        "decline_inverse_offers",
        "kill",
        "shutdown",
        "acknowledge",
        "acknowledge_operation_status",
        "reconcile",
        "reconcile_operations",
        "message",
        "request",
        "update_framework",
    ];
    fields
        .into_iter()
        .find(|field| *field == kind.to_lowercase())
        .expect("each call has a field of its name")
}

#[test]
fn executor_calls() {
    let base = json!({"executor_id": {"value": "e"}, "framework_id": {"value": "f"}});
    let check = |changes: Value| validate_executor_call(&message::<executor_api::Call>(&with(&base, &changes)));
    let status = json!({
        "task_id": {"value": "t"}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
        "uuid": "AAAAAAAAAAAAAAAAAAAAAA==",
    });
    let update = |changes: Value| check(json!({"type": "UPDATE", "update": {"status": with(&status, &changes)}}));
    check(json!({"type": "HEARTBEAT"})).expect("fine");
    check(json!({"type": "UNKNOWN"})).expect("fine");
    check(json!({"type": "SUBSCRIBE", "subscribe": {}})).expect("fine");
    update(json!({"executor_id": {"value": "e"}})).expect("fine");
    refused!(check(json!({})), CallError::UnknownType);
    refused!(
        check(json!({"type": "HEARTBEAT", "executor_id": {"value": ""}})),
        CallError::Id {
            field: "executor_id",
            ..
        }
    );
    refused!(
        check(json!({"type": "HEARTBEAT", "framework_id": {"value": "a/b"}})),
        CallError::Id {
            field: "framework_id",
            ..
        }
    );
    for kind in ["SUBSCRIBE", "UPDATE", "MESSAGE"] {
        refused!(check(json!({"type": kind})), CallError::Missing { .. });
    }
    refused!(
        update(json!({"uuid": null})),
        CallError::Missing {
            field: "update.status.uuid",
            ..
        }
    );
    refused!(update(json!({"uuid": "AAAA"})), CallError::Uuid { .. });
    refused!(
        update(json!({"executor_id": {"value": "x"}})),
        CallError::ExecutorIdsDiffer { .. }
    );
    refused!(update(json!({"source": "SOURCE_MASTER"})), CallError::Source { .. });
    refused!(update(json!({"source": null})), CallError::Source { .. });
    refused!(update(json!({"state": "TASK_STAGING"})), CallError::Staging { .. });
    let unacknowledged = json!([{"status": with(&status, &json!({"uuid": "AAAA"}))}]);
    refused!(
        check(json!({"type": "SUBSCRIBE", "subscribe": {"unacknowledged_updates": unacknowledged}})),
        CallError::Uuid { .. }
    );
}
