//! The JSON dialect of Mesos messages, for every message and in both directions.
//!
//! It is older than, and differs from, the JSON mapping that protobuf defines: names stand as declared, 64-bit
//! integers are numbers, explicit defaults are written, readers forgive unknown keys and quoted numbers. Nothing here
//! knows any message: descriptors drive both directions.
//!
//! - [`text`]: how strings and numbers are printed
//! - `plan`: what is worked out once for each message type
//! - `writer`: serialized message -> text
//! - `reader`: text -> serialized message
//!
//! Source: shared facts, `libprocess_wire.md` section 6.

mod error;
mod object;
pub(crate) mod plan;
mod reader;
#[cfg(test)]
mod tests;
pub mod text;
mod writer;

use protobuf::reflect::MessageDescriptor;
use protobuf::{MessageDyn, MessageFull};
use serde_json::Value;

pub use self::error::JsonError;
pub use self::object::{ObjectWriter, write_array, write_number, write_object};
pub use self::reader::{MAX_DEPTH, parse_value};

use self::plan::{Plan, Spelling, plan};
use self::writer::NonFinite;
use crate::wire::serialize;

/// The JSON form of a message. A number that JSON cannot express becomes `null`; see [`try_to_string`] for an error
/// instead.
#[must_use]
pub fn to_string<M: MessageFull>(message: &M) -> String {
    let mut out = String::new();
    write(message, &mut out);
    out
}

/// The JSON form of a message.
///
/// # Errors
///
/// Names the place of a number that JSON cannot express (NaN or an infinity).
pub fn try_to_string<M: MessageFull>(message: &M) -> Result<String, JsonError> {
    let mut out = String::new();
    try_write(message, &mut out)?;
    Ok(out)
}

/// Appends the JSON form of a message. A number that JSON cannot express becomes `null`.
pub fn write(message: &dyn MessageDyn, out: &mut String) {
    write_with(message, Spelling::Declared, out);
}

/// Appends the JSON form of a message.
///
/// # Errors
///
/// Names the place of a number that JSON cannot express (NaN or an infinity); what was appended up to there is taken
/// back.
pub fn try_write(message: &dyn MessageDyn, out: &mut String) -> Result<(), JsonError> {
    let length = out.len();
    let plan = plan(&message.descriptor_dyn(), Spelling::Declared);
    writer::write(plan, &serialize(message), NonFinite::Refuse, out).inspect_err(|_| out.truncate(length))
}

/// The JSON form of an unversioned message that is served in v1 form: `slave` in names becomes `agent`.
#[must_use]
pub fn to_string_agent_names<M: MessageFull>(message: &M) -> String {
    let mut out = String::new();
    write_agent_names(message, &mut out);
    out
}

/// Appends the JSON form of an unversioned message that is served in v1 form: `slave` in names becomes `agent`.
pub fn write_agent_names(message: &dyn MessageDyn, out: &mut String) {
    write_with(message, Spelling::AgentNames, out);
}

/// Appends the JSON form of a serialized message of the given type.
pub(crate) fn write_serialized(descriptor: &MessageDescriptor, bytes: &[u8], out: &mut String) {
    write_planned(plan(descriptor, Spelling::Declared), bytes, out);
}

fn write_with(message: &dyn MessageDyn, spelling: Spelling, out: &mut String) {
    write_planned(plan(&message.descriptor_dyn(), spelling), &serialize(message), out);
}

fn write_planned(plan: &'static Plan, bytes: &[u8], out: &mut String) {
    let length = out.len();
    if writer::write(plan, bytes, NonFinite::WriteNull, out).is_err() {
        debug_assert!(false, "a message's own bytes are well-formed");
        out.truncate(length);
        out.push_str("{}");
    }
}

/// Parses the JSON form of a message.
///
/// # Errors
///
/// Says what is wrong with the text, with the place in the message.
pub fn from_str<M: MessageFull>(text: &str) -> Result<M, JsonError> {
    from_slice(text.as_bytes())
}

/// Parses the JSON form of a message from the bytes of a body.
///
/// # Errors
///
/// Says what is wrong with the text, with the place in the message.
pub fn from_slice<M: MessageFull>(text: &[u8]) -> Result<M, JsonError> {
    from_value(&parse_value(text)?)
}

/// Makes a message of its JSON form.
///
/// # Errors
///
/// Says what is wrong with the value, with the place in the message.
pub fn from_value<M: MessageFull>(value: &Value) -> Result<M, JsonError> {
    let bytes = reader::read(plan(&M::descriptor(), Spelling::Declared), value)?;
    M::parse_from_bytes(&bytes).map_err(not_wire)
}

/// Makes a message of a type known only at run time of its JSON form.
///
/// # Errors
///
/// Says what is wrong with the value, with the place in the message.
pub fn from_value_dyn(descriptor: &MessageDescriptor, value: &Value) -> Result<Box<dyn MessageDyn>, JsonError> {
    let bytes = reader::read(plan(descriptor, Spelling::Declared), value)?;
    descriptor.parse_from_bytes(&bytes).map_err(not_wire)
}

/// A message that its JSON form describes but that the wire format cannot carry: nested too deeply for it.
#[expect(clippy::needless_pass_by_value, reason = "called by map_err")]
fn not_wire(error: protobuf::Error) -> JsonError {
    JsonError::field("", error.to_string())
}
