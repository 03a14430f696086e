//! What an agent tells its executors through the environment.
//!
//! Source: shared facts, `environment.tsv`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use libprocess_types::{ParseUpidError, Upid};
use mesos::duration::{self, DurationError};
use mesos::ids::{AgentId, ExecutorId, FrameworkId};
use thiserror::Error;

/// Longest pause between subscription attempts when the agent does not say.
const SUBSCRIPTION_BACKOFF_MAX_DEFAULT: Duration = Duration::from_secs(2);

/// How long an executor has to end when the agent does not say.
const SHUTDOWN_GRACE_PERIOD_DEFAULT: Duration = Duration::from_secs(5);

/// How long an executor waits for its agent when the agent does not say.
const RECOVERY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// The settings of one executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorEnvironment {
    /// `MESOS_FRAMEWORK_ID`
    pub framework_id: FrameworkId,
    /// `MESOS_EXECUTOR_ID`
    pub executor_id: ExecutorId,
    /// `MESOS_SLAVE_ID`; v1 executors do without.
    pub agent_id: Option<AgentId>,
    /// `MESOS_SLAVE_PID`: the agent's address.
    pub agent: Upid,
    /// `MESOS_DIRECTORY`: the sandbox on the host.
    pub directory: Option<PathBuf>,
    /// `MESOS_SANDBOX`: the sandbox as the executor sees it.
    pub sandbox: Option<PathBuf>,
    /// `MESOS_CHECKPOINT`: the executor outlives its agent, for as long as this says.
    pub recovery_timeout: Option<Duration>,
    /// `MESOS_SUBSCRIPTION_BACKOFF_MAX`
    pub subscription_backoff_max: Duration,
    /// `MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD`
    pub shutdown_grace_period: Duration,
    /// `MESOS_EXECUTOR_AUTHENTICATION_TOKEN`
    pub authentication_token: Option<String>,
    /// `MESOS_HTTP_COMMAND_EXECUTOR`: whether the command executor shall use the v1 API.
    pub http_command_executor: bool,
    /// `MESOS_LOCAL`: agent and executor share a process; nothing may end it.
    pub local: bool,
}

/// Why the environment is not that of an executor.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// A variable is missing.
    #[error("the environment variable {0} is not set; executors are started by an agent, which sets it")]
    Missing(&'static str),
    /// The agent's address is none.
    #[error("the environment variable MESOS_SLAVE_PID is no process address")]
    Agent(#[from] ParseUpidError),
    /// A duration is none.
    #[error("the environment variable {variable} is no duration")]
    Duration {
        /// Its name.
        variable: &'static str,
        /// The cause.
        source: DurationError,
    },
    /// The agent wants to be reached in a way that is not built in.
    #[error("the environment variable {0} asks for a connection that this executor cannot make yet")]
    Unsupported(&'static str),
}

impl ExecutorEnvironment {
    /// Reads the settings from the variables of this process.
    ///
    /// # Errors
    ///
    /// Names the variable that is missing or bad.
    pub fn from_env() -> Result<Self, EnvironmentError> {
        Self::from_variables(&text_variables().collect())
    }

    /// Reads the settings from `variables`. Everything but ids and the agent's address may be missing.
    ///
    /// # Errors
    ///
    /// Names the variable that is missing or bad.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, EnvironmentError> {
        let get = |name| variables.get(name).map(String::as_str);
        let need = |name| get(name).ok_or(EnvironmentError::Missing(name));
        let period = |variable, default| match get(variable) {
            Some(text) => duration::parse(text).map_err(|source| EnvironmentError::Duration { variable, source }),
            None => Ok(default),
        };
        if get("MESOS_DOMAIN_SOCKET").is_some() {
            return Err(EnvironmentError::Unsupported("MESOS_DOMAIN_SOCKET"));
        }
        let checkpoint = get("MESOS_CHECKPOINT") == Some("1");
        let recovery_timeout = period("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT_DEFAULT)?;
        Ok(Self {
            framework_id: need("MESOS_FRAMEWORK_ID")?.into(),
            executor_id: need("MESOS_EXECUTOR_ID")?.into(),
            agent_id: get("MESOS_SLAVE_ID").map(AgentId::from),
            agent: need("MESOS_SLAVE_PID")?.parse()?,
            directory: get("MESOS_DIRECTORY").map(PathBuf::from),
            sandbox: get("MESOS_SANDBOX").map(PathBuf::from),
            recovery_timeout: checkpoint.then_some(recovery_timeout),
            subscription_backoff_max: period("MESOS_SUBSCRIPTION_BACKOFF_MAX", SUBSCRIPTION_BACKOFF_MAX_DEFAULT)?,
            shutdown_grace_period: period("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", SHUTDOWN_GRACE_PERIOD_DEFAULT)?,
            authentication_token: get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN").map(str::to_owned),
            http_command_executor: get("MESOS_HTTP_COMMAND_EXECUTOR") == Some("1"),
            local: get("MESOS_LOCAL").is_some(),
        })
    }

    /// The address of this machine that the agent can reach: the one that packets to the agent leave from.
    ///
    /// # Errors
    ///
    /// Fails when no way leads to the agent.
    pub fn address_towards_agent(&self) -> io::Result<Ipv4Addr> {
        // Connecting a datagram socket sends nothing; it only picks the way.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(self.agent.address())?;
        match socket.local_addr()?.ip() {
            IpAddr::V4(ip) => Ok(ip),
            IpAddr::V6(ip) => Err(io::Error::other(format!("an IPv4 socket has the address {ip}"))),
        }
    }
}

/// The variables of this process; those that are no text are left out.
pub fn text_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        [
            ("MESOS_FRAMEWORK_ID", "F"),
            ("MESOS_EXECUTOR_ID", "E"),
            ("MESOS_SLAVE_ID", "S"),
            ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_RECOVERY_TIMEOUT", "15mins"),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn the_variables_of_an_agent_are_read() {
        let read = ExecutorEnvironment::from_variables(&variables()).expect("complete");
        assert_eq!(read.agent.to_string(), "slave(1)@127.0.0.1:5051");
        assert_eq!(read.recovery_timeout, Some(Duration::from_secs(900)));
        assert_eq!(read.shutdown_grace_period, Duration::from_secs(5));
        let mut without = variables();
        without.insert("MESOS_CHECKPOINT".to_owned(), "0".to_owned());
        assert_eq!(
            ExecutorEnvironment::from_variables(&without)
                .expect("complete")
                .recovery_timeout,
            None
        );
    }

    #[test]
    fn an_agent_on_this_machine_is_reached_from_the_loopback_address() {
        let read = ExecutorEnvironment::from_variables(&variables()).expect("complete");
        assert_eq!(read.address_towards_agent().expect("a way"), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn missing_and_bad_variables_are_named() {
        for name in ["MESOS_FRAMEWORK_ID", "MESOS_EXECUTOR_ID", "MESOS_SLAVE_PID"] {
            let mut missing = variables();
            missing.remove(name);
            let error = ExecutorEnvironment::from_variables(&missing)
                .expect_err(name)
                .to_string();
            assert!(error.contains(name), "{error}");
        }
        for name in [
            "MESOS_SLAVE_PID",
            "MESOS_RECOVERY_TIMEOUT",
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
        ] {
            let mut bad = variables();
            bad.insert(name.to_owned(), "soon".to_owned());
            let error = ExecutorEnvironment::from_variables(&bad).expect_err(name).to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
