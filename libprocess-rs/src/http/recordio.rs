//! Framing of records on streams: decimal length, line feed, that many bytes.
//!
//! What a record contains (JSON, protobuf) is the caller's business.
//!
//! Source: shared facts, `libprocess_wire.md` section 5.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Longest length prefix that is looked at; 2^64 has 20 digits.
const LENGTH_DIGITS_MAX: usize = 20;

/// Frames one record.
#[must_use]
pub fn encode(record: &[u8]) -> Bytes {
    let length = record.len().to_string();
    let mut framed = BytesMut::with_capacity(length.len() + 1 + record.len());
    framed.extend_from_slice(length.as_bytes());
    framed.extend_from_slice(b"\n");
    framed.extend_from_slice(record);
    framed.freeze()
}

/// Why a stream of records cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes before the line feed are no decimal number.
    #[error("'{0}' is no record length")]
    BadLength(String),
    /// A record is longer than the reader accepts.
    #[error("a record of {length_bytes} bytes exceeds the limit of {limit_bytes}")]
    TooLong {
        /// What the sender announced.
        length_bytes: usize,
        /// What the reader accepts.
        limit_bytes: usize,
    },
}

/// Cuts a stream of bytes, arriving in pieces of any size, into records. Fails for good at the first bad length.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    record_bytes: Option<usize>,
    limit_bytes: usize,
    failure: Option<RecordError>,
}

impl Decoder {
    /// A decoder that accepts records of up to `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            record_bytes: None,
            limit_bytes,
            failure: None,
        }
    }

    /// Adds bytes as they came in.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Takes the next complete record, or nothing when more bytes are needed.
    ///
    /// # Errors
    ///
    /// Repeats the first failure forever.
    pub fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.try_next() {
            Ok(record) => Ok(record),
            Err(failure) => {
                self.buffer = BytesMut::new();
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Whether the bytes so far end between two records.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.buffer.is_empty() && self.record_bytes.is_none()
    }

    fn try_next(&mut self) -> Result<Option<Bytes>, RecordError> {
        let Some(length) = self.record_length()? else {
            return Ok(None);
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.record_bytes = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn record_length(&mut self) -> Result<Option<usize>, RecordError> {
        if let Some(length) = self.record_bytes {
            return Ok(Some(length));
        }
        let head = &self.buffer[..self.buffer.len().min(LENGTH_DIGITS_MAX + 1)];
        let Some(end) = memchr::memchr(b'\n', head) else {
            let hopeless = head.len() > LENGTH_DIGITS_MAX || !head.iter().all(u8::is_ascii_digit);
            return if hopeless { Err(bad_length(head)) } else { Ok(None) };
        };
        let digits = &head[..end];
        let text = std::str::from_utf8(digits)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length: usize = text
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| bad_length(digits))?;
        if length > self.limit_bytes {
            return Err(RecordError::TooLong {
                length_bytes: length,
                limit_bytes: self.limit_bytes,
            });
        }
        self.buffer.advance(end + 1);
        self.record_bytes = Some(length);
        Ok(Some(length))
    }
}

fn bad_length(head: &[u8]) -> RecordError {
    RecordError::BadLength(String::from_utf8_lossy(head).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heartbeat_is_framed_as_recorded() {
        assert_eq!(
            encode(br#"{"type":"HEARTBEAT"}"#).as_ref(),
            b"20\n{\"type\":\"HEARTBEAT\"}"
        );
        assert_eq!(encode(b"").as_ref(), b"0\n");
    }

    #[test]
    fn zero_length_records_come_through() {
        let mut decoder = Decoder::new(10);
        decoder.feed(b"0\n0\n1\na");
        assert_eq!(decoder.next_record(), Ok(Some(Bytes::new())));
        assert_eq!(decoder.next_record(), Ok(Some(Bytes::new())));
        assert_eq!(decoder.next_record(), Ok(Some(Bytes::from_static(b"a"))));
        assert!(decoder.is_at_boundary());
    }

    #[test]
    fn bad_lengths_fail_for_good() {
        for input in [
            "x\n",
            "-1\n",
            "1x\nabc",
            "\nabc",
            "{\"a\"",
            "999999999999999999999",
            "99999999999999999999\n",
        ] {
            let mut decoder = Decoder::new(usize::MAX);
            decoder.feed(input.as_bytes());
            assert!(
                matches!(decoder.next_record(), Err(RecordError::BadLength(_))),
                "{input}"
            );
            decoder.feed(b"1\na");
            assert!(
                matches!(decoder.next_record(), Err(RecordError::BadLength(_))),
                "{input}"
            );
        }
    }

    #[test]
    fn records_beyond_the_limit_are_refused_before_they_arrive() {
        let mut decoder = Decoder::new(4);
        decoder.feed(b"5\n");
        assert_eq!(
            decoder.next_record(),
            Err(RecordError::TooLong {
                length_bytes: 5,
                limit_bytes: 4
            })
        );
    }

    proptest! {
        #[test]
        fn records_survive_any_cut(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            cut in 1_usize..50,
        ) {
            let wire: Vec<u8> = records.iter().flat_map(|record| encode(record)).collect();
            let mut decoder = Decoder::new(1024);
            let mut decoded = Vec::new();
            for piece in wire.chunks(cut) {
                decoder.feed(piece);
                while let Some(record) = decoder.next_record().expect("well formed") {
                    decoded.push(record.to_vec());
                }
            }
            prop_assert_eq!(decoded, records);
            prop_assert!(decoder.is_at_boundary());
        }
    }
}
