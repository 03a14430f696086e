//! One resource in the form that memory holds: reservations as a stack, quantities as fixed point.

use std::sync::Arc;

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;
use protobuf::MessageField;

use super::ResourceName;
use crate::roles;
use crate::values::{Ranges, Scalar, Set};

/// The value of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceValue {
    /// A quantity.
    Scalar(Scalar),
    /// Inclusive ranges of numbers.
    Ranges(Ranges),
    /// Distinct names.
    Set(Set),
}

impl ResourceValue {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.is_zero(),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(set) => set.is_empty(),
        }
    }

    fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => theirs <= mine,
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.contains(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.contains(theirs),
            _ => false,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => *mine += *theirs,
            (Self::Ranges(mine), Self::Ranges(theirs)) => *mine = mine.union(theirs),
            (Self::Set(mine), Self::Set(theirs)) => *mine = mine.union(theirs),
            _ => {}
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => *mine = mine.saturating_sub(*theirs),
            (Self::Ranges(mine), Self::Ranges(theirs)) => *mine = mine.difference(theirs),
            (Self::Set(mine), Self::Set(theirs)) => *mine = mine.difference(theirs),
            _ => {}
        }
    }

    /// What both have.
    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => Some(Self::Scalar(*mine.min(theirs))),
            (Self::Ranges(mine), Self::Ranges(theirs)) => Some(Self::Ranges(mine.intersection(theirs))),
            (Self::Set(mine), Self::Set(theirs)) => Some(Self::Set(mine.intersection(theirs))),
            _ => None,
        }
    }
}

/// How a reservation came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReservationKind {
    /// By the agent's command line.
    Static,
    /// By a framework or an operator.
    Dynamic,
}

/// One element of a reservation stack.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// Static or dynamic.
    pub kind: ReservationKind,
    /// The role that has the reservation; never `*`.
    pub role: Arc<str>,
    /// Who made it, for dynamic ones.
    pub principal: Option<String>,
    /// Labels that the reserver put on it.
    pub labels: Option<mesos::Labels>,
}

impl Reservation {
    /// The static reservation for `role`.
    #[must_use]
    pub fn fixed(role: &str) -> Self {
        Self {
            kind: ReservationKind::Static,
            role: Arc::from(role),
            principal: None,
            labels: None,
        }
    }

    /// The dynamic reservation for `role` by `principal`.
    #[must_use]
    pub fn dynamic(role: &str, principal: Option<&str>) -> Self {
        Self {
            kind: ReservationKind::Dynamic,
            role: Arc::from(role),
            principal: principal.map(str::to_owned),
            labels: None,
        }
    }
}

/// Labels are compared without regard to their order; absent and empty labels are the same.
impl PartialEq for Reservation {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.role == other.role
            && self.principal == other.principal
            && same_labels(self.labels.as_ref(), other.labels.as_ref())
    }
}

fn same_labels(left: Option<&mesos::Labels>, right: Option<&mesos::Labels>) -> bool {
    let left = left.map_or(&[][..], |labels| &labels.labels);
    let right = right.map_or(&[][..], |labels| &labels.labels);
    if left == right {
        return true;
    }
    left.len() == right.len()
        && left.iter().all(|label| {
            let count = |labels: &[mesos::Label]| labels.iter().filter(|other| *other == label).count();
            count(left) == count(right)
        })
}

/// Disk information. Two are equal when source and persistence id are: the volume says how a task uses the disk, not
/// which disk it is.
#[derive(Clone, Debug)]
pub struct Disk(pub mesos::resource::DiskInfo);

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        let id = |disk: &Self| {
            disk.0
                .persistence
                .as_ref()
                .map(|persistence| persistence.id().to_owned())
        };
        self.0.source == other.0.source && id(self) == id(other)
    }
}

/// Everything of a resource that rarely changes, behind one pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Details {
    pub(super) provider_id: Option<String>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) disk: Option<Disk>,
    pub(super) revocable: bool,
    pub(super) shared: bool,
}

/// One resource. Cloning copies no text: what is not a plain number is shared.
#[derive(Clone, Debug)]
pub struct Resource {
    pub(super) name: ResourceName,
    pub(super) value: ResourceValue,
    pub(super) allocation: Option<Arc<str>>,
    /// `None` for an unreserved resource without any mark, which is what most are.
    pub(super) details: Option<Arc<Details>>,
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.same_place(other)
    }
}

impl Resource {
    /// An unreserved, unallocated resource.
    #[must_use]
    pub fn new(name: &str, value: ResourceValue) -> Self {
        Self {
            name: ResourceName::new(name),
            value,
            allocation: None,
            details: None,
        }
    }

    /// An unreserved, unallocated quantity.
    #[must_use]
    pub fn scalar(name: &str, value: f64) -> Self {
        Self::new(name, ResourceValue::Scalar(Scalar::from_f64(value)))
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &ResourceName {
        &self.name
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &ResourceValue {
        &self.value
    }

    /// The quantity; `None` for ranges and sets.
    #[must_use]
    pub const fn scalar_value(&self) -> Option<Scalar> {
        match &self.value {
            ResourceValue::Scalar(scalar) => Some(*scalar),
            ResourceValue::Ranges(_) | ResourceValue::Set(_) => None,
        }
    }

    /// The role that the resource is allocated to.
    #[must_use]
    pub fn allocation_role(&self) -> Option<&str> {
        self.allocation.as_deref()
    }

    /// The reservation stack, outermost first; empty for unreserved resources.
    #[must_use]
    pub fn reservations(&self) -> &[Reservation] {
        self.details.as_ref().map_or(&[], |details| &details.reservations)
    }

    /// The role that the resource is reserved for: that of the innermost reservation.
    #[must_use]
    pub fn reservation_role(&self) -> Option<&str> {
        self.reservations().last().map(|reservation| &*reservation.role)
    }

    /// Whether no role has the resource reserved.
    #[must_use]
    pub fn is_unreserved(&self) -> bool {
        self.reservations().is_empty()
    }

    /// Whether the resource is reserved for exactly `role`.
    #[must_use]
    pub fn is_reserved_for(&self, role: &str) -> bool {
        self.reservation_role() == Some(role)
    }

    /// Whether the innermost reservation is dynamic.
    #[must_use]
    pub fn is_dynamically_reserved(&self) -> bool {
        self.reservations()
            .last()
            .is_some_and(|reservation| reservation.kind == ReservationKind::Dynamic)
    }

    /// Whether a reservation refines another.
    #[must_use]
    pub fn has_refined_reservations(&self) -> bool {
        self.reservations().len() > 1
    }

    /// Whether a framework of `role` may be offered the resource: it is unreserved, or reserved for that role or one
    /// above it.
    #[must_use]
    pub fn is_allocatable_to(&self, role: &str) -> bool {
        self.reservation_role()
            .is_none_or(|reserved| reserved == role || roles::is_strict_subrole_of(role, reserved))
    }

    /// Disk information, if there is any.
    #[must_use]
    pub fn disk(&self) -> Option<&mesos::resource::DiskInfo> {
        self.details
            .as_ref()
            .and_then(|details| details.disk.as_ref())
            .map(|disk| &disk.0)
    }

    /// The kind of the disk's source; `None` for the agent's root disk and for what is no disk.
    #[must_use]
    pub fn disk_source(&self) -> Option<SourceType> {
        self.disk()
            .and_then(|disk| disk.source.as_ref())
            .map(mesos::resource::disk_info::Source::type_)
    }

    /// The id of the persistent volume that the resource is.
    #[must_use]
    pub fn persistence_id(&self) -> Option<&str> {
        self.disk()
            .and_then(|disk| disk.persistence.as_ref())
            .map(mesos::resource::disk_info::Persistence::id)
    }

    /// Whether the resource is a persistent volume.
    #[must_use]
    pub fn is_persistent_volume(&self) -> bool {
        self.persistence_id().is_some()
    }

    /// Whether the resource may be taken back at any time.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.revocable)
    }

    /// Whether several tasks and frameworks may use the resource at once.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.shared)
    }

    /// The resource provider, for those that the agent itself does not provide.
    #[must_use]
    pub fn provider_id(&self) -> Option<&str> {
        self.details.as_ref().and_then(|details| details.provider_id.as_deref())
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The same resource with another value.
    #[must_use]
    pub fn with_value(&self, value: ResourceValue) -> Self {
        Self { value, ..self.clone() }
    }

    /// The same resource allocated to `role`, or to nobody.
    #[must_use]
    pub fn with_allocation(&self, role: Option<&Arc<str>>) -> Self {
        Self {
            allocation: role.cloned(),
            ..self.clone()
        }
    }

    /// The same resource with another reservation stack.
    #[must_use]
    pub fn with_reservations(&self, reservations: Vec<Reservation>) -> Self {
        if self.reservations().is_empty() && reservations.is_empty() {
            return self.clone();
        }
        self.with_details(|details| details.reservations = reservations)
    }

    /// The same resource marked as revocable.
    #[must_use]
    pub fn with_revocable(&self) -> Self {
        self.with_details(|details| details.revocable = true)
    }

    /// The same resource with the sharing mark set or cleared.
    #[must_use]
    pub fn with_shared(&self, shared: bool) -> Self {
        self.with_details(|details| details.shared = shared)
    }

    /// The same resource with other disk information.
    #[must_use]
    pub fn with_disk(&self, disk: Option<mesos::resource::DiskInfo>) -> Self {
        self.with_details(|details| details.disk = disk.map(Disk))
    }

    pub(super) fn with_details(&self, change: impl FnOnce(&mut Details)) -> Self {
        let mut details = self.details.as_deref().cloned().unwrap_or_default();
        change(&mut details);
        let details = (details != Details::default()).then(|| Arc::new(details));
        Self {
            details,
            ..self.clone()
        }
    }

    /// Whether the resource cannot be merged with or cut from others: mount and block disks, raw disks with an id, and
    /// persistent volumes, which are used whole.
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        let Some(disk) = self.disk() else { return false };
        let exclusive_source = disk.source.as_ref().is_some_and(|source| match source.type_() {
            SourceType::MOUNT | SourceType::BLOCK => true,
            SourceType::RAW => source.has_id(),
            SourceType::PATH | SourceType::UNKNOWN => false,
        });
        exclusive_source || disk.persistence.is_some()
    }

    /// Whether everything but the value is equal.
    fn same_place(&self, other: &Self) -> bool {
        if self.name != other.name || self.allocation != other.allocation {
            return false;
        }
        match (&self.details, &other.details) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs) || mine == theirs,
            _ => false,
        }
    }

    /// Whether `other` can be merged into this resource. Shared resources never merge; they are counted.
    pub(super) fn merges_with(&self, other: &Self) -> bool {
        self.same_place(other)
            && self.value.same_kind(&other.value)
            && (self.details.is_none() || !(self.is_shared() || self.is_indivisible()))
    }

    /// Whether the resource is `earlier` in all but its value, of which it has at least as much.
    #[must_use]
    pub fn extends(&self, earlier: &Self) -> bool {
        self.same_place(earlier) && self.value.contains(&earlier.value)
    }

    /// Whether `other` can be cut from this resource.
    pub(super) fn contains(&self, other: &Self) -> bool {
        if !self.same_place(other) {
            return false;
        }
        if self.details.is_some() && (self.is_shared() || self.is_indivisible()) {
            return self.value == other.value;
        }
        self.value.contains(&other.value)
    }

    /// The resource as protobuf, in post-refinement form.
    #[must_use]
    pub fn to_protobuf(&self) -> mesos::Resource {
        let mut message = mesos::Resource::new();
        message.set_name(self.name.as_str().to_owned());
        match &self.value {
            ResourceValue::Scalar(scalar) => {
                message.set_type(mesos::value::Type::SCALAR);
                message.scalar = MessageField::some(scalar.to_proto());
            }
            ResourceValue::Ranges(ranges) => {
                message.set_type(mesos::value::Type::RANGES);
                message.ranges = MessageField::some(ranges.to_proto());
            }
            ResourceValue::Set(set) => {
                message.set_type(mesos::value::Type::SET);
                message.set = MessageField::some(set.to_proto());
            }
        }
        if let Some(role) = &self.allocation {
            message
                .allocation_info
                .mut_or_insert_default()
                .set_role(role.to_string());
        }
        if let Some(details) = &self.details {
            details.write(&mut message);
        }
        message
    }
}

impl Details {
    fn write(&self, message: &mut mesos::Resource) {
        if let Some(id) = &self.provider_id {
            message.provider_id.mut_or_insert_default().set_value(id.clone());
        }
        message.reservations = self.reservations.iter().map(Reservation::to_protobuf).collect();
        message.disk = self.disk.as_ref().map(|disk| disk.0.clone()).into();
        if self.revocable {
            message.revocable = MessageField::some(mesos::resource::RevocableInfo::new());
        }
        if self.shared {
            message.shared = MessageField::some(mesos::resource::SharedInfo::new());
        }
    }
}

impl Reservation {
    /// The reservation as protobuf, in post-refinement form.
    #[must_use]
    pub fn to_protobuf(&self) -> mesos::resource::ReservationInfo {
        use mesos::resource::reservation_info::Type;
        let mut message = mesos::resource::ReservationInfo::new();
        message.set_type(match self.kind {
            ReservationKind::Static => Type::STATIC,
            ReservationKind::Dynamic => Type::DYNAMIC,
        });
        message.set_role(self.role.to_string());
        message.principal.clone_from(&self.principal);
        message.labels = self.labels.clone().into();
        message
    }
}
