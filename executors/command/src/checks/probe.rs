//! The ways to look at a task: run a command, ask a web server, connect to a port.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::http::client::{Client, ClientLimits};
use libprocess::http::{Method, StatusCode};
use mesos_executor_driver::environment::text_variables;
use mesos_proto::v1::mesos::check_info::Type as CheckType;
use mesos_proto::v1::mesos::health_check::Type as HealthType;
use mesos_proto::v1::mesos::network_info::Protocol;
use mesos_proto::v1::mesos::{CheckInfo, CommandInfo, HealthCheck};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::command::{self, Children};

/// Longest answer of a web server that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a check looks at the task.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// Runs a command.
    Command(Box<CommandInfo>),
    /// Sends `GET`.
    Http { address: String, path: String },
    /// Connects.
    Tcp { address: String },
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The command ended with this code.
    Exit(i32),
    /// The server answered with this status.
    Answer(u16),
    /// The port took the connection.
    Connected,
    /// Nothing of that: why.
    Nothing(String),
}

impl Found {
    /// Whether a health check is content; `statuses` are the good ones of a web server (none: 200 to 399).
    pub fn is_healthy(&self, statuses: &[u32]) -> bool {
        match self {
            Self::Exit(code) => *code == 0,
            Self::Answer(status) if statuses.is_empty() => (200..400).contains(status),
            Self::Answer(status) => statuses.contains(&u32::from(*status)),
            Self::Connected => true,
            Self::Nothing(_) => false,
        }
    }
}

fn address(protocol: Protocol, port: u32) -> String {
    match protocol {
        Protocol::IPv4 => format!("127.0.0.1:{port}"),
        Protocol::IPv6 => format!("[::1]:{port}"),
    }
}

fn path(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

impl Probe {
    /// How a check looks, or why it cannot.
    pub fn of_check(check: &CheckInfo) -> Result<Self, String> {
        match check.type_() {
            CheckType::COMMAND => Ok(Self::Command(Box::new(check.command.command.get_or_default().clone()))),
            CheckType::HTTP => {
                let address = address(Protocol::IPv4, check.http.port());
                Ok(Self::Http {
                    address,
                    path: path(check.http.path()),
                })
            }
            CheckType::TCP => Ok(Self::Tcp {
                address: address(Protocol::IPv4, check.tcp.port()),
            }),
            CheckType::UNKNOWN => Err("a check of unknown type".to_owned()),
        }
    }

    /// How a health check looks, or why it cannot. Old ones tell their type by what they carry.
    pub fn of_health_check(check: &HealthCheck) -> Result<Self, String> {
        let kind = match check.type_() {
            HealthType::UNKNOWN if check.command.is_some() => HealthType::COMMAND,
            HealthType::UNKNOWN if check.http.is_some() => HealthType::HTTP,
            kind => kind,
        };
        match kind {
            HealthType::COMMAND => Ok(Self::Command(Box::new(check.command.get_or_default().clone()))),
            HealthType::HTTP if check.http.scheme() == "https" => Err("a health check over https".to_owned()),
            HealthType::HTTP => {
                let address = address(check.http.protocol(), check.http.port());
                Ok(Self::Http {
                    address,
                    path: path(check.http.path()),
                })
            }
            HealthType::TCP => Ok(Self::Tcp {
                address: address(check.tcp.protocol(), check.tcp.port()),
            }),
            HealthType::UNKNOWN => Err("a health check of unknown type".to_owned()),
        }
    }

    /// Looks once, at most for `patience`.
    pub async fn look(&self, patience: Duration, children: &Children) -> Found {
        let found = match self {
            Self::Command(info) => return look_with_command(info, patience, children).await,
            Self::Http { address, path } => timeout(patience, ask(address, path)).await,
            Self::Tcp { address } => timeout(patience, connect(address)).await,
        };
        found.unwrap_or_else(|_| Found::Nothing(format!("no answer within {patience:?}")))
    }
}

async fn ask(address: &str, path: &str) -> Found {
    let limits = ClientLimits {
        body_bytes_max: ANSWER_BYTES_MAX,
        ..ClientLimits::default()
    };
    let mut client = Client::with_limits(address, limits);
    let headers = [("Connection", "close"), ("User-Agent", "mesos-executor")];
    match client
        .open(Method::GET, path, &headers, bytes::Bytes::new())
        .await
        .map(|answer| answer.status)
    {
        Ok(status) => Found::Answer(StatusCode::as_u16(&status)),
        Err(error) => Found::Nothing(error.to_string()),
    }
}

async fn connect(address: &str) -> Found {
    match TcpStream::connect(address).await {
        Ok(_) => Found::Connected,
        Err(error) => Found::Nothing(error.to_string()),
    }
}

async fn look_with_command(info: &CommandInfo, patience: Duration, children: &Children) -> Found {
    let info = mesos::convert::devolve(info);
    let mut environment: BTreeMap<String, String> = command::own_environment(text_variables());
    mesos_containerizer::overlay_environment(&mut environment, &info);
    let mut running = match children.start(&info, &environment) {
        Ok(running) => running,
        Err(error) => return Found::Nothing(error.to_string()),
    };
    match timeout(patience, running.ended()).await {
        Ok(Some(status)) => status
            .code()
            .map_or_else(|| Found::Nothing(status.describe()), Found::Exit),
        Ok(None) => Found::Nothing("the command's end was not seen".to_owned()),
        // Dropping it kills it.
        Err(_) => Found::Nothing(format!("the command did not end within {patience:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_goes_by_exit_code_status_or_connection() {
        assert!(Found::Exit(0).is_healthy(&[]) && !Found::Exit(1).is_healthy(&[]));
        assert!(Found::Answer(302).is_healthy(&[]) && !Found::Answer(404).is_healthy(&[]));
        assert!(Found::Answer(404).is_healthy(&[404]) && !Found::Answer(200).is_healthy(&[404]));
        assert!(Found::Connected.is_healthy(&[]) && !Found::Nothing(String::new()).is_healthy(&[]));
    }

    #[test]
    fn checks_become_probes_or_say_why_not() {
        let mut health = HealthCheck::new();
        assert_eq!(
            Probe::of_health_check(&health),
            Err("a health check of unknown type".to_owned())
        );
        health.http.mut_or_insert_default().set_port(80);
        health.http.mut_or_insert_default().set_path("ok".to_owned());
        let probe = Probe::Http {
            address: "127.0.0.1:80".to_owned(),
            path: "/ok".to_owned(),
        };
        assert_eq!(Probe::of_health_check(&health), Ok(probe));
        health.http.mut_or_insert_default().set_scheme("https".to_owned());
        assert!(Probe::of_health_check(&health).is_err());
        let mut check = CheckInfo::new();
        check.set_type(CheckType::TCP);
        check.tcp.mut_or_insert_default().set_port(81);
        assert_eq!(
            Probe::of_check(&check),
            Ok(Probe::Tcp {
                address: "127.0.0.1:81".to_owned()
            })
        );
    }
}
