//! How the executor reaches its agent: the v1 API, or libprocess messages, as the agent says.

use std::io;

use libprocess::{Node, NodeConfig, NodeError};
use mesos_executor_driver::v0::EventDriver;
use mesos_executor_driver::v1::{ClientEvent, ExecutorClient};
use mesos_executor_driver::{EnvironmentError, ExecutorEnvironment};
use mesos_proto::v1::mesos::TaskStatus;
use thiserror::Error;
use tokio::sync::mpsc;

/// Why there is no link.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The node for messages cannot be started.
    #[error("failed to start the executor's node")]
    Node(#[from] NodeError),
    /// No address of this machine leads to the agent.
    #[error("failed to find the address that the agent can reach")]
    Address(#[source] io::Error),
    /// The environment lacks something.
    #[error("the environment is refused")]
    Environment(#[from] EnvironmentError),
}

/// The way to the agent. Dropping it closes it.
pub enum Link {
    /// The v1 API (`MESOS_HTTP_COMMAND_EXECUTOR=1`).
    Http(ExecutorClient),
    /// Messages of the v0 driver, the default of agents.
    Messages {
        /// The driver.
        driver: EventDriver,
        /// What it runs on; it lives as long as the link.
        _node: Node,
    },
}

/// What comes from the agent.
pub enum Events {
    /// The client stops reading from its connection when too much waits.
    Http(mpsc::Receiver<ClientEvent>),
    /// The driver takes every message when it comes.
    Messages(mpsc::UnboundedReceiver<ClientEvent>),
}

impl Events {
    /// The next event; `None` when the link has ended. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        match self {
            Self::Http(events) => events.recv().await,
            Self::Messages(events) => events.recv().await,
        }
    }
}

impl Link {
    /// Opens the link that the environment asks for.
    pub async fn open(environment: &ExecutorEnvironment) -> Result<(Self, Events), LinkError> {
        if environment.http_command_executor {
            let (client, events) = ExecutorClient::start(environment);
            return Ok((Self::Http(client), Events::Http(events)));
        }
        let node = Node::start(node_config(environment)?).await?;
        let (driver, events) = EventDriver::start(&node, environment)?;
        Ok((Self::Messages { driver, _node: node }, Events::Messages(events)))
    }

    /// Reports a task's state; it is sent until acknowledged.
    pub async fn update(&self, status: TaskStatus) {
        match self {
            Self::Http(client) => client.update(status).await,
            Self::Messages { driver, .. } => driver.update(&status),
        }
    }
}

/// A node of one process: few threads, the `LIBPROCESS_*` variables of the agent, and without an address among them
/// the one that leads to the agent.
fn node_config(environment: &ExecutorEnvironment) -> Result<NodeConfig, LinkError> {
    let mut config = NodeConfig {
        worker_threads: 1,
        io_threads: 1,
        ..NodeConfig::from_env()?
    };
    if config.ip.is_none() && config.advertise_ip.is_none() {
        config.ip = Some(environment.address_towards_agent().map_err(LinkError::Address)?);
    }
    Ok(config)
}
