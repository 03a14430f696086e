//! Flags of the agent about containers: launchers, isolators, images, networks, disks, the fetcher.
//!
//! Source: shared facts, `flags_agent.tsv`, `containerizer_isolators.tsv`.

use super::environment;
use super::spec::Bounds::{Any, OneOf};
use super::spec::DefaultValue::{Computed, Is, Unset};
use super::spec::Support::{OnlyItems, RefusedUnless, Works};
use super::spec::{FlagSpec, Kind, flags};

/// The isolators that work.
pub const ISOLATORS: &[&str] = &[
    "posix/cpu",
    "posix/mem",
    "posix/rlimits",
    "posix/disk",
    "disk/du",
    "filesystem/posix",
    "environment_secret",
    "process",
];

const NO_ISOLATORS: &str = "other isolators are not there yet";
const NO_PROVIDERS: &str = "resource providers are not there yet";
const NO_LINUX_LAUNCHER: &str = "containers are plain processes yet, without namespaces and cgroups";
const NO_IMAGES: &str = "container images are not there yet";
const NO_DOCKER: &str = "the docker containerizer is not there yet";
const NO_FETCHER_CACHE: &str = "the fetcher does not cache yet";
const NO_HADOOP: &str = "the fetcher does not read from hadoop yet";
const NO_VOLUMES: &str = "shared volumes with groups of their own are not there yet";
const NO_CGROUPS: &str = "isolation through cgroups is not there yet";
const NO_NAMESPACES: &str = "containers with a file system, namespaces or capabilities of their own are not there yet";
const NO_NETWORK_ISOLATORS: &str = "network isolation is not there yet";
const NO_DISK_ISOLATORS: &str = "disk isolation is not there yet";
const NO_SECRETS: &str = "secrets are not resolved yet";
const NO_MODULES: &str = environment::NO_MODULES;

fn in_temporary(path: &str) -> String {
    std::env::temp_dir().join(path).to_string_lossy().into_owned()
}

fn appc_store_dir() -> String {
    in_temporary("mesos/store/appc")
}

fn docker_store_dir() -> String {
    in_temporary("mesos/store/docker")
}

fn fetcher_cache_dir() -> String {
    in_temporary("mesos/fetch")
}

fn launcher() -> String {
    "posix".to_owned()
}

/// The flags about containers.
pub static TABLE: &[FlagSpec] = flags! {
    "resource_provider_config_dir": Text = Unset, RefusedUnless(&[], NO_PROVIDERS), Any,
        "JSON files describing local resource providers";
    "csi_plugin_config_dir": Text = Unset, RefusedUnless(&[], NO_PROVIDERS), Any, "JSON files describing CSI plugins";
    "disk_profile_adaptor": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "disk profile adaptor module";
    "isolation": Text = Is("posix/cpu,posix/mem"), OnlyItems(ISOLATORS, NO_ISOLATORS), Any,
        "isolators to use, comma separated";
    "launcher": Text = Computed("linux if available, else posix", launcher),
        RefusedUnless(&["posix"], NO_LINUX_LAUNCHER), OneOf(&["posix", "linux"]), "container launcher";
    "image_providers": Text = Unset, RefusedUnless(&[], NO_IMAGES), Any, "image kinds supported: appc, docker";
    "image_provisioner_backend": Text = Unset, RefusedUnless(&[], NO_IMAGES),
        OneOf(&["copy", "bind", "aufs", "overlay"]), "root file system backend; unset picks best available";
    "image_gc_config": Json = Unset, RefusedUnless(&[], NO_IMAGES), Any, "automatic image pruning config";
    "appc_simple_discovery_uri_prefix": Text = Is("http://"), RefusedUnless(&[], NO_IMAGES), Any,
        "prefix for appc discovery";
    "appc_store_dir": Text = Computed("(tmp)/mesos/store/appc", appc_store_dir), RefusedUnless(&[], NO_IMAGES), Any,
        "appc image store";
    "docker_registry": Text = Is("https://registry-1.docker.io"), RefusedUnless(&[], NO_IMAGES), Any,
        "default registry URL or local tar directory";
    "docker_store_dir": Text = Computed("(tmp)/mesos/store/docker", docker_store_dir), RefusedUnless(&[], NO_IMAGES),
        Any, "docker image store";
    "docker_volume_checkpoint_dir": Text = Is("/var/run/mesos/isolators/docker/volume"), RefusedUnless(&[], NO_DOCKER),
        Any, "docker volume isolator state";
    "docker_volume_chown": Bool = Is("false"), RefusedUnless(&[], NO_DOCKER), Any,
        "chown docker volumes to container user";
    "docker_ignore_runtime": Bool = Is("false"), RefusedUnless(&[], NO_DOCKER), Any,
        "ignore image entrypoint, cmd, env, workdir";
    "fetcher_cache_size": Bytes = Is("2GB"), RefusedUnless(&["0B"], NO_FETCHER_CACHE), Any,
        "fetcher cache size; 0 disables";
    "fetcher_cache_dir": Text = Computed("(tmp)/mesos/fetch", fetcher_cache_dir), RefusedUnless(&[], NO_FETCHER_CACHE),
        Any, "fetcher cache location";
    "fetcher_stall_timeout": Duration = Is("1mins"), Works, Any, "abort stalled downloads after this";
    "hadoop_home": Text = Unset, RefusedUnless(&[], NO_HADOOP), Any, "hadoop for hdfs URIs";
    "volume_gid_range": Text = Unset, RefusedUnless(&[], NO_VOLUMES), Any, "group ids for shared volumes of non-root";
    "container_logger": Text = Unset, RefusedUnless(&[], NO_MODULES), Any, "container logger module";
    "cgroups_destroy_timeout": Duration = Is("1mins"), RefusedUnless(&[], NO_CGROUPS), Any,
        "limit for destroying a cgroup";
    "cgroups_hierarchy": Text = Is("/sys/fs/cgroup"), RefusedUnless(&[], NO_CGROUPS), Any, "cgroup mount root";
    "cgroups_root": Text = Is("mesos"), RefusedUnless(&[], NO_CGROUPS), Any, "name of the mesos root cgroup";
    "cgroups_enable_cfs": Bool = Is("false"), RefusedUnless(&[], NO_CGROUPS), Any, "hard CPU limits through CFS";
    "cgroups_limit_swap": Bool = Is("false"), RefusedUnless(&[], NO_CGROUPS), Any, "limit memory plus swap";
    "cgroups_cpu_enable_pids_and_tids_count": Bool = Is("false"), RefusedUnless(&[], NO_CGROUPS), Any,
        "count processes and threads in statistics";
    "cgroups_net_cls_primary_handle": Text = Unset, RefusedUnless(&[], NO_CGROUPS), Any, "net_cls primary handle";
    "cgroups_net_cls_secondary_handles": Text = Unset, RefusedUnless(&[], NO_CGROUPS), Any,
        "net_cls secondary handle range";
    "allowed_devices": Json = Unset, RefusedUnless(&[], NO_CGROUPS), Any, "devices every container may use, JSON";
    "agent_subsystems" | "slave_subsystems": Text = Unset, RefusedUnless(&[], NO_CGROUPS), Any,
        "cgroup subsystems the agent itself joins";
    "host_path_volume_force_creation": Text = Unset, RefusedUnless(&[], NO_NAMESPACES), Any,
        "host path prefixes created when missing";
    "nvidia_gpu_devices": UintList = Unset, RefusedUnless(&[], NO_CGROUPS), Any, "GPU indices for the gpus resource";
    "perf_events": Text = Unset, RefusedUnless(&[], NO_CGROUPS), Any, "perf events to sample";
    "perf_interval": Duration = Is("1mins"), RefusedUnless(&[], NO_CGROUPS), Any, "time between samples";
    "perf_duration": Duration = Is("10secs"), RefusedUnless(&[], NO_CGROUPS), Any, "length of one sample";
    "revocable_cpu_low_priority": Bool = Is("true"), RefusedUnless(&[], NO_CGROUPS), Any,
        "lower shares for revocable CPU";
    "systemd_enable_support": Bool = Is("true"), RefusedUnless(&["false"], NO_CGROUPS), Any,
        "use systemd slices for executors";
    "systemd_runtime_directory": Text = Is("/run/systemd/system"), RefusedUnless(&[], NO_CGROUPS), Any,
        "systemd runtime directory";
    "effective_capabilities" | "allowed_capabilities": Json = Unset, RefusedUnless(&[], NO_NAMESPACES), Any,
        "capabilities granted by default";
    "bounding_capabilities": Json = Unset, RefusedUnless(&[], NO_NAMESPACES), Any, "upper bound of capabilities";
    "default_container_shm_size": Bytes = Unset, RefusedUnless(&[], NO_NAMESPACES), Any, "size of private /dev/shm";
    "disallow_sharing_agent_ipc_namespace": Bool = Is("false"), RefusedUnless(&[], NO_NAMESPACES), Any,
        "force private IPC for top-level containers";
    "disallow_sharing_agent_pid_namespace": Bool = Is("false"), RefusedUnless(&[], NO_NAMESPACES), Any,
        "force private PID namespace for top-level containers";
    "containerizers": Text = Is("mesos"), OnlyItems(&["mesos"], NO_DOCKER), Any,
        "containerizers in order: mesos, docker";
    "docker": Text = Is("docker"), RefusedUnless(&[], NO_DOCKER), Any, "docker client binary";
    "docker_remove_delay": Duration = Is("6hrs"), RefusedUnless(&[], NO_DOCKER), Any,
        "time until exited containers are removed";
    "docker_kill_orphans": Bool = Is("true"), RefusedUnless(&[], NO_DOCKER), Any, "kill unknown containers at recovery";
    "docker_mesos_image": Text = Unset, RefusedUnless(&[], NO_DOCKER), Any,
        "image to run executors when agent is containerized";
    "docker_socket": Text = Is("/var/run/docker.sock"), RefusedUnless(&[], NO_DOCKER), Any, "docker daemon socket";
    "docker_config": Json = Unset, RefusedUnless(&[], NO_DOCKER), Any, "docker registry credentials, JSON";
    "sandbox_directory": Text = Is("/mnt/mesos/sandbox"), RefusedUnless(&[], NO_NAMESPACES), Any,
        "sandbox path inside the container";
    "default_container_dns": Json = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "default DNS per network, JSON";
    "default_container_info": Json = Unset, RefusedUnless(&[], NO_NAMESPACES), Any,
        "ContainerInfo for executors without one, JSON";
    "docker_stop_timeout": Duration = Is("0ns"), RefusedUnless(&[], NO_DOCKER), Any, "docker stop grace; 0 kills";
    "ephemeral_ports_per_container": Uint16 = Is("1024"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "port mapping isolator share";
    "eth0_name": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "public interface";
    "lo_name": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "loopback interface";
    "egress_rate_limit_per_container": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "fixed egress rate, bytes per second";
    "egress_rate_per_cpu": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "egress rate per cpu or auto";
    "minimum_egress_rate_limit": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "floor of scaled egress rate";
    "maximum_egress_rate_limit": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "ceiling of scaled egress rate";
    "egress_ceil_limit": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "egress burst ceiling rate";
    "egress_burst": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "egress burst size";
    "egress_unique_flow_per_container": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "own flow per container";
    "egress_flow_classifier_parent": Text = Is("root"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "tc parent for flow classifier";
    "ingress_rate_limit_per_container": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "fixed ingress rate";
    "ingress_rate_per_cpu": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "ingress rate per cpu or auto";
    "minimum_ingress_rate_limit": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "floor of scaled ingress rate";
    "maximum_ingress_rate_limit": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "ceiling of scaled ingress rate";
    "ingress_ceil_limit": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "ingress burst ceiling rate";
    "ingress_burst": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "ingress burst size";
    "ingress_isolate_existing_containers": Bool = Is("true"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "apply ingress isolation to recovered containers";
    "network_link_speed": Bytes = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "link speed for auto rates";
    "network_enable_socket_statistics_summary": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "collect socket summary";
    "network_enable_socket_statistics_details": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "collect socket details";
    "network_enable_snmp_statistics": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "collect SNMP counters";
    "network_enable_rate_statistics": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "collect rate statistics";
    "network_rate_statistics_window": Duration = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "rate window";
    "network_rate_statistics_interval": Duration = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "rate sample period";
    "container_ports_watch_interval": Duration = Is("30secs"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "network/ports check period";
    "check_agent_port_range_only": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "only ports inside agent ports resource";
    "enforce_container_ports": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "kill containers using ports not theirs";
    "container_ports_isolated_range": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "ports under isolation; overrides range check";
    "network_cni_plugins_dir": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "CNI plugin search path, colon separated";
    "network_cni_config_dir": Text = Unset, RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any, "CNI network configs";
    "network_cni_root_dir_persist": Bool = Is("false"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "keep CNI state over reboot in work_dir";
    "network_cni_metrics": Bool = Is("true"), RefusedUnless(&[], NO_NETWORK_ISOLATORS), Any,
        "publish CNI container network metrics";
    "container_disk_watch_interval": Duration = Is("15secs"), Works, Any,
        "disk usage check period";
    "enforce_container_disk_quota": Bool = Is("false"), Works, Any,
        "kill containers above disk quota";
    "secret_resolver": Text = Unset, RefusedUnless(&[], NO_SECRETS), Any, "secret resolver module";
    "xfs_project_range": Text = Is("[5000-10000]"), RefusedUnless(&[], NO_DISK_ISOLATORS), Any, "XFS project ids";
    "xfs_kill_containers": Bool = Is("false"), RefusedUnless(&[], NO_DISK_ISOLATORS), Any,
        "kill containers above XFS quota";
    "xfs_quota_headroom": Bytes = Is("10MB"), RefusedUnless(&[], NO_DISK_ISOLATORS), Any,
        "extra space above quota when killing";
    "seccomp_config_dir": Text = Unset, RefusedUnless(&[], NO_NAMESPACES), Any, "seccomp profiles";
    "seccomp_profile_name": Text = Unset, RefusedUnless(&[], NO_NAMESPACES), Any, "default seccomp profile";
};
