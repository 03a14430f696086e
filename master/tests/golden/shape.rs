//! The shape of JSON documents: which keys there are, in which order, and of which types the values are.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What is compared. Elements of an array have one shape together: keys that only some have are not required.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Null,
    Boolean,
    Integer,
    Float,
    Text,
    Array(Option<Box<Shape>>),
    Object(Vec<Key>),
}

/// A key of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub name: String,
    pub always: bool,
    pub shape: Shape,
}

impl Shape {
    /// The shape of a document.
    pub fn of(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The shape that both have.
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Array(left), Self::Array(right)) => Self::Array(match (left, right) {
                (Some(left), Some(right)) => Some(Box::new(left.merge(*right))),
                (left, right) => left.or(right),
            }),
            (Self::Object(mut left), Self::Object(right)) => {
                let names: BTreeSet<String> = right.iter().map(|key| key.name.clone()).collect();
                left.iter_mut().for_each(|key| key.always &= names.contains(&key.name));
                let mut place = 0;
                for key in right {
                    if let Some(at) = left.iter().position(|own| own.name == key.name) {
                        let shape = std::mem::replace(&mut left[at].shape, Self::Null);
                        left[at].shape = shape.merge(key.shape);
                        place = at + 1;
                    } else {
                        left.insert(place, Key { always: false, ..key });
                        place += 1;
                    }
                }
                Self::Object(left)
            }
            (left, _) => left,
        }
    }

    /// Tells how this shape differs from what was recorded, one line for each difference, with its path.
    ///
    /// `is_map` names the paths of objects whose keys are data.
    pub fn differences(&self, recorded: &Self, path: &str, is_map: &dyn Fn(&str) -> bool, found: &mut Vec<String>) {
        match (self, recorded) {
            (Self::Object(own), Self::Object(recorded)) if is_map(path) => {
                if let (Some(own), Some(recorded)) = (values(own), values(recorded)) {
                    own.differences(&recorded, &format!("{path}/*"), is_map, found);
                }
            }
            (Self::Object(own), Self::Object(recorded)) => {
                for key in recorded {
                    let path = format!("{path}/{}", key.name);
                    match own.iter().find(|own| own.name == key.name) {
                        Some(own) => own.shape.differences(&key.shape, &path, is_map, found),
                        None if key.always => found.push(format!("{path} is missing")),
                        None => {}
                    }
                }
                for key in own {
                    if !recorded.iter().any(|recorded| recorded.name == key.name) {
                        found.push(format!("{path}/{} is not recorded", key.name));
                    }
                }
                order(own, recorded, path, found);
            }
            (Self::Array(Some(own)), Self::Array(Some(recorded))) => {
                own.differences(recorded, &format!("{path}[]"), is_map, found);
            }
            (Self::Array(_), Self::Array(_)) => {}
            (own, recorded) if own == recorded => {}
            (own, recorded) => found.push(format!("{path} is {own}, recorded as {recorded}")),
        }
    }
}

/// Keys that both always have must stand in the same order.
fn order(own: &[Key], recorded: &[Key], path: &str, found: &mut Vec<String>) {
    let of = |keys: &[Key], others: &[Key]| -> Vec<String> {
        let always = |key: &Key| key.always && others.iter().any(|other| other.always && other.name == key.name);
        let common = keys.iter().filter(|key| always(key));
        common.map(|key| key.name.clone()).collect()
    };
    if of(own, recorded) != of(recorded, own) {
        found.push(format!("{path} has its keys in another order"));
    }
}

/// The shape of all values together.
fn values(keys: &[Key]) -> Option<Shape> {
    keys.iter().map(|key| key.shape.clone()).reduce(Shape::merge)
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Float => "a number with a fraction",
            Self::Text => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        })
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShapeVisitor;

        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Boolean)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Integer)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Integer)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Float)
            }

            fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
                Ok(Shape::Text)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Shape, A::Error> {
                let mut shape: Option<Shape> = None;
                while let Some(element) = elements.next_element::<Shape>()? {
                    shape = Some(match shape {
                        Some(shape) => shape.merge(element),
                        None => element,
                    });
                }
                Ok(Shape::Array(shape.map(Box::new)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
                let mut keys = Vec::new();
                while let Some((name, shape)) = entries.next_entry::<String, Shape>()? {
                    keys.push(Key {
                        name,
                        always: true,
                        shape,
                    });
                }
                Ok(Shape::Object(keys))
            }
        }

        deserializer.deserialize_any(ShapeVisitor)
    }
}

#[test]
fn differences_are_found() {
    let differences = |own: &str, recorded: &str| {
        let shape = |text: &str| Shape::of(text.as_bytes()).expect("JSON");
        let mut found = Vec::new();
        shape(own).differences(&shape(recorded), "", &|path| path == "/map", &mut found);
        found
    };
    let none: [&str; 0] = [];
    assert_eq!(differences(r#"{"a":1,"b":[]}"#, r#"{"a":2,"b":[{"c":1}]}"#), none);
    assert_eq!(differences(r#"{"a":1}"#, r#"{"a":1.0}"#).len(), 1);
    assert_eq!(differences(r#"{"b":1,"a":1}"#, r#"{"a":1,"b":1}"#).len(), 1);
    assert_eq!(differences(r#"{"map":{"x":1}}"#, r#"{"map":{"y":1}}"#), none);
    assert_eq!(differences(r#"[{"a":1}]"#, r#"[{"a":1},{"a":1,"b":1}]"#), none);
    assert_eq!(differences(r#"[{}]"#, r#"[{"a":1},{"a":1}]"#), ["[]/a is missing"]);
    assert_eq!(differences(r#"[{"z":1}]"#, r#"[{}]"#), ["[]/z is not recorded"]);
}
