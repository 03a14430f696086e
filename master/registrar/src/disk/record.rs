//! Records of a registry file: how they are written, and how they are found in a file that may be damaged.
//!
//! ```text
//! file    = magic(8) whole mark changes*     each a record; the mark has no payload
//! record  = length(4) checksum(4) kind(1) number(8) payload(length)     integers little-endian
//! ```
//!
//! The checksum is the CRC-32 of everything else in the record. The mark tells where the whole registry ended when that
//! is damaged: without it, nobody could say whether changes were lost with it.

/// How every file begins; the last byte is the version of the format.
pub const MAGIC: [u8; 8] = *b"MSREG\r\n\x01";

/// Bytes of a record before its payload.
const HEAD: usize = 17;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole registry.
    Whole,
    /// Changes of one batch.
    Changes,
    /// The end of a whole registry.
    Mark,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Whole => 1,
            Self::Changes => 2,
            Self::Mark => 3,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Whole),
            2 => Some(Self::Changes),
            3 => Some(Self::Mark),
            _ => None,
        }
    }
}

/// A record that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    /// Number of its batch.
    pub number: u64,
    pub payload: Vec<u8>,
}

/// Appends a record.
pub fn write(kind: Kind, number: u64, payload: &[u8], to: &mut Vec<u8>) {
    // A registry is one protobuf message: it ends at 2 GiB.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let number = number.to_le_bytes();
    let checksum = checksum(&length, kind.byte(), &number, payload);
    to.extend(length);
    to.extend(checksum.to_le_bytes());
    to.push(kind.byte());
    to.extend(number);
    to.extend(payload);
}

fn checksum(length: &[u8], kind: u8, number: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(&[kind]);
    hasher.update(number);
    hasher.update(payload);
    hasher.finalize()
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Records that are whole, in order.
    pub records: Vec<Record>,
    /// Where something stands that is no record although records follow it; the begin of the file counts.
    pub damaged_at: Option<usize>,
    /// Where the last whole record ends. What follows was being written when the program or the machine died.
    pub end: usize,
}

/// Reads a file.
#[must_use]
pub fn read(file: &[u8]) -> Found {
    let mut found = Found::default();
    let mut at = MAGIC.len();
    if !file.starts_with(&MAGIC) {
        found.damaged_at = Some(0);
    }
    while at < file.len() {
        match record_at(file, at) {
            Some((record, end)) => {
                found.records.push(record);
                found.end = end;
                at = end;
            }
            None => match next_record(file, at + 1) {
                Some(next) => {
                    found.damaged_at.get_or_insert(at);
                    at = next;
                }
                None => break,
            },
        }
    }
    found
}

/// Looks for a whole record behind damage. Slow, and done only for files that need it.
fn next_record(file: &[u8], from: usize) -> Option<usize> {
    (from..file.len()).find(|at| record_at(file, *at).is_some())
}

fn record_at(file: &[u8], at: usize) -> Option<(Record, usize)> {
    let (head, rest) = file.get(at..)?.split_at_checked(HEAD)?;
    let (length, checksum_told, kind, number) = (&head[..4], &head[4..8], head[8], &head[9..]);
    let payload_length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let payload = rest.get(..payload_length)?;
    let known = Kind::of(kind)?;
    if checksum(length, kind, number, payload).to_le_bytes() != checksum_told {
        return None;
    }
    let record = Record {
        kind: known,
        number: u64::from_le_bytes(number.try_into().ok()?),
        payload: payload.to_vec(),
    };
    Some((record, at + HEAD + payload_length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        write(Kind::Whole, 3, b"registry", &mut file);
        write(Kind::Changes, 4, b"", &mut file);
        write(Kind::Changes, 5, b"more", &mut file);
        file
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_records_before_the_cut() {
        let file = file();
        let ends = [MAGIC.len() + 25, MAGIC.len() + 42, file.len()];
        for cut in MAGIC.len()..=file.len() {
            let found = read(&file[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(found.records.len(), whole, "cut at {cut}");
            assert_eq!(found.damaged_at, None, "cut at {cut}");
            let end = ends[..whole].last().copied().unwrap_or_default();
            assert_eq!(found.end, end, "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_is_found_wherever_it_is() {
        let file = file();
        let last = MAGIC.len() + 42;
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x41;
            let found = read(&damaged);
            assert_eq!(found.damaged_at.is_some(), at < last, "byte {at}");
            assert_eq!(found.records.len(), if at < MAGIC.len() { 3 } else { 2 }, "byte {at}");
        }
    }
}
