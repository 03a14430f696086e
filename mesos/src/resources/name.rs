//! Names of resources, with the usual ones free to copy and compare.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The name of a resource. The five usual ones carry no string, so that the hot paths of the allocator neither
/// allocate nor compare text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourceName {
    /// `cpus`
    Cpus,
    /// `disk`
    Disk,
    /// `gpus`
    Gpus,
    /// `mem`
    Mem,
    /// `ports`
    Ports,
    /// Any other name.
    Other(Arc<str>),
}

impl ResourceName {
    /// The name for this text.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match name {
            "cpus" => Self::Cpus,
            "disk" => Self::Disk,
            "gpus" => Self::Gpus,
            "mem" => Self::Mem,
            "ports" => Self::Ports,
            _ => Self::Other(Arc::from(name)),
        }
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cpus => "cpus",
            Self::Disk => "disk",
            Self::Gpus => "gpus",
            Self::Mem => "mem",
            Self::Ports => "ports",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<&str> for ResourceName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Names sort by their text.
impl Ord for ResourceName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for ResourceName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
