//! Sets of distinct names.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use mesos_proto::v0::mesos;

/// Why a protobuf set is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// An item stands in it twice.
    #[error("the item `{item}` stands in the set twice")]
    Duplicate {
        /// The item.
        item: String,
    },
}

/// Distinct names, kept sorted. Cloning shares the storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(Arc<BTreeSet<String>>);

impl Set {
    /// The set of these items.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(items.into_iter().collect()))
    }

    /// Reads a protobuf set.
    ///
    /// # Errors
    ///
    /// An item must not stand in it twice.
    pub fn from_proto(set: &mesos::value::Set) -> Result<Self, SetError> {
        let mut items = BTreeSet::new();
        for item in &set.item {
            if !items.insert(item.clone()) {
                return Err(SetError::Duplicate { item: item.clone() });
            }
        }
        Ok(Self(Arc::new(items)))
    }

    /// The set in protobuf form, sorted.
    #[must_use]
    pub fn to_proto(&self) -> mesos::value::Set {
        let mut set = mesos::value::Set::new();
        set.item = self.0.iter().cloned().collect();
        set
    }

    /// Whether there is no item in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The items in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether every item of `other` is in `self`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// The items of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(Arc::new(self.0.union(&other.0).cloned().collect()))
    }

    /// The items of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(Arc::new(self.0.difference(&other.0).cloned().collect()))
    }

    /// The items of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(Arc::new(self.0.intersection(&other.0).cloned().collect()))
    }
}

impl fmt::Display for Set {
    /// `{a, b}`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (index, item) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{item}")?;
        }
        formatter.write_str("}")
    }
}
