//! From pairs to the descriptions that calls carry: frameworks, executors, tasks, operations.

use serde_json::{Value, json};

use super::json::{Names, fill, look_up, merge};
use super::resources::{is_resource, resources};
use super::run::Failure;
use super::step::{Operation, ResourceOperation, Task};
use super::token::Pair;
use crate::scheduler::user;

/// What a framework tells when it subscribes.
#[derive(Clone, Debug, Default)]
pub(super) struct Description {
    /// `FrameworkInfo`
    pub info: Value,
    /// Roles that want no offers at first; nothing leaves the field out.
    pub suppressed_roles: Option<Value>,
    /// `OfferConstraints`
    pub offer_constraints: Option<Value>,
}

impl Description {
    /// A framework with one role, `*`, that knows partitions and refined reservations.
    pub fn new(name: &str) -> Self {
        Self {
            info: json!({
                "user": user(), "name": name, "roles": ["*"], "capabilities": [
                    {"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}, {"type": "RESERVATION_REFINEMENT"},
                ],
            }),
            suppressed_roles: None,
            offer_constraints: None,
        }
    }

    /// Changes it as pairs say.
    pub fn change(&mut self, names: &Names, pairs: &[Pair]) -> Result<(), Failure> {
        for pair in pairs {
            let value = fill(names, &pair.value)?;
            match pair.key.as_str() {
                "role" => {
                    // A framework of old has one role and cannot say that it has several.
                    self.info["role"] = value;
                    if let Some(fields) = self.info.as_object_mut() {
                        fields.remove("roles");
                    }
                    if let Some(list) = self.info["capabilities"].as_array_mut() {
                        list.retain(|capability| capability["type"] != "MULTI_ROLE");
                    }
                }
                "roles" => self.info["roles"] = words(&value),
                "capabilities" => self.info["capabilities"] = capabilities(&value),
                "suppressed" => self.suppressed_roles = Some(words(&value)),
                "constraints" => self.offer_constraints = Some(value),
                "info" => merge(&mut self.info, &value),
                "id" => {
                    self.info["id"] = match value {
                        Value::String(id) => json!({"value": id}),
                        id => id,
                    }
                }
                field => self.info[field] = value,
            }
        }
        Ok(())
    }

    /// The payload of SUBSCRIBE and of UPDATE_FRAMEWORK.
    pub fn payload(&self) -> Value {
        let mut payload = json!({"framework_info": self.info});
        if let Some(roles) = &self.suppressed_roles {
            payload["suppressed_roles"] = roles.clone();
        }
        if let Some(constraints) = &self.offer_constraints {
            payload["offer_constraints"] = constraints.clone();
        }
        payload
    }
}

/// `a,b` as an array of texts; an array stays as it is, `none` is an empty one.
fn words(value: &Value) -> Value {
    match value {
        Value::String(text) if text == "none" => json!([]),
        Value::String(text) => text.split(',').collect(),
        other => other.clone(),
    }
}

fn capabilities(value: &Value) -> Value {
    let names = words(value);
    let names = names.as_array().into_iter().flatten();
    names
        .map(|name| {
            if name.is_string() {
                json!({"type": name})
            } else {
                name.clone()
            }
        })
        .collect()
}

/// `ExecutorInfo` of a custom executor, unless its type says otherwise.
pub(super) fn executor(names: &Names, name: &str, pairs: &[Pair]) -> Result<Value, Failure> {
    let mut info = json!({"type": "CUSTOM", "executor_id": {"value": name}});
    describe(names, &mut info, pairs)?;
    Ok(info)
}

/// `TaskInfo`, without its agent.
fn task(names: &Names, task: &Task) -> Result<Value, Failure> {
    let mut info = json!({"name": task.id, "task_id": {"value": task.id}});
    describe(names, &mut info, &task.pairs)?;
    if !task.pairs.iter().any(|pair| pair.key == "resources") && info["resources"].is_null() {
        info["resources"] = json!([
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}},
        ]);
    }
    Ok(info)
}

/// Fields that tasks and executors have; what has no short form goes through `info={…}`.
fn describe(names: &Names, info: &mut Value, pairs: &[Pair]) -> Result<(), Failure> {
    let (quantities, fields): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().partition(|pair| is_resource(pair));
    if !quantities.is_empty() {
        info["resources"] = resources(&quantities)?;
    }
    for pair in fields {
        let value = fill(names, &pair.value)?;
        match pair.key.as_str() {
            "command" => info["command"] = json!({"shell": true, "value": value}),
            "executor" => info["executor"] = look_up(names, value.as_str().unwrap_or_default())?.clone(),
            "grace" => info["kill_policy"] = json!({"grace_period": {"nanoseconds": nanoseconds(&value)}}),
            "lasts" => info["max_completion_time"] = json!({"nanoseconds": nanoseconds(&value)}),
            "data" => info["data"] = json!(base64(value.as_str().unwrap_or_default().as_bytes())),
            "uses" => use_resources(info, &value),
            "info" => merge(info, &value),
            field => info[field] = value,
        }
    }
    Ok(())
}

fn use_resources(info: &mut Value, more: &Value) {
    if info["resources"].is_null() {
        info["resources"] = json!([]);
    }
    if let Some(list) = info["resources"].as_array_mut() {
        match more {
            Value::Array(more) => list.extend(more.iter().cloned()),
            one => list.push(one.clone()),
        }
    }
}

/// Seconds as nanoseconds, which the protocol wants as an integer.
fn nanoseconds(seconds: &Value) -> u64 {
    let duration = std::time::Duration::try_from_secs_f64(seconds.as_f64().unwrap_or_default());
    u64::try_from(duration.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// Bytes as JSON has them.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = group.iter().enumerate().fold(0_usize, |number, (index, &byte)| {
            number | usize::from(byte) << (16 - 8 * index)
        });
        for place in 0..4 {
            if place <= group.len() {
                text.push(char::from(DIGITS[number >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// An operation of ACCEPT on offers of this agent, and the ids of the tasks in it.
pub(super) fn operation(
    names: &Names,
    agent_id: &Value,
    operation: &Operation,
) -> Result<(Value, Vec<String>), Failure> {
    let described = |tasks: &[Task]| -> Result<Vec<Value>, Failure> {
        tasks
            .iter()
            .map(|one| {
                let mut info = task(names, one)?;
                if info["agent_id"].is_null() {
                    info["agent_id"] = agent_id.clone();
                }
                Ok(info)
            })
            .collect()
    };
    let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id.clone()).collect();
    Ok(match operation {
        Operation::Launch(tasks) => {
            let value = json!({"type": "LAUNCH", "launch": {"task_infos": described(tasks)?}});
            (value, ids(tasks))
        }
        Operation::LaunchGroup { executor, tasks } => {
            let group = json!({
                "executor": look_up(names, executor)?, "task_group": {"tasks": described(tasks)?},
            });
            (json!({"type": "LAUNCH_GROUP", "launch_group": group}), ids(tasks))
        }
        Operation::Resources { kind, pairs } => (resource_operation(names, *kind, pairs)?, Vec::new()),
        Operation::Raw(value) => (fill(names, value)?, Vec::new()),
    })
}

/// `create disk(web)=64 volume=v1 path=data`: `volume`, `path` and `shared` make a persistent volume of the disk.
fn resource_operation(names: &Names, kind: ResourceOperation, pairs: &[Pair]) -> Result<Value, Failure> {
    let quantities: Vec<&Pair> = pairs.iter().filter(|pair| is_resource(pair)).collect();
    let mut list = resources(&quantities)?;
    let mut id = None;
    let mut principal = None;
    for pair in pairs.iter().filter(|pair| !is_resource(pair)) {
        let value = fill(names, &pair.value)?;
        match pair.key.as_str() {
            "id" => id = Some(value),
            "principal" => principal = Some(value),
            "volume" => list[0]["disk"]["persistence"]["id"] = value,
            "path" => list[0]["disk"]["volume"] = json!({"mode": "RW", "container_path": value}),
            "shared" => list[0]["shared"] = json!({}),
            "uses" => match value {
                Value::Array(more) => list
                    .as_array_mut()
                    .into_iter()
                    .for_each(|list| list.extend(more.clone())),
                one => list.as_array_mut().into_iter().for_each(|list| list.push(one.clone())),
            },
            other => return Err(Failure::NoField(other.to_owned())),
        }
    }
    if let Some(principal) = principal {
        for resource in list.as_array_mut().into_iter().flatten() {
            for reservation in resource["reservations"].as_array_mut().into_iter().flatten() {
                reservation["principal"] = principal.clone();
            }
            if resource["disk"]["persistence"].is_object() {
                resource["disk"]["persistence"]["principal"] = principal.clone();
            }
        }
    }
    let (name, field, payload) = match kind {
        ResourceOperation::Reserve => ("RESERVE", "reserve", "resources"),
        ResourceOperation::Unreserve => ("UNRESERVE", "unreserve", "resources"),
        ResourceOperation::Create => ("CREATE", "create", "volumes"),
        ResourceOperation::Destroy => ("DESTROY", "destroy", "volumes"),
    };
    let mut operation = json!({"type": name});
    operation[field][payload] = list;
    if let Some(id) = id {
        operation["id"] = json!({"value": id});
    }
    Ok(operation)
}
