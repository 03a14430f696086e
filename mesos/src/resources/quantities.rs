//! Plain sums by resource name.

use std::fmt;

use super::{ResourceName, Resources};
use crate::values::Scalar;

/// Quantities by name, sorted by name; absent names are zero. No quantity in it is negative.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResourceQuantities {
    amounts: Vec<(ResourceName, Scalar)>,
}

/// Why a text gives no quantities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantitiesError {
    /// An entry is not `NAME:NUMBER`.
    #[error("`{entry}` is not of the form NAME:NUMBER")]
    MalformedEntry {
        /// The entry.
        entry: String,
    },
    /// A name stands there twice.
    #[error("`{name}` is given twice")]
    Duplicate {
        /// The name.
        name: String,
    },
}

impl ResourceQuantities {
    /// No quantities.
    #[must_use]
    pub const fn new() -> Self {
        Self { amounts: Vec::new() }
    }

    /// Reads `cpus:0.01;mem:32`, the form of each alternative of `--min_allocatable_resources`.
    ///
    /// # Errors
    ///
    /// Each entry must be a name and a number of at least zero, each name given once.
    pub fn parse(text: &str) -> Result<Self, QuantitiesError> {
        let mut quantities = Self::new();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let malformed = || QuantitiesError::MalformedEntry {
                entry: entry.to_owned(),
            };
            let (name, value) = entry.split_once(':').ok_or_else(malformed)?;
            let name = name.trim();
            let Ok(crate::values::Value::Scalar(amount)) = crate::values::parse(value) else {
                return Err(malformed());
            };
            if name.is_empty() {
                return Err(malformed());
            }
            let name = ResourceName::new(name);
            if !quantities.get(&name).is_zero() {
                return Err(QuantitiesError::Duplicate { name: name.to_string() });
            }
            quantities.add(&name, amount);
        }
        Ok(quantities)
    }

    /// The quantity of `name`.
    #[must_use]
    pub fn get(&self, name: &ResourceName) -> Scalar {
        self.amounts
            .iter()
            .find(|(own, _)| own == name)
            .map_or(Scalar::ZERO, |(_, amount)| *amount)
    }

    /// The quantities that are not zero, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, Scalar)> {
        self.amounts.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether everything is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }

    /// Adds to one quantity.
    pub fn add(&mut self, name: &ResourceName, amount: Scalar) {
        if amount.is_zero() {
            return;
        }
        match self.amounts.binary_search_by(|(own, _)| own.cmp(name)) {
            Ok(position) => self.amounts[position].1 += amount,
            Err(position) => self.amounts.insert(position, (name.clone(), amount)),
        }
    }

    /// Takes from one quantity, down to zero.
    pub fn subtract(&mut self, name: &ResourceName, amount: Scalar) {
        if let Ok(position) = self.amounts.binary_search_by(|(own, _)| own.cmp(name)) {
            let left = self.amounts[position].1.saturating_sub(amount);
            if left.is_zero() {
                self.amounts.remove(position);
            } else {
                self.amounts[position].1 = left;
            }
        }
    }

    /// Whether each quantity of `other` is here.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.amounts.iter().all(|(name, amount)| self.get(name) >= *amount)
    }
}

impl std::ops::AddAssign<&Self> for ResourceQuantities {
    fn add_assign(&mut self, other: &Self) {
        for (name, amount) in &other.amounts {
            self.add(name, *amount);
        }
    }
}

/// Takes away as much as there is.
impl std::ops::SubAssign<&Self> for ResourceQuantities {
    fn sub_assign(&mut self, other: &Self) {
        for (name, amount) in &other.amounts {
            self.subtract(name, *amount);
        }
    }
}

impl From<&Resources> for ResourceQuantities {
    fn from(resources: &Resources) -> Self {
        resources.scalar_quantities()
    }
}

impl FromIterator<(ResourceName, Scalar)> for ResourceQuantities {
    fn from_iter<I: IntoIterator<Item = (ResourceName, Scalar)>>(amounts: I) -> Self {
        let mut quantities = Self::new();
        for (name, amount) in amounts {
            quantities.add(&name, amount);
        }
        quantities
    }
}

impl fmt::Display for ResourceQuantities {
    /// `cpus:4; mem:512`, or `{}` when everything is zero.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amounts.is_empty() {
            return formatter.write_str("{}");
        }
        for (index, (name, amount)) in self.amounts.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{name}:{amount}")?;
        }
        Ok(())
    }
}
