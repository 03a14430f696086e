//! Whether bytes are a message that can be parsed, without parsing it.
//!
//! Who keeps a message as bytes and parses it when it is asked for must know beforehand that this will work: a message
//! without a required field is refused when it arrives. The walk allocates nothing and is several times cheaper than
//! parsing.

use protobuf::MessageFull;

use super::{MalformedWire, WireFields, WireValue};
use crate::json::plan::{Kind, Label, Plan, Spelling, plan};

/// Deepest nesting; the parser has the same bound.
const DEPTH_MAX: u32 = 100;
/// Number of the value in a map's entry.
const MAP_VALUE: u32 = 2;

/// Why bytes are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The bytes are no message at all.
    #[error(transparent)]
    Malformed(#[from] MalformedWire),
    /// A field that must be there is not.
    #[error("the required field '{0}' is missing")]
    Missing(&'static str),
    /// A text is no text.
    #[error("the field '{0}' is not UTF-8")]
    NoText(&'static str),
    /// Messages stand in messages too often.
    #[error("messages are nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

/// Checks serialized messages of one type.
#[derive(Clone, Copy, Debug)]
pub struct Checker(&'static Plan);

impl Checker {
    /// The checker of a message type.
    #[must_use]
    pub fn of<M: MessageFull>() -> Self {
        Self(plan(&M::descriptor(), Spelling::Declared))
    }

    /// Checks one message: well-formed, texts are texts, required fields are there, at every depth. Unknown fields are
    /// let through.
    ///
    /// # Errors
    ///
    /// Names what the parser would refuse.
    pub fn check(self, bytes: &[u8]) -> Result<(), CheckError> {
        check(self.0, bytes, 0)
    }
}

fn check(plan: &'static Plan, bytes: &[u8], depth: u32) -> Result<(), CheckError> {
    if depth >= DEPTH_MAX {
        return Err(CheckError::TooDeep);
    }
    let mut seen = 0_u128;
    for field in WireFields::new(bytes) {
        let field = field?;
        let Some(index) = plan.field_by_number(field.number) else {
            continue;
        };
        let known = &plan.fields[usize::from(index)];
        let bytes = match (field.value, &known.kind) {
            (WireValue::Bytes(bytes), _) => bytes,
            // A field in another form than declared is an unknown one to the parser.
            (value, kind) => {
                if fits(value, kind) {
                    seen |= bit(index);
                }
                continue;
            }
        };
        match (&known.kind, &known.label) {
            (Kind::Message(link), Label::Map(_)) => check_map_value(link.plan(), bytes, depth + 1)?,
            (Kind::Message(link), _) => check(link.plan(), bytes, depth + 1)?,
            (Kind::Text, Label::Optional | Label::Required | Label::Repeated) => {
                std::str::from_utf8(bytes).map_err(|_| CheckError::NoText(&known.name))?;
            }
            (Kind::Text, Label::Map(_)) | (Kind::Bytes, _) => {}
            // Numbers in this form are packed; a single one is an unknown field to the parser.
            (_, Label::Repeated | Label::Map(_)) => {}
            (_, Label::Optional | Label::Required) => continue,
        }
        seen |= bit(index);
    }
    let missing = plan.required.iter().find(|index| seen & bit(**index) == 0);
    missing.map_or(Ok(()), |index| {
        Err(CheckError::Missing(&plan.fields[usize::from(*index)].name))
    })
}

/// Whether a single value stands in the form that its kind is written in.
const fn fits(value: WireValue<'_>, kind: &Kind) -> bool {
    use Kind as K;
    match value {
        WireValue::Varint(_) => matches!(
            kind,
            K::Int32 | K::Int64 | K::Uint32 | K::Uint64 | K::Sint32 | K::Sint64 | K::Bool | K::Enum(_)
        ),
        WireValue::Fixed64(_) => matches!(kind, K::Fixed64 | K::Sfixed64 | K::Double),
        WireValue::Fixed32(_) => matches!(kind, K::Fixed32 | K::Sfixed32 | K::Float),
        WireValue::Bytes(_) => matches!(kind, K::Text | K::Bytes | K::Message(_)),
    }
}

const fn bit(index: u16) -> u128 {
    // No message has more fields than this has bits; one that had would only be checked less.
    1_u128.wrapping_shl(index as u32)
}

fn check_map_value(plan: &'static Plan, entry: &[u8], depth: u32) -> Result<(), CheckError> {
    for field in WireFields::new(entry) {
        let field = field?;
        if let (MAP_VALUE, WireValue::Bytes(bytes)) = (field.number, field.value) {
            check(plan, bytes, depth)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mesos_proto::v0::mesos::{DurationInfo, Label, Labels, Port, Task, TaskState, value};
    use protobuf::Message;

    use super::*;
    use crate::wire::{put_field, serialize};

    fn task() -> Task {
        let mut task = Task::new();
        task.set_name("name".to_owned());
        task.task_id.mut_or_insert_default().set_value("task".to_owned());
        task.framework_id
            .mut_or_insert_default()
            .set_value("framework".to_owned());
        task.slave_id.mut_or_insert_default().set_value("agent".to_owned());
        task.set_state(TaskState::TASK_RUNNING);
        let mut label = Label::new();
        label.set_key("key".to_owned());
        task.labels = Some(Labels {
            labels: vec![label],
            ..Labels::new()
        })
        .into();
        let mut limit = value::Scalar::new();
        limit.set_value(1.0);
        task.limits.insert("cpus".to_owned(), limit);
        task
    }

    /// The checker agrees with the parser about these bytes, and says this.
    fn verdict(bytes: &[u8]) -> Result<(), CheckError> {
        let checked = Checker::of::<Task>().check(bytes);
        assert_eq!(Task::parse_from_bytes(bytes).is_ok(), checked.is_ok(), "{checked:?}");
        checked
    }

    #[test]
    fn whole_messages_pass_also_with_unknown_fields() {
        let mut bytes = serialize(&task());
        assert_eq!(verdict(&bytes), Ok(()));
        put_field(&mut bytes, 999, WireValue::Bytes(b"later"));
        put_field(&mut bytes, 1, WireValue::Varint(7));
        assert_eq!(verdict(&bytes), Ok(()));
    }

    #[test]
    fn what_the_parser_refuses_is_refused() {
        let broken = |change: fn(&mut Task)| {
            let mut task = task();
            change(&mut task);
            verdict(&serialize(&task))
        };
        assert_eq!(broken(|task| task.name = None), Err(CheckError::Missing("name")));
        assert_eq!(broken(|task| task.state = None), Err(CheckError::Missing("state")));
        let nested = broken(|task| task.task_id.mut_or_insert_default().value = None);
        assert_eq!(nested, Err(CheckError::Missing("value")));
        let label = broken(|task| task.labels.mut_or_insert_default().labels[0].key = None);
        assert_eq!(label, Err(CheckError::Missing("key")));
        let limit = broken(|task| {
            task.limits.insert("mem".to_owned(), value::Scalar::new());
        });
        assert_eq!(limit, Err(CheckError::Missing("value")));
        let mut bytes = serialize(&task());
        put_field(&mut bytes, 1, WireValue::Bytes(&[0xff]));
        assert_eq!(verdict(&bytes), Err(CheckError::NoText("name")));
        let torn = serialize(&task());
        assert_eq!(
            verdict(&torn[..torn.len() - 1]),
            Err(CheckError::Malformed(MalformedWire))
        );
    }

    /// Whether a message passes, on which checker and parser agree.
    fn passes<M: MessageFull>(bytes: &[u8]) -> bool {
        let checked = Checker::of::<M>().check(bytes);
        let parsed = M::parse_from_bytes(bytes);
        assert_eq!(parsed.is_ok(), checked.is_ok(), "{}: {checked:?}, {parsed:?}", M::NAME);
        checked.is_ok()
    }

    #[test]
    fn a_required_field_counts_only_in_the_form_of_its_kind() {
        let forms = [
            ("varint", WireValue::Varint(1)),
            ("fixed64", WireValue::Fixed64(1)),
            ("bytes", WireValue::Bytes(b"1")),
            ("fixed32", WireValue::Fixed32(1)),
        ];
        let stateless = {
            let mut task = task();
            task.state = None;
            serialize(&task)
        };
        type Passes = fn(&[u8]) -> bool;
        // The message without the field, the field's number, and the form that fits.
        let rows: [(&str, &[u8], u32, &str, Passes); 5] = [
            ("enum", &stateless, 6, "varint", passes::<Task>),
            ("int64", &[], 1, "varint", passes::<DurationInfo>),
            ("uint32", &[], 1, "varint", passes::<Port>),
            ("double", &[], 1, "fixed64", passes::<value::Scalar>),
            ("string", &[], 1, "bytes", passes::<Label>),
        ];
        for (kind, before, number, fitting, passes) in rows {
            for (form, value) in forms {
                let mut bytes = before.to_vec();
                put_field(&mut bytes, number, value);
                assert_eq!(passes(&bytes), form == fitting, "{kind} as {form}");
            }
        }
    }
}
