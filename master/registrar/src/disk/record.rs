//! Records of a registry file: how they are written, and how they are found in a file that may be damaged.
//!
//! ```text
//! file    = magic(8) whole mark changes*     each a record; the mark has no payload
//! record  = length(4) checksum(4) kind(1) number(8) payload(length)     integers little-endian
//! ```
//!
//! The checksum is the CRC-32 of everything else in the record. The mark tells where the whole registry ended when that
//! is damaged: without it, nobody could say whether changes were lost with it.

use std::ops::Range;

use crc32fast::Hasher;

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
    let mut checksum = head_checksum(length, kind, number);
    checksum.update(payload);
    to.extend(length);
    to.extend(checksum.finalize().to_le_bytes());
    to.push(kind.byte());
    to.extend(number);
    to.extend(payload);
}

/// The checksum of a record before its payload is added to it.
fn head_checksum(length: [u8; 4], kind: Kind, number: [u8; 8]) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&length);
    hasher.update(&[kind.byte()]);
    hasher.update(&number);
    hasher
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

/// Reads a file that begins with the batch `first`.
#[must_use]
pub fn read(file: &[u8], first: u64) -> Found {
    let mut found = Found::default();
    let mut at = MAGIC.len();
    if !file.starts_with(&MAGIC) {
        found.damaged_at = Some(0);
    }
    while let Some(head) = Head::at(file, at) {
        let mut checksum = head.checksum();
        checksum.update(&file[head.payload.clone()]);
        if checksum.finalize() != head.checksum_told {
            break;
        }
        at = head.payload.end;
        found.take(file, head);
    }
    if at < file.len() {
        find_behind_damage(file, at, first, &mut Sums::new(file, at), &mut found);
    }
    found
}

/// Looks for whole records at every place behind the damage that begins `at`.
///
/// What stands there may be anything, also heads of records that never were, each claiming all that follows it as its
/// payload. Hashing every such payload would take forever; `sums` make each of them cost the same.
fn find_behind_damage(file: &[u8], at: usize, first: u64, sums: &mut Sums<'_>, found: &mut Found) {
    let mut last = found.records.last().map_or(first, |record| record.number);
    let mut last_end = at;
    let mut place = at + 1;
    while place < file.len() {
        // Numbers follow each other, so a record's number tells how many records were lost, and those had their heads.
        let lost_max = ((file.len() - last_end) / HEAD) as u64;
        let whole = Head::at(file, place).filter(|head| {
            (last..=last.saturating_add(lost_max)).contains(&head.number) && {
                let mut checksum = head.checksum();
                checksum.combine(&sums.of(head.payload.clone()));
                checksum.finalize() == head.checksum_told
            }
        });
        match whole {
            Some(head) => {
                found.damaged_at.get_or_insert(at);
                last = head.number;
                place = head.payload.end;
                last_end = place;
                found.take(file, head);
            }
            None => place += 1,
        }
    }
}

impl Found {
    fn take(&mut self, file: &[u8], head: Head) {
        self.end = head.payload.end;
        self.records.push(Record {
            kind: head.kind,
            number: head.number,
            payload: file[head.payload].to_vec(),
        });
    }
}

/// What stands before the payload of what may be a record.
#[derive(Debug)]
struct Head {
    kind: Kind,
    number: u64,
    checksum_told: u32,
    /// Where the payload stands in the file.
    payload: Range<usize>,
}

impl Head {
    /// Reads a head. `None` when there is none or its payload would go beyond the file.
    fn at(file: &[u8], at: usize) -> Option<Self> {
        let head = file.get(at..at.checked_add(HEAD)?)?;
        let length = u32::from_le_bytes(head[..4].try_into().ok()?);
        let payload_at = at + HEAD;
        let end = payload_at.checked_add(usize::try_from(length).ok()?)?;
        Some(Self {
            kind: Kind::of(head[8])?,
            number: u64::from_le_bytes(head[9..].try_into().ok()?),
            checksum_told: u32::from_le_bytes(head[4..8].try_into().ok()?),
            payload: (end <= file.len()).then_some(payload_at..end)?,
        })
    }

    fn checksum(&self) -> Hasher {
        // A head was read from a length of four bytes.
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        head_checksum(length.to_le_bytes(), self.kind, self.number.to_le_bytes())
    }
}

/// Bytes between two sums that are kept.
const BLOCK: usize = 64;

/// Checksums of a file from one place to many others. The checksum of any part of it follows from two of them, however
/// long that part is.
struct Sums<'f> {
    file: &'f [u8],
    start: usize,
    /// The checksum from the start up to each multiple of [`BLOCK`].
    blocks: Vec<u32>,
    /// Bytes that were hashed so far.
    #[cfg(test)]
    hashed: usize,
}

impl<'f> Sums<'f> {
    fn new(file: &'f [u8], start: usize) -> Self {
        let mut hasher = Hasher::new();
        let mut blocks = vec![0];
        for block in file[start..].chunks(BLOCK) {
            hasher.update(block);
            blocks.push(hasher.clone().finalize());
        }
        Self {
            file,
            start,
            blocks,
            #[cfg(test)]
            hashed: file.len() - start,
        }
    }

    /// The checksum of the bytes from the start to `end`.
    fn until(&mut self, end: usize) -> Hasher {
        let block = (end - self.start) / BLOCK;
        let whole = block * BLOCK;
        let rest = &self.file[self.start + whole..end];
        let mut hasher = Hasher::new_with_initial_len(self.blocks[block], whole as u64);
        hasher.update(rest);
        #[cfg(test)]
        {
            self.hashed += rest.len();
        }
        hasher
    }

    /// The checksum of a part behind the start.
    fn of(&mut self, part: Range<usize>) -> Hasher {
        let length = part.len() as u64;
        // CRC(ab) is CRC(a), moved on by the length of b, xor CRC(b).
        let mut moved = self.until(part.start);
        moved.combine(&Hasher::new_with_initial_len(0, length));
        let sum = self.until(part.end).finalize() ^ moved.finalize();
        Hasher::new_with_initial_len(sum, length)
    }
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
            let found = read(&file[..cut], 3);
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
            let found = read(&damaged, 3);
            assert_eq!(found.damaged_at.is_some(), at < last, "byte {at}");
            assert_eq!(found.records.len(), if at < MAGIC.len() { 3 } else { 2 }, "byte {at}");
        }
    }

    #[test]
    fn records_behind_damage_are_found_however_long_they_are() {
        for length in [0, 1, 63, 64, 65, 1000, 5000] {
            let mut file = MAGIC.to_vec();
            write(Kind::Whole, 3, b"registry", &mut file);
            let damaged_at = file.len();
            write(Kind::Changes, 4, b"lost", &mut file);
            file[damaged_at + HEAD] ^= 1;
            let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
            write(Kind::Changes, 5, &payload, &mut file);
            write(Kind::Changes, 6, &payload, &mut file);
            let found = read(&file, 3);
            assert_eq!(found.damaged_at, Some(damaged_at), "{length}");
            assert_eq!((found.records.len(), found.end), (3, file.len()), "{length}");
            assert_eq!(found.records[2].payload, payload);
        }
    }

    #[test]
    fn a_record_with_a_number_that_cannot_follow_is_none() {
        for (number, counts) in [(2, false), (3, true), (5, true), (6, false), (u64::MAX, false)] {
            let mut file = MAGIC.to_vec();
            write(Kind::Whole, 3, b"registry", &mut file);
            let torn = file.len();
            // Room for the head of one record.
            file.extend([0xff; HEAD]);
            write(Kind::Changes, number, b"", &mut file);
            let found = read(&file, 3);
            assert_eq!(found.damaged_at, counts.then_some(torn), "{number}");
        }
    }

    /// A torn tail of nothing but heads whose payloads reach to its end.
    #[test]
    fn a_crafted_tail_costs_no_more_than_its_length() {
        const TAIL: usize = 512 * 1024;
        let mut file = MAGIC.to_vec();
        write(Kind::Whole, 3, b"registry", &mut file);
        let end = file.len();
        let mut heads = 0;
        while file.len() < end + TAIL {
            let left = end + TAIL - file.len();
            file.extend(u32::try_from(left.saturating_sub(HEAD)).expect("short").to_le_bytes());
            file.extend([0xaa; 4]);
            file.push(Kind::Changes.byte());
            file.extend(4_u64.to_le_bytes());
            heads += 1;
        }
        let mut found = Found {
            end,
            ..Found::default()
        };
        let mut sums = Sums::new(&file, end);
        find_behind_damage(&file, end, 3, &mut sums, &mut found);
        assert!(found.records.is_empty());
        // Each head costs two blocks at most; their payloads together have thousands of times the tail.
        assert!(sums.hashed > file.len() - end, "heads are looked at");
        assert!(sums.hashed <= file.len() + heads * 2 * BLOCK, "{} bytes", sums.hashed);
    }
}
