//! Flags of the agent; those about containers stand beside this module.
//!
//! Source: shared facts, `flags_agent.tsv`.

use super::spec::Bounds::{AboveZero, Any, AtMost, Checked, OneOf, Within};
use super::spec::DefaultValue::{Computed, Is, Required, Unset};
use super::spec::Support::{RefusedUnless, Works};
use super::spec::{FlagSpec, Kind, Rule, flags};
use super::{FlagSet, agent_containers, checks, environment, logging, modules};

/// The agent with all its flags.
pub static FLAGS: FlagSet = FlagSet {
    program: "mesos-agent",
    about: "runs the tasks that frameworks launch on this machine and reports to the master",
    tables: &[logging::HELP, logging::LOGGING, TABLE, agent_containers::TABLE],
    rules: &[
        Rule::NotTogether("modules", "modules_dir"),
        Rule::NotTogether("ip", "ip_discovery_command"),
        Rule::NotTogether("ip6", "ip6_discovery_command"),
        Rule::ExactlyOne("master", "master_detector"),
    ],
};

const NO_AUTHENTICATION: &str = environment::NO_AUTHENTICATION;
const NO_AUTHORIZATION: &str = environment::NO_AUTHORIZATION;
const NO_FIREWALL: &str = environment::NO_FIREWALL;
const NO_MODULES: &str = environment::NO_MODULES;
const NO_PROFILER: &str = environment::NO_PROFILER;
const NO_DISCOVERY_COMMAND: &str = environment::NO_DISCOVERY_COMMAND;
const NO_ZOOKEEPER: &str = environment::NO_ZOOKEEPER;
const NO_NESTED_COLLECTION: &str = "sandboxes of nested containers are collected with the executor's, not before";
const ALL_FEATURES: &str = "an agent always announces what it can do";
const NO_DOMAIN_SOCKETS: &str = "executors only connect over TCP yet";
const NO_RELATIVE_URIS: &str = "relative URIs are not completed yet";
const NO_IP6: &str = "IPv6 addresses of containers are not there yet";

fn in_temporary(path: &str) -> String {
    std::env::temp_dir().join(path).to_string_lossy().into_owned()
}

/// Only root may make the usual folder on a common machine; asking the file system would be the agent's work.
fn runtime_dir() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    if user == Some("0") {
        "/var/run/mesos".to_owned()
    } else {
        in_temporary("mesos/runtime")
    }
}

/// The helper programs stand beside the one that runs.
fn launcher_dir() -> String {
    let program = std::env::current_exe().ok();
    let folder = program.as_deref().and_then(std::path::Path::parent);
    folder.map_or_else(
        || "/usr/local/libexec/mesos".to_owned(),
        |folder| folder.to_string_lossy().into_owned(),
    )
}

/// The flags that only the agent has, without those about containers.
pub static TABLE: &[FlagSpec] = flags! {
    "hostname": Text = Unset, Works, Any, "name advertised by the agent";
    "hostname_lookup": Bool = Is("true"), Works, Any, "resolve hostname from IP when unset";
    "version": Bool = Is("false"), Works, Any, "print version and exit";
    "resources": Text = Unset, Works, Checked(checks::resources, "text such as cpus:4;mem:512, or JSON"),
        "total resources, text or JSON; missing ones are detected";
    "default_role": Text = Is("*"), Works, Checked(checks::role, "a role"), "role of resources without one";
    "attributes": Text = Unset, Works, Checked(checks::attributes, "text such as rack:r1;level:3"), "agent attributes";
    "work_dir": Text = Required, Works, Any, "sandboxes, volumes and meta state; required";
    "runtime_dir": Text = Computed("(var)/run/mesos if writable, else (tmp)/mesos/runtime", runtime_dir), Works, Any,
        "state that must not survive reboot";
    "launcher_dir": Text = Computed("(install prefix)/libexec/mesos", launcher_dir), Works, Any, "helper binaries";
    "switch_user": Bool = Is("true"), Works, Any, "run tasks as their user";
    "http_heartbeat_interval": Duration = Is("30secs"), Works, AboveZero,
        "heartbeat of container attach streams";
    "frameworks_home": Text = Is(""), RefusedUnless(&[], NO_RELATIVE_URIS), Any, "prefix for relative executor URIs";
    "registration_backoff_factor": Duration = Is("1secs"), Works, AtMost("1mins"), "base of registration backoff";
    "authentication_backoff_factor": Duration = Is("1secs"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "base of authentication backoff";
    "authentication_timeout_min": Duration = Is("5secs"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "first authentication window";
    "authentication_timeout_max": Duration = Is("1mins"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "largest authentication window";
    "executor_environment_variables": Json = Unset, Works,
        Checked(checks::string_map, "a JSON object of strings"),
        "complete environment given to executors, JSON";
    "executor_registration_timeout": Duration = Is("1mins"), Works, Any, "time for an executor to register";
    "executor_reregistration_timeout": Duration = Is("2secs"), Works, AtMost("15secs"),
        "time for executors to reconnect after agent restart";
    "executor_reregistration_retry_interval": Duration = Unset, Works, Any,
        "repeat of reconnect messages to libprocess executors";
    "executor_shutdown_grace_period": Duration = Is("5secs"), Works, Any, "time between shutdown and kill";
    "jwt_secret_key" | "executor_secret_key": Path = Unset, RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "file with key for executor and provider tokens";
    "gc_delay": Duration = Is("1weeks"), Works, Any, "sandbox age before removal";
    "gc_disk_headroom": Float = Is("0.1"), Works, Within(0.0, 1.0),
        "disk share kept free; shortens gc age";
    "gc_non_executor_container_sandboxes": Bool = Is("false"), RefusedUnless(&[], NO_NESTED_COLLECTION), Any,
        "also collect nested and standalone sandboxes";
    "disk_watch_interval": Duration = Is("1mins"), Works, AboveZero, "disk usage check period";
    "recover": Text = Is("reconnect"), Works, OneOf(&["reconnect", "cleanup"]),
        "reconnect or cleanup";
    "recovery_timeout": Duration = Is("15mins"), Works, Any, "how long executors wait for the agent";
    "reconfiguration_policy": Text = Is("equal"), Works, OneOf(&["equal", "additive"]),
        "equal or additive: allowed changes on restart";
    "strict": Bool = Is("true"), Works, Any, "fail on any recovery error";
    "max_completed_executors_per_framework": Uint = Is("150"), Works, Any, "finished executors remembered";
    "agent_features": Json = Unset, RefusedUnless(&[], ALL_FEATURES), Any, "capabilities to announce, JSON";
    "firewall_rules": Json = Unset, RefusedUnless(&[], NO_FIREWALL), Any, "endpoints to disable";
    "credential": Path = Unset, RefusedUnless(&[], NO_AUTHENTICATION), Any, "principal and secret for the master";
    "acls": Json = Unset, RefusedUnless(&[], NO_AUTHORIZATION), Any, "access control lists";
    "domain_socket_location": Text = Unset, RefusedUnless(&[], NO_DOMAIN_SOCKETS),
        Checked(checks::socket_path, "a path of under 108 characters"), "socket for executors";
    "modules": Json = Unset, Works, Checked(modules::check, "JSON that names built-in modules"), "modules to load";
    "modules_dir": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "directory of module files";
    "authenticatee": Text = Is("crammd5"), RefusedUnless(&[], NO_AUTHENTICATION), Any, "SASL client implementation";
    "authorizer": Text = Is("local"), RefusedUnless(&[], NO_AUTHORIZATION), Any, "authorizer implementation";
    "http_authenticators": Text = Unset, RefusedUnless(&["basic"], NO_AUTHENTICATION), Any, "HTTP authenticators";
    "authenticate_http_readwrite": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require HTTP authentication on mutating endpoints";
    "authenticate_http_readonly": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require HTTP authentication on read endpoints";
    "authenticate_http_executors": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require token from v1 executors";
    "http_executor_domain_sockets": Bool = Is("false"), RefusedUnless(&[], NO_DOMAIN_SOCKETS), Any,
        "executors connect over a unix socket";
    "http_credentials": Path = Unset, RefusedUnless(&[], NO_AUTHENTICATION), Any, "HTTP principals and secrets, JSON";
    "hooks": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "hook modules";
    "resource_estimator": Text = Unset, Works, Any,
        "oversubscription estimator module";
    "qos_controller": Text = Unset, Works, Any, "QoS controller module";
    "qos_correction_interval_min": Duration = Is("0ns"), Works, Any,
        "least time between corrections";
    "oversubscribed_resources_interval": Duration = Is("15secs"), Works, AboveZero,
        "period of sending oversubscribed resources";
    "master_detector": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "detector module";
    "http_command_executor": Bool = Is("false"), Works, Any, "command executor uses v1 API";
    "ip": Text = Unset, Works, Checked(checks::ipv4, "an IPv4 address"), "address to listen on";
    "ip6": Text = Unset, RefusedUnless(&[], NO_IP6), Any, "IPv6 address advertised for host network containers";
    "port": Uint16 = Is("5051"), Works, Any, "port to listen on";
    "advertise_ip": Text = Unset, Works, Checked(checks::ipv4, "an IPv4 address"), "address told to others";
    "advertise_port": Text = Unset, Works, Checked(checks::port, "0 to 65535"), "port told to others";
    "master": TextOrFile = Unset, Works, Any, "leader HOST:PORT, zk:// URL, or file:// holding it";
    "zk_session_timeout": Duration = Is("10secs"), RefusedUnless(&[], NO_ZOOKEEPER), Any, "ZooKeeper session timeout";
    "ip_discovery_command": Text = Unset, RefusedUnless(&[], NO_DISCOVERY_COMMAND), Any,
        "program that prints the IPv4 address";
    "ip6_discovery_command": Text = Unset, RefusedUnless(&[], NO_IP6), Any, "program that prints the IPv6 address";
    "memory_profiling": Bool = Is("false"), RefusedUnless(&[], NO_PROFILER), Any, "enable heap profiler endpoints";
    "domain": Json = Unset, Works, Checked(checks::domain, "JSON with fault_domain, region and zone"),
        "fault domain of the agent";
};
