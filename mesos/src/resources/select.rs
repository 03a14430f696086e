//! Parts of a bag: by reservation, allocation, mark and name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bag::Entry;
use super::{Resource, ResourceName, ResourceQuantities, ResourceValue, Resources};
use crate::values::{Ranges, Scalar};

impl Resources {
    /// The resources for which `keep` holds.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&Resource) -> bool) -> Self {
        Self {
            entries: self
                .entries
                .iter()
                .filter(|entry| keep(&entry.resource))
                .cloned()
                .collect(),
        }
    }

    fn grouped(&self, key: impl Fn(&Resource) -> Option<&Arc<str>>) -> BTreeMap<Arc<str>, Self> {
        let mut groups: BTreeMap<Arc<str>, Self> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(role) = key(&entry.resource) {
                groups
                    .entry(role.clone())
                    .or_default()
                    .entries
                    .push(Entry::clone(entry));
            }
        }
        groups
    }

    /// All reserved resources.
    #[must_use]
    pub fn reserved_any(&self) -> Self {
        self.filter(|resource| !resource.is_unreserved())
    }

    /// The resources reserved for exactly `role`.
    #[must_use]
    pub fn reserved(&self, role: &str) -> Self {
        self.filter(|resource| resource.is_reserved_for(role))
    }

    /// The unreserved resources.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.filter(Resource::is_unreserved)
    }

    /// The reserved resources, by the role of their innermost reservation.
    #[must_use]
    pub fn reservations(&self) -> BTreeMap<Arc<str>, Self> {
        self.grouped(|resource| resource.reservations().last().map(|reservation| &reservation.role))
    }

    /// What a framework of `role` may be offered: unreserved, and reserved for that role or one above.
    #[must_use]
    pub fn allocatable_to(&self, role: &str) -> Self {
        self.filter(|resource| resource.is_allocatable_to(role))
    }

    /// The allocated resources, by role.
    #[must_use]
    pub fn allocations(&self) -> BTreeMap<Arc<str>, Self> {
        self.grouped(|resource| resource.allocation.as_ref())
    }

    /// The resources allocated to `role`.
    #[must_use]
    pub fn allocated_to(&self, role: &str) -> Self {
        self.filter(|resource| resource.allocation_role() == Some(role))
    }

    /// The revocable resources.
    #[must_use]
    pub fn revocable(&self) -> Self {
        self.filter(Resource::is_revocable)
    }

    /// The resources that are not revocable.
    #[must_use]
    pub fn nonrevocable(&self) -> Self {
        self.filter(|resource| !resource.is_revocable())
    }

    /// The shared resources.
    #[must_use]
    pub fn shared(&self) -> Self {
        self.filter(Resource::is_shared)
    }

    /// The resources that are not shared.
    #[must_use]
    pub fn nonshared(&self) -> Self {
        self.filter(|resource| !resource.is_shared())
    }

    /// The persistent volumes.
    #[must_use]
    pub fn persistent_volumes(&self) -> Self {
        self.filter(Resource::is_persistent_volume)
    }

    /// The resources with scalar values.
    #[must_use]
    pub fn scalars(&self) -> Self {
        self.filter(|resource| resource.scalar_value().is_some())
    }

    /// The resources that a resource provider gives.
    #[must_use]
    pub fn of_provider(&self, provider_id: &str) -> Self {
        self.filter(|resource| resource.provider_id() == Some(provider_id))
    }

    /// The resources called `name`.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        self.filter(|resource| resource.name().as_str() == name)
    }

    /// The sums of scalars by name, whatever their reservations and marks; a shared volume counts once.
    #[must_use]
    pub fn scalar_quantities(&self) -> ResourceQuantities {
        let mut quantities = ResourceQuantities::new();
        for resource in self.iter() {
            if let Some(scalar) = resource.scalar_value() {
                quantities.add(resource.name(), scalar);
            }
        }
        quantities
    }

    /// The sum of the scalars called `name`, zero if there are none.
    #[must_use]
    pub fn get_scalar(&self, name: &str) -> Scalar {
        self.iter()
            .filter(|resource| resource.name().as_str() == name)
            .filter_map(Resource::scalar_value)
            .sum()
    }

    /// The numbers of the ranges called `name`.
    #[must_use]
    pub fn get_ranges(&self, name: &str) -> Ranges {
        let mut all = Ranges::default();
        for resource in self.iter().filter(|resource| resource.name().as_str() == name) {
            if let ResourceValue::Ranges(ranges) = resource.value() {
                all = all.union(ranges);
            }
        }
        all
    }

    fn sum_of(&self, name: &ResourceName) -> Scalar {
        self.iter()
            .filter(|resource| resource.name() == name)
            .filter_map(Resource::scalar_value)
            .sum()
    }

    /// Processors.
    #[must_use]
    pub fn cpus(&self) -> Scalar {
        self.sum_of(&ResourceName::Cpus)
    }

    /// Memory in MB.
    #[must_use]
    pub fn mem(&self) -> Scalar {
        self.sum_of(&ResourceName::Mem)
    }

    /// Disk in MB.
    #[must_use]
    pub fn disk(&self) -> Scalar {
        self.sum_of(&ResourceName::Disk)
    }

    /// Graphics processors.
    #[must_use]
    pub fn gpus(&self) -> Scalar {
        self.sum_of(&ResourceName::Gpus)
    }

    /// Ports.
    #[must_use]
    pub fn ports(&self) -> Ranges {
        self.get_ranges("ports")
    }
}
