//! Addresses of processes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Address of a process: `ID@IP:PORT`.
///
/// Equality, order and hash regard the id and the numeric address; the host name that the text form may have carried
/// is only remembered for checks of certificates. Printing always shows the numeric address.
///
/// Source: shared facts, `libprocess_wire.md` section 1.
#[derive(Clone)]
pub struct Upid {
    id: Arc<str>,
    address: SocketAddrV4,
    host: Option<Arc<str>>,
}

/// Why a text is not a process address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseUpidError {
    /// The text lacks the `@` between id and address.
    #[error("process address '{0}' has no '@'")]
    NoAt(String),
    /// The text lacks the `:` between host and port.
    #[error("process address '{0}' has no ':' after the host")]
    NoColon(String),
    /// The part after the colon is no port.
    #[error("process address '{0}' has no port between 0 and 65535")]
    BadPort(String),
    /// The host is neither an IPv4 literal nor a name that the resolver knows.
    #[error("process address '{0}' has a host that is no IPv4 address")]
    UnknownHost(String),
}

impl Upid {
    /// Builds an address from its parts.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, address: SocketAddrV4) -> Self {
        Self {
            id: id.into(),
            address,
            host: None,
        }
    }

    /// The empty address, `@0.0.0.0:0`: sender of anonymous posts.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new("", SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
    }

    /// Parses `ID@HOST:PORT`, asking `resolve` for hosts that are no IPv4 literal.
    ///
    /// The text is split at the first `@`, the rest at the first `:` after it; the id may be empty.
    ///
    /// # Errors
    ///
    /// Names the missing or bad part together with the whole text.
    pub fn parse_with(text: &str, resolve: impl FnOnce(&str) -> Option<Ipv4Addr>) -> Result<Self, ParseUpidError> {
        let (id, rest) = text
            .split_once('@')
            .ok_or_else(|| ParseUpidError::NoAt(text.to_owned()))?;
        let (host, port) = rest
            .split_once(':')
            .ok_or_else(|| ParseUpidError::NoColon(text.to_owned()))?;
        let digits_only = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = if digits_only { port.parse::<u16>().ok() } else { None };
        let port = port.ok_or_else(|| ParseUpidError::BadPort(text.to_owned()))?;
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Ok(Self::new(id, SocketAddrV4::new(ip, port)));
        }
        let ip = resolve(host).ok_or_else(|| ParseUpidError::UnknownHost(text.to_owned()))?;
        Ok(Self {
            id: id.into(),
            address: SocketAddrV4::new(ip, port),
            host: Some(host.into()),
        })
    }

    /// The part before the `@`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The numeric address of the node that the process lives in.
    #[must_use]
    pub const fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// The host name that the text form carried, when it was no numeric address.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Whether this is the empty address of an anonymous sender.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.id.is_empty() && self.address.port() == 0 && self.address.ip().is_unspecified()
    }
}

impl FromStr for Upid {
    type Err = ParseUpidError;

    /// Parses an address whose host is an IPv4 literal; see [`Upid::parse_with`] for names.
    fn from_str(text: &str) -> Result<Self, ParseUpidError> {
        Self::parse_with(text, |_| None)
    }
}

impl PartialEq for Upid {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address && self.id == other.id
    }
}

impl Eq for Upid {}

impl PartialOrd for Upid {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Upid {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.address.cmp(&other.address).then_with(|| self.id.cmp(&other.id))
    }
}

impl Hash for Upid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
        self.id.hash(state);
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.id, self.address)
    }
}

impl fmt::Debug for Upid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_the_facts_parses() {
        for text in [
            "master@10.0.0.1:5050",
            "slave(1)@10.0.0.2:5051",
            "@0.0.0.0:0",
            "scheduler-a-b@127.0.0.1:1",
        ] {
            assert_eq!(text.parse::<Upid>().expect(text).to_string(), text);
        }
        assert!("@0.0.0.0:0".parse::<Upid>().expect("anonymous").is_anonymous());
    }

    #[test]
    fn names_are_resolved_and_remembered() {
        let upid = Upid::parse_with("master@leader.example:5050", |host| {
            (host == "leader.example").then_some(Ipv4Addr::new(10, 0, 0, 9))
        })
        .expect("the resolver knows the name");
        assert_eq!(upid.to_string(), "master@10.0.0.9:5050");
        assert_eq!(upid.host(), Some("leader.example"));
    }

    #[test]
    fn bad_forms_are_refused_with_their_reason() {
        let no_at = "master".parse::<Upid>();
        assert!(matches!(no_at, Err(ParseUpidError::NoAt(_))));
        assert!(matches!(
            "master@10.0.0.1".parse::<Upid>(),
            Err(ParseUpidError::NoColon(_))
        ));
        for text in [
            "m@10.0.0.1:",
            "m@10.0.0.1:x",
            "m@10.0.0.1:65536",
            "m@10.0.0.1:+1",
            "m@10.0.0.1:1:2",
        ] {
            assert!(
                matches!(text.parse::<Upid>(), Err(ParseUpidError::BadPort(_))),
                "{text}"
            );
        }
        assert!(matches!(
            "m@nowhere:1".parse::<Upid>(),
            Err(ParseUpidError::UnknownHost(_))
        ));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(id in "[^@]{0,20}", ip in any::<[u8; 4]>(), port in any::<u16>()) {
            let upid = Upid::new(id, SocketAddrV4::new(Ipv4Addr::from(ip), port));
            prop_assert_eq!(upid.to_string().parse::<Upid>(), Ok(upid));
        }
    }
}
