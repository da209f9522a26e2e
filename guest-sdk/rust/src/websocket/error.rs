//! Why something on a socket did not work.

use std::fmt;

use crate::bindings::squall::websocket::websocket as host;

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not within the timeout.
    Timeout,
    /// The host name could not be resolved; the resolver's words.
    Dns(String),
    /// The connection was refused.
    Refused,
    /// The connection ended or was reset; how.
    Reset(String),
    /// The TLS handshake failed; the reason.
    Tls(String),
    /// The server answered, and did not upgrade.
    Rejected {
        /// The status code.
        status: u16,
        /// The headers in the order received, names in lower case.
        headers: Vec<(String, String)>,
    },
    /// The other side does not speak WebSocket, or said something else than was expected; what.
    Protocol(String),
    /// The run's policy does not allow this connection; the rule.
    Denied(String),
    /// A message is larger than the limit, in bytes.
    TooLarge(u32),
    /// The URL cannot be used; why.
    InvalidUrl(String),
    /// A header, a message or another argument cannot be used; which and why.
    InvalidRequest(String),
    /// The socket is closed.
    Closed,
    /// The socket belongs to an earlier iteration; its id.
    Stale(u32),
    /// Anything else: the host's words.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, detail) = match self {
            Self::Timeout => ("nothing came within the timeout", ""),
            Self::Dns(why) => ("the host name could not be resolved: ", why.as_str()),
            Self::Refused => ("the connection was refused", ""),
            Self::Reset(why) => ("the socket ended: ", why.as_str()),
            Self::Tls(why) => ("the TLS handshake failed: ", why.as_str()),
            Self::Rejected { status, .. } => return write!(f, "the upgrade was refused with status {status}"),
            Self::Protocol(why) => ("not as WebSocket has it: ", why.as_str()),
            Self::Denied(why) => ("the connection is not allowed: ", why.as_str()),
            Self::TooLarge(limit) => return write!(f, "a message is larger than {limit} bytes"),
            Self::InvalidUrl(why) => ("the URL is invalid: ", why.as_str()),
            Self::InvalidRequest(why) => ("the request is invalid: ", why.as_str()),
            Self::Closed => ("the socket is closed", ""),
            Self::Stale(id) => return write!(f, "socket {id} is of an earlier iteration"),
            Self::Other(why) => ("", why.as_str()),
        };
        f.write_str(what)?;
        f.write_str(detail)
    }
}

impl std::error::Error for Error {}

impl From<Error> for crate::Error {
    #[cold]
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout => Self::Timeout,
            Error::Dns(why) => Self::Dns(why),
            Error::Refused => Self::Refused,
            Error::Tls(why) => Self::Tls(why),
            Error::Denied(why) => Self::Denied(why),
            Error::TooLarge(limit) => Self::TooLarge(limit),
            Error::InvalidUrl(why) => Self::InvalidUrl(why),
            Error::InvalidRequest(why) => Self::InvalidRequest(why),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<host::Error> for Error {
    #[cold]
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Timeout => Self::Timeout,
            host::Error::Dns(why) => Self::Dns(why),
            host::Error::Refused => Self::Refused,
            host::Error::Reset(how) => Self::Reset(how),
            host::Error::Tls(why) => Self::Tls(why),
            host::Error::Rejected(rejection) => Self::Rejected {
                status: rejection.status,
                headers: rejection.headers.into_iter().map(|pair| (pair.name, pair.value)).collect(),
            },
            host::Error::Protocol(why) => Self::Protocol(why),
            host::Error::Denied(why) => Self::Denied(why),
            host::Error::TooLarge(limit) => Self::TooLarge(limit),
            host::Error::InvalidUrl(why) => Self::InvalidUrl(why),
            host::Error::InvalidRequest(why) => Self::InvalidRequest(why),
            host::Error::Closed => Self::Closed,
            host::Error::Stale(id) => Self::Stale(id),
            host::Error::Other(why) => Self::Other(why),
        }
    }
}
