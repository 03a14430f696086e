//! The bag of resources and its arithmetic.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::Arc;

use mesos_proto::v0::mesos;

use super::{Resource, ResourceError};

/// A subtraction that would take more than there is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{wanted} is not contained in {available}")]
pub struct NotContained {
    /// What should be taken.
    pub wanted: Resources,
    /// What there is.
    pub available: Resources,
}

/// One resource of a bag. A shared volume stands there once, with the number of its uses.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) resource: Resource,
    pub(super) copies: u32,
}

/// A bag of resources. What can be merged is merged, nothing in it is empty, and no operation makes it negative.
///
/// Two bags are equal when they contain each other, whatever their order.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    pub(super) entries: Vec<Entry>,
}

impl Resources {
    /// The empty bag.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Reads protobuf resources in any form and merges them.
    ///
    /// # Errors
    ///
    /// Gives the error of the first resource that breaks a rule.
    pub fn from_protobuf<'a>(messages: impl IntoIterator<Item = &'a mesos::Resource>) -> Result<Self, ResourceError> {
        let mut resources = Self::new();
        for message in messages {
            resources.add_resource(Resource::from_protobuf(message)?);
        }
        Ok(resources)
    }

    /// The resources in post-refinement form.
    #[must_use]
    pub fn to_protobuf(&self) -> Vec<mesos::Resource> {
        self.iter().map(Resource::to_protobuf).collect()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many distinct resources there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The resources; a shared one comes once.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.entries.iter().map(|entry| &entry.resource)
    }

    /// How many uses of the shared resource `resource` there are; 0 or 1 for others.
    #[must_use]
    pub fn copies(&self, resource: &Resource) -> u32 {
        self.entries
            .iter()
            .filter(|entry| entry.resource == *resource)
            .map(|entry| entry.copies)
            .sum()
    }

    /// Adds one resource. Empty ones are dropped.
    pub fn add_resource(&mut self, resource: Resource) {
        self.add_entry(Entry { resource, copies: 1 });
    }

    pub(super) fn add_entry(&mut self, added: Entry) {
        if added.resource.is_empty() {
            return;
        }
        if added.resource.is_shared() {
            match self.entries.iter_mut().find(|entry| entry.resource == added.resource) {
                Some(entry) => entry.copies = entry.copies.saturating_add(added.copies),
                None => self.entries.push(added),
            }
            return;
        }
        match self
            .entries
            .iter_mut()
            .find(|entry| entry.resource.merges_with(&added.resource))
        {
            Some(entry) => entry.resource.value.add(&added.resource.value),
            None => self.entries.push(added),
        }
    }

    /// Whether everything of `other` is here, at least as often.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        // Only indivisible resources can stand in a bag twice; for all others one look suffices.
        if !other
            .iter()
            .any(|resource| !resource.is_shared() && resource.is_indivisible())
        {
            return other.entries.iter().all(|wanted| self.position_of(wanted).is_some());
        }
        let mut left = self.clone();
        other.entries.iter().all(|wanted| left.take(wanted))
    }

    /// Whether `resource` is here.
    #[must_use]
    pub fn contains_resource(&self, resource: &Resource) -> bool {
        resource.is_empty() || self.iter().any(|own| own.contains(resource))
    }

    fn position_of(&self, wanted: &Entry) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.copies >= wanted.copies && entry.resource.contains(&wanted.resource))
    }

    /// Takes all of `wanted` away, or nothing.
    pub(super) fn take(&mut self, wanted: &Entry) -> bool {
        let Some(position) = self.position_of(wanted) else {
            return false;
        };
        let entry = &mut self.entries[position];
        let emptied = if entry.resource.is_shared() {
            entry.copies -= wanted.copies;
            entry.copies == 0
        } else {
            entry.resource.value.subtract(&wanted.resource.value);
            entry.resource.is_empty()
        };
        if emptied {
            // Keeps the order, which shows in offers and state.
            self.entries.remove(position);
        }
        true
    }

    /// Takes `other` away.
    ///
    /// # Errors
    ///
    /// When `other` is not contained, nothing changes.
    pub fn try_subtract(&mut self, other: &Self) -> Result<(), NotContained> {
        if !self.contains(other) {
            return Err(NotContained {
                wanted: other.clone(),
                available: self.clone(),
            });
        }
        for wanted in &other.entries {
            self.take(wanted);
        }
        Ok(())
    }

    /// Takes away as much of `other` as there is.
    pub fn subtract_available(&mut self, other: &Self) {
        for wanted in &other.entries {
            if self.take(wanted) {
                continue;
            }
            for entry in &mut self.entries {
                if entry.resource.is_shared() && entry.resource == wanted.resource {
                    entry.copies = entry.copies.saturating_sub(wanted.copies);
                } else if entry.resource.merges_with(&wanted.resource) {
                    entry.resource.value.subtract(&wanted.resource.value);
                }
            }
            self.entries
                .retain(|entry| entry.copies > 0 && !entry.resource.is_empty());
        }
    }

    /// Changes every resource and merges what became alike.
    #[must_use]
    pub(super) fn map(&self, change: impl Fn(&Resource) -> Resource) -> Self {
        let mut changed = Self {
            entries: Vec::with_capacity(self.entries.len()),
        };
        for entry in &self.entries {
            changed.add_entry(Entry {
                resource: change(&entry.resource),
                copies: entry.copies,
            });
        }
        changed
    }

    /// The resources allocated to `role`.
    #[must_use]
    pub fn allocate(&self, role: &str) -> Self {
        let role: Arc<str> = Arc::from(role);
        self.map(|resource| resource.with_allocation(Some(&role)))
    }

    /// The resources without their allocation.
    #[must_use]
    pub fn unallocate(&self) -> Self {
        self.map(|resource| resource.with_allocation(None))
    }
}

impl PartialEq for Resources {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len() && self.contains(other) && other.contains(self)
    }
}

impl AddAssign<&Self> for Resources {
    fn add_assign(&mut self, other: &Self) {
        if self.entries.is_empty() {
            // A copy takes exactly the room it needs; adding one by one would take up to twice that.
            self.entries = other.entries.clone();
            return;
        }
        for entry in &other.entries {
            self.add_entry(entry.clone());
        }
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Self) {
        if self.entries.is_empty() {
            *self = other;
            return;
        }
        for entry in other.entries {
            self.add_entry(entry);
        }
    }
}

impl AddAssign<Resource> for Resources {
    fn add_assign(&mut self, resource: Resource) {
        self.add_resource(resource);
    }
}

impl Add for &Resources {
    type Output = Resources;

    fn add(self, other: Self) -> Resources {
        let mut sum = self.clone();
        sum += other;
        sum
    }
}

/// Takes away as much as there is; where that would hide a mistake, use [`Resources::try_subtract`].
impl SubAssign<&Self> for Resources {
    fn sub_assign(&mut self, other: &Self) {
        self.subtract_available(other);
    }
}

/// Takes away as much as there is; where that would hide a mistake, use [`Resources::try_subtract`].
impl Sub for &Resources {
    type Output = Resources;

    fn sub(self, other: Self) -> Resources {
        let mut difference = self.clone();
        difference -= other;
        difference
    }
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        let mut resources = Self::new();
        resources.add_resource(resource);
        resources
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut bag = Self::new();
        for resource in resources {
            bag.add_resource(resource);
        }
        bag
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(bags: I) -> Self {
        bags.fold(Self::new(), |mut total, bag| {
            total += bag;
            total
        })
    }
}

impl<'a> std::iter::Sum<&'a Self> for Resources {
    fn sum<I: Iterator<Item = &'a Self>>(bags: I) -> Self {
        bags.fold(Self::new(), |mut total, bag| {
            total += bag;
            total
        })
    }
}
