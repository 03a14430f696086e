//! The messages whose unversioned and v1 bytes mean different things, each with what has to be done by hand.
//!
//! Source: shared facts, `protobuf/unversioned_vs_v1.tsv` and `libprocess_wire.md` section 10.

use crate::wire::{MalformedWire, WireField, WireFields, WireValue, put_field, put_nested};

/// Appends to the output what the bytes of a message become.
pub(super) type Handler = fn(&[u8], &mut Vec<u8>) -> Result<(), MalformedWire>;

/// One message that cannot be converted by its bytes alone.
pub(super) struct Exception {
    /// Full name of the message that is converted.
    pub(super) from: &'static str,
    /// Does the work.
    pub(super) handler: Handler,
}

/// All of them, in both directions.
pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        from: "mesos.v1.AgentInfo",
        handler: devolve_agent_info,
    },
    Exception {
        from: "mesos.v1.scheduler.Call.Subscribe",
        handler: devolve_subscribe,
    },
    Exception {
        from: "mesos.scheduler.Call.Subscribe",
        handler: evolve_subscribe,
    },
    Exception {
        from: "mesos.v1.master.Call.DrainAgent",
        handler: devolve_drain_agent,
    },
    Exception {
        from: "mesos.master.Call.DrainAgent",
        handler: evolve_drain_agent,
    },
];

/// Field of the unversioned agent description that says whether the agent keeps checkpoints.
const CHECKPOINT: u32 = 7;

/// Agents always keep checkpoints; the v1 description no longer says so.
fn devolve_agent_info(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedWire> {
    for field in WireFields::new(bytes) {
        let field = field?;
        if field.number != CHECKPOINT {
            out.extend_from_slice(field.raw);
        }
    }
    put_field(out, CHECKPOINT, WireValue::Varint(1));
    Ok(())
}

/// Numbers of `Subscribe` on one side.
struct SubscribeNumbers {
    /// Only unversioned schedulers can force a takeover.
    force: Option<u32>,
    suppressed_roles: u32,
    offer_constraints: u32,
}

const UNVERSIONED_SUBSCRIBE: SubscribeNumbers = SubscribeNumbers {
    force: Some(2),
    suppressed_roles: 3,
    offer_constraints: 4,
};
const V1_SUBSCRIBE: SubscribeNumbers = SubscribeNumbers {
    force: None,
    suppressed_roles: 2,
    offer_constraints: 3,
};

fn devolve_subscribe(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedWire> {
    renumber_subscribe(bytes, &V1_SUBSCRIBE, &UNVERSIONED_SUBSCRIBE, out)
}

fn evolve_subscribe(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedWire> {
    renumber_subscribe(bytes, &UNVERSIONED_SUBSCRIBE, &V1_SUBSCRIBE, out)
}

/// Moves the fields whose numbers differ. A field of unknown number is kept unless its number means something on the
/// other side.
fn renumber_subscribe(
    bytes: &[u8],
    from: &SubscribeNumbers,
    to: &SubscribeNumbers,
    out: &mut Vec<u8>,
) -> Result<(), MalformedWire> {
    let taken = |number| Some(number) == to.force || number == to.suppressed_roles || number == to.offer_constraints;
    for field in WireFields::new(bytes) {
        let WireField { number, value, raw } = field?;
        if number == from.suppressed_roles {
            put_field(out, to.suppressed_roles, value);
        } else if number == from.offer_constraints {
            put_field(out, to.offer_constraints, value);
        } else if Some(number) != from.force && !taken(number) {
            out.extend_from_slice(raw);
        }
    }
    Ok(())
}

/// Number of the grace period, and of the seconds or nanoseconds in it.
const MAX_GRACE_PERIOD: u32 = 2;
const FIRST: u32 = 1;
const SECOND: u32 = 2;
const NANOSECONDS_A_SECOND: i64 = 1_000_000_000;

/// v1 counts seconds and nanoseconds, unversioned messages nanoseconds alone.
fn devolve_drain_agent(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedWire> {
    replace_grace_period(bytes, out, |period, out| {
        let seconds = number(period, FIRST)?;
        let nanoseconds = number(period, SECOND)?;
        let total = seconds.saturating_mul(NANOSECONDS_A_SECOND).saturating_add(nanoseconds);
        put_field(out, FIRST, WireValue::Varint(total.cast_unsigned()));
        Ok(())
    })
}

fn evolve_drain_agent(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedWire> {
    replace_grace_period(bytes, out, |period, out| {
        let total = number(period, FIRST)?;
        for (field, part) in [
            (FIRST, total / NANOSECONDS_A_SECOND),
            (SECOND, total % NANOSECONDS_A_SECOND),
        ] {
            if part != 0 {
                put_field(out, field, WireValue::Varint(part.cast_unsigned()));
            }
        }
        Ok(())
    })
}

fn replace_grace_period(
    bytes: &[u8],
    out: &mut Vec<u8>,
    replace: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), MalformedWire>,
) -> Result<(), MalformedWire> {
    for field in WireFields::new(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (MAX_GRACE_PERIOD, WireValue::Bytes(period)) => {
                put_nested(out, MAX_GRACE_PERIOD, |out| replace(period, out))?;
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    Ok(())
}

/// The value of a varint field, zero when it is absent.
fn number(bytes: &[u8], wanted: u32) -> Result<i64, MalformedWire> {
    let mut found = 0;
    for field in WireFields::new(bytes) {
        if let WireField {
            number,
            value: WireValue::Varint(value),
            ..
        } = field?
            && number == wanted
        {
            found = value.cast_signed();
        }
    }
    Ok(found)
}
