//! Inclusive ranges of unsigned numbers, always sorted and coalesced.

use std::fmt;
use std::sync::Arc;

use mesos_proto::v0::mesos;

/// The numbers from `begin` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first number.
    pub begin: u64,
    /// The last number, at least `begin`.
    pub end: u64,
}

/// Why a list of ranges is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// A range ends before it begins.
    #[error("the range {begin}-{end} ends before it begins")]
    Reversed {
        /// The first number as given.
        begin: u64,
        /// The last number as given.
        end: u64,
    },
    /// Two ranges share numbers.
    #[error("the ranges {first_begin}-{first_end} and {second_begin}-{second_end} overlap")]
    Overlapping {
        /// First number of the lower range.
        first_begin: u64,
        /// Last number of the lower range.
        first_end: u64,
        /// First number of the upper range.
        second_begin: u64,
        /// Last number of the upper range.
        second_end: u64,
    },
}

/// A set of numbers as sorted ranges that neither touch nor overlap. Cloning shares the storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ranges(Arc<[Range]>);

impl Default for Ranges {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Ranges {
    /// Sorts and merges `ranges`; those that touch or overlap become one. Reversed ranges are left out.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = Range>) -> Self {
        let mut sorted: Vec<Range> = ranges.into_iter().filter(|range| range.begin <= range.end).collect();
        sorted.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.begin <= last.end.saturating_add(1) => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged.into())
    }

    /// The single range from `begin` to `end`.
    #[must_use]
    pub fn single(begin: u64, end: u64) -> Self {
        Self::new([Range { begin, end }])
    }

    /// Reads protobuf ranges and checks them.
    ///
    /// # Errors
    ///
    /// Ranges must not be reversed and must not overlap; touching ones are fine.
    pub fn from_proto(ranges: &mesos::value::Ranges) -> Result<Self, RangesError> {
        let mut sorted = Vec::with_capacity(ranges.range.len());
        for range in &ranges.range {
            let (begin, end) = (range.begin(), range.end());
            if begin > end {
                return Err(RangesError::Reversed { begin, end });
            }
            sorted.push(Range { begin, end });
        }
        sorted.sort_unstable();
        for pair in sorted.windows(2) {
            if pair[1].begin <= pair[0].end {
                return Err(RangesError::Overlapping {
                    first_begin: pair[0].begin,
                    first_end: pair[0].end,
                    second_begin: pair[1].begin,
                    second_end: pair[1].end,
                });
            }
        }
        Ok(Self::new(sorted))
    }

    /// The ranges in protobuf form.
    #[must_use]
    pub fn to_proto(&self) -> mesos::value::Ranges {
        let mut ranges = mesos::value::Ranges::new();
        ranges.range = self
            .0
            .iter()
            .map(|range| {
                let mut message = mesos::value::Range::new();
                message.set_begin(range.begin);
                message.set_end(range.end);
                message
            })
            .collect();
        ranges
    }

    /// Whether there is no number in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// How many numbers there are, saturating.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, range| {
            sum.saturating_add((range.end - range.begin).saturating_add(1))
        })
    }

    /// Every number in ascending order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|range| range.begin..=range.end)
    }

    /// Whether every number of `other` is in `self`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let mut own = self.0.iter().peekable();
        other.0.iter().all(|wanted| {
            while own.next_if(|range| range.end < wanted.begin).is_some() {}
            own.peek()
                .is_some_and(|range| range.begin <= wanted.begin && wanted.end <= range.end)
        })
    }

    /// The numbers of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        if other.is_empty() {
            return self.clone();
        }
        Self::new(self.0.iter().chain(other.0.iter()).copied())
    }

    /// The numbers of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        let mut left = Vec::with_capacity(self.0.len() + 1);
        let mut cuts = other.0.iter().peekable();
        for range in self.0.iter() {
            let mut begin = range.begin;
            let mut exhausted = false;
            while cuts.next_if(|cut| cut.end < begin).is_some() {}
            // A cut may reach into the next range as well, so only those that end here are consumed.
            let mut ahead = cuts.clone();
            while let Some(cut) = ahead.next_if(|cut| cut.begin <= range.end) {
                if cut.begin > begin {
                    left.push(Range {
                        begin,
                        end: cut.begin - 1,
                    });
                }
                if cut.end >= range.end {
                    exhausted = true;
                    break;
                }
                begin = cut.end + 1;
            }
            if !exhausted {
                left.push(Range { begin, end: range.end });
            }
        }
        Self(left.into())
    }

    /// The numbers that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) = (0, 0);
        let mut common = Vec::new();
        while let (Some(left), Some(right)) = (self.0.get(mine), other.0.get(theirs)) {
            let begin = left.begin.max(right.begin);
            let end = left.end.min(right.end);
            if begin <= end {
                common.push(Range { begin, end });
            }
            if left.end < right.end { mine += 1 } else { theirs += 1 }
        }
        Self(common.into())
    }
}

impl fmt::Display for Ranges {
    /// `[1-3, 5-6]`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[")?;
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{}-{}", range.begin, range.end)?;
        }
        formatter.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(pairs: &[(u64, u64)]) -> Ranges {
        Ranges::new(pairs.iter().map(|&(begin, end)| Range { begin, end }))
    }

    #[test]
    fn touching_and_overlapping_ranges_become_one() {
        assert_eq!(ranges(&[(5, 6), (1, 2), (3, 4)]), ranges(&[(1, 6)]));
        assert_eq!(ranges(&[(1, 5), (2, 3)]).to_string(), "[1-5]");
        assert_eq!(ranges(&[(1, 2), (4, 4)]).to_string(), "[1-2, 4-4]");
        assert_eq!(ranges(&[(u64::MAX, u64::MAX), (0, u64::MAX)]), ranges(&[(0, u64::MAX)]));
    }

    #[test]
    fn difference_cuts_holes() {
        let all = ranges(&[(1, 10), (20, 30)]);
        assert_eq!(
            all.difference(&ranges(&[(3, 4), (6, 6)])),
            ranges(&[(1, 2), (5, 5), (7, 10), (20, 30)])
        );
        assert_eq!(all.difference(&ranges(&[(5, 25)])), ranges(&[(1, 4), (26, 30)]));
        assert_eq!(all.difference(&all), Ranges::default());
        assert_eq!(all.difference(&ranges(&[(0, u64::MAX)])), Ranges::default());
    }

    #[test]
    fn containment_wants_every_number() {
        let all = ranges(&[(1, 10), (20, 30)]);
        assert!(all.contains(&ranges(&[(2, 3), (5, 6), (30, 30)])));
        assert!(all.contains(&Ranges::default()));
        assert!(!all.contains(&ranges(&[(10, 20)])));
        assert!(!all.contains(&ranges(&[(31, 31)])));
        assert_eq!(all.intersection(&ranges(&[(8, 22)])), ranges(&[(8, 10), (20, 22)]));
        assert_eq!(all.count(), 21);
    }

    #[test]
    fn protobuf_ranges_are_checked() {
        let proto = |pairs: &[(u64, u64)]| {
            let mut message = mesos::value::Ranges::new();
            for &(begin, end) in pairs {
                let mut range = mesos::value::Range::new();
                range.set_begin(begin);
                range.set_end(end);
                message.range.push(range);
            }
            message
        };
        assert_eq!(
            Ranges::from_proto(&proto(&[(3, 1)])),
            Err(RangesError::Reversed { begin: 3, end: 1 })
        );
        assert!(matches!(
            Ranges::from_proto(&proto(&[(4, 8), (1, 5)])),
            Err(RangesError::Overlapping { .. })
        ));
        assert_eq!(Ranges::from_proto(&proto(&[(4, 8), (1, 3)])), Ok(ranges(&[(1, 8)])));
    }
}
