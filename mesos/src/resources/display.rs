//! The printed form of resources, as it stands in logs and in texts that clients see.

use std::fmt;

use mesos_proto::v0::mesos;
use mesos_proto::v0::mesos::resource::disk_info::source::Type as SourceType;

use super::{Reservation, ReservationKind, Resource, ResourceValue, Resources};

impl fmt::Display for ResourceValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(formatter),
            Self::Ranges(ranges) => ranges.fmt(formatter),
            Self::Set(set) => set.fmt(formatter),
        }
    }
}

impl fmt::Display for Reservation {
    /// `(DYNAMIC,role,principal,{key: value})`; what is absent is left out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ReservationKind::Static => "STATIC",
            ReservationKind::Dynamic => "DYNAMIC",
        };
        write!(formatter, "({kind},{}", self.role)?;
        if let Some(principal) = &self.principal {
            write!(formatter, ",{principal}")?;
        }
        if let Some(labels) = &self.labels {
            formatter.write_str(",{")?;
            for (index, label) in labels.labels.iter().enumerate() {
                let separator = if index == 0 { "" } else { ", " };
                write!(formatter, "{separator}{}", label.key())?;
                if label.has_value() {
                    write!(formatter, ": {}", label.value())?;
                }
            }
            formatter.write_str("}")?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Display for Resource {
    /// `name(allocated: ROLE)(reservations: […])[DISK]{REV}<SHARED>:VALUE`; what is absent is left out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.name())?;
        if let Some(role) = self.allocation_role() {
            write!(formatter, "(allocated: {role})")?;
        }
        if !self.is_unreserved() {
            formatter.write_str("(reservations: [")?;
            for (index, reservation) in self.reservations().iter().enumerate() {
                let separator = if index == 0 { "" } else { "," };
                write!(formatter, "{separator}{reservation}")?;
            }
            formatter.write_str("])")?;
        }
        if let Some(disk) = self.disk() {
            formatter.write_str("[")?;
            write_disk(formatter, disk)?;
            formatter.write_str("]")?;
        }
        if self.is_revocable() {
            formatter.write_str("{REV}")?;
        }
        if self.is_shared() {
            formatter.write_str("<SHARED>")?;
        }
        write!(formatter, ":{}", self.value())
    }
}

fn write_disk(formatter: &mut fmt::Formatter<'_>, disk: &mesos::resource::DiskInfo) -> fmt::Result {
    if let Some(source) = disk.source.as_ref() {
        write_source(formatter, source)?;
    }
    if let Some(persistence) = disk.persistence.as_ref() {
        let separator = if disk.source.is_some() { "," } else { "" };
        write!(formatter, "{separator}{}", persistence.id())?;
    }
    if let Some(volume) = disk.volume.as_ref() {
        formatter.write_str(":")?;
        if volume.has_host_path() {
            write!(formatter, "{}:", volume.host_path())?;
        }
        write!(formatter, "{}", volume.container_path())?;
        match volume.mode.and_then(|mode| mode.enum_value().ok()) {
            Some(mesos::volume::Mode::RW) => formatter.write_str(":rw")?,
            Some(mesos::volume::Mode::RO) => formatter.write_str(":ro")?,
            None => {}
        }
    }
    Ok(())
}

fn write_source(formatter: &mut fmt::Formatter<'_>, source: &mesos::resource::disk_info::Source) -> fmt::Result {
    let (kind, root) = match source.type_() {
        SourceType::MOUNT => ("MOUNT", source.mount.as_ref().and_then(|mount| mount.root.as_deref())),
        SourceType::PATH => ("PATH", source.path.as_ref().and_then(|path| path.root.as_deref())),
        SourceType::BLOCK => ("BLOCK", None),
        SourceType::RAW => ("RAW", None),
        SourceType::UNKNOWN => ("UNKNOWN", None),
    };
    formatter.write_str(kind)?;
    if source.has_vendor() || source.has_id() || source.has_profile() {
        write!(formatter, "({},{},{})", source.vendor(), source.id(), source.profile())?;
    }
    root.map_or(Ok(()), |root| write!(formatter, ":{root}"))
}

impl fmt::Display for Resources {
    /// The resources joined by `; `, or `{}` when there are none.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("{}");
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{}", entry.resource)?;
            if entry.resource.is_shared() && entry.copies > 1 {
                write!(formatter, "<{}>", entry.copies)?;
            }
        }
        Ok(())
    }
}
