//! Variables that the runtime and the drivers read, and what of them is refused.
//!
//! The runtime reads its own variables; here stands what they are, for the tests of completeness, for documentation
//! and for [`check`], which programs call before they start anything.
//!
//! Source: shared facts, `flags_logging_libprocess.tsv`.

use super::spec::Bounds::{Any, Checked, OneOf, Within};
use super::spec::DefaultValue::{Computed, Is, Unset};
use super::spec::Support::{RefusedUnless, Works};
use super::spec::{FlagSpec, Kind, flags};
use super::{FlagValue, FlagsError, checks};

pub(super) const NO_AUTHENTICATION: &str = "authentication is not there yet";
pub(super) const NO_AUTHORIZATION: &str = "authorization is not there yet";
pub(super) const NO_DISCOVERY_COMMAND: &str = "addresses are not asked from a program yet";
pub(super) const NO_FIREWALL: &str = "endpoints cannot be disabled yet";
pub(super) const NO_MODULES: &str = "modules written for Apache Mesos cannot be loaded";
pub(super) const NO_PROFILER: &str = "profiling through endpoints is not there yet";
pub(super) const NO_ZOOKEEPER: &str = "ZooKeeper is not there yet, give the address of one master";
const NO_IP6: &str = "IPv6 is not there yet";
const NO_TLS: &str = "encrypted connections are not there yet";

/// Variables of the runtime. Names are those of the variables.
pub static LIBPROCESS: &[FlagSpec] = flags! {
    "LIBPROCESS_IP": Text = Unset, Works, Checked(checks::ipv4, "an IPv4 address"), "address to bind; unset means all";
    "LIBPROCESS_IP6": Text = Unset, RefusedUnless(&[], NO_IP6), Any, "IPv6 address to advertise";
    "LIBPROCESS_ADVERTISE_IP": Text = Unset, Works, Any, "address put into UPIDs";
    "LIBPROCESS_PORT": Int = Unset, Works, Within(0.0, 65_535.0), "port to bind; 0 or unset is random";
    "LIBPROCESS_ADVERTISE_PORT": Int = Unset, Works, Within(1.0, 65_535.0), "port put into UPIDs";
    "LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH": Bool = Is("false"), Works, Any, "sender UPID must match peer IP";
    "LIBPROCESS_MEMORY_PROFILING": Bool = Is("false"), RefusedUnless(&[], NO_PROFILER), Any, "heap profiling endpoints";
    "LIBPROCESS_NUM_WORKER_THREADS": Int = Computed("max(8, cores)", String::new), Works, Within(1.0, 1024.0),
        "actor worker threads";
    "LIBPROCESS_ENABLE_PROFILER": Text = Unset, RefusedUnless(&["0"], NO_PROFILER), Any, "allow CPU profiler endpoints";
    "LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT": Text = Is("2/1secs"), Works, Any, "metrics endpoint rate limit";
    "TMPDIR": Path = Is("/tmp"), Works, Any, "memory profiler temporary files";
    "MALLOC_CONF": Text = Unset, Works, Any, "jemalloc settings read by the profiler";
};

/// Variables about encryption. All but the first ask for nothing while that is off.
pub static TLS: &[FlagSpec] = flags! {
    "LIBPROCESS_SSL_ENABLED": Bool = Is("false"), RefusedUnless(&[], NO_TLS), Any, "TLS on all sockets";
    "LIBPROCESS_SSL_SUPPORT_DOWNGRADE": Bool = Is("false"), Works, Any, "accept and fall back to plain TCP";
    "LIBPROCESS_SSL_CERT_FILE": Path = Unset, Works, Any, "certificate";
    "LIBPROCESS_SSL_KEY_FILE": Path = Unset, Works, Any, "private key";
    "LIBPROCESS_SSL_VERIFY_SERVER_CERT" | "LIBPROCESS_SSL_VERIFY_CERT": Bool = Is("false"), Works, Any,
        "client side demands valid server certificate";
    "LIBPROCESS_SSL_REQUIRE_CLIENT_CERT" | "LIBPROCESS_SSL_REQUIRE_CERT": Bool = Is("false"), Works, Any,
        "server side demands valid client certificate";
    "LIBPROCESS_SSL_VERIFY_IPADD": Bool = Is("false"), Works, Any, "match IP in subject alternative name";
    "LIBPROCESS_SSL_VERIFICATION_DEPTH": Uint = Is("4"), Works, Any, "longest certificate chain";
    "LIBPROCESS_SSL_CA_DIR": Path = Unset, Works, Any, "authority directory";
    "LIBPROCESS_SSL_CA_FILE": Path = Unset, Works, Any, "authority file";
    "LIBPROCESS_SSL_CIPHERS": Text =
        Is("AES128-SHA:AES256-SHA:RC4-SHA:DHE-RSA-AES128-SHA:DHE-DSS-AES128-SHA:DHE-RSA-AES256-SHA:DHE-DSS-AES256-SHA"),
        Works, Any, "allowed ciphers";
    "LIBPROCESS_SSL_ECDH_CURVES": Text = Is("auto"), Works, Any, "curves in order of preference";
    "LIBPROCESS_SSL_HOSTNAME_VALIDATION_SCHEME": Text = Is("legacy"), Works, OneOf(&["legacy", "openssl"]),
        "how host names are checked";
    "LIBPROCESS_SSL_ENABLE_SSL_V3": Bool = Is("false"), Works, Any, "allow SSL 3";
    "LIBPROCESS_SSL_ENABLE_TLS_V1_0": Bool = Is("false"), Works, Any, "allow TLS 1.0";
    "LIBPROCESS_SSL_ENABLE_TLS_V1_1": Bool = Is("false"), Works, Any, "allow TLS 1.1";
    "LIBPROCESS_SSL_ENABLE_TLS_V1_2": Bool = Is("true"), Works, Any, "allow TLS 1.2";
    "LIBPROCESS_SSL_ENABLE_TLS_V1_3": Bool = Is("false"), Works, Any, "allow TLS 1.3";
};

/// Variables of the scheduler drivers.
pub static DRIVERS: &[FlagSpec] = flags! {
    "MESOS_REGISTRATION_BACKOFF_FACTOR": Duration = Is("2secs"), Works, Any,
        "scheduler driver: base of registration backoff";
    "MESOS_AUTHENTICATEE": Text = Is("crammd5"), Works, Any, "scheduler driver: SASL client";
    "MESOS_AUTHENTICATION_BACKOFF_FACTOR": Duration = Is("1secs"), Works, Any,
        "scheduler driver: base of authentication backoff";
    "MESOS_AUTHENTICATION_TIMEOUT_MIN" | "MESOS_AUTHENTICATION_TIMEOUT": Duration = Is("5secs"), Works, Any,
        "scheduler driver: first authentication window";
    "MESOS_AUTHENTICATION_TIMEOUT_MAX": Duration = Is("1mins"), Works, Any,
        "scheduler driver: largest authentication window";
    "MESOS_MODULES": Json = Unset, RefusedUnless(&[], NO_MODULES), Any, "drivers: modules to load";
    "MESOS_MODULES_DIR": Path = Unset, RefusedUnless(&[], NO_MODULES), Any, "drivers: module files directory";
    "MESOS_CONNECTION_DELAY_MAX": Duration = Is("500ms"), Works, Any, "v1 scheduler library: longest reconnect delay";
    "MESOS_HTTP_AUTHENTICATEE": Text = Is("basic"), Works, Any, "v1 scheduler library: HTTP client authentication";
};

/// Checks the variables of the runtime, so that a program does not start without what they ask for.
///
/// # Errors
///
/// Names the variable, what was found and what would be accepted.
pub fn check(environment: impl IntoIterator<Item = (String, String)>) -> Result<(), FlagsError> {
    for (variable, text) in environment {
        let specs = LIBPROCESS.iter().chain(TLS);
        let spec = specs
            .into_iter()
            .find(|spec| spec.name == variable || spec.alias == Some(variable.as_str()));
        let Some(spec) = spec else { continue };
        let value = FlagValue::read(spec, &text);
        let value = value.map_err(|source| FlagsError::BadValue {
            place: variable.clone(),
            found: text.clone(),
            source,
        })?;
        super::read::check_support(spec, &variable, &value)?;
    }
    Ok(())
}

/// The environment of this process. Variables that are not UTF-8 are none of ours and are left out.
pub fn of_process() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
