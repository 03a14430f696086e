//! Durations as Mesos writes them: a number and a unit word, such as `15secs`, `1.5mins` or `1weeks`.
//!
//! Source: shared facts, `pitfalls.md` D25 and the defaults in the flag tables.

use std::time::Duration;

/// The units with their length in nanoseconds, shortest first.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("secs", 1_000_000_000),
    ("mins", 60 * 1_000_000_000),
    ("hrs", 3_600 * 1_000_000_000),
    ("days", 86_400 * 1_000_000_000),
    ("weeks", 604_800 * 1_000_000_000),
];

/// The longest duration: peers keep nanoseconds in 63 bits.
pub const MAX: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The number is missing or malformed.
    #[error("`{text}` does not begin with a number; a duration looks like 15secs or 1.5mins")]
    BadNumber {
        /// The text as given.
        text: String,
    },
    /// The number is negative.
    #[error("`{text}` is negative; a duration is at least zero")]
    Negative {
        /// The text as given.
        text: String,
    },
    /// The unit is missing or unknown.
    #[error("`{text}` has the unit `{unit}`; the units are ns, us, ms, secs, mins, hrs, days and weeks")]
    UnknownUnit {
        /// The text as given.
        text: String,
        /// What stands after the number.
        unit: String,
    },
    /// The duration does not fit.
    #[error("`{text}` is too long; the longest duration is about 292 years")]
    TooLong {
        /// The text as given.
        text: String,
    },
}

/// Reads a duration.
///
/// # Errors
///
/// Says whether number, unit or size is wrong.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let trimmed = text.trim();
    let owned = || text.to_owned();
    let split = trimmed
        .find(|character: char| character.is_ascii_alphabetic())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number = number.trim_end();
    if number.starts_with('-') {
        return Err(DurationError::Negative { text: owned() });
    }
    let well_formed = number
        .chars()
        .all(|character| character.is_ascii_digit() || character == '.');
    if !well_formed || number.is_empty() {
        return Err(DurationError::BadNumber { text: owned() });
    }
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::UnknownUnit {
            text: owned(),
            unit: unit.to_owned(),
        });
    };
    let nanos = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*length),
        Err(_) => fraction_to_nanos(number, *length).map_err(|()| DurationError::BadNumber { text: owned() })?,
    };
    nanos
        .map(Duration::from_nanos)
        .filter(|duration| *duration <= MAX)
        .ok_or_else(|| DurationError::TooLong { text: owned() })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]
fn fraction_to_nanos(number: &str, length: u64) -> Result<Option<u64>, ()> {
    let value: f64 = number.parse().map_err(|_| ())?;
    let nanos = value * length as f64;
    // The comparison keeps the cast inside its range.
    Ok((nanos < i64::MAX as f64).then_some(nanos as u64))
}

/// Seconds, as protobuf fields such as `failover_timeout` carry them, as a duration; `None` for what is not a number,
/// negative or too long.
#[must_use]
pub fn from_seconds(seconds: f64) -> Option<Duration> {
    if !(0.0..9_223_372_036.854_775).contains(&seconds) {
        return None;
    }
    Some(Duration::from_secs_f64(seconds))
}

/// Prints a duration in the largest unit in which it is whole, but never in one shorter than that below its own size:
/// `90secs`, `1500ms`, `10mins`, `1weeks`, `85.2mins`.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "what is printed with a fraction has at most 15 digits"
)]
pub fn to_text(duration: Duration) -> String {
    // Signed nanoseconds are what can be read back.
    const LONGEST: u64 = i64::MAX as u64;
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(LONGEST);
    if nanos > LONGEST - LONGEST / 1_000_000_000 {
        // A fraction this close to the bound may be rounded beyond it.
        return format!("{nanos}ns");
    }
    // The largest unit not above the duration; zero counts in nanoseconds.
    let size = UNITS.iter().rposition(|(_, length)| nanos >= *length).unwrap_or(0);
    let (name, length) = if nanos % UNITS[size].1 == 0 {
        UNITS[size]
    } else {
        UNITS[size.saturating_sub(1)]
    };
    if nanos % length == 0 {
        return format!("{}{name}", nanos / length);
    }
    let whole_digits = (nanos / length).to_string().len();
    let printed = format!(
        "{:.*}",
        15_usize.saturating_sub(whole_digits),
        nanos as f64 / length as f64
    );
    format!("{}{name}", printed.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_durations_are_read_back() {
        let longest = Duration::from_nanos(i64::MAX.unsigned_abs());
        for duration in [longest, longest - Duration::from_nanos(1), longest / 2, Duration::MAX] {
            let text = to_text(duration);
            assert!(parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_unit_is_read() {
        let cases = [
            ("0ns", 0),
            ("7us", 7_000),
            ("500ms", 500_000_000),
            ("15secs", 15_000_000_000),
            ("1.5mins", 90_000_000_000),
            ("6hrs", 21_600_000_000_000),
            ("2days", 172_800_000_000_000),
            ("1weeks", 604_800_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn broken_texts_say_what_is_wrong() {
        for text in ["", "secs", "1.2.3secs", "1_0secs"] {
            assert!(matches!(parse(text), Err(DurationError::BadNumber { .. })), "{text}");
        }
        for text in ["15", "15s", "15 seconds", "1e3secs"] {
            assert!(matches!(parse(text), Err(DurationError::UnknownUnit { .. })), "{text}");
        }
        assert!(matches!(parse("-1secs"), Err(DurationError::Negative { .. })));
        for text in ["100000weeks", "99999999999999999999ns", "15250.5weeks"] {
            assert!(matches!(parse(text), Err(DurationError::TooLong { .. })), "{text}");
        }
    }

    #[test]
    fn printing_takes_the_unit_in_which_it_is_whole() {
        let cases = [
            (0, "0ns"),
            (999, "999ns"),
            (1_500, "1500ns"),
            (1_500_000_000, "1500ms"),
            (90_000_000_000, "90secs"),
            (600_000_000_000, "10mins"),
            (5_112_000_000_000, "85.2mins"),
            (604_800_000_000_000, "1weeks"),
            (691_200_000_000_000, "8days"),
            (1_209_600_000_000_000, "2weeks"),
        ];
        for (nanos, text) in cases {
            assert_eq!(to_text(Duration::from_nanos(nanos)), text);
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)));
        }
    }

    #[test]
    fn seconds_from_the_wire_are_checked() {
        assert_eq!(from_seconds(1.5), Some(Duration::from_millis(1500)));
        assert_eq!(from_seconds(0.0), Some(Duration::ZERO));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 9_223_372_037.0] {
            assert_eq!(from_seconds(bad), None, "{bad}");
        }
    }
}
