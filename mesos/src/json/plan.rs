//! Per-message plans: what the writer and the reader need to know of a descriptor, worked out once.
//!
//! Plans live as long as the process. There is one for each message type and spelling that was ever written or read,
//! so their number is bounded by the definition files.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};

use protobuf::descriptor::field_descriptor_proto::{Label as ProtoLabel, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};
use protobuf::reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor, RuntimeFieldType, RuntimeType};

use super::text::{write_bytes, write_f64, write_string};

/// How field and enum value names are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Spelling {
    /// As declared.
    Declared,
    /// With `slave` replaced by `agent`, for unversioned messages that are served in v1 form.
    AgentNames,
}

impl Spelling {
    fn field(self, name: &str) -> String {
        match self {
            Self::Declared => name.to_owned(),
            Self::AgentNames => name.replace("slave", "agent"),
        }
    }

    fn value(self, name: &str) -> String {
        match self {
            Self::Declared => name.to_owned(),
            Self::AgentNames => name.replace("SLAVE", "AGENT"),
        }
    }
}

/// Everything about one message type.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Fields in declaration order.
    pub fields: Vec<Field>,
    /// Indices of fields that are written even when absent, ascending.
    pub defaults: Vec<u16>,
    /// Indices of required fields, ascending.
    pub required: Vec<u16>,
    by_number: Vec<u16>,
    by_name: HashMap<String, u16>,
}

/// Everything about one field.
#[derive(Debug)]
pub(crate) struct Field {
    /// Number on the wire.
    pub number: u32,
    /// Name as spelled.
    pub name: String,
    /// Name as it is written: quoted and with its colon.
    pub key: String,
    /// How often the field may occur.
    pub label: Label,
    /// What it holds; for a map the kind of its values.
    pub kind: Kind,
    /// The JSON text of its explicit default, unless the field is deprecated.
    pub default: Option<String>,
}

/// How often a field may occur.
#[derive(Debug)]
pub(crate) enum Label {
    Optional,
    Required,
    Repeated,
    /// A map with keys of this kind.
    Map(Kind),
}

/// What a field holds and how it stands on the wire.
#[derive(Debug)]
pub(crate) enum Kind {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Bool,
    Text,
    Bytes,
    Enum(EnumPlan),
    Message(MessageLink),
}

/// The names of an enum's values.
#[derive(Debug)]
pub(crate) struct EnumPlan {
    /// Quoted names by number, ascending.
    names: Vec<(i32, String)>,
    numbers: HashMap<String, i32>,
}

/// A message type whose plan is looked up when it is first needed, for types may contain themselves.
#[derive(Debug)]
pub(crate) struct MessageLink {
    descriptor: MessageDescriptor,
    spelling: Spelling,
    plan: OnceLock<&'static Plan>,
}

impl MessageLink {
    pub(crate) fn plan(&self) -> &'static Plan {
        self.plan.get_or_init(|| plan(&self.descriptor, self.spelling))
    }
}

impl EnumPlan {
    fn new(descriptor: &EnumDescriptor, spelling: Spelling) -> Self {
        let mut names: Vec<(i32, String)> = Vec::new();
        let mut numbers = HashMap::new();
        for value in descriptor.values() {
            let name = spelling.value(value.name());
            let mut quoted = String::new();
            write_string(&mut quoted, &name);
            if !names.iter().any(|(number, _)| *number == value.value()) {
                names.push((value.value(), quoted));
            }
            numbers.insert(name, value.value());
        }
        names.sort_by_key(|(number, _)| *number);
        Self { names, numbers }
    }

    /// The quoted name of a number; the first one when there are aliases.
    pub(crate) fn name(&self, number: i32) -> Option<&str> {
        let index = self.names.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.names.get(index).map(|(_, name)| name.as_str())
    }

    #[cfg(test)]
    pub(crate) fn all_numbers(&self) -> Vec<i32> {
        self.names.iter().map(|(number, _)| *number).collect()
    }

    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }
}

impl Plan {
    pub(crate) fn field_by_number(&self, number: u32) -> Option<u16> {
        let index = *self.by_number.get(usize::try_from(number).ok()?)?;
        (index != ABSENT).then_some(index)
    }

    pub(crate) fn field_by_name(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    fn new(descriptor: &MessageDescriptor, spelling: Spelling) -> Self {
        let fields: Vec<Field> = descriptor
            .fields()
            .map(|field| Field::new(descriptor.proto(), &field, spelling))
            .collect();
        let indexed = || (0_u16..).zip(&fields);
        let highest = fields.iter().map(|field| field.number).max().unwrap_or_default();
        let mut by_number = vec![ABSENT; highest as usize + 1];
        for (index, field) in indexed() {
            by_number[field.number as usize] = index;
        }
        Self {
            defaults: indexed()
                .filter(|(_, field)| field.default.is_some())
                .map(|(index, _)| index)
                .collect(),
            required: indexed()
                .filter(|(_, field)| matches!(field.label, Label::Required))
                .map(|(index, _)| index)
                .collect(),
            by_name: indexed().map(|(index, field)| (field.name.clone(), index)).collect(),
            by_number,
            fields,
        }
    }
}

/// Marks numbers that no field has.
const ABSENT: u16 = u16::MAX;

impl Field {
    fn new(owner: &DescriptorProto, field: &FieldDescriptor, spelling: Spelling) -> Self {
        let proto = field.proto();
        let (label, kind) = match field.runtime_field_type() {
            RuntimeFieldType::Singular(value) => {
                let label = if proto.label() == ProtoLabel::LABEL_REQUIRED {
                    Label::Required
                } else {
                    Label::Optional
                };
                (label, Kind::new(proto.type_(), &value, spelling))
            }
            RuntimeFieldType::Repeated(value) => (Label::Repeated, Kind::new(proto.type_(), &value, spelling)),
            RuntimeFieldType::Map(key, value) => {
                let key = Kind::new(entry_type(owner, proto, 1), &key, spelling);
                (
                    Label::Map(key),
                    Kind::new(entry_type(owner, proto, 2), &value, spelling),
                )
            }
        };
        let name = spelling.field(proto.name());
        let mut key = String::new();
        write_string(&mut key, &name);
        key.push(':');
        let default = (proto.has_default_value() && !proto.options.deprecated())
            .then(|| kind.default_text(proto.default_value(), spelling));
        Self {
            number: u32::try_from(proto.number()).unwrap_or_default(),
            name,
            key,
            label,
            kind,
            default,
        }
    }
}

/// The declared type of a map's key (1) or value (2): it stands in the entry message that the map implies.
fn entry_type(owner: &DescriptorProto, field: &FieldDescriptorProto, number: i32) -> Type {
    let entry = field.type_name().rsplit('.').next().unwrap_or_default();
    owner
        .nested_type
        .iter()
        .filter(|nested| nested.name() == entry)
        .flat_map(|nested| &nested.field)
        .find(|part| part.number() == number)
        .map_or(Type::TYPE_STRING, FieldDescriptorProto::type_)
}

impl Kind {
    fn new(declared: Type, value: &RuntimeType, spelling: Spelling) -> Self {
        match (value, declared) {
            (RuntimeType::Enum(descriptor), _) => Self::Enum(EnumPlan::new(descriptor, spelling)),
            (RuntimeType::Message(descriptor), _) => Self::Message(MessageLink {
                descriptor: descriptor.clone(),
                spelling,
                plan: OnceLock::new(),
            }),
            (RuntimeType::I32, Type::TYPE_SINT32) => Self::Sint32,
            (RuntimeType::I32, Type::TYPE_SFIXED32) => Self::Sfixed32,
            (RuntimeType::I32, _) => Self::Int32,
            (RuntimeType::I64, Type::TYPE_SINT64) => Self::Sint64,
            (RuntimeType::I64, Type::TYPE_SFIXED64) => Self::Sfixed64,
            (RuntimeType::I64, _) => Self::Int64,
            (RuntimeType::U32, Type::TYPE_FIXED32) => Self::Fixed32,
            (RuntimeType::U32, _) => Self::Uint32,
            (RuntimeType::U64, Type::TYPE_FIXED64) => Self::Fixed64,
            (RuntimeType::U64, _) => Self::Uint64,
            (RuntimeType::F32, _) => Self::Float,
            (RuntimeType::F64, _) => Self::Double,
            (RuntimeType::Bool, _) => Self::Bool,
            (RuntimeType::String, _) => Self::Text,
            (RuntimeType::VecU8, _) => Self::Bytes,
        }
    }

    fn default_text(&self, text: &str, spelling: Spelling) -> String {
        let mut out = String::new();
        match self {
            Self::Float | Self::Double => {
                if !write_f64(&mut out, text.parse().unwrap_or_default()) {
                    out.push_str("null");
                }
            }
            Self::Text => write_string(&mut out, text),
            Self::Bytes => write_bytes(&mut out, text.as_bytes()),
            Self::Enum(_) => write_string(&mut out, &spelling.value(text)),
            _ => out.push_str(text),
        }
        out
    }
}

type Plans = RwLock<HashMap<String, &'static Plan>>;

static DECLARED: LazyLock<Plans> = LazyLock::new(Plans::default);
static AGENT_NAMES: LazyLock<Plans> = LazyLock::new(Plans::default);

/// The plan of a message type; made when it is asked for the first time.
pub(crate) fn plan(descriptor: &MessageDescriptor, spelling: Spelling) -> &'static Plan {
    let plans = match spelling {
        Spelling::Declared => &DECLARED,
        Spelling::AgentNames => &AGENT_NAMES,
    };
    let name = descriptor.full_name();
    if let Some(plan) = plans.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return plan;
    }
    let made = Plan::new(descriptor, spelling);
    plans
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(name.to_owned())
        .or_insert_with(|| Box::leak(Box::new(made)))
}
