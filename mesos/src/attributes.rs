//! Attributes: what an agent says about itself, such as `rack:r1;level:3;zones:[1-3]`.
//!
//! Source: shared facts, `libprocess_wire.md` section 8, `pitfalls.md` D14.

use std::fmt;

use mesos_proto::v0::mesos;
use protobuf::MessageField;

use crate::json::text::write_string;
use crate::values::{self, Ranges, Scalar, Set, Value, ValueError};

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name; several attributes may share it.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// The attributes of an agent, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<Attribute>);

/// Why a text or a message gives no attributes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// An entry is not `NAME:VALUE`.
    #[error("`{entry}` is not of the form NAME:VALUE")]
    MalformedEntry {
        /// The entry.
        entry: String,
    },
    /// The value is malformed.
    #[error("attribute `{name}` has a bad value")]
    Value {
        /// Name of the attribute.
        name: String,
        /// What is wrong.
        source: ValueError,
    },
    /// The value does not belong to the type.
    #[error("attribute `{name}` lacks the value that belongs to its type")]
    MissingValue {
        /// Name of the attribute.
        name: String,
    },
}

impl Attributes {
    /// Reads `name:value;name:value`. The value reaches to the next semicolon and may hold colons.
    ///
    /// # Errors
    ///
    /// Names the entry and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AttributeError> {
        let entries = text.split([';', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(parse_entry).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Reads protobuf attributes.
    ///
    /// # Errors
    ///
    /// Each must carry the value that its type names.
    pub fn from_protobuf(messages: &[mesos::Attribute]) -> Result<Self, AttributeError> {
        messages.iter().map(read).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// The attributes in protobuf form.
    #[must_use]
    pub fn to_protobuf(&self) -> Vec<mesos::Attribute> {
        self.0.iter().map(write).collect()
    }

    /// The JSON object of the older endpoints: names with numbers or texts. Of several with one name the last counts.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        for (index, attribute) in self.0.iter().enumerate() {
            if self.0[index + 1..].iter().any(|later| later.name == attribute.name) {
                continue;
            }
            if json.len() > 1 {
                json.push(',');
            }
            write_string(&mut json, &attribute.name);
            json.push(':');
            match &attribute.value {
                Value::Scalar(scalar) => scalar.write_json(&mut json),
                other => write_string(&mut json, &other.to_string()),
            }
        }
        json.push('}');
        json
    }
}

fn parse_entry(entry: &str) -> Result<Attribute, AttributeError> {
    let malformed = || AttributeError::MalformedEntry {
        entry: entry.to_owned(),
    };
    let (name, value) = entry.split_once(':').ok_or_else(malformed)?;
    let name = name.trim().to_owned();
    if name.is_empty() {
        return Err(malformed());
    }
    match values::parse(value) {
        Ok(value) => Ok(Attribute { name, value }),
        Err(source) => Err(AttributeError::Value { name, source }),
    }
}

fn read(message: &mesos::Attribute) -> Result<Attribute, AttributeError> {
    use mesos::value::Type;
    let name = message.name().to_owned();
    let value = match message.type_.and_then(|kind| kind.enum_value().ok()) {
        Some(Type::SCALAR) => message
            .scalar
            .as_ref()
            .map(|scalar| Value::Scalar(Scalar::from(scalar))),
        Some(Type::RANGES) => message
            .ranges
            .as_ref()
            .and_then(|ranges| Ranges::from_proto(ranges).ok())
            .map(Value::Ranges),
        Some(Type::SET) => message
            .set
            .as_ref()
            .map(|set| Value::Set(Set::new(set.item.iter().cloned()))),
        Some(Type::TEXT) => message.text.as_ref().map(|text| Value::Text(text.value().to_owned())),
        None => None,
    };
    match value {
        Some(value) => Ok(Attribute { name, value }),
        None => Err(AttributeError::MissingValue { name }),
    }
}

fn write(attribute: &Attribute) -> mesos::Attribute {
    use mesos::value::Type;
    let mut message = mesos::Attribute::new();
    message.set_name(attribute.name.clone());
    match &attribute.value {
        Value::Scalar(scalar) => {
            message.set_type(Type::SCALAR);
            message.scalar = MessageField::some(scalar.to_proto());
        }
        Value::Ranges(ranges) => {
            message.set_type(Type::RANGES);
            message.ranges = MessageField::some(ranges.to_proto());
        }
        Value::Set(set) => {
            message.set_type(Type::SET);
            message.set = MessageField::some(set.to_proto());
        }
        Value::Text(text) => {
            message.set_type(Type::TEXT);
            message.text.mut_or_insert_default().set_value(text.clone());
        }
    }
    message
}

impl fmt::Display for Attributes {
    /// `name:value;name:value`, which [`Attributes::parse`] reads back.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(formatter, "{separator}{}:{}", attribute.name, attribute.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_protobuf_and_json_agree() {
        let attributes = Attributes::parse("rack:r1;level:3;zones:[1-3];url:http://a:1").expect("good text");
        assert_eq!(
            attributes.to_json(),
            r#"{"rack":"r1","level":3.0,"zones":"[1-3]","url":"http://a:1"}"#
        );
        assert_eq!(attributes.to_string(), "rack:r1;level:3;zones:[1-3];url:http://a:1");
        assert_eq!(Attributes::from_protobuf(&attributes.to_protobuf()), Ok(attributes));
        assert_eq!(Attributes::default().to_json(), "{}");
    }

    #[test]
    fn broken_entries_are_named() {
        assert!(matches!(
            Attributes::parse("rack"),
            Err(AttributeError::MalformedEntry { .. })
        ));
        assert!(matches!(
            Attributes::parse(":a"),
            Err(AttributeError::MalformedEntry { .. })
        ));
        assert!(matches!(Attributes::parse("a:"), Err(AttributeError::Value { .. })));
        assert!(matches!(Attributes::parse("a:[1-"), Err(AttributeError::Value { .. })));
        let mut message = mesos::Attribute::new();
        message.set_name("a".to_owned());
        message.set_type(mesos::value::Type::TEXT);
        assert!(matches!(
            Attributes::from_protobuf(&[message]),
            Err(AttributeError::MissingValue { .. })
        ));
    }
}
