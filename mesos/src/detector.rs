//! How a program is told where the master is: the value of `--master`.
//!
//! Only the text is read here; asking a name server, a file or ZooKeeper is the caller's work.

use std::fmt;

use thiserror::Error;

/// Port that masters listen on unless told otherwise.
pub const DEFAULT_MASTER_PORT: u16 = 5050;

/// Where the leading master is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterLocation {
    /// A fixed `host:port`; the host may be a name or an IPv4 address.
    Address {
        /// Name or IPv4 address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// Why a text names no master that this version can follow.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MasterLocationError {
    /// ZooKeeper URLs are understood but not followed yet.
    #[error("master '{0}': detection through ZooKeeper is not supported yet; give host:port of the master")]
    ZooKeeper(String),
    /// The text has no usable host.
    #[error("master '{0}': expected host:port, master@host:port or file:///path holding one of them")]
    NoHost(String),
    /// The text has a bad port.
    #[error("master '{0}': the port is no number from 1 to 65535")]
    BadPort(String),
    /// The value points to a file that cannot be read.
    #[error("master 'file://{path}': cannot read the file: {reason}")]
    File {
        /// Path after `file://`.
        path: String,
        /// What the operating system said.
        reason: String,
    },
}

impl MasterLocation {
    /// Reads `host:port`, `host` (port 5050), `master@host:port`, or `file:///path` holding one of these.
    ///
    /// # Errors
    ///
    /// Names the text and what is accepted.
    pub fn parse(text: &str) -> Result<Self, MasterLocationError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("file://") {
            let content = std::fs::read_to_string(path).map_err(|error| MasterLocationError::File {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
            return Self::parse_direct(content.trim());
        }
        Self::parse_direct(text)
    }

    fn parse_direct(text: &str) -> Result<Self, MasterLocationError> {
        if text.starts_with("zk://") {
            return Err(MasterLocationError::ZooKeeper(without_credentials(text)));
        }
        let address = text.rsplit_once('@').map_or(text, |(_, address)| address);
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => {
                let port = port.parse::<u16>().ok().filter(|port| *port != 0);
                (host, port.ok_or_else(|| MasterLocationError::BadPort(text.to_owned()))?)
            }
            None => (address, DEFAULT_MASTER_PORT),
        };
        let usable = !host.is_empty() && !host.contains(['/', ' ', '@']);
        if !usable {
            return Err(MasterLocationError::NoHost(text.to_owned()));
        }
        Ok(Self::Address {
            host: host.to_owned(),
            port,
        })
    }
}

/// Passwords of ZooKeeper URLs must not reach logs.
fn without_credentials(text: &str) -> String {
    text.rsplit_once('@')
        .map_or_else(|| text.to_owned(), |(_, rest)| format!("zk://{rest}"))
}

impl fmt::Display for MasterLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> MasterLocation {
        MasterLocation::Address {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn every_form_is_read() {
        let table = [
            ("127.0.0.1:5051", address("127.0.0.1", 5051)),
            ("leader.example", address("leader.example", 5050)),
            ("master@10.0.0.1:5050", address("10.0.0.1", 5050)),
            (" 10.0.0.1:1 ", address("10.0.0.1", 1)),
        ];
        for (text, expected) in table {
            assert_eq!(MasterLocation::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refusals_say_what_is_wrong_and_hide_passwords() {
        let error = MasterLocation::parse("zk://user:secret@h1:2181/mesos").expect_err("not followed yet");
        assert!(
            error.to_string().contains("zk://h1:2181/mesos") && !error.to_string().contains("secret"),
            "{error}"
        );
        assert!(matches!(
            MasterLocation::parse("h:0"),
            Err(MasterLocationError::BadPort(_))
        ));
        assert!(matches!(
            MasterLocation::parse(":5050"),
            Err(MasterLocationError::NoHost(_))
        ));
        assert!(matches!(MasterLocation::parse(""), Err(MasterLocationError::NoHost(_))));
        assert!(matches!(
            MasterLocation::parse("file:///no/such/file"),
            Err(MasterLocationError::File { .. })
        ));
    }
}
