//! Host names in process addresses.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use libprocess_types::{ParseUpidError, Upid};

/// The first IPv4 address among those that a name resolved to.
pub(crate) fn first_ipv4(mut addresses: impl Iterator<Item = SocketAddr>) -> Option<Ipv4Addr> {
    addresses.find_map(|address| match address {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    })
}

/// Parses `ID@HOST:PORT`, asking the system's resolver for an IPv4 address when HOST is a name.
///
/// # Errors
///
/// Names the missing or bad part, or the host that has no IPv4 address.
pub async fn resolve_upid(text: &str) -> Result<Upid, ParseUpidError> {
    match text.parse() {
        Err(ParseUpidError::UnknownHost(_)) => {}
        other => return other,
    }
    let host = text
        .split_once('@')
        .and_then(|(_, rest)| rest.split_once(':'))
        .map_or("", |(host, _)| host);
    let ip = tokio::net::lookup_host((host, 0)).await.ok().and_then(first_ipv4);
    Upid::parse_with(text, |_| ip)
}

/// Like [`resolve_upid`], for callers without an event loop; blocks while the resolver works.
///
/// # Errors
///
/// Names the missing or bad part, or the host that has no IPv4 address.
pub fn resolve_upid_blocking(text: &str) -> Result<Upid, ParseUpidError> {
    Upid::parse_with(text, |host| (host, 0).to_socket_addrs().ok().and_then(first_ipv4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_need_no_resolver_and_names_use_it() {
        assert_eq!(
            resolve_upid_blocking("a@127.0.0.1:1").expect("a literal").to_string(),
            "a@127.0.0.1:1"
        );
        let local = resolve_upid_blocking("a@localhost:1").expect("every host knows localhost");
        assert_eq!(
            (local.to_string().as_str(), local.host()),
            ("a@127.0.0.1:1", Some("localhost"))
        );
        assert!(matches!(
            resolve_upid_blocking("a@no.such.host.invalid:1"),
            Err(ParseUpidError::UnknownHost(_))
        ));
    }

    #[tokio::test]
    async fn asynchronous_form_agrees() {
        let local = resolve_upid("a@localhost:1").await.expect("every host knows localhost");
        assert_eq!(local.to_string(), "a@127.0.0.1:1");
        assert!(matches!(resolve_upid("a").await, Err(ParseUpidError::NoAt(_))));
    }
}
