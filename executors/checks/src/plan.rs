//! What a check or a health check asks for, read once and valid from then on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mesos::convert;
use mesos::validation::check::{CheckError, validate_check, validate_health_check};
use mesos_proto::v1::mesos::check_info::Type as CheckType;
use mesos_proto::v1::mesos::health_check::Type as HealthType;
use mesos_proto::v1::mesos::network_info::Protocol;
use mesos_proto::v1::mesos::{CheckInfo, CommandInfo, HealthCheck};

/// Shortest pause between two looks, whatever the task asks for.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Which of a task's two checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// `TaskInfo.check`: its results are told, nothing follows from them.
    Check,
    /// `TaskInfo.health_check`: says whether the task is well, and kills it when it is not for too long.
    HealthCheck,
}

/// How a check looks at the task.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// Runs a command; its exit code counts.
    Command(Box<CommandInfo>),
    /// Sends `GET`, follows redirects; the last status counts. Certificates are not verified.
    Http {
        /// Complete URL on the loopback address.
        url: String,
    },
    /// Connects to a port of the loopback address.
    Tcp {
        /// Where.
        address: SocketAddr,
    },
}

/// How and when to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How.
    pub probe: Probe,
    /// Time from the start of the checks to the first look.
    pub delay: Duration,
    /// Time from a result to the next look.
    pub interval: Duration,
    /// Longest time of a look; `None`: as long as it takes (the field is zero then).
    pub timeout: Option<Duration>,
}

/// What else a health check asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPlan {
    /// Time from the start in which failures before the first success do not count.
    pub grace_period: Duration,
    /// Failures in a row after which the task is killed. Zero kills with the first, like one.
    pub failures_max: u32,
}

impl Plan {
    /// Reads a check.
    ///
    /// # Errors
    ///
    /// Names the field that breaks a rule, as the master and the agent do.
    pub fn of_check(check: &CheckInfo) -> Result<Self, CheckError> {
        validate_check(&convert::devolve(check))?;
        let probe = match check.type_() {
            CheckType::COMMAND => Probe::Command(Box::new(check.command.command.get_or_default().clone())),
            CheckType::HTTP => Probe::Http {
                url: url("http", Protocol::IPv4, check.http.port(), check.http.path()),
            },
            CheckType::TCP => Probe::Tcp {
                address: address(Protocol::IPv4, check.tcp.port())?,
            },
            CheckType::UNKNOWN => return Err(CheckError::UnknownType),
        };
        Ok(Self::new(
            probe,
            check.delay_seconds(),
            check.interval_seconds(),
            check.timeout_seconds(),
        ))
    }

    /// Reads a health check. One without `type`, as frameworks before Mesos 1.1 wrote them, has the type of the field
    /// that it carries.
    ///
    /// `http.statuses` changes nothing: it is for executors of frameworks, and here the statuses from 200 to 399 are
    /// good ones.
    ///
    /// # Errors
    ///
    /// Names the field that breaks a rule, as the master and the agent do.
    pub fn of_health_check(check: &HealthCheck) -> Result<(Self, HealthPlan), CheckError> {
        let typed = with_type(check);
        validate_health_check(&convert::devolve(&typed))?;
        let probe = match typed.type_() {
            HealthType::COMMAND => Probe::Command(Box::new(typed.command.get_or_default().clone())),
            HealthType::HTTP => {
                let http = &typed.http;
                let scheme = http.scheme.as_deref().unwrap_or("http");
                Probe::Http {
                    url: url(scheme, http.protocol(), http.port(), http.path()),
                }
            }
            HealthType::TCP => Probe::Tcp {
                address: address(typed.tcp.protocol(), typed.tcp.port())?,
            },
            HealthType::UNKNOWN => return Err(CheckError::UnknownType),
        };
        let plan = Self::new(
            probe,
            typed.delay_seconds(),
            typed.interval_seconds(),
            typed.timeout_seconds(),
        );
        let health = HealthPlan {
            grace_period: seconds(typed.grace_period_seconds()),
            failures_max: typed.consecutive_failures(),
        };
        Ok((plan, health))
    }

    fn new(probe: Probe, delay: f64, interval: f64, timeout: f64) -> Self {
        Self {
            probe,
            delay: seconds(delay),
            interval: seconds(interval).max(INTERVAL_MIN),
            timeout: Some(seconds(timeout)).filter(|timeout| !timeout.is_zero()),
        }
    }
}

fn with_type(check: &HealthCheck) -> HealthCheck {
    let mut typed = check.clone();
    if !check.has_type() {
        if check.http.is_some() {
            typed.set_type(HealthType::HTTP);
        } else if check.command.is_some() {
            typed.set_type(HealthType::COMMAND);
        }
    }
    typed
}

fn seconds(seconds: f64) -> Duration {
    // Only too long ones are left after validation.
    mesos::duration::from_seconds(seconds).unwrap_or(mesos::duration::MAX)
}

fn loopback(protocol: Protocol) -> IpAddr {
    match protocol {
        Protocol::IPv4 => Ipv4Addr::LOCALHOST.into(),
        Protocol::IPv6 => Ipv6Addr::LOCALHOST.into(),
    }
}

fn address(protocol: Protocol, port: u32) -> Result<SocketAddr, CheckError> {
    let port = u16::try_from(port).map_err(|_| CheckError::Port { port })?;
    Ok(SocketAddr::new(loopback(protocol), port))
}

fn url(scheme: &str, protocol: Protocol, port: u32, path: &str) -> String {
    match loopback(protocol) {
        IpAddr::V4(ip) => format!("{scheme}://{ip}:{port}{path}"),
        IpAddr::V6(ip) => format!("{scheme}://[{ip}]:{port}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(kind: HealthType) -> HealthCheck {
        let mut check = HealthCheck::new();
        check.set_type(kind);
        check
    }

    fn probe(check: &HealthCheck) -> Probe {
        Plan::of_health_check(check).expect("valid").0.probe
    }

    #[test]
    fn defaults_are_those_of_the_messages() {
        let mut check = CheckInfo::new();
        check.set_type(CheckType::TCP);
        check.tcp.mut_or_insert_default().set_port(80);
        let plan = Plan::of_check(&check).expect("valid");
        let expected = Plan {
            probe: Probe::Tcp {
                address: "127.0.0.1:80".parse().expect("an address"),
            },
            delay: Duration::from_secs(15),
            interval: Duration::from_secs(10),
            timeout: Some(Duration::from_secs(20)),
        };
        assert_eq!(plan, expected);
        let mut check = health(HealthType::TCP);
        check.tcp.mut_or_insert_default().set_port(80);
        let (plan, health) = Plan::of_health_check(&check).expect("valid");
        assert_eq!(plan, expected);
        assert_eq!((health.grace_period, health.failures_max), (Duration::from_secs(10), 3));
    }

    #[test]
    fn zero_times_are_no_timeout_and_hardly_any_interval() {
        let mut check = health(HealthType::TCP);
        check.tcp.mut_or_insert_default().set_port(80);
        check.set_timeout_seconds(0.0);
        check.set_interval_seconds(0.0);
        check.set_delay_seconds(0.0);
        let (plan, _) = Plan::of_health_check(&check).expect("valid");
        assert_eq!(
            (plan.timeout, plan.interval, plan.delay),
            (None, INTERVAL_MIN, Duration::ZERO)
        );
    }

    #[test]
    fn web_addresses_have_scheme_protocol_port_and_path() {
        let mut check = health(HealthType::HTTP);
        check.http.mut_or_insert_default().set_port(8080);
        let url = |check: &HealthCheck| match probe(check) {
            Probe::Http { url } => url,
            other => panic!("{other:?}"),
        };
        assert_eq!(url(&check), "http://127.0.0.1:8080");
        let http = check.http.mut_or_insert_default();
        http.set_path("/ping?a=b".to_owned());
        http.set_scheme("https".to_owned());
        http.set_protocol(Protocol::IPv6);
        assert_eq!(url(&check), "https://[::1]:8080/ping?a=b");
    }

    #[test]
    fn health_checks_without_type_have_the_type_of_what_they_carry() {
        let mut check = HealthCheck::new();
        check.command.mut_or_insert_default().set_value("true".to_owned());
        assert!(matches!(probe(&check), Probe::Command(_)));
        let mut check = HealthCheck::new();
        check.http.mut_or_insert_default().set_port(80);
        assert!(matches!(probe(&check), Probe::Http { .. }));
        assert_eq!(Plan::of_health_check(&HealthCheck::new()), Err(CheckError::UnknownType));
    }

    #[test]
    fn broken_checks_are_refused_with_the_field() {
        let mut check = CheckInfo::new();
        check.set_type(CheckType::HTTP);
        let refused = Plan::of_check(&check).expect_err("nothing to ask");
        assert!(refused.to_string().contains("`http`"), "{refused}");
        check.http.mut_or_insert_default().set_port(70_000);
        assert_eq!(Plan::of_check(&check), Err(CheckError::Port { port: 70_000 }));
    }
}
