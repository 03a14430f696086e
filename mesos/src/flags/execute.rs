//! Flags of `mesos-execute`.
//!
//! Source: the program of Apache Mesos 1.11, whose flags these are.

use super::spec::Bounds::{Any, OneOf};
use super::spec::DefaultValue::{Is, Required, Unset};
use super::spec::Support::{RefusedUnless, Works};
use super::spec::{FlagSpec, Kind, Rule, flags};
use super::{FlagSet, logging};

/// The program with all its flags.
pub static FLAGS: FlagSet = FlagSet {
    program: "mesos-execute",
    about: "runs one command or task on a cluster and tells how it goes",
    tables: &[logging::HELP, TABLE],
    rules: &[
        Rule::NotTogether("task", "task_group"),
        Rule::NotTogether("task", "name"),
        Rule::NotTogether("task", "command"),
        Rule::NotTogether("task", "env"),
        Rule::NotTogether("task", "volumes"),
        Rule::NotTogether("task_group", "name"),
        Rule::NotTogether("task_group", "command"),
        Rule::NotTogether("task_group", "env"),
        Rule::NotTogether("task_group", "volumes"),
    ],
};

const NO_IMAGES: &str = "containers with images are not supported yet";
const NO_HDFS: &str = "packages in HDFS are not supported";
const NO_VOLUMES: &str = "volumes are not supported yet";
const NO_NETWORKS: &str = "container networks are not supported yet";
const NO_LIMITS: &str = "capabilities and resource limits of the kernel are not supported yet";
const NO_TTY: &str = "terminals are not supported yet";
const NO_AUTHENTICATION: &str = "authentication is not supported yet";

/// Every flag of the program.
pub static TABLE: &[FlagSpec] = flags! {
    "quiet": Bool = Is("false"), Works, Any, "no log output on stderr";
    "logging_level": Text = Is("WARNING"), Works, OneOf(&["INFO", "WARNING", "ERROR"]), "least level on stderr";
    "master": Text = Required, Works, Any, "master to run on, host:port";
    "task": Json = Unset, Works, Any, "the task as JSON, or the path of a file with it";
    "task_group": Json = Unset, Works, Any, "the task group as JSON, or the path of a file with it";
    "name": Text = Unset, Works, Any, "name and id of the task";
    "shell": Bool = Is("true"), Works, Any, "run the command in a shell; else the command is the program";
    "command": Text = Unset, Works, Any, "the command line";
    "env": Json = Unset, Works, Any, "environment of the command as a JSON object";
    "resources": Text = Is("cpus:1;mem:128"), Works, Any, "resources of the task";
    "hadoop": Text = Is("hadoop"), RefusedUnless(&[], NO_HDFS), Any, "hadoop program";
    "hdfs": Text = Is("localhost:9000"), RefusedUnless(&[], NO_HDFS), Any, "HDFS that takes the package";
    "package": Text = Unset, RefusedUnless(&[], NO_HDFS), Any, "package to upload and fetch";
    "overwrite": Bool = Is("false"), RefusedUnless(&[], NO_HDFS), Any, "replace a package that is there";
    "checkpoint": Bool = Is("false"), Works, Any, "let the task survive a restart of its agent";
    "appc_image": Text = Unset, RefusedUnless(&[], NO_IMAGES), Any, "appc image of the container";
    "docker_image": Text = Unset, RefusedUnless(&[], NO_IMAGES), Any, "docker image of the container";
    "framework_capabilities": List = Unset, Works, Any, "further capabilities; only GPU_RESOURCES is accepted";
    "containerizer": Text = Is("mesos"), RefusedUnless(&[], NO_IMAGES), OneOf(&["mesos", "docker"]),
        "containerizer for images";
    "effective_capabilities": Json = Unset, RefusedUnless(&[], NO_LIMITS), Any, "effective kernel capabilities";
    "bounding_capabilities": Json = Unset, RefusedUnless(&[], NO_LIMITS), Any, "bounding kernel capabilities";
    "rlimits": Json = Unset, RefusedUnless(&[], NO_LIMITS), Any, "kernel limits of the task";
    "role": Text = Is("*"), Works, Any, "role to run in";
    "kill_after": Duration = Unset, Works, Any, "kill the task when it has run this long";
    "networks": Text = Unset, RefusedUnless(&[], NO_NETWORKS), Any, "networks of the container";
    "principal": Text = Unset, Works, Any, "principal of the framework";
    "secret": Text = Unset, RefusedUnless(&[], NO_AUTHENTICATION), Any, "secret of the principal";
    "volumes": Json = Unset, RefusedUnless(&[], NO_VOLUMES), Any, "volumes of the container";
    "content_type": Text = Is("protobuf"), Works,
        OneOf(&["protobuf", "json", "application/x-protobuf", "application/json"]), "encoding of calls and events";
    "tty": Bool = Is("false"), RefusedUnless(&[], NO_TTY), Any, "give the command a terminal";
    "partition_aware": Bool = Is("false"), Works, Any, "announce the capability PARTITION_AWARE";
};
