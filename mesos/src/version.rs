//! Versions: the one that is told to peers, our own, and how those of peers are read and compared.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The Apache Mesos version whose protocol is spoken. It is told everywhere a peer looks for a version, always as
/// three plain numbers: drivers and frameworks split it at the full stops.
pub const MESOS_VERSION: &str = "1.11.0";

/// Name of this implementation, shown in extra fields only.
pub const IMPLEMENTATION_NAME: &str = "mesos-rs";

/// Version of this implementation, shown in extra fields only.
pub const IMPLEMENTATION_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Oldest agent version that a master admits.
pub const MINIMUM_AGENT_VERSION: Version = Version::new(1, 0, 0);

/// A version in the manner of semantic versioning, with the tolerance that peers need: missing numbers count as
/// zero, a leading `v` is ignored, labels after `-` and `+` may be anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
    /// Dot-separated labels after `-`, for example `rc1`; they make the version older than the bare one.
    pub prerelease: Option<String>,
    /// Text after `+`; it does not take part in comparisons of order.
    pub build: Option<String>,
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a version: {reason}")]
pub struct VersionError {
    text: String,
    reason: &'static str,
}

impl Version {
    /// A version of three numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
            prerelease: None,
            build: None,
        }
    }

    /// The version that is told to peers.
    #[must_use]
    pub fn mesos() -> Self {
        MESOS_VERSION.parse().unwrap_or(Self::new(1, 11, 0))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = |reason| VersionError {
            text: text.to_owned(),
            reason,
        };
        let trimmed = text.trim();
        let (rest, build) = match trimmed.split_once('+') {
            Some((rest, build)) => (rest, Some(build.to_owned())),
            None => (trimmed, None),
        };
        let (numbers, prerelease) = match rest.split_once('-') {
            Some((numbers, label)) => (numbers, Some(label.to_owned())),
            None => (rest, None),
        };
        let mut parts = [0_u32; 3];
        for (index, part) in numbers.strip_prefix('v').unwrap_or(numbers).split('.').enumerate() {
            let slot = parts.get_mut(index).ok_or_else(|| error("more than three numbers"))?;
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(error("a part is not a number"));
            }
            *slot = part.parse().map_err(|_| error("a number is too large"))?;
        }
        Ok(Self {
            major: parts[0],
            minor: parts[1],
            patch: parts[2],
            prerelease,
            build,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if let Some(label) = &self.prerelease {
            write!(formatter, "-{label}")?;
        }
        if let Some(build) = &self.build {
            write!(formatter, "+{build}")?;
        }
        Ok(())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| match (&self.prerelease, &other.prerelease) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(own), Some(others)) => compare_labels(own, others),
            })
            .then_with(|| self.build.cmp(&other.build))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares labels part by part: numbers by value and before words, words by their bytes, fewer parts first.
fn compare_labels(left: &str, right: &str) -> Ordering {
    let mut left = left.split('.');
    let mut right = right.split('.');
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    #[test]
    fn the_told_version_is_three_plain_numbers() {
        assert_eq!(Version::mesos(), Version::new(1, 11, 0));
        assert_eq!(Version::mesos().to_string(), MESOS_VERSION);
    }

    #[test]
    fn peers_may_shorten_and_label_their_version() {
        assert_eq!(version("1.11"), Version::new(1, 11, 0));
        assert_eq!(version("2"), Version::new(2, 0, 0));
        assert_eq!(version("v1.2.3"), Version::new(1, 2, 3));
        assert_eq!(version("1.9.0-rc1+abc").to_string(), "1.9.0-rc1+abc");
        assert_eq!(version("0.28.2-2.0.27").prerelease.as_deref(), Some("2.0.27"));
        for bad in ["", "a", "1..2", "1.2.3.4", "1.x", "-1", "99999999999"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_ordered() {
        let ascending = [
            "0.28.2",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-rc.2",
            "1.0.0-rc.11",
            "1.0.0",
            "1.2.0",
            "1.11.0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert!(version("0.28.2") < MINIMUM_AGENT_VERSION);
    }
}
