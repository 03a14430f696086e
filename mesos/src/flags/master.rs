//! Flags of the master.
//!
//! Source: shared facts, `flags_master.tsv`.

use super::checks;
use super::spec::Bounds::{AboveZero, Any, AtLeast, Between, Checked, OneOf, Within};
use super::spec::DefaultValue::{Computed, Instead, Is, Unset};
use super::spec::Support::{RefusedUnless, Works};
use super::spec::{FlagSpec, Kind, Rule, flags};
use super::{FlagSet, environment, logging};

/// The master with all its flags.
pub static FLAGS: FlagSet = FlagSet {
    program: "mesos-master",
    about: "keeps track of agents and frameworks and offers the resources of the ones to the others",
    tables: &[logging::HELP, logging::LOGGING, TABLE],
    rules: &[
        Rule::NotTogether("modules", "modules_dir"),
        Rule::NotTogether("ip", "ip_discovery_command"),
        Rule::NotTogether("zk", "master_detector"),
        Rule::Same("role_sorter", "framework_sorter"),
    ],
};

const NO_LOG: &str = "the replicated log is not there yet; one master keeps its registry on its own disk";
const NO_ZOOKEEPER: &str = environment::NO_ZOOKEEPER;
const BUILT_IN_PAGE: &str = "the web page is built into the program";
const NO_AUTHENTICATION: &str = environment::NO_AUTHENTICATION;
const NO_AUTHORIZATION: &str = environment::NO_AUTHORIZATION;
const NO_FIREWALL: &str = environment::NO_FIREWALL;
const NO_MODULES: &str = environment::NO_MODULES;
const NO_NETWORK_ISOLATOR: &str = "the isolator that needs the limit is not there yet";
const NO_PROFILER: &str = environment::NO_PROFILER;
const NO_DISCOVERY_COMMAND: &str = environment::NO_DISCOVERY_COMMAND;

fn webui_dir() -> String {
    "/usr/local/share/mesos/webui".to_owned()
}

/// The flags that only the master has.
pub static TABLE: &[FlagSpec] = flags! {
    "version": Bool = Is("false"), Works, Any, "print version and exit";
    "hostname": Text = Unset, Works, Any, "name advertised in web UI and MasterInfo";
    "hostname_lookup": Bool = Is("true"), Works, Any, "resolve hostname from IP when hostname unset; else IP";
    "root_submissions": Bool = Is("true"), Works, Any, "may root run frameworks";
    "work_dir": Text = Unset, Works, Any, "where the registry lives";
    "registry": Text = Instead("replicated_log", "disk", NO_LOG), RefusedUnless(&["in_memory"], NO_LOG),
        OneOf(&["disk", "in_memory", "replicated_log"]), "registry storage kind: files in work_dir, or memory";
    "quorum": Int = Unset, RefusedUnless(&[], NO_LOG), Within(1.0, f64::INFINITY),
        "replicas needed for the log; majority of masters";
    "zk_session_timeout": Duration = Is("10secs"), RefusedUnless(&[], NO_ZOOKEEPER), Any, "ZooKeeper session timeout";
    "registry_strict": Bool = Is("false"), Works, Checked(checks::not_true, "false"), "obsolete; true is refused";
    "registry_fetch_timeout": Duration = Is("1mins"), Works, Any, "limit for reading the registry at recovery";
    "registry_store_timeout": Duration = Is("20secs"), Works, Any, "limit for one registry write";
    "log_auto_initialize": Bool = Is("true"), RefusedUnless(&[], NO_LOG), Any,
        "initialize an empty replicated log automatically";
    "agent_reregister_timeout" | "slave_reregister_timeout": Duration = Is("10mins"), Works, AtLeast("10mins"),
        "wait after failover before agents count as unreachable";
    "recovery_agent_removal_limit" | "recovery_slave_removal_limit": Text = Is("100%"), Works,
        Checked(checks::percent, "0% to 100%"),
        "abort if a larger share of agents would be removed";
    "agent_removal_rate_limit" | "slave_removal_rate_limit": Text = Unset, Works,
        Checked(checks::rate, "N/DURATION, as in 1/10mins"), "rate of marking unhealthy agents unreachable";
    "webui_dir": Text = Computed("(install prefix)/share/mesos/webui", webui_dir), RefusedUnless(&[], BUILT_IN_PAGE),
        Any, "web UI files";
    "whitelist": Path = Unset, Works, Any,
        "file with agent hostnames that may get offers; * for all";
    "role_sorter" | "user_sorter": Text = Is("drf"), Works, OneOf(&["drf", "random"]),
        "sorter between roles";
    "framework_sorter": Text = Is("drf"), Works, OneOf(&["drf", "random"]),
        "sorter inside a role";
    "allocation_interval": Duration = Is("1secs"), Works, AboveZero, "time between allocation rounds";
    "cluster": Text = Unset, Works, Any, "cluster name shown in the UI";
    "roles": Text = Unset, Works, Checked(checks::role_list, "roles separated by commas"),
        "fixed list of allowed roles; unset means any";
    "weights": Text = Unset, Works, Checked(checks::weights, "role=weight,role=weight"),
        "initial role weights; superseded by weights endpoint";
    "authenticate_frameworks" | "authenticate": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require SASL from schedulers";
    "authenticate_agents" | "authenticate_slaves": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require SASL from agents";
    "authentication_v0_timeout": Duration = Is("15secs"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "limit of one SASL exchange";
    "authenticate_http_readwrite" | "authenticate_http": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require HTTP authentication on mutating endpoints";
    "authenticate_http_readonly": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require HTTP authentication on read endpoints";
    "authenticate_http_frameworks": Bool = Is("false"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "require HTTP authentication on scheduler API";
    "credentials": Path = Unset, RefusedUnless(&[], NO_AUTHENTICATION), Any, "principals and secrets, text or JSON";
    "acls": Json = Unset, RefusedUnless(&[], NO_AUTHORIZATION), Any, "access control lists";
    "firewall_rules": Json = Unset, RefusedUnless(&[], NO_FIREWALL), Any, "endpoints to disable";
    "rate_limits": Json = Unset, Works, Any, "per principal message rates";
    "max_executors_per_agent" | "max_executors_per_slave": Uint = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATOR), Any,
        "network isolator build only; executor cap per agent";
    "offer_timeout": Duration = Unset, Works, AboveZero, "rescind unused offers after this";
    "modules": Json = Unset, RefusedUnless(&[], NO_MODULES), Any, "modules to load";
    "modules_dir": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "directory of module description files";
    "authenticators": Text = Is("crammd5"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "SASL authenticator implementation";
    "allocator": Text = Is("hierarchical"), RefusedUnless(&[], NO_MODULES), Any, "allocator implementation";
    "allocator_agent_recovery_factor": Float = Is("0.8"), Works, Within(0.0, 1.0),
        "share of agents that ends allocation hold early";
    "allocator_recovery_timeout": Duration = Is("10mins"), Works, Any,
        "longest allocation hold after failover with quota";
    "fair_sharing_excluded_resource_names": List = Unset, Works, Any, "resources ignored by fair sharing";
    "filter_gpu_resources": Bool = Is("true"), Works, Any, "keep GPU agents from frameworks lacking GPU_RESOURCES";
    "min_allocatable_resources": Text = Is("cpus:0.01|mem:32"), Works,
        Checked(checks::min_allocatable, "alternatives such as cpus:0.01|mem:32"),
        "smallest offers worth making; alternatives separated by bar";
    "hooks": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "hook modules to install";
    "agent_ping_timeout" | "slave_ping_timeout": Duration = Is("15secs"), Works, Between("1secs", "15mins"),
        "time an agent has to answer a ping";
    "max_agent_ping_timeouts" | "max_slave_ping_timeouts": Uint = Is("5"), Works, Within(1.0, f64::INFINITY),
        "missed pings until unreachable";
    "authorizers": Text = Is("local"), RefusedUnless(&[], NO_AUTHORIZATION), Any, "authorizer implementation";
    "http_authenticators": Text = Is("basic"), RefusedUnless(&[], NO_AUTHENTICATION), Any,
        "HTTP authenticators of the two realms";
    "http_framework_authenticators": Text = Unset, RefusedUnless(&["basic"], NO_AUTHENTICATION), Any,
        "HTTP authenticator of the scheduler realm";
    "max_operator_event_stream_subscribers": Uint = Is("1000"), Works, Any,
        "most operator event streams at once";
    "max_completed_frameworks": Uint = Is("50"), Works, Any, "finished frameworks remembered";
    "max_completed_tasks_per_framework": Uint = Is("1000"), Works, Any, "finished tasks remembered per framework";
    "max_unreachable_tasks_per_framework": Uint = Is("1000"), Works, Any, "unreachable tasks remembered per framework";
    "master_contender": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "contender module";
    "master_detector": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "detector module";
    "registry_gc_interval": Duration = Is("15mins"), Works, AboveZero,
        "how often old unreachable and gone entries are pruned";
    "registry_max_agent_age": Duration = Is("2weeks"), Works, Any,
        "age at which such entries may go";
    "registry_max_agent_count": Uint = Is("102400"), Works, Any, "entries kept at most";
    "ip": Text = Unset, Works, Checked(checks::ipv4, "an IPv4 address"), "address to listen on";
    "port": Uint16 = Is("5050"), Works, Any, "port to listen on";
    "advertise_ip": Text = Unset, Works, Checked(checks::ipv4, "an IPv4 address"), "address told to others";
    "advertise_port": Text = Unset, Works, Checked(checks::port, "0 to 65535"), "port told to others";
    "memory_profiling": Bool = Is("false"), RefusedUnless(&[], NO_PROFILER), Any, "enable heap profiler endpoints";
    "zk": TextOrFile = Unset, RefusedUnless(&[], NO_ZOOKEEPER), Any, "ZooKeeper URL, or file:// holding it";
    "ip_discovery_command": Text = Unset, RefusedUnless(&[], NO_DISCOVERY_COMMAND), Any,
        "program that prints the address to bind";
    "require_agent_domain": Bool = Is("false"), Works, Any, "refuse agents without a domain";
    "publish_per_framework_metrics": Bool = Is("true"), Works, Any, "publish metrics per framework";
    "domain": Json = Unset, Works, Checked(checks::domain, "JSON with fault_domain, region and zone"),
        "fault domain of the master";
    "offer_constraints_re2_max_mem": Bytes = Is("4KB"), Works, Any,
        "memory cap per constraint regex";
    "offer_constraints_re2_max_program_size": Int = Is("100"), Works, Within(0.0, f64::INFINITY),
        "program size cap per constraint regex";
};
