//! Sizes as Mesos writes them: a whole number and a unit, such as `4KB` or `2GB`. A kilobyte has 1024 bytes.
//!
//! Source: shared facts, `pitfalls.md` D25 and the defaults in the flag tables.

/// The units with their size, smallest first.
const UNITS: [(&str, u64); 5] = [
    ("B", 1),
    ("KB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
];

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// The number is missing, negative, fractional or malformed.
    #[error("`{text}` does not begin with a whole number; a size looks like 512MB or 2GB")]
    BadNumber {
        /// The text as given.
        text: String,
    },
    /// The unit is missing or unknown.
    #[error("`{text}` has the unit `{unit}`; the units are B, KB, MB, GB and TB")]
    UnknownUnit {
        /// The text as given.
        text: String,
        /// What stands after the number.
        unit: String,
    },
    /// The size does not fit into 64 bits.
    #[error("`{text}` is too large")]
    TooLarge {
        /// The text as given.
        text: String,
    },
}

/// Reads a size in bytes.
///
/// # Errors
///
/// Says whether number, unit or size is wrong.
pub fn parse(text: &str) -> Result<u64, BytesError> {
    let trimmed = text.trim();
    let owned = || text.to_owned();
    let split = trimmed
        .find(|character: char| character.is_ascii_alphabetic())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number = number.trim_end();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BytesError::BadNumber { text: owned() });
    }
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(BytesError::UnknownUnit {
            text: owned(),
            unit: unit.to_owned(),
        });
    };
    let bytes = number.parse::<u64>().ok().and_then(|count| count.checked_mul(*size));
    bytes.ok_or_else(|| BytesError::TooLarge { text: owned() })
}

/// Prints a size in the largest unit in which it is whole: `2GB`, `1536MB`, `0B`.
#[must_use]
pub fn to_text(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .rev()
        .find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size));
    let (name, size) = unit.unwrap_or(&UNITS[0]);
    format!("{}{name}", bytes / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_printed() {
        for (text, bytes) in [
            ("0B", 0),
            ("100B", 100),
            ("4KB", 4096),
            ("10MB", 10 << 20),
            ("1536MB", 1536 << 20),
            ("2GB", 2 << 30),
            ("3TB", 3 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(to_text(bytes), text);
        }
    }

    #[test]
    fn broken_sizes_say_what_is_wrong() {
        for text in ["", "GB", "1.5GB", "-1B"] {
            assert!(matches!(parse(text), Err(BytesError::BadNumber { .. })), "{text}");
        }
        for text in ["12", "12kb", "12G"] {
            assert!(matches!(parse(text), Err(BytesError::UnknownUnit { .. })), "{text}");
        }
        for text in ["99999999999999999999B", "99999999TB"] {
            assert!(matches!(parse(text), Err(BytesError::TooLarge { .. })), "{text}");
        }
    }
}
