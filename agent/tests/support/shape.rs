//! The structure of JSON documents: which members objects have and of which types values are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What stands at one place of a document, in all elements of all lists on the way there.
#[derive(Debug, Default)]
pub struct Shape {
    kinds: BTreeSet<&'static str>,
    objects: usize,
    members: BTreeMap<String, (usize, Shape)>,
    elements: Option<Box<Shape>>,
}

impl Shape {
    /// The shape of one document.
    pub fn of(value: &Value) -> Self {
        let mut shape = Self::default();
        shape.add(value);
        shape
    }

    fn add(&mut self, value: &Value) {
        self.kinds.insert(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number with fraction",
            Value::Number(_) => "whole number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        });
        match value {
            Value::Array(elements) => {
                let shape = self.elements.get_or_insert_default();
                elements.iter().for_each(|element| shape.add(element));
            }
            Value::Object(members) => {
                self.objects += 1;
                for (key, value) in members {
                    let (count, shape) = self.members.entry(key.clone()).or_default();
                    *count += 1;
                    shape.add(value);
                }
            }
            _ => {}
        }
    }

    /// Lists how `self` differs from what was recorded: members that were never recorded, members that were in every
    /// recorded object and are missing, other types. In objects at the paths `maps` keys are data.
    pub fn differences(&self, recorded: &Self, maps: &[&str]) -> Vec<String> {
        let mut differences = Vec::new();
        self.compare(recorded, maps, "", &mut differences);
        differences
    }

    fn compare(&self, recorded: &Self, maps: &[&str], path: &str, differences: &mut Vec<String>) {
        for kind in self.kinds.difference(&recorded.kinds) {
            differences.push(format!("{path}: {kind}, recorded were {:?}", recorded.kinds));
        }
        if let (Some(own), Some(recorded)) = (&self.elements, &recorded.elements)
            && !recorded.kinds.is_empty()
        {
            own.compare(recorded, maps, &format!("{path}[]"), differences);
        }
        if maps.contains(&path) || self.objects == 0 {
            return;
        }
        for (key, (_, own)) in &self.members {
            let path = format!("{path}.{key}");
            match recorded.members.get(key) {
                Some((_, recorded)) => own.compare(recorded, maps, &path, differences),
                None => differences.push(format!("{path}: was never recorded")),
            }
        }
        for (key, (count, _)) in &recorded.members {
            let always = *count == recorded.objects;
            let own = self.members.get(key).map_or(0, |(count, _)| *count);
            if always && own < self.objects {
                differences.push(format!("{path}.{key}: is missing"));
            }
        }
    }
}
