//! How the executor reaches its agent: the v1 API, or libprocess messages, as the agent says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

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

impl Link {
    /// Opens the link that the environment asks for; events come through the returned queue.
    pub async fn open(environment: &ExecutorEnvironment) -> Result<(Self, mpsc::Receiver<ClientEvent>), LinkError> {
        if environment.http_command_executor {
            let (client, events) = ExecutorClient::start(environment);
            return Ok((Self::Http(client), events));
        }
        let node = Node::start(node_config(environment)?).await?;
        let (driver, events) = EventDriver::start(&node, environment)?;
        Ok((Self::Messages { driver, _node: node }, events))
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
        config.ip = own_address(environment).map_err(LinkError::Address)?;
    }
    Ok(config)
}

/// The address of this machine that the agent is reached from. Nothing is sent.
fn own_address(environment: &ExecutorEnvironment) -> io::Result<Option<Ipv4Addr>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(environment.agent.address())?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(ip) => Ok(Some(ip)),
        IpAddr::V6(_) => Ok(None),
    }
}
