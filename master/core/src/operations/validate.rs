//! Which operations may be asked for. Whether the resources are there is found out by applying them.

use std::collections::BTreeSet;

use mesos::ids::ResourceProviderId;
use mesos::resources::{Conversion, Resource, conversions};
use mesos::validation::disk::validate_disk;
use mesos::validation::operation::validate_operation;
use mesos_proto::v0::mesos as proto;
use mesos_proto::v0::mesos::offer::Operation;
use mesos_proto::v0::mesos::offer::operation::{CreateDisk, Type};
use mesos_proto::v0::mesos::volume::Mode;

use super::kind::{named_resources, provider_of, twofold_resources};
use super::refusal::Refusal;
use crate::model::{Agent, Framework};

/// Who asks for an operation.
#[derive(Clone, Copy)]
pub(super) enum Requester<'a> {
    /// A framework, with its offers.
    Framework(&'a Framework),
    /// An operator, with the principal of the request.
    Operator(Option<&'a str>),
}

impl<'a> Requester<'a> {
    fn principal(self) -> Option<&'a str> {
        match self {
            Self::Framework(framework) => framework.info.principal.as_deref(),
            Self::Operator(principal) => principal,
        }
    }
}

/// Where an operation would take place, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) agent: &'a Agent,
    pub(super) requester: Requester<'a>,
}

/// Checks the resources of an operation as they came, before they are brought into the one form. Of launches only what
/// that would hide is looked at: the rest is checked with their tasks.
pub(super) fn validate_sent(operation: &Operation) -> Result<(), Refusal> {
    let named = named_resources(operation).into_iter();
    for resource in named.chain(twofold_resources(operation)) {
        Resource::from_protobuf(resource)?;
    }
    Ok(())
}

/// Checks an operation, in post-refinement form and with allocation, and gives what it converts.
pub(super) fn validate(operation: &Operation, at: &Circumstances<'_>) -> Result<Vec<Conversion>, Refusal> {
    validate_operation(operation)?;
    let resources = read(&named_resources(operation))?;
    resources.iter().try_for_each(validate_disk)?;
    at.check_provider(operation)?;
    at.check_allocation(&resources)?;
    match operation.type_() {
        Type::RESERVE => at.check_reserve(operation)?,
        Type::UNRESERVE => check_unreserve(&resources)?,
        Type::CREATE => at.check_create(&operation.create.volumes)?,
        Type::DESTROY => at.check_destroy(&resources)?,
        Type::GROW_VOLUME => at.check_grow(operation)?,
        Type::SHRINK_VOLUME => at.check_resize("SHRINK_VOLUME", &read_one(&operation.shrink_volume.volume)?)?,
        Type::CREATE_DISK => check_create_disk(&operation.create_disk)?,
        Type::DESTROY_DISK => check_destroy_disk(&read_one(&operation.destroy_disk.source)?)?,
        Type::LAUNCH | Type::LAUNCH_GROUP | Type::UNKNOWN => {}
    }
    Ok(conversions(operation)?)
}

fn read(messages: &[&proto::Resource]) -> Result<Vec<Resource>, Refusal> {
    let each = messages.iter().map(|message| Resource::from_protobuf(message));
    Ok(each.collect::<Result<_, _>>()?)
}

fn read_all(messages: &[proto::Resource]) -> Result<Vec<Resource>, Refusal> {
    read(&messages.iter().collect::<Vec<_>>())
}

fn read_one(message: &proto::Resource) -> Result<Resource, Refusal> {
    Ok(Resource::from_protobuf(message)?)
}

impl Circumstances<'_> {
    /// One operation works on resources of one provider, which the agent must host.
    fn check_provider(&self, operation: &Operation) -> Result<(), Refusal> {
        let provider = provider_of(operation);
        let same =
            |resource: &&proto::Resource| resource.provider_id.as_ref().map(ResourceProviderId::from) == provider;
        if !named_resources(operation).iter().all(same) {
            return Err(Refusal::MixedProviders);
        }
        match provider {
            Some(provider) if !self.agent.resource_providers.contains_key(&provider) => {
                Err(Refusal::UnknownProvider(provider))
            }
            None if self.agent.capabilities.resource_provider && self.agent.resource_version.is_none() => {
                Err(Refusal::NoResourceVersion(self.agent.id.clone()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Frameworks work on what is allocated to one of their roles, operators on what is allocated to nobody.
    fn check_allocation(&self, resources: &[Resource]) -> Result<(), Refusal> {
        let mut seen: Option<&str> = None;
        for resource in resources {
            match (self.requester, resource.allocation_role()) {
                (Requester::Operator(_), None) => {}
                (Requester::Operator(_), Some(_)) => return Err(Refusal::Allocated(resource.to_string())),
                (Requester::Framework(_), None) => return Err(Refusal::NotAllocated(resource.to_string())),
                (Requester::Framework(_), Some(role)) => match seen {
                    Some(first) if first != role => {
                        let (first, second) = (first.to_owned(), role.to_owned());
                        return Err(Refusal::MixedRoles { first, second });
                    }
                    Some(_) | None => seen = Some(role),
                },
            }
        }
        Ok(())
    }

    /// Roles with slashes and stacks of reservations need an agent that understands them.
    fn check_agent_understands(&self, resource: &Resource) -> Result<(), Refusal> {
        let lacks = |capability| {
            let (agent, resource) = (self.agent.id.clone(), resource.to_string());
            Err(Refusal::AgentLacks {
                agent,
                capability,
                resource,
            })
        };
        let hierarchical = resource.reservation_role().is_some_and(|role| role.contains('/'));
        if hierarchical && !self.agent.capabilities.hierarchical_role {
            return lacks("HIERARCHICAL_ROLE");
        }
        if resource.has_refined_reservations() && !self.agent.capabilities.reservation_refinement {
            return lacks("RESERVATION_REFINEMENT");
        }
        Ok(())
    }

    fn check_principal(&self, resource: &Resource, field: &'static str, found: Option<&str>) -> Result<(), Refusal> {
        let Some(principal) = self.requester.principal() else {
            return Ok(());
        };
        let (resource, principal_text) = (|| resource.to_string(), || principal.to_owned());
        match found {
            Some(found) if found == principal => Ok(()),
            Some(found) => Err(Refusal::OtherPrincipal {
                resource: resource(),
                field,
                found: found.to_owned(),
                principal: principal_text(),
            }),
            None => Err(Refusal::PrincipalMissing {
                resource: resource(),
                field,
                principal: principal_text(),
            }),
        }
    }

    fn check_reserve(&self, operation: &Operation) -> Result<(), Refusal> {
        let reserve = &operation.reserve;
        let resources = read_all(&reserve.resources)?;
        if !reserve.source.is_empty() {
            check_replacement(&read_all(&reserve.source)?, &resources)?;
        }
        for resource in &resources {
            self.check_agent_understands(resource)?;
            let reservation = resource.reservations().last();
            let principal = reservation.and_then(|reservation| reservation.principal.as_deref());
            self.check_principal(resource, "reservation principal", principal)?;
            self.check_reserved_role(resource)?;
        }
        Ok(())
    }

    /// A framework reserves for the role that the offer was made to, which must be one of its own.
    fn check_reserved_role(&self, resource: &Resource) -> Result<(), Refusal> {
        let Requester::Framework(framework) = self.requester else {
            return Ok(());
        };
        let (allocated, reserved) = (resource.allocation_role(), resource.reservation_role());
        if allocated != reserved {
            return Err(Refusal::OtherRole {
                resource: resource.to_string(),
                reserved: reserved.unwrap_or_default().to_owned(),
                allocated: allocated.unwrap_or_default().to_owned(),
            });
        }
        match reserved {
            Some(role) if !framework.roles.contains(role) => {
                let roles: Vec<&str> = framework.roles.iter().map(String::as_str).collect();
                Err(Refusal::ForeignRole {
                    role: role.to_owned(),
                    roles: roles.join(", "),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_create(&self, messages: &[proto::Resource]) -> Result<(), Refusal> {
        let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
        for volume in self.agent.checkpointed.iter().filter(|own| own.is_persistent_volume()) {
            seen.insert(name_of(volume));
        }
        for volume in read_all(messages)? {
            if is_read_only(&volume) {
                return Err(Refusal::ReadOnlyVolume(volume.to_string()));
            }
            let (role, id) = name_of(&volume);
            if !seen.insert((role.clone(), id.clone())) {
                return Err(Refusal::DuplicateVolume { id, role });
            }
            if let Requester::Framework(framework) = self.requester
                && volume.is_shared()
                && !framework.capabilities.shared_resources
            {
                return Err(Refusal::SharedVolume(volume.to_string()));
            }
            self.check_agent_understands(&volume)?;
            let disk = volume.disk();
            let persistence = disk.and_then(|disk| disk.persistence.as_ref());
            let principal = persistence.and_then(|persistence| persistence.principal.as_deref());
            self.check_principal(&volume, "disk.persistence.principal", principal)?;
        }
        Ok(())
    }

    /// A volume is destroyed only when it is there and no task or executor uses it.
    fn check_destroy(&self, volumes: &[Resource]) -> Result<(), Refusal> {
        for volume in volumes {
            let volume = volume.with_allocation(None);
            if volume.provider_id().is_none() && !self.agent.checkpointed.contains_resource(&volume) {
                return Err(Refusal::unknown_volume(&volume));
            }
            let mut used = self.agent.used.values();
            if used.any(|used| used.unallocate().contains_resource(&volume)) {
                return Err(Refusal::VolumeInUse(volume.to_string()));
            }
        }
        Ok(())
    }

    fn check_grow(&self, operation: &Operation) -> Result<(), Refusal> {
        let addition = read_one(&operation.grow_volume.addition)?;
        if addition.is_empty() {
            return Err(Refusal::EmptyAddition(addition.to_string()));
        }
        self.check_resize("GROW_VOLUME", &read_one(&operation.grow_volume.volume)?)
    }

    fn check_resize(&self, operation: &'static str, volume: &Resource) -> Result<(), Refusal> {
        if volume.provider_id().is_some() {
            let volume = volume.to_string();
            return Err(Refusal::ProviderVolume { operation, volume });
        }
        if is_read_only(volume) {
            return Err(Refusal::ReadOnlyVolume(volume.to_string()));
        }
        if self.agent.capabilities.resize_volume {
            return Ok(());
        }
        Err(Refusal::AgentLacks {
            agent: self.agent.id.clone(),
            capability: "RESIZE_VOLUME",
            resource: volume.to_string(),
        })
    }
}

/// Role and id of a volume; together they are unique on an agent.
fn name_of(volume: &Resource) -> (String, String) {
    let role = volume.reservation_role().unwrap_or_default();
    (role.to_owned(), volume.persistence_id().unwrap_or_default().to_owned())
}

fn is_read_only(volume: &Resource) -> bool {
    let mode = volume.disk().and_then(|disk| disk.volume.as_ref()?.mode);
    mode.and_then(|mode| mode.enum_value().ok()) == Some(Mode::RO)
}

/// When reservations are replaced, one stack of them comes in the place of another. That both sides amount to the same
/// is checked with the conversion.
fn check_replacement(source: &[Resource], target: &[Resource]) -> Result<(), Refusal> {
    for (field, resources) in [("source", source), ("resources", target)] {
        let first = resources.first().map(Resource::reservations).unwrap_or_default();
        if resources.iter().any(|resource| resource.reservations() != first) {
            return Err(Refusal::MixedReservations { field });
        }
    }
    Ok(())
}

fn check_unreserve(resources: &[Resource]) -> Result<(), Refusal> {
    match resources.iter().find(|resource| resource.is_persistent_volume()) {
        Some(volume) => Err(Refusal::VolumeReserved(volume.to_string())),
        None => Ok(()),
    }
}

fn check_create_disk(create: &CreateDisk) -> Result<(), Refusal> {
    let source = read_one(&create.source)?;
    if source.provider_id().is_none() {
        return Err(Refusal::NoProvider(source.to_string()));
    }
    let profile = source.disk().is_some_and(|disk| disk.source.has_profile());
    match (profile, create.has_target_profile()) {
        (true, true) => Err(Refusal::ProfileTwice(source.to_string())),
        (false, false) => Err(Refusal::NoProfile(source.to_string())),
        (true, false) | (false, true) => Ok(()),
    }
}

fn check_destroy_disk(source: &Resource) -> Result<(), Refusal> {
    if source.provider_id().is_none() {
        return Err(Refusal::NoProvider(source.to_string()));
    }
    if source.disk().is_some_and(|disk| disk.source.has_id()) {
        return Ok(());
    }
    Err(Refusal::NoBackingVolume(source.to_string()))
}
