//! The summary objects of the older JSON endpoints.
//!
//! Source: shared facts, `libprocess_wire.md` section 8; key order as in the recorded answers.

use super::{Resource, ResourceName, ResourceValue, Resources};
use crate::json::text::write_string;
use crate::values::{Ranges, Scalar, Set};

/// Keys that are always there, in the order in which they are written.
const ALWAYS: [&str; 4] = ["disk", "mem", "gpus", "cpus"];

/// Sums by key; few enough that a list beats a map.
struct Sums<T>(Vec<(String, T)>);

impl<T: Default> Sums<T> {
    fn slot(&mut self, key: &str) -> &mut T {
        let position = self.0.iter().position(|(own, _)| own == key).unwrap_or_else(|| {
            self.0.push((key.to_owned(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[position].1
    }
}

impl Resources {
    /// The summary object, for example `{"disk":0.0,"mem":64.0,"gpus":0.0,"cpus":0.2,"ports":"[31000-31001]"}`.
    #[must_use]
    pub fn to_summary_json(&self) -> String {
        let mut json = String::with_capacity(96);
        self.write_summary_json(&mut json);
        json
    }

    /// Appends the summary object. `disk`, `mem`, `gpus` and `cpus` are always there; other scalars follow as numbers,
    /// ranges and sets as text; revocable resources stand under `NAME_revocable`.
    pub fn write_summary_json(&self, json: &mut String) {
        let mut scalars = Sums(ALWAYS.iter().map(|name| ((*name).to_owned(), Scalar::ZERO)).collect());
        let mut ranges: Sums<Ranges> = Sums(Vec::new());
        let mut sets: Sums<Set> = Sums(Vec::new());
        for resource in self.iter() {
            let key = summary_key(resource);
            match resource.value() {
                ResourceValue::Scalar(scalar) => *scalars.slot(&key) += *scalar,
                ResourceValue::Ranges(own) => {
                    let slot = ranges.slot(&key);
                    *slot = slot.union(own);
                }
                ResourceValue::Set(own) => {
                    let slot = sets.slot(&key);
                    *slot = slot.union(own);
                }
            }
        }
        json.push('{');
        for (key, scalar) in &scalars.0 {
            write_key(json, key);
            scalar.write_json(json);
        }
        for (key, ranges) in &ranges.0 {
            write_key(json, key);
            write_string(json, &ranges.to_string());
        }
        for (key, set) in &sets.0 {
            write_key(json, key);
            write_string(json, &set.to_string());
        }
        json.push('}');
    }
}

fn summary_key(resource: &Resource) -> String {
    let name: &ResourceName = resource.name();
    if resource.is_revocable() {
        format!("{name}_revocable")
    } else {
        name.to_string()
    }
}

fn write_key(json: &mut String, key: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    write_string(json, key);
    json.push(':');
}
