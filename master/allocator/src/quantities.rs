//! Dense vectors of fixed-point quantities, one place per scalar resource name.
//!
//! Names are interned once; the usual four have fixed places. A vector is as long as its highest place that was ever
//! touched, so that rare names cost nothing elsewhere.

use std::collections::BTreeMap;
use std::collections::HashMap;

use mesos::resources::{ResourceName, Resources};
use mesos::values::Scalar;

use crate::api::Quantities;

/// The place of a scalar resource name in a [`Vector`].
pub type Place = usize;

/// Gives each scalar resource name its place.
#[derive(Clone, Debug)]
pub struct Places {
    names: Vec<String>,
    others: HashMap<String, Place>,
}

impl Places {
    /// The table with the usual names.
    pub fn new() -> Self {
        let names = ["cpus", "mem", "disk", "gpus"].map(str::to_owned).to_vec();
        Self {
            names,
            others: HashMap::new(),
        }
    }

    /// The place of a name, new if need be.
    pub fn place(&mut self, name: &ResourceName) -> Place {
        match Self::fixed(name) {
            Ok(place) => place,
            Err(name) => self.place_of_other(name),
        }
    }

    /// The place of a name given as text, new if need be.
    pub fn place_of_text(&mut self, name: &str) -> Place {
        self.place(&ResourceName::new(name))
    }

    /// The place of a name, if it has one.
    pub fn find(&self, name: &ResourceName) -> Option<Place> {
        Self::fixed(name)
            .ok()
            .or_else(|| self.others.get(name.as_str()).copied())
    }

    /// The name at a place.
    pub fn name(&self, place: Place) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// The scalar quantities of resources.
    pub fn vector(&mut self, resources: &Resources) -> Vector {
        let mut vector = Vector::default();
        self.add_resources(&mut vector, resources);
        vector
    }

    /// Adds the scalar quantities of resources to a vector.
    pub fn add_resources(&mut self, vector: &mut Vector, resources: &Resources) {
        for resource in resources.iter() {
            if let Some(scalar) = resource.scalar_value() {
                vector.add_at(self.place(resource.name()), scalar.thousandths());
            }
        }
    }

    /// A vector of named quantities.
    pub fn vector_of(&mut self, quantities: &Quantities) -> Vector {
        let mut vector = Vector::default();
        for (name, scalar) in quantities {
            vector.add_at(self.place_of_text(name), scalar.thousandths());
        }
        vector
    }

    /// The quantities of a vector by name, without zeros.
    pub fn quantities(&self, vector: &Vector) -> Quantities {
        let quantities = vector.iter().filter(|(_, quantity)| *quantity != 0);
        let named =
            quantities.map(|(place, quantity)| (self.name(place).to_owned(), Scalar::from_thousandths(quantity)));
        named.collect::<BTreeMap<_, _>>()
    }

    fn fixed(name: &ResourceName) -> Result<Place, &str> {
        match name {
            ResourceName::Cpus => Ok(0),
            ResourceName::Mem => Ok(1),
            ResourceName::Disk => Ok(2),
            ResourceName::Gpus => Ok(3),
            ResourceName::Ports => Err("ports"),
            ResourceName::Other(name) => Err(name),
        }
    }

    fn place_of_other(&mut self, name: &str) -> Place {
        if let Some(place) = self.others.get(name) {
            return *place;
        }
        let place = self.names.len();
        self.names.push(name.to_owned());
        self.others.insert(name.to_owned(), place);
        place
    }
}

/// How many places the usual names take.
const USUAL: usize = 4;

/// Quantities in thousandths by place. The usual names stand inside the vector, so that most vectors need no memory
/// of their own; others follow, as far as one was ever touched.
#[derive(Clone, Debug, Default)]
pub struct Vector {
    usual: [i64; USUAL],
    others: Vec<i64>,
}

impl Vector {
    /// The quantity at a place.
    pub fn get(&self, place: Place) -> i64 {
        match self.usual.get(place) {
            Some(quantity) => *quantity,
            None => self.others.get(place - USUAL).copied().unwrap_or(0),
        }
    }

    /// Sets the quantity at a place.
    pub fn set(&mut self, place: Place, quantity: i64) {
        *self.at(place) = quantity;
    }

    /// Adds to the quantity at a place.
    pub fn add_at(&mut self, place: Place, quantity: i64) {
        let present = self.at(place);
        *present = present.saturating_add(quantity);
    }

    /// Adds another vector.
    pub fn add(&mut self, other: &Self) {
        for (place, quantity) in other.iter() {
            self.add_at(place, quantity);
        }
    }

    /// Subtracts another vector; may go below zero.
    pub fn subtract(&mut self, other: &Self) {
        for (place, quantity) in other.iter() {
            self.add_at(place, -quantity);
        }
    }

    /// Whether every quantity is at least that of another vector.
    pub fn reaches(&self, other: &Self) -> bool {
        other.iter().all(|(place, quantity)| self.get(place) >= quantity)
    }

    /// Whether every quantity is zero.
    pub fn is_zero(&self) -> bool {
        self.iter().all(|(_, quantity)| quantity == 0)
    }

    /// Whether some quantity is above zero.
    pub fn has_positive(&self) -> bool {
        self.iter().any(|(_, quantity)| quantity > 0)
    }

    /// The larger of both, place by place.
    pub fn max(&self, other: &Self) -> Self {
        let mut larger = self.clone();
        for (place, quantity) in other.iter() {
            larger.set(place, larger.get(place).max(quantity));
        }
        larger
    }

    /// This vector with negative quantities as zero.
    pub fn clamped(mut self) -> Self {
        for quantity in self.usual.iter_mut().chain(&mut self.others) {
            *quantity = (*quantity).max(0);
        }
        self
    }

    /// Places and quantities, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (Place, i64)> + '_ {
        self.usual.iter().chain(&self.others).copied().enumerate()
    }

    fn at(&mut self, place: Place) -> &mut i64 {
        if place < USUAL {
            return &mut self.usual[place];
        }
        let other = place - USUAL;
        if other >= self.others.len() {
            self.others.resize(other + 1, 0);
        }
        &mut self.others[other]
    }
}

impl PartialEq for Vector {
    fn eq(&self, other: &Self) -> bool {
        self.reaches(other) && other.reaches(self) && {
            let longest = USUAL + self.others.len().max(other.others.len());
            (0..longest).all(|place| self.get(place) == other.get(place))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_does_not_matter_for_equality() {
        let mut left = Vector::default();
        left.set(5, 0);
        assert_eq!(left, Vector::default());
        left.set(5, 1);
        assert_ne!(left, Vector::default());
        left.set(5, -1);
        assert_ne!(left, Vector::default());
    }

    #[test]
    fn names_keep_their_place() {
        let mut places = Places::new();
        let bananas = places.place_of_text("bananas");
        assert_eq!(places.place_of_text("bananas"), bananas);
        assert_eq!(places.place_of_text("cpus"), 0);
        assert_eq!(places.name(bananas), "bananas");
        assert_eq!(places.find(&ResourceName::new("pears")), None);
    }
}
