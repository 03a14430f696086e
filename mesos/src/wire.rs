//! Protobuf wire format, taken apart field by field.
//!
//! JSON and the conversion between unversioned and v1 messages both work on serialized messages: the generated code
//! turns a value into bytes and back faster than reflection can walk it. Here stands what they share. The master keeps
//! what it seldom reads as bytes; a [`Checker`] tells beforehand whether they can be read.

mod check;

pub use check::{CheckError, Checker};

/// One field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WireValue<'b> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'b [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// One field of a serialized message.
#[derive(Clone, Copy, Debug)]
pub struct WireField<'b> {
    /// The field's number.
    pub number: u32,
    /// The field's value.
    pub value: WireValue<'b>,
    /// Tag and value as they stand in the message.
    pub raw: &'b [u8],
}

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no protobuf message")]
pub struct MalformedWire;

/// Iterates over the fields of a serialized message in the order in which they stand.
#[derive(Clone, Copy, Debug)]
pub struct WireFields<'b> {
    bytes: &'b [u8],
}

impl<'b> WireFields<'b> {
    /// Starts at the first field.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    fn varint(&mut self) -> Result<u64, MalformedWire> {
        let mut value = 0;
        for (index, byte) in self.bytes.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[index + 1..];
                return Ok(value);
            }
        }
        Err(MalformedWire)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], MalformedWire> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(MalformedWire)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<WireField<'b>, MalformedWire> {
        let start = self.bytes;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| MalformedWire)?;
        let value = match tag & 7 {
            0 => WireValue::Varint(self.varint()?),
            1 => WireValue::Fixed64(fixed64(self.take(8)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| MalformedWire)?;
                WireValue::Bytes(self.take(length)?)
            }
            5 => WireValue::Fixed32(fixed32(self.take(4)?)),
            _ => return Err(MalformedWire),
        };
        Ok(WireField {
            number,
            value,
            raw: &start[..start.len() - self.bytes.len()],
        })
    }

    /// The next bare varint, for packed fields.
    pub(crate) fn next_varint(&mut self) -> Option<Result<u64, MalformedWire>> {
        (!self.bytes.is_empty()).then(|| self.varint())
    }

    /// The next bare eight bytes, for packed fields.
    pub(crate) fn next_fixed64(&mut self) -> Option<Result<u64, MalformedWire>> {
        (!self.bytes.is_empty()).then(|| self.take(8).map(fixed64))
    }

    /// The next bare four bytes, for packed fields.
    pub(crate) fn next_fixed32(&mut self) -> Option<Result<u32, MalformedWire>> {
        (!self.bytes.is_empty()).then(|| self.take(4).map(fixed32))
    }
}

impl<'b> Iterator for WireFields<'b> {
    type Item = Result<WireField<'b>, MalformedWire>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.bytes = &[];
        }
        Some(field)
    }
}

fn fixed64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn fixed32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends the tag of a field.
pub fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Appends a field with its value.
pub fn put_field(out: &mut Vec<u8>, number: u32, value: WireValue<'_>) {
    match value {
        WireValue::Varint(value) => {
            put_tag(out, number, 0);
            put_varint(out, value);
        }
        WireValue::Fixed64(value) => {
            put_tag(out, number, 1);
            out.extend_from_slice(&value.to_le_bytes());
        }
        WireValue::Bytes(value) => {
            put_tag(out, number, 2);
            put_varint(out, value.len() as u64);
            out.extend_from_slice(value);
        }
        WireValue::Fixed32(value) => {
            put_tag(out, number, 5);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// Appends a length-delimited field whose content `write` appends.
///
/// # Errors
///
/// Passes on the error of `write`.
pub fn put_nested<E>(
    out: &mut Vec<u8>,
    number: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_tag(out, number, 2);
    let start = out.len();
    write(out)?;
    let length = out.len() - start;
    let end = out.len();
    put_varint(out, length as u64);
    let prefix = out.len() - end;
    out[start..].rotate_right(prefix);
    Ok(())
}

/// Serializes a message as it is, with or without its required fields.
///
/// # Panics
///
/// Never: writing to memory does not fail.
#[must_use]
pub fn serialize(message: &dyn protobuf::MessageDyn) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(message.compute_size_dyn()).unwrap_or_default());
    {
        let mut output = protobuf::CodedOutputStream::vec(&mut bytes);
        message
            .write_to_with_cached_sizes_dyn(&mut output)
            .expect("writing to memory cannot fail");
        output.flush().expect("writing to memory cannot fail");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_put() {
        let values = [
            WireValue::Varint(0),
            WireValue::Varint(u64::MAX),
            WireValue::Fixed64(0x0102_0304_0506_0708),
            WireValue::Fixed32(0x0102_0304),
            WireValue::Bytes(b"abc"),
        ];
        let mut bytes = Vec::new();
        for value in values {
            put_field(&mut bytes, 1000, value);
        }
        let read: Vec<_> = WireFields::new(&bytes)
            .map(|field| field.expect("well-formed").value)
            .collect();
        assert_eq!(read, values);
    }

    #[test]
    fn nested_fields_get_their_length() {
        for length in [0, 1, 127, 128, 20_000] {
            let mut bytes = b"x".to_vec();
            put_nested::<()>(&mut bytes, 2, |out| {
                out.extend(std::iter::repeat_n(7, length));
                Ok(())
            })
            .expect("no error");
            let field = WireFields::new(&bytes[1..])
                .next()
                .expect("a field")
                .expect("well-formed");
            assert_eq!(field.value, WireValue::Bytes(&vec![7; length]));
        }
    }

    #[test]
    fn torn_bytes_are_an_error_and_end_the_iteration() {
        for torn in [&[0x80][..], &[0x0a, 5, 1], &[0x09, 1], &[0x0d, 1], &[0x0b], &[0xff; 12]] {
            let read: Vec<_> = WireFields::new(torn).collect();
            assert!(read.len() == 1 && read[0].is_err(), "{torn:?}");
        }
    }
}
