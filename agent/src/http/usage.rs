//! `/containers` and `/monitor/statistics`: what runs here and what it uses.
//!
//! Rows come from the core, numbers from the containerizer, documents from both.

use std::sync::Arc;

use futures_util::future::join_all;
use libprocess::Request;
use mesos::ids::{ContainerId, ExecutorId, FrameworkId};
use mesos_agent_core::{Agent, Executor, ExecutorState};
use mesos_containerizer::Containerizer;
use mesos_proto::v0::mesos::{ContainerStatus, ResourceStatistics};
use protobuf::MessageFull;
use serde_json::{Map, Value, json};

/// The executor in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// Its name.
    pub name: String,
    /// Where its tasks come from, as the framework says.
    pub source: String,
}

/// A container with its numbers; those that could not be had are missing.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The container.
    pub container_id: ContainerId,
    /// The executor in it; none in nested containers.
    pub owner: Option<Owner>,
    /// Its process and networks.
    pub status: Option<ContainerStatus>,
    /// What it uses.
    pub statistics: Option<ResourceStatistics>,
}

impl Measured {
    fn unmeasured(container_id: ContainerId, owner: Option<Owner>) -> Self {
        Self {
            container_id,
            owner,
            status: None,
            statistics: None,
        }
    }
}

/// The containers of all executors that have not ended.
#[must_use]
pub fn executors(agent: &Agent) -> Vec<Measured> {
    let executors = agent.frameworks().flat_map(mesos_agent_core::Framework::executors);
    let alive = executors.filter(|executor| executor.state() != ExecutorState::Terminated);
    alive
        .map(|executor| Measured::unmeasured(executor.container_id().clone(), Some(owner(executor))))
        .collect()
}

fn owner(executor: &Executor) -> Owner {
    Owner {
        framework_id: executor.framework_id().clone(),
        executor_id: executor.id().clone(),
        name: executor.info().name().to_owned(),
        source: executor.info().source().to_owned(),
    }
}

/// The containers that run no executor: nested and standalone ones.
#[must_use]
pub fn others(agent: &Agent, containers: Vec<ContainerId>) -> Vec<Measured> {
    let others = containers
        .into_iter()
        .filter(|container| agent.executor_in(container).is_none());
    others.map(|container| Measured::unmeasured(container, None)).collect()
}

/// Keeps the containers that the query asks for by container, framework or executor id.
pub fn select(containers: &mut Vec<Measured>, request: &Request) {
    let wanted = |key: &str, value: &str| request.query.get(key).is_none_or(|wanted| wanted == value);
    containers.retain(|container| {
        let (framework, executor) = container.owner.as_ref().map_or(("", ""), |owner| {
            (owner.framework_id.as_str(), owner.executor_id.as_str())
        });
        wanted("container_id", container.container_id.value())
            && wanted("framework_id", framework)
            && wanted("executor_id", executor)
    });
}

/// Asks the containerizer for the numbers of all containers at once.
pub async fn measure(containerizer: Arc<dyn Containerizer>, containers: Vec<Measured>) -> Vec<Measured> {
    join_all(containers.into_iter().map(|mut container| {
        let usage = containerizer.usage(container.container_id.clone());
        let status = containerizer.status(container.container_id.clone());
        async move {
            container.statistics = told(&container.container_id, usage.await);
            container.status = told(&container.container_id, status.await);
            container
        }
    }))
    .await
}

/// A container may end between the question and the answer; its row then lacks the numbers.
fn told<T>(container_id: &ContainerId, result: Result<T, mesos_containerizer::ContainerizerError>) -> Option<T> {
    result
        .inspect_err(|error| tracing::debug!(%container_id, error = error.chain(), "a container cannot be measured"))
        .ok()
}

/// The document of `/monitor/statistics`.
#[must_use]
pub fn render_statistics(containers: &[Measured]) -> String {
    let rows = containers.iter().filter(|container| container.owner.is_some());
    Value::Array(rows.map(|container| row(container).into()).collect()).to_string()
}

/// The document of `/containers`.
#[must_use]
pub fn render_containers(containers: &[Measured]) -> String {
    let rows = containers.iter().map(|container| {
        let mut row = row(container);
        row.insert("container_id".to_owned(), json!(container.container_id.value()));
        insert_message(&mut row, "status", container.status.as_ref());
        Value::Object(row)
    });
    Value::Array(rows.collect()).to_string()
}

fn row(container: &Measured) -> Map<String, Value> {
    let mut row = Map::new();
    if let Some(owner) = &container.owner {
        row.insert("framework_id".to_owned(), json!(owner.framework_id.as_str()));
        row.insert("executor_id".to_owned(), json!(owner.executor_id.as_str()));
        row.insert("executor_name".to_owned(), json!(owner.name));
        row.insert("source".to_owned(), json!(owner.source));
    }
    insert_message(&mut row, "statistics", container.statistics.as_ref());
    row
}

/// Keys of these documents stand in alphabetical order, those of the messages in them too.
fn insert_message<M: MessageFull>(row: &mut Map<String, Value>, key: &str, message: Option<&M>) {
    let value = message.and_then(|message| serde_json::from_str(&mesos::json::to_string(message)).ok());
    if let Some(value) = value {
        row.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use libprocess::http::Method;

    use super::*;

    fn measured(container: &str, framework: &str) -> Measured {
        let owner = Owner {
            framework_id: FrameworkId::new(framework),
            executor_id: ExecutorId::new("e"),
            name: String::new(),
            source: "s".to_owned(),
        };
        let mut measured = Measured::unmeasured(ContainerId::new(container), Some(owner));
        let mut statistics = ResourceStatistics::new();
        statistics.set_timestamp(1.5);
        statistics.set_cpus_soft_limit(0.3);
        statistics.set_mem_rss_bytes(7);
        measured.statistics = Some(statistics);
        let mut status = ContainerStatus::new();
        status
            .container_id
            .mut_or_insert_default()
            .set_value(container.to_owned());
        status.set_executor_pid(12);
        measured.status = Some(status);
        measured
    }

    #[test]
    fn rows_have_the_recorded_form() {
        assert_eq!(
            render_containers(&[measured("c", "f")]),
            "[{\"container_id\":\"c\",\"executor_id\":\"e\",\"executor_name\":\"\",\"framework_id\":\"f\",\
             \"source\":\"s\",\"statistics\":{\"cpus_soft_limit\":0.3,\"mem_rss_bytes\":7,\"timestamp\":1.5},\
             \"status\":{\"container_id\":{\"value\":\"c\"},\"executor_pid\":12}}]"
        );
        let nested = [Measured::unmeasured(ContainerId::new("p").child("n"), None)];
        assert_eq!(render_containers(&nested), "[{\"container_id\":\"n\"}]");
        assert_eq!(render_statistics(&nested), "[]");
    }

    #[test]
    fn queries_select_by_any_id() {
        let mut request = Request::new(Method::GET, "/containers");
        request.query.insert("framework_id".to_owned(), "g".to_owned());
        let mut containers = vec![measured("c", "f"), measured("d", "g")];
        select(&mut containers, &request);
        assert_eq!(containers.len(), 1);
        request.query.insert("container_id".to_owned(), "c".to_owned());
        select(&mut containers, &request);
        assert!(containers.is_empty());
    }
}
