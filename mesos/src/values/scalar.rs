//! Quantities as fixed-point thousandths.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use mesos_proto::v0::mesos;

/// How many units make one whole.
const UNITS: i64 = 1000;

/// Numbers below this many thousandths have at most 15 digits and are printed exactly.
const EXACT_PRINT_LIMIT: u64 = 1_000_000_000_000_000;

/// A quantity in thousandths: `0.1 + 0.2 == 0.3` holds, and what is less than half a thousandth is zero.
///
/// Sums saturate at the ends of the number range instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(i64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest quantity.
    pub const MAX: Self = Self(i64::MAX);

    /// The quantity of that many thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// The quantity of that many wholes.
    #[must_use]
    pub const fn from_whole(whole: i64) -> Self {
        Self(whole.saturating_mul(UNITS))
    }

    /// Rounds to the nearest thousandth, halves away from zero. Not-a-number gives zero, infinities saturate.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as documented")]
    pub fn from_f64(value: f64) -> Self {
        Self((value * 1000.0).round() as i64)
    }

    /// The number of thousandths.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The quantity as protobuf and JSON carry it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "protobuf and JSON carry doubles")]
    pub fn to_f64(self) -> f64 {
        (self.0 / UNITS) as f64 + (self.0 % UNITS) as f64 / 1000.0
    }

    /// The quantity as a protobuf scalar.
    #[must_use]
    pub fn to_proto(self) -> mesos::value::Scalar {
        let mut scalar = mesos::value::Scalar::new();
        scalar.set_value(self.to_f64());
        scalar
    }

    /// Whether the quantity is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether the quantity is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// `self - other`; `None` when that were negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        if other.0 > self.0 {
            None
        } else {
            Some(Self(self.0.saturating_sub(other.0)))
        }
    }

    /// `self - other`, but never below zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// Writes the quantity as a JSON number: at least one digit stands after the point.
    pub fn write_json(self, output: &mut String) {
        use fmt::Write as _;
        // Thousandths in 64 bits stay below 10^16, where the standard form begins to use exponents.
        write!(output, "{:?}", self.to_f64()).expect("writing to a string cannot fail");
    }
}

impl fmt::Display for Scalar {
    /// Prints up to 15 significant digits and no zeros at the end: `4`, `0.1`, `2.005`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        if magnitude >= EXACT_PRINT_LIMIT {
            return write!(formatter, "{:.0}", self.to_f64());
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = magnitude / 1000;
        let fraction = magnitude % 1000;
        if fraction == 0 {
            return write!(formatter, "{sign}{whole}");
        }
        let digits = format!("{fraction:03}");
        write!(formatter, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl Add for Scalar {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Scalar {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The plain difference, which may be negative; quantities of resources use [`Scalar::checked_sub`].
impl Sub for Scalar {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Scalar {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Scalar {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, Add::add)
    }
}

impl From<&mesos::value::Scalar> for Scalar {
    fn from(scalar: &mesos::value::Scalar) -> Self {
        Self::from_f64(scalar.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_rounded_to_thousandths() {
        assert_eq!(Scalar::from_f64(0.1) + Scalar::from_f64(0.2), Scalar::from_f64(0.3));
        assert_eq!(Scalar::from_f64(0.0004), Scalar::ZERO);
        assert_eq!(Scalar::from_f64(0.0005).thousandths(), 1);
        assert_eq!(Scalar::from_f64(1.5015).thousandths(), 1502);
        assert_eq!(Scalar::from_f64(-0.0005).thousandths(), -1);
        assert_eq!(Scalar::from_f64(f64::NAN), Scalar::ZERO);
        assert_eq!(Scalar::from_f64(f64::INFINITY), Scalar::MAX);
    }

    #[test]
    fn many_small_steps_add_up_exactly() {
        let mut total = Scalar::ZERO;
        for _ in 0..10_000 {
            total += Scalar::from_f64(0.1);
        }
        assert_eq!(total, Scalar::from_whole(1000));
    }

    #[test]
    fn printing_has_no_zeros_at_the_end() {
        for (value, text) in [
            (4.0, "4"),
            (0.1, "0.1"),
            (2.005, "2.005"),
            (10240.0, "10240"),
            (-1.5, "-1.5"),
        ] {
            assert_eq!(Scalar::from_f64(value).to_string(), text);
        }
    }

    #[test]
    fn json_numbers_keep_their_point() {
        let mut json = String::new();
        Scalar::from_whole(4096).write_json(&mut json);
        json.push(' ');
        Scalar::from_f64(0.101).write_json(&mut json);
        assert_eq!(json, "4096.0 0.101");
    }

    #[test]
    fn subtraction_is_checked() {
        assert_eq!(Scalar::from_whole(2).checked_sub(Scalar::from_whole(3)), None);
        assert_eq!(
            Scalar::from_whole(2).saturating_sub(Scalar::from_whole(3)),
            Scalar::ZERO
        );
        assert_eq!(
            Scalar::from_whole(3).checked_sub(Scalar::from_whole(2)),
            Some(Scalar::from_whole(1))
        );
    }
}
