//! Serialized message -> JSON text.
//!
//! A message is first serialized by the generated code. Its fields are then noted in one pass, put in declaration
//! order and printed with the help of the type's [`Plan`].

use super::JsonError;
use super::plan::{Kind, Label, Plan};
use super::text::{write_bytes, write_f64, write_i64, write_string, write_u64};
use crate::wire::{MalformedWire, WireFields, WireValue};

/// What to do with a number that JSON cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NonFinite {
    /// Give an error that names the place.
    Refuse,
    /// Write `null`, which readers take as absence.
    WriteNull,
}

/// One field of a message being written: the field's index in the plan, and its value.
#[derive(Clone, Copy)]
struct Occurrence<'b> {
    field: u16,
    position: u32,
    value: WireValue<'b>,
}

/// Why writing stopped, with the place from the inside out.
enum Stop {
    Malformed,
    NonFinite(Vec<String>),
}

impl From<MalformedWire> for Stop {
    fn from(_: MalformedWire) -> Self {
        Self::Malformed
    }
}

struct Writer<'o, 'b> {
    out: &'o mut String,
    non_finite: NonFinite,
    /// Fields of all messages on the way from the outermost to the one being written.
    noted: Vec<Occurrence<'b>>,
}

/// Appends the JSON form of a serialized message.
pub(super) fn write(
    plan: &'static Plan,
    bytes: &[u8],
    non_finite: NonFinite,
    out: &mut String,
) -> Result<(), JsonError> {
    let mut writer = Writer {
        out,
        non_finite,
        noted: Vec::with_capacity(64),
    };
    writer.message(plan, bytes).map_err(|stop| match stop {
        Stop::Malformed => JsonError::field("", MalformedWire.to_string()),
        Stop::NonFinite(mut steps) => {
            steps.reverse();
            JsonError::field(steps.join("."), "JSON cannot express NaN and infinities")
        }
    })
}

impl<'b> Writer<'_, 'b> {
    fn message(&mut self, plan: &'static Plan, bytes: &'b [u8]) -> Result<(), Stop> {
        let base = self.noted.len();
        self.note(plan, bytes)?;
        self.out.push('{');
        let mut first = true;
        let mut defaults = plan.defaults.iter().copied().peekable();
        let mut next = base;
        while next < self.noted.len() {
            let index = self.noted[next].field;
            let end = next
                + self.noted[next..]
                    .iter()
                    .take_while(|occurrence| occurrence.field == index)
                    .count();
            while let Some(earlier) = defaults.next_if(|default| *default < index) {
                self.default(plan, earlier, &mut first);
            }
            let length = self.out.len();
            let had_first = first;
            self.key(plan, index, &mut first);
            let written = self
                .field(plan, index, next..end)
                .map_err(|stop| within(stop, plan, index))?;
            if !written {
                self.out.truncate(length);
                first = had_first;
            }
            if defaults.next_if_eq(&index).is_some() && !written {
                self.default(plan, index, &mut first);
            }
            next = end;
        }
        for index in defaults {
            self.default(plan, index, &mut first);
        }
        self.out.push('}');
        self.noted.truncate(base);
        Ok(())
    }

    /// Notes the message's fields, in declaration order.
    fn note(&mut self, plan: &'static Plan, bytes: &'b [u8]) -> Result<(), Stop> {
        let base = self.noted.len();
        let mut sorted = true;
        for (position, field) in (0_u32..).zip(WireFields::new(bytes)) {
            let wire = field?;
            let Some(field) = plan.field_by_number(wire.number) else {
                continue;
            };
            if self.noted.len() > base && self.noted.last().is_some_and(|last| last.field > field) {
                sorted = false;
            }
            self.noted.push(Occurrence {
                field,
                position,
                value: wire.value,
            });
        }
        if !sorted {
            self.noted[base..].sort_unstable_by_key(|occurrence| (occurrence.field, occurrence.position));
        }
        Ok(())
    }

    fn key(&mut self, plan: &'static Plan, index: u16, first: &mut bool) {
        if !std::mem::replace(first, false) {
            self.out.push(',');
        }
        self.out.push_str(&plan.fields[usize::from(index)].key);
    }

    fn default(&mut self, plan: &'static Plan, index: u16, first: &mut bool) {
        if let Some(text) = &plan.fields[usize::from(index)].default {
            self.key(plan, index, first);
            self.out.push_str(text);
        }
    }

    /// Writes the value of a field. `false` means that it has none that can be written: an enum number without name.
    fn field(&mut self, plan: &'static Plan, index: u16, noted: std::ops::Range<usize>) -> Result<bool, Stop> {
        let field = &plan.fields[usize::from(index)];
        match &field.label {
            Label::Optional | Label::Required => {
                let value = self.noted[noted.end - 1].value;
                self.value(&field.kind, value)
            }
            Label::Repeated => {
                self.out.push('[');
                let start = self.out.len();
                for occurrence in noted {
                    let value = self.noted[occurrence].value;
                    self.elements(&field.kind, value, start)?;
                }
                self.out.push(']');
                Ok(true)
            }
            Label::Map(key) => self.map(key, &field.kind, noted).map(|()| true),
        }
    }

    /// Writes one element of a list, or several when they are packed.
    fn elements(&mut self, kind: &'static Kind, value: WireValue<'b>, start: usize) -> Result<(), Stop> {
        let WireValue::Bytes(packed) = value else {
            return self.element(kind, value, start);
        };
        let mut packed = WireFields::new(packed);
        match kind {
            Kind::Text | Kind::Bytes | Kind::Message(_) => self.element(kind, value, start)?,
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
                while let Some(value) = packed.next_fixed64() {
                    self.element(kind, WireValue::Fixed64(value?), start)?;
                }
            }
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
                while let Some(value) = packed.next_fixed32() {
                    self.element(kind, WireValue::Fixed32(value?), start)?;
                }
            }
            _ => {
                while let Some(value) = packed.next_varint() {
                    self.element(kind, WireValue::Varint(value?), start)?;
                }
            }
        }
        Ok(())
    }

    fn element(&mut self, kind: &'static Kind, value: WireValue<'b>, start: usize) -> Result<(), Stop> {
        let length = self.out.len();
        if length > start {
            self.out.push(',');
        }
        if !self.value(kind, value)? {
            self.out.truncate(length);
        }
        Ok(())
    }

    /// Writes the entries in the order of their keys, so that equal maps give equal text.
    fn map(&mut self, key: &'static Kind, value: &'static Kind, noted: std::ops::Range<usize>) -> Result<(), Stop> {
        let mut entries: Vec<(String, Option<WireValue<'b>>)> = Vec::with_capacity(noted.len());
        for occurrence in noted {
            let WireValue::Bytes(bytes) = self.noted[occurrence].value else {
                return Err(Stop::Malformed);
            };
            let mut entry = (None, None);
            for part in WireFields::new(bytes) {
                let part = part?;
                match part.number {
                    1 => entry.0 = Some(part.value),
                    2 => entry.1 = Some(part.value),
                    _ => {}
                }
            }
            let name = map_key(key, entry.0.unwrap_or_else(|| absent(key)))?;
            entries.push((name, entry.1));
        }
        entries.sort_by(|left, right| left.0.cmp(&right.0));
        self.out.push('{');
        let start = self.out.len();
        for (name, entry) in entries {
            let length = self.out.len();
            if length > start {
                self.out.push(',');
            }
            write_string(self.out, &name);
            self.out.push(':');
            if !self.value(value, entry.unwrap_or_else(|| absent(value)))? {
                self.out.truncate(length);
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn value(&mut self, kind: &'static Kind, value: WireValue<'b>) -> Result<bool, Stop> {
        match (kind, value) {
            (Kind::Message(link), WireValue::Bytes(bytes)) => self.message(link.plan(), bytes)?,
            (Kind::Text, WireValue::Bytes(bytes)) => {
                write_string(self.out, std::str::from_utf8(bytes).map_err(|_| Stop::Malformed)?);
            }
            (Kind::Bytes, WireValue::Bytes(bytes)) => write_bytes(self.out, bytes),
            (Kind::Enum(names), WireValue::Varint(number)) => match names.name(int32(number)) {
                Some(name) => self.out.push_str(name),
                None => return Ok(false),
            },
            (Kind::Double, WireValue::Fixed64(bits)) => self.float(f64::from_bits(bits))?,
            (Kind::Float, WireValue::Fixed32(bits)) => self.float(f64::from(f32::from_bits(bits)))?,
            (Kind::Bool, WireValue::Varint(value)) => self.out.push_str(if value == 0 { "false" } else { "true" }),
            _ => match integer(kind, value).ok_or(Stop::Malformed)? {
                Integer::Signed(value) => write_i64(self.out, value),
                Integer::Unsigned(value) => write_u64(self.out, value),
            },
        }
        Ok(true)
    }

    fn float(&mut self, value: f64) -> Result<(), Stop> {
        if !write_f64(self.out, value) {
            match self.non_finite {
                NonFinite::Refuse => return Err(Stop::NonFinite(Vec::new())),
                NonFinite::WriteNull => self.out.push_str("null"),
            }
        }
        Ok(())
    }
}

fn within(stop: Stop, plan: &Plan, index: u16) -> Stop {
    match stop {
        Stop::NonFinite(mut steps) => {
            steps.push(plan.fields[usize::from(index)].name.clone());
            Stop::NonFinite(steps)
        }
        Stop::Malformed => Stop::Malformed,
    }
}

enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// The low half of a varint as a signed number, which is how the wire stores `int32` and enums.
#[expect(
    clippy::cast_possible_truncation,
    reason = "readers drop the high half, as the format demands"
)]
const fn int32(value: u64) -> i32 {
    value as i32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "readers drop the high half, as the format demands"
)]
fn integer(kind: &Kind, value: WireValue<'_>) -> Option<Integer> {
    Some(match (kind, value) {
        (Kind::Int32, WireValue::Varint(value)) => Integer::Signed(i64::from(int32(value))),
        (Kind::Int64, WireValue::Varint(value)) | (Kind::Sfixed64, WireValue::Fixed64(value)) => {
            Integer::Signed(value.cast_signed())
        }
        (Kind::Uint32, WireValue::Varint(value)) => Integer::Unsigned(u64::from(value as u32)),
        (Kind::Uint64, WireValue::Varint(value)) | (Kind::Fixed64, WireValue::Fixed64(value)) => {
            Integer::Unsigned(value)
        }
        (Kind::Sint32, WireValue::Varint(value)) => Integer::Signed(i64::from(zigzag(u64::from(value as u32)) as i32)),
        (Kind::Sint64, WireValue::Varint(value)) => Integer::Signed(zigzag(value)),
        (Kind::Fixed32, WireValue::Fixed32(value)) => Integer::Unsigned(u64::from(value)),
        (Kind::Sfixed32, WireValue::Fixed32(value)) => Integer::Signed(i64::from(value.cast_signed())),
        _ => return None,
    })
}

const fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The value that a map entry has when it leaves out its key or its value.
const fn absent(kind: &Kind) -> WireValue<'static> {
    match kind {
        Kind::Text | Kind::Bytes | Kind::Message(_) => WireValue::Bytes(&[]),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireValue::Fixed64(0),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireValue::Fixed32(0),
        _ => WireValue::Varint(0),
    }
}

fn map_key(kind: &Kind, value: WireValue<'_>) -> Result<String, Stop> {
    match (kind, value) {
        (Kind::Text, WireValue::Bytes(bytes)) => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Stop::Malformed),
        (Kind::Bool, WireValue::Varint(value)) => Ok((value != 0).to_string()),
        _ => match integer(kind, value).ok_or(Stop::Malformed)? {
            Integer::Signed(value) => Ok(value.to_string()),
            Integer::Unsigned(value) => Ok(value.to_string()),
        },
    }
}
