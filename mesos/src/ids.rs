//! Identifiers as distinct types.
//!
//! Each kind of id is a type of its own around a shared string: cheap to clone, ordered, usable as a map key (and
//! looked up by `&str`). Conversions go to and from the unversioned and the v1 protobuf messages. Taking an id from
//! a message never fails; whether its text is acceptable is asked by [`validate_id`] through each type's `validate`.
//!
//! Source: shared facts, `libprocess_wire.md` section 12 and `constants.tsv`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use mesos_proto::{v0, v1};

/// Longest id in bytes: ids become file names, and file systems stop there.
pub const MAX_ID_LENGTH: usize = 255;

/// Longest container id part in bytes; shorter than [`MAX_ID_LENGTH`] because control groups add to the name.
pub const MAX_CONTAINER_ID_LENGTH: usize = 242;

/// Why a text cannot be an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("the id is empty")]
    Empty,
    /// The text is too long to be a file name.
    #[error("the id has {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes of the text.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The text is `.` or `..`.
    #[error("'{0}' names a folder and cannot be an id")]
    Dots(String),
    /// The text has a character that is not allowed in an id.
    #[error("the id has the character {0:?}, which is not allowed")]
    Character(char),
}

/// Checks the rule for framework, agent, task and executor ids: 1 to 255 bytes, neither `.` nor `..`, no control
/// character, no slash of either kind.
///
/// # Errors
///
/// Says which part of the rule the text breaks.
pub fn validate_id(text: &str) -> Result<(), IdError> {
    check(text, MAX_ID_LENGTH, |character| {
        character.is_ascii_control() || matches!(character, '/' | '\\')
    })
}

/// Checks one part of a container id: the common rule, at most 242 bytes, no full stop (it separates the parts in
/// print) and no blank.
///
/// # Errors
///
/// Says which part of the rule the text breaks.
pub fn validate_container_id_part(text: &str) -> Result<(), IdError> {
    check(text, MAX_CONTAINER_ID_LENGTH, |character| {
        character.is_ascii_control() || matches!(character, '/' | '\\' | '.' | ' ')
    })
}

fn check(text: &str, limit: usize, refuses: impl Fn(char) -> bool) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > limit {
        return Err(IdError::TooLong {
            length: text.len(),
            limit,
        });
    }
    if matches!(text, "." | "..") {
        return Err(IdError::Dots(text.to_owned()));
    }
    match text.chars().find(|character| refuses(*character)) {
        Some(character) => Err(IdError::Character(character)),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text as it is, without checking it.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// Checks a text and wraps it.
            ///
            /// # Errors
            ///
            /// Says why the text cannot be an id.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                validate_id(text)?;
                Ok(Self::new(text))
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Checks the text of the id.
            ///
            /// # Errors
            ///
            /// Says why the text cannot be an id.
            pub fn validate(&self) -> Result<(), IdError> {
                validate_id(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), &self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

macro_rules! wire_id {
    ($(#[$meta:meta])* $name:ident, $v0:ty, $v1:ty) => {
        text_id! { $(#[$meta])* $name }

        impl $name {
            /// The id as an unversioned message.
            #[must_use]
            pub fn to_proto(&self) -> $v0 {
                let mut id = <$v0>::new();
                id.set_value(self.0.to_string());
                id
            }

            /// The id as a v1 message.
            #[must_use]
            pub fn to_v1(&self) -> $v1 {
                let mut id = <$v1>::new();
                id.set_value(self.0.to_string());
                id
            }
        }

        impl From<&$v0> for $name {
            fn from(id: &$v0) -> Self {
                Self::new(id.value())
            }
        }

        impl From<&$v1> for $name {
            fn from(id: &$v1) -> Self {
                Self::new(id.value())
            }
        }

        impl From<&$name> for $v0 {
            fn from(id: &$name) -> Self {
                id.to_proto()
            }
        }

        impl From<&$name> for $v1 {
            fn from(id: &$name) -> Self {
                id.to_v1()
            }
        }
    };
}

text_id! {
    /// One life of a master: a random UUID, new at every start.
    MasterId
}

wire_id! {
    /// A framework, `MASTERID-NNNN`.
    FrameworkId, v0::mesos::FrameworkID, v1::mesos::FrameworkID
}

wire_id! {
    /// An agent, `MASTERID-SN`; `SlaveID` in unversioned messages.
    AgentId, v0::mesos::SlaveID, v1::mesos::AgentID
}

wire_id! {
    /// A task, named by its framework.
    TaskId, v0::mesos::TaskID, v1::mesos::TaskID
}

wire_id! {
    /// An executor, named by its framework.
    ExecutorId, v0::mesos::ExecutorID, v1::mesos::ExecutorID
}

wire_id! {
    /// An offer or an inverse offer, `MASTERID-ON`.
    OfferId, v0::mesos::OfferID, v1::mesos::OfferID
}

wire_id! {
    /// An operation, named by its framework.
    OperationId, v0::mesos::OperationID, v1::mesos::OperationID
}

wire_id! {
    /// A resource provider.
    ResourceProviderId, v0::mesos::ResourceProviderID, v1::mesos::ResourceProviderID
}

impl FrameworkId {
    /// The id of the framework that a master admits as its `number`-th, counted from 0.
    #[must_use]
    pub fn numbered(master: &MasterId, number: u64) -> Self {
        Self::new(format!("{master}-{number:04}"))
    }
}

impl AgentId {
    /// The id of the agent that a master admits as its `number`-th, counted from 0.
    #[must_use]
    pub fn numbered(master: &MasterId, number: u64) -> Self {
        Self::new(format!("{master}-S{number}"))
    }
}

impl OfferId {
    /// The id of the `number`-th offer or inverse offer of a master, counted from 0.
    #[must_use]
    pub fn numbered(master: &MasterId, number: u64) -> Self {
        Self::new(format!("{master}-O{number}"))
    }
}

/// A container, and through its parents the containers it runs in. Prints as `PARENT.CHILD`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId {
    parent: Option<Arc<ContainerId>>,
    value: Arc<str>,
}

impl ContainerId {
    /// A container that runs in no other.
    #[must_use]
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self {
            parent: None,
            value: value.into(),
        }
    }

    /// A container that runs in this one.
    #[must_use]
    pub fn child(&self, value: impl Into<Arc<str>>) -> Self {
        Self {
            parent: Some(Arc::new(self.clone())),
            value: value.into(),
        }
    }

    /// The last part of the id.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The container that this one runs in.
    #[must_use]
    pub fn parent(&self) -> Option<&ContainerId> {
        self.parent.as_deref()
    }

    /// The outermost container of the chain.
    #[must_use]
    pub fn root(&self) -> &ContainerId {
        let mut container = self;
        while let Some(parent) = container.parent() {
            container = parent;
        }
        container
    }

    /// Whether the container runs in another one.
    #[must_use]
    pub const fn is_nested(&self) -> bool {
        self.parent.is_some()
    }

    /// Parses the printed form, outermost part first.
    ///
    /// # Errors
    ///
    /// Says why a part cannot be one.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        validate_container_id_part(first)?;
        let mut container = Self::new(first);
        for part in parts {
            validate_container_id_part(part)?;
            container = container.child(part);
        }
        Ok(container)
    }

    /// Checks every part of the id.
    ///
    /// # Errors
    ///
    /// Says why a part cannot be one.
    pub fn validate(&self) -> Result<(), IdError> {
        let mut next = Some(self);
        while let Some(container) = next {
            validate_container_id_part(&container.value)?;
            next = container.parent();
        }
        Ok(())
    }

    /// The id as an unversioned message.
    #[must_use]
    pub fn to_proto(&self) -> v0::mesos::ContainerID {
        let mut id = v0::mesos::ContainerID::new();
        id.set_value(self.value.to_string());
        if let Some(parent) = self.parent() {
            id.parent = Some(parent.to_proto()).into();
        }
        id
    }

    /// The id as a v1 message.
    #[must_use]
    pub fn to_v1(&self) -> v1::mesos::ContainerID {
        let mut id = v1::mesos::ContainerID::new();
        id.set_value(self.value.to_string());
        if let Some(parent) = self.parent() {
            id.parent = Some(parent.to_v1()).into();
        }
        id
    }
}

macro_rules! container_id_from {
    ($type:ty) => {
        impl From<&$type> for ContainerId {
            fn from(id: &$type) -> Self {
                let parent = id.parent.as_ref().map(|parent| Arc::new(Self::from(parent)));
                Self {
                    parent,
                    value: id.value().into(),
                }
            }
        }
    };
}

container_id_from!(v0::mesos::ContainerID);
container_id_from!(v1::mesos::ContainerID);

impl From<&str> for ContainerId {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent() {
            write!(formatter, "{parent}.")?;
        }
        formatter.write_str(&self.value)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ContainerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_rule_refuses_what_cannot_name_a_folder() {
        for good in ["a", "task 1", "…", "x.y", "a:b", &"x".repeat(255)] {
            assert_eq!(validate_id(good), Ok(()), "{good}");
        }
        assert_eq!(validate_id(""), Err(IdError::Empty));
        assert_eq!(validate_id("."), Err(IdError::Dots(".".into())));
        assert_eq!(validate_id(".."), Err(IdError::Dots("..".into())));
        assert_eq!(validate_id("a/b"), Err(IdError::Character('/')));
        assert_eq!(validate_id("a\\b"), Err(IdError::Character('\\')));
        assert_eq!(validate_id("a\nb"), Err(IdError::Character('\n')));
        assert_eq!(validate_id("a\u{7f}"), Err(IdError::Character('\u{7f}')));
        assert_eq!(
            validate_id(&"x".repeat(256)),
            Err(IdError::TooLong {
                length: 256,
                limit: 255
            })
        );
    }

    #[test]
    fn numbered_ids_have_the_known_forms() {
        let master = MasterId::new("m");
        assert_eq!(FrameworkId::numbered(&master, 7).as_str(), "m-0007");
        assert_eq!(FrameworkId::numbered(&master, 12345).as_str(), "m-12345");
        assert_eq!(AgentId::numbered(&master, 0).as_str(), "m-S0");
        assert_eq!(OfferId::numbered(&master, 12).as_str(), "m-O12");
    }

    #[test]
    fn ids_go_through_both_message_trees() {
        let agent = AgentId::new("m-S1");
        assert_eq!(AgentId::from(&agent.to_proto()), agent);
        assert_eq!(AgentId::from(&agent.to_v1()), agent);
        let by_text = HashMap::from([(agent, 1)]);
        assert_eq!(by_text.get("m-S1"), Some(&1));
    }

    #[test]
    fn container_ids_chain_through_their_parents() {
        let inner = ContainerId::new("a").child("b").child("c");
        assert_eq!(inner.to_string(), "a.b.c");
        assert_eq!(inner.root(), &ContainerId::new("a"));
        assert_eq!(ContainerId::parse("a.b.c"), Ok(inner.clone()));
        assert_eq!(ContainerId::from(&inner.to_proto()), inner);
        assert_eq!(ContainerId::from(&inner.to_v1()), inner);
        assert_eq!(ContainerId::parse("a..c"), Err(IdError::Empty));
        assert!(ContainerId::new("x".repeat(243)).validate().is_err());
        assert!(ContainerId::new("a").child("b c").validate().is_err());
    }
}
