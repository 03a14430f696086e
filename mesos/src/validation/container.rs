//! Rules for descriptions of containers: volumes, secrets, images, networks and limits.

use mesos_proto::v0::mesos::volume::Source;
use mesos_proto::v0::mesos::volume::source::Type as SourceType;
use mesos_proto::v0::mesos::volume::source::sandbox_path::Type as SandboxType;
use mesos_proto::v0::mesos::{ContainerInfo, RLimitInfo, Secret, Volume, container_info, secret};

/// Why a secret is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The type is missing or not known here.
    #[error("`type` is missing or unknown; REFERENCE and VALUE are possible")]
    UnknownType,
    /// The field that belongs to the type is not there.
    #[error("a secret of the type {kind} lacks `{field}`")]
    Missing {
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The field of the other type is there.
    #[error("a secret of the type {kind} cannot have `{field}`")]
    Extra {
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// Why a description of a container is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// The type is missing or not known here.
    #[error("the container has no `type` that is known here; DOCKER and MESOS are possible")]
    UnknownType,
    /// A container of type DOCKER says nothing about its image.
    #[error("the container of type DOCKER lacks `docker`")]
    DockerMissing,
    /// The image has no name.
    #[error("the docker image of the container has an empty name")]
    EmptyImage,
    /// A container of type DOCKER chooses its own name.
    #[error("`docker.parameters` of the container sets `name` to `{name}`; the agent names its containers")]
    ContainerName {
        /// The name.
        name: String,
    },
    /// A volume has no place in the container.
    #[error("a volume has an empty `container_path`")]
    EmptyContainerPath,
    /// A volume says in more than one way what it is.
    #[error("the volume at `{container_path}` may have only one of `host_path`, `image` and `source`")]
    SeveralSources {
        /// Where it should be mounted.
        container_path: String,
    },
    /// The source of a volume has no type that is known here.
    #[error("the volume at `{container_path}` has a source without a type that is known here")]
    UnknownSource {
        /// Where it should be mounted.
        container_path: String,
    },
    /// The source of a volume lacks what its type wants.
    #[error("the volume at `{container_path}` has a source of the type {kind} that lacks `{field}`")]
    SourceMissing {
        /// Where it should be mounted.
        container_path: String,
        /// The type.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The path of a sandbox volume leaves the sandbox.
    #[error("the volume at `{container_path}` takes `{path}` of a sandbox, which must be relative and without `..`")]
    SandboxPath {
        /// Where it should be mounted.
        container_path: String,
        /// The path.
        path: String,
    },
    /// The secret of a volume is malformed.
    #[error("the volume at `{container_path}` has a bad secret")]
    Secret {
        /// Where it should be mounted.
        container_path: String,
        /// What is wrong.
        source: SecretError,
    },
    /// A limit of a process has no type that is known here.
    #[error("a process limit has no type that is known here")]
    UnknownLimit,
    /// A limit of a process stands there twice.
    #[error("the process limit {limit} is given twice")]
    DuplicateLimit {
        /// The limit.
        limit: String,
    },
    /// Only one of the two values of a process limit is there.
    #[error("the process limit {limit} must have both `soft` and `hard`, or neither")]
    HalfLimit {
        /// The limit.
        limit: String,
    },
    /// The soft value is above the hard one.
    #[error("the process limit {limit} has the soft value {soft} above the hard value {hard}")]
    SoftAboveHard {
        /// The limit.
        limit: String,
        /// The soft value.
        soft: u64,
        /// The hard value.
        hard: u64,
    },
    /// A port of a mapping does not exist.
    #[error("a port mapping has the port {port}, which is not one from 0 to 65535")]
    Port {
        /// The port.
        port: u32,
    },
}

/// Checks a secret: it has what its type wants, and only that.
///
/// # Errors
///
/// Names the field that breaks a rule.
pub fn validate_secret(secret: &Secret) -> Result<(), SecretError> {
    let (reference, value) = (secret.reference.is_some(), secret.value.is_some());
    match secret.type_.and_then(|kind| kind.enum_value().ok()) {
        Some(secret::Type::REFERENCE) => match (reference, value) {
            (false, _) => Err(SecretError::Missing {
                kind: "REFERENCE",
                field: "reference",
            }),
            (true, true) => Err(SecretError::Extra {
                kind: "REFERENCE",
                field: "value",
            }),
            (true, false) => Ok(()),
        },
        Some(secret::Type::VALUE) => match (value, reference) {
            (false, _) => Err(SecretError::Missing {
                kind: "VALUE",
                field: "value",
            }),
            (true, true) => Err(SecretError::Extra {
                kind: "VALUE",
                field: "reference",
            }),
            (true, false) => Ok(()),
        },
        Some(secret::Type::UNKNOWN) | None => Err(SecretError::UnknownType),
    }
}

/// Checks a description of a container.
///
/// # Errors
///
/// Names the part that breaks a rule.
pub fn validate_container(container: &ContainerInfo) -> Result<(), ContainerError> {
    match container.type_.and_then(|kind| kind.enum_value().ok()) {
        None => return Err(ContainerError::UnknownType),
        Some(container_info::Type::DOCKER) => {
            let docker = container.docker.as_ref().ok_or(ContainerError::DockerMissing)?;
            if docker.image().is_empty() {
                return Err(ContainerError::EmptyImage);
            }
            if let Some(parameter) = docker.parameters.iter().find(|parameter| parameter.key() == "name") {
                return Err(ContainerError::ContainerName {
                    name: parameter.value().to_owned(),
                });
            }
            for mapping in &docker.port_mappings {
                validate_port(mapping.host_port())?;
                validate_port(mapping.container_port())?;
            }
        }
        Some(container_info::Type::MESOS) => {}
    }
    for mapping in container
        .network_infos
        .iter()
        .flat_map(|network| &network.port_mappings)
    {
        validate_port(mapping.host_port())?;
        validate_port(mapping.container_port())?;
    }
    container.volumes.iter().try_for_each(validate_volume)?;
    container.rlimit_info.as_ref().map_or(Ok(()), validate_limits)
}

fn validate_port(port: u32) -> Result<(), ContainerError> {
    if u16::try_from(port).is_ok() {
        Ok(())
    } else {
        Err(ContainerError::Port { port })
    }
}

/// Checks a volume.
///
/// # Errors
///
/// Names the volume by its place in the container, and the rule.
pub fn validate_volume(volume: &Volume) -> Result<(), ContainerError> {
    let container_path = || volume.container_path().to_owned();
    if volume.container_path().is_empty() {
        return Err(ContainerError::EmptyContainerPath);
    }
    let ways = [volume.has_host_path(), volume.image.is_some(), volume.source.is_some()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(ContainerError::SeveralSources {
            container_path: container_path(),
        });
    }
    let Some(source) = volume.source.as_ref() else {
        return Ok(());
    };
    let Some(kind) = source.type_.and_then(|kind| kind.enum_value().ok()) else {
        return Err(ContainerError::UnknownSource {
            container_path: container_path(),
        });
    };
    let (kind_name, field, present) = match kind {
        SourceType::UNKNOWN => {
            return Err(ContainerError::UnknownSource {
                container_path: container_path(),
            });
        }
        SourceType::DOCKER_VOLUME => ("DOCKER_VOLUME", "docker_volume", source.docker_volume.is_some()),
        SourceType::HOST_PATH => ("HOST_PATH", "host_path", source.host_path.is_some()),
        SourceType::SANDBOX_PATH => ("SANDBOX_PATH", "sandbox_path", source.sandbox_path.is_some()),
        SourceType::SECRET => ("SECRET", "secret", source.secret.is_some()),
        SourceType::CSI_VOLUME => ("CSI_VOLUME", "csi_volume", source.csi_volume.is_some()),
    };
    let csi = source.csi_volume.as_ref();
    let (field, present) = match csi.filter(|_| kind == SourceType::CSI_VOLUME) {
        Some(volume) => ("csi_volume.static_provisioning", volume.static_provisioning.is_some()),
        None => (field, present),
    };
    if !present {
        return Err(ContainerError::SourceMissing {
            container_path: container_path(),
            kind: kind_name,
            field,
        });
    }
    validate_source(source, &container_path)
}

fn validate_source(source: &Source, container_path: &dyn Fn() -> String) -> Result<(), ContainerError> {
    if let Some(secret) = source.secret.as_ref() {
        let wrong = |source| ContainerError::Secret {
            container_path: container_path(),
            source,
        };
        validate_secret(secret).map_err(wrong)?;
    }
    let Some(sandbox) = source.sandbox_path.as_ref() else {
        return Ok(());
    };
    let kind = sandbox.type_.and_then(|kind| kind.enum_value().ok());
    if kind.is_none_or(|kind| kind == SandboxType::UNKNOWN) {
        let container_path = container_path();
        return Err(ContainerError::SourceMissing {
            container_path,
            kind: "SANDBOX_PATH",
            field: "sandbox_path.type",
        });
    }
    let path = sandbox.path();
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(ContainerError::SandboxPath {
            container_path: container_path(),
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn validate_limits(limits: &RLimitInfo) -> Result<(), ContainerError> {
    let mut seen = Vec::new();
    for limit in &limits.rlimits {
        let kind = limit.type_.and_then(|kind| kind.enum_value().ok());
        let name = kind.map(|kind| format!("{kind:?}")).filter(|name| name != "UNKNOWN");
        let name = name.ok_or(ContainerError::UnknownLimit)?;
        if seen.contains(&name) {
            return Err(ContainerError::DuplicateLimit { limit: name });
        }
        match (limit.soft, limit.hard) {
            (Some(soft), Some(hard)) if soft > hard => {
                return Err(ContainerError::SoftAboveHard {
                    limit: name,
                    soft,
                    hard,
                });
            }
            (Some(_), None) | (None, Some(_)) => return Err(ContainerError::HalfLimit { limit: name }),
            (Some(_), Some(_)) | (None, None) => {}
        }
        seen.push(name);
    }
    Ok(())
}
