//! Looking for quantities regardless of how they are reserved.

use super::{Resource, Resources};

impl Resources {
    /// Finds `wanted` here, whatever its reservations, and gives what was found with the reservations it has here.
    ///
    /// For each wanted resource those reserved alike come first, then unreserved ones, then those of any role. Gives
    /// `None` when some of it is not here.
    #[must_use]
    pub fn find(&self, wanted: &Self) -> Option<Self> {
        let mut available = self.clone();
        let mut found = Self::new();
        for resource in wanted.iter() {
            found += available.take_anywhere(resource)?;
        }
        Some(found)
    }

    /// Takes `wanted` out of the bag, in the order that [`Resources::find`] promises.
    fn take_anywhere(&mut self, wanted: &Resource) -> Option<Self> {
        let role = wanted.reservation_role();
        let rank = |resource: &Resource| match resource.reservation_role() {
            own if own == role => 0,
            None => 1,
            Some(_) => 2,
        };
        let mut missing = wanted.with_reservations(Vec::new());
        let mut candidates: Vec<Resource> = self.iter().cloned().collect();
        candidates.sort_by_key(rank);
        let mut found = Self::new();
        for candidate in candidates {
            if missing.is_empty() {
                break;
            }
            let plain = candidate.with_reservations(Vec::new());
            let common = if plain.contains(&missing) {
                missing.value.clone()
            } else if plain.merges_with(&missing) {
                plain.value.intersection(&missing.value)?
            } else {
                continue;
            };
            let part = candidate.with_value(common);
            self.subtract_available(&Self::from(part.clone()));
            missing.value.subtract(&part.value);
            found.add_resource(part);
        }
        missing.is_empty().then_some(found)
    }
}
