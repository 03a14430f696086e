//! How a node is set up, and the environment variables that say so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::builtin::VersionInfo;
use crate::clock::Clock;
use crate::error::NodeError;

/// Longest request head (request line and headers) that is accepted.
const HEADER_LIMIT_BYTES: usize = 64 * 1024;
/// Longest body that is accepted unless configured otherwise. Registrations of agents with many thousand tasks stay
/// well below; what is declared larger is refused before it is read.
const BODY_LIMIT_BYTES: usize = 256 * 1024 * 1024;
/// Threads for processes unless configured otherwise.
const WORKER_THREADS: usize = 2;
/// Threads for processes when the environment rules: at least this many.
const WORKER_THREADS_ENVIRONMENT_MIN: usize = 8;
/// Threads for sockets.
const IO_THREADS: usize = 2;
/// Most worker threads that the environment may ask for.
const WORKER_THREADS_MAX: usize = 1024;

/// How a node is set up.
#[derive(Clone)]
pub struct NodeConfig {
    /// Address to bind; all addresses when absent.
    pub ip: Option<Ipv4Addr>,
    /// Port to bind; 0 lets the system choose.
    pub port: u16,
    /// Address in the pids of this node; the bound one when absent, or the host's when all are bound.
    pub advertise_ip: Option<Ipv4Addr>,
    /// Port in the pids of this node; the bound one when absent.
    pub advertise_port: Option<u16>,
    /// IPv6 address of the host, for information only: pids carry IPv4.
    pub ip6: Option<Ipv6Addr>,
    /// Whether messages are refused whose sender's address is not the peer's.
    pub require_peer_address_ip_match: bool,
    /// Longest accepted request head.
    pub header_limit_bytes: usize,
    /// Longest accepted body.
    pub body_limit_bytes: usize,
    /// Threads that run processes.
    pub worker_threads: usize,
    /// Threads that serve sockets.
    pub io_threads: usize,
    /// Whether the profiler's endpoints may start it.
    pub enable_profiler: bool,
    /// Requests per duration that the metrics endpoint answers; unlimited when absent.
    pub metrics_rate_limit: Option<(u32, Duration)>,
    /// Realm of the built-in endpoints that only read; open to everybody when absent.
    pub readonly_realm: Option<String>,
    /// Realm of the built-in endpoints that change something; open to everybody when absent.
    pub readwrite_realm: Option<String>,
    /// What `/version` tells.
    pub version: VersionInfo,
    /// The clock; the machine's when absent.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            ip: None,
            port: 0,
            advertise_ip: None,
            advertise_port: None,
            ip6: None,
            require_peer_address_ip_match: false,
            header_limit_bytes: HEADER_LIMIT_BYTES,
            body_limit_bytes: BODY_LIMIT_BYTES,
            worker_threads: WORKER_THREADS,
            io_threads: IO_THREADS,
            enable_profiler: false,
            metrics_rate_limit: Some((2, Duration::from_secs(1))),
            readonly_realm: None,
            readwrite_realm: None,
            version: VersionInfo::default(),
            clock: None,
        }
    }
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NodeConfig")
            .field("ip", &self.ip)
            .field("port", &self.port)
            .field("advertise_ip", &self.advertise_ip)
            .field("advertise_port", &self.advertise_port)
            .finish_non_exhaustive()
    }
}

impl NodeConfig {
    /// A node on the loopback address with a port that the system chooses; for tests.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            ip: Some(Ipv4Addr::LOCALHOST),
            ..Self::default()
        }
    }

    /// Reads the `LIBPROCESS_*` variables of this OS process.
    ///
    /// # Errors
    ///
    /// Names the variable whose value is not accepted, or that asks for something unsupported.
    pub fn from_env() -> Result<Self, NodeError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads the `LIBPROCESS_*` variables from `variable`. An empty value counts as unset.
    ///
    /// # Errors
    ///
    /// Names the variable whose value is not accepted, or that asks for something unsupported.
    pub fn from_variables(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, NodeError> {
        let source = Variables(variable);
        source.refuse_unsupported()?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = source.parse("LIBPROCESS_NUM_WORKER_THREADS", "a number from 1 to 1024", |text| {
            text.parse()
                .ok()
                .filter(|count| (1..=WORKER_THREADS_MAX).contains(count))
        })?;
        Ok(Self {
            ip: source.typed("LIBPROCESS_IP", "an IPv4 address")?,
            port: source.typed("LIBPROCESS_PORT", "a port from 0 to 65535")?.unwrap_or(0),
            advertise_ip: source.advertised_ip()?,
            advertise_port: source.parse("LIBPROCESS_ADVERTISE_PORT", "a port from 1 to 65535", |text| {
                text.parse().ok().filter(|port| *port != 0)
            })?,
            ip6: source.typed("LIBPROCESS_IP6", "an IPv6 address")?,
            require_peer_address_ip_match: source.flag("LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH")?,
            worker_threads: threads.unwrap_or_else(|| cores.max(WORKER_THREADS_ENVIRONMENT_MIN)),
            enable_profiler: source
                .parse("LIBPROCESS_ENABLE_PROFILER", "1", |text| (text == "1").then_some(()))?
                .is_some(),
            metrics_rate_limit: source.rate_limit()?,
            ..Self::default()
        })
    }
}

/// Where variables come from.
struct Variables<F>(F);

impl<F: Fn(&'static str) -> Option<String>> Variables<F> {
    fn parse<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, NodeError> {
        let Some(value) = (self.0)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(NodeError::BadVariable { name, value, expected }),
        }
    }

    fn typed<T: FromStr>(&self, name: &'static str, expected: &'static str) -> Result<Option<T>, NodeError> {
        self.parse(name, expected, |text| text.parse().ok())
    }

    fn flag(&self, name: &'static str) -> Result<bool, NodeError> {
        let parsed = self.parse(name, "true, false, 1 or 0", |text| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })?;
        Ok(parsed.unwrap_or(false))
    }

    /// Pids carry IPv4 only, so an IPv6 address cannot be advertised.
    fn advertised_ip(&self) -> Result<Option<Ipv4Addr>, NodeError> {
        self.parse("LIBPROCESS_ADVERTISE_IP", "an IPv4 address", |text| {
            match text.parse() {
                Ok(IpAddr::V4(ip)) => Some(ip),
                Ok(IpAddr::V6(_)) | Err(_) => None,
            }
        })
    }

    fn rate_limit(&self) -> Result<Option<(u32, Duration)>, NodeError> {
        let name = "LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT";
        // Set but empty means unlimited here, unlike everywhere else.
        if (self.0)(name).is_some_and(|value| value.is_empty()) {
            return Ok(None);
        }
        let parsed = self.parse(name, "REQUESTS/DURATION such as 2/1secs, or nothing", |text| {
            let (count, duration) = text.split_once('/')?;
            let count = count.trim().parse().ok().filter(|count| *count > 0)?;
            let duration = parse_duration(duration.trim()).filter(|duration| !duration.is_zero())?;
            Some((count, duration))
        })?;
        Ok(parsed.or(Self::default_rate_limit()))
    }

    fn default_rate_limit() -> Option<(u32, Duration)> {
        NodeConfig::default().metrics_rate_limit
    }

    fn refuse_unsupported(&self) -> Result<(), NodeError> {
        // Only SSL_ENABLED switches TLS on; the other LIBPROCESS_SSL_* variables have no meaning without it.
        for (name, feature) in [
            ("LIBPROCESS_SSL_ENABLED", "TLS"),
            ("LIBPROCESS_MEMORY_PROFILING", "memory profiling"),
        ] {
            if self.flag(name)? {
                return Err(NodeError::Unsupported { name, feature });
            }
        }
        Ok(())
    }
}

/// Reads a duration such as `1secs` or `1.5mins`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let unit_start = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_start);
    let nanos = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "secs" => 1e9,
        "mins" => 60e9,
        "hrs" => 3600e9,
        "days" => 86_400e9,
        "weeks" => 604_800e9,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * nanos / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&'static str, &str)]) -> Result<NodeConfig, NodeError> {
        NodeConfig::from_variables(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let config = read(&[]).expect("defaults");
        assert_eq!((config.ip, config.port, config.advertise_port), (None, 0, None));
        assert!(config.worker_threads >= 8);
        assert_eq!(config.metrics_rate_limit, Some((2, Duration::from_secs(1))));
        assert!(!config.require_peer_address_ip_match && !config.enable_profiler);
    }

    #[test]
    fn every_variable_is_read() {
        let config = read(&[
            ("LIBPROCESS_IP", "127.0.0.1"),
            ("LIBPROCESS_PORT", "5050"),
            ("LIBPROCESS_ADVERTISE_IP", "10.0.0.1"),
            ("LIBPROCESS_ADVERTISE_PORT", "6060"),
            ("LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH", "true"),
            ("LIBPROCESS_NUM_WORKER_THREADS", "3"),
            ("LIBPROCESS_ENABLE_PROFILER", "1"),
            ("LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", "5/1.5mins"),
            ("LIBPROCESS_SSL_ENABLED", "0"),
        ])
        .expect("all values are good");
        assert_eq!(config.ip, Some(Ipv4Addr::LOCALHOST));
        assert_eq!((config.port, config.advertise_port), (5050, Some(6060)));
        assert_eq!(config.advertise_ip, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert!(config.require_peer_address_ip_match && config.enable_profiler);
        assert_eq!(config.worker_threads, 3);
        assert_eq!(config.metrics_rate_limit, Some((5, Duration::from_secs(90))));
    }

    #[test]
    fn empty_rate_limit_means_unlimited() {
        let config = read(&[("LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", "")]).expect("unlimited");
        assert_eq!(config.metrics_rate_limit, None);
    }

    #[test]
    fn bad_values_name_the_variable() {
        for (name, value) in [
            ("LIBPROCESS_IP", "::1"),
            ("LIBPROCESS_PORT", "65536"),
            ("LIBPROCESS_ADVERTISE_PORT", "0"),
            ("LIBPROCESS_ADVERTISE_IP", "host"),
            ("LIBPROCESS_IP6", "127.0.0.1"),
            ("LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH", "yes"),
            ("LIBPROCESS_NUM_WORKER_THREADS", "1025"),
            ("LIBPROCESS_NUM_WORKER_THREADS", "0"),
            ("LIBPROCESS_ENABLE_PROFILER", "true"),
            ("LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", "2"),
            ("LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", "2/1parsec"),
        ] {
            let error = read(&[(name, value)]).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn tls_and_memory_profiling_are_refused() {
        for name in ["LIBPROCESS_SSL_ENABLED", "LIBPROCESS_MEMORY_PROFILING"] {
            assert!(
                matches!(read(&[(name, "true")]), Err(NodeError::Unsupported { .. })),
                "{name}"
            );
        }
    }
}
