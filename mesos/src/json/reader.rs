//! JSON -> serialized message.
//!
//! The text becomes a tree of values, the tree becomes the bytes of the message by the type's [`Plan`], and the
//! generated code parses those. Mistakes are found on the way, where their place is known.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::JsonError;
use super::error::{Path, Step};
use super::plan::{Field, Kind, Label, Plan};
use crate::wire::{WireValue, put_field, put_nested};

/// Most levels of arrays and objects inside each other.
pub const MAX_DEPTH: usize = 200;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Parses a JSON text of bounded depth. The depth is checked before anything is built.
///
/// # Errors
///
/// Tells what is wrong with the text.
pub fn parse_value(text: &[u8]) -> Result<Value, JsonError> {
    check_depth(text)?;
    let mut parser = serde_json::Deserializer::from_slice(text);
    parser.disable_recursion_limit();
    let syntax = |error: serde_json::Error| JsonError::Syntax(error.to_string());
    let value = Value::deserialize(&mut parser).map_err(syntax)?;
    parser.end().map_err(syntax)?;
    Ok(value)
}

fn check_depth(text: &[u8]) -> Result<(), JsonError> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(JsonError::TooDeep { limit: MAX_DEPTH });
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Turns a JSON object into the bytes of the message that the plan describes.
pub(super) fn read(plan: &'static Plan, value: &Value) -> Result<Vec<u8>, JsonError> {
    let Value::Object(object) = value else {
        return Err(JsonError::field(
            "",
            format!("expected an object, found {}", describe(value)),
        ));
    };
    let mut reader = Reader {
        path: Path::default(),
        missing: Vec::new(),
    };
    let mut out = Vec::new();
    reader.message(plan, object, &mut out)?;
    if reader.missing.is_empty() {
        Ok(out)
    } else {
        Err(JsonError::Missing { paths: reader.missing })
    }
}

struct Reader<'v> {
    path: Path<'v>,
    missing: Vec<String>,
}

impl<'v> Reader<'v> {
    fn message(
        &mut self,
        plan: &'static Plan,
        object: &'v Map<String, Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let mut present = Vec::with_capacity(plan.required.len());
        for (name, value) in object {
            let Some(index) = plan.field_by_name(name) else {
                continue;
            };
            if value.is_null() {
                continue;
            }
            let field = &plan.fields[usize::from(index)];
            self.path.push(Step::Field(name));
            self.field(field, value, out)?;
            self.path.pop();
            if matches!(field.label, Label::Required) {
                present.push(index);
            }
        }
        if present.len() < plan.required.len() {
            for index in plan.required.iter().filter(|index| !present.contains(index)) {
                self.path.push(Step::Field(&plan.fields[usize::from(*index)].name));
                self.missing.push(self.path.to_string());
                self.path.pop();
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, value: &'v Value, out: &mut Vec<u8>) -> Result<(), JsonError> {
        match (&field.label, value) {
            (Label::Map(key), Value::Object(entries)) => self.map(field, key, entries, out),
            (Label::Map(_), _) => Err(self.expected("an object", value)),
            (Label::Repeated, Value::Array(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    if element.is_null() {
                        continue;
                    }
                    self.path.push(Step::Index(index));
                    self.value(field.number, &field.kind, element, Unknown::Skip, out)?;
                    self.path.pop();
                }
                Ok(())
            }
            (Label::Required, _) => self.value(field.number, &field.kind, value, Unknown::Refuse, out),
            (Label::Optional | Label::Repeated, _) => self.value(field.number, &field.kind, value, Unknown::Skip, out),
        }
    }

    fn map(
        &mut self,
        field: &'static Field,
        key: &'static Kind,
        entries: &'v Map<String, Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        for (name, value) in entries {
            if value.is_null() {
                continue;
            }
            self.path.push(Step::Key(name));
            put_nested(out, field.number, |out| {
                match key {
                    Kind::Text => put_field(out, 1, WireValue::Bytes(name.as_bytes())),
                    _ => self.scalar_text(1, key, name, out)?,
                }
                self.value(2, &field.kind, value, Unknown::Skip, out)
            })?;
            self.path.pop();
        }
        Ok(())
    }

    fn value(
        &mut self,
        number: u32,
        kind: &'static Kind,
        value: &'v Value,
        unknown: Unknown,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        match (kind, value) {
            (Kind::Message(link), Value::Object(object)) => {
                put_nested(out, number, |out| self.message(link.plan(), object, out))
            }
            (Kind::Text, Value::String(text)) => {
                put_field(out, number, WireValue::Bytes(text.as_bytes()));
                Ok(())
            }
            (Kind::Bytes, Value::String(text)) => {
                let bytes = BASE64
                    .decode(text)
                    .map_err(|error| self.wrong(format!("not base64: {error}")))?;
                put_field(out, number, WireValue::Bytes(&bytes));
                Ok(())
            }
            (Kind::Enum(names), Value::String(name)) => match (names.number(name), unknown) {
                (Some(value), _) => {
                    put_field(out, number, WireValue::Varint(i64::from(value).cast_unsigned()));
                    Ok(())
                }
                (None, Unknown::Skip) => Ok(()),
                (None, Unknown::Refuse) => Err(self.wrong(format!("unknown value {name:?}"))),
            },
            (Kind::Bool, Value::Bool(value)) => {
                put_field(out, number, WireValue::Varint(u64::from(*value)));
                Ok(())
            }
            (Kind::Message(_) | Kind::Text | Kind::Bytes | Kind::Enum(_), _) => Err(self.expected(kind.noun(), value)),
            (_, Value::String(text)) => self.scalar_text(number, kind, text, out),
            (_, Value::Number(value)) if !matches!(kind, Kind::Bool) => {
                put_number(out, number, kind, Number::new(value));
                Ok(())
            }
            _ => Err(self.expected(kind.noun(), value)),
        }
    }

    /// Reads a number or a truth value that stands in quotes.
    fn scalar_text(&self, number: u32, kind: &Kind, text: &str, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let infinity = match text {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        if let (Some(value), Kind::Float | Kind::Double) = (infinity, kind) {
            put_number(out, number, kind, Number::Double(value));
            return Ok(());
        }
        match (kind, serde_json::from_str(text)) {
            (Kind::Bool, Ok(Value::Bool(value))) => {
                put_field(out, number, WireValue::Varint(u64::from(value)));
                Ok(())
            }
            (Kind::Bool, _) => Err(self.wrong(format!("expected true or false, found {text:?}"))),
            (_, Ok(Value::Number(value))) => {
                put_number(out, number, kind, Number::new(&value));
                Ok(())
            }
            _ => Err(self.wrong(format!("expected a number, found {text:?}"))),
        }
    }

    fn wrong(&self, problem: String) -> JsonError {
        JsonError::field(&self.path, problem)
    }

    fn expected(&self, wanted: &str, found: &Value) -> JsonError {
        self.wrong(format!("expected {wanted}, found {}", describe(found)))
    }
}

/// What to do with an enum value's name that is not known.
#[derive(Clone, Copy)]
enum Unknown {
    Skip,
    Refuse,
}

impl Kind {
    const fn noun(&self) -> &'static str {
        match self {
            Self::Message(_) => "an object",
            Self::Text => "a string",
            Self::Bytes => "a base64 string",
            Self::Enum(_) => "the name of a value",
            Self::Bool => "true or false",
            _ => "a number",
        }
    }
}

const fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A JSON number: whole when it is written so and fits 64 bits with sign, else a double.
#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Double(f64),
}

impl Number {
    fn new(number: &serde_json::Number) -> Self {
        number
            .as_i64()
            .map_or_else(|| Self::Double(number.as_f64().unwrap_or_default()), Self::Whole)
    }

    #[expect(clippy::cast_precision_loss, reason = "a double is what the field holds")]
    const fn double(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "fractions are dropped, ranges not checked, as the dialect wants"
    )]
    const fn signed(self) -> i64 {
        match self {
            Self::Whole(value) => value,
            Self::Double(value) => value as i64,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "fractions are dropped, ranges not checked, as the dialect wants"
    )]
    const fn unsigned(self) -> u64 {
        match self {
            Self::Whole(value) => value.cast_unsigned(),
            Self::Double(value) if value < 0.0 => (value as i64).cast_unsigned(),
            Self::Double(value) => value as u64,
        }
    }
}

/// Appends a field that holds a number, narrowed to the field's type.
#[expect(
    clippy::cast_possible_truncation,
    reason = "ranges are not checked, as the dialect wants"
)]
fn put_number(out: &mut Vec<u8>, field: u32, kind: &Kind, number: Number) {
    let int32 = || number.signed() as i32;
    let uint32 = || number.unsigned() as u32;
    let value = match kind {
        Kind::Int32 => WireValue::Varint(i64::from(int32()).cast_unsigned()),
        Kind::Int64 => WireValue::Varint(number.signed().cast_unsigned()),
        Kind::Uint32 => WireValue::Varint(u64::from(uint32())),
        Kind::Sint32 => WireValue::Varint(zigzag(i64::from(int32()))),
        Kind::Sint64 => WireValue::Varint(zigzag(number.signed())),
        Kind::Fixed32 => WireValue::Fixed32(uint32()),
        Kind::Fixed64 => WireValue::Fixed64(number.unsigned()),
        Kind::Sfixed32 => WireValue::Fixed32(int32().cast_unsigned()),
        Kind::Sfixed64 => WireValue::Fixed64(number.signed().cast_unsigned()),
        Kind::Float => WireValue::Fixed32((number.double() as f32).to_bits()),
        Kind::Double => WireValue::Fixed64(number.double().to_bits()),
        _ => WireValue::Varint(number.unsigned()),
    };
    put_field(out, field, value);
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
