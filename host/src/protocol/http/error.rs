//! Why a request has no response.

use std::io;

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer within the timeout.
    #[error("request timeout")]
    Timeout,
    /// The host name could not be resolved.
    #[error("lookup failed: {0}")]
    Dns(String),
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// The connection ended before the answer was complete.
    #[error("connection reset by peer")]
    Reset,
    /// The TLS handshake failed.
    #[error("tls: {0}")]
    Tls(String),
    /// The answer is not HTTP.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The run does not allow this request.
    #[error("denied: {0}")]
    Denied(String),
    /// The URL cannot be used.
    #[error("invalid url: {0}")]
    InvalidUrl(String),
    /// The method or a header cannot be used.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// The answer is larger than the limit, in bytes.
    #[error("response body larger than {0} bytes")]
    TooLarge(u64),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// k6's numeric `error_code` (k6 documentation, "Error codes").
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::InvalidUrl(_) => 1020,
            Self::Timeout => 1050,
            Self::Dns(_) => 1101,
            Self::Refused => 1212,
            Self::Reset => 1220,
            Self::Tls(_) => 1300,
            Self::Denied(_) => 1111,
            Self::Protocol(_) | Self::InvalidRequest(_) | Self::TooLarge(_) | Self::Other(_) => 1000,
        }
    }

    /// Sorts an error of the operating system.
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Reset,
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Other(error.to_string()),
        }
    }
}
