//! Why a request has no response.

use std::io;

use crate::plan::Refusal;

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer within the timeout.
    #[error("request timeout")]
    Timeout,
    /// The connection was not open in time.
    #[error("dial timeout")]
    DialTimeout,
    /// The host name could not be resolved.
    #[error("lookup failed: {0}")]
    Dns(String),
    /// There is no such host, or it has no address that may be used.
    #[error("lookup failed: {0}")]
    NoSuchHost(String),
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// There are as many connections as there may be.
    #[error("too many connections: limit {limit} (`{key}`)")]
    TooManyConnections {
        /// How many there may be.
        limit: u32,
        /// Which limit it is.
        key: &'static str,
    },
    /// No connection could be opened for another reason.
    #[error("dial failed: {0}")]
    Dial(String),
    /// The proxy would not open a connection.
    #[error("proxy: {0}")]
    Proxy(String),
    /// The connection ended before the answer was complete.
    #[error("connection reset by peer")]
    Reset,
    /// The other side closed the connection, as one does, before all that was asked for had come.
    #[error("connection closed by peer")]
    Closed,
    /// The connection was closed while the request was written.
    #[error("broken pipe")]
    BrokenPipe,
    /// The TLS handshake failed.
    #[error("tls: {0}")]
    Tls(String),
    /// What answered does not speak TLS.
    #[error("tls: {0}")]
    NotTls(String),
    /// The certificate is signed by nobody who is trusted.
    #[error("tls: {0}")]
    UnknownAuthority(String),
    /// The certificate is for another host.
    #[error("tls: {0}")]
    WrongHost(String),
    /// HTTP/2 came to an error: k6's code, and the reason.
    #[error("http2: {reason}")]
    Http2 {
        /// From 1600 to 1699.
        code: u16,
        /// What was wrong.
        reason: String,
    },
    /// HTTP/3 came to an error: the code, which k6 has none for, and the reason.
    #[error("http3: {reason}")]
    Http3 {
        /// From 1800 to 1900.
        code: u16,
        /// What was wrong.
        reason: String,
    },
    /// The body is not encoded as it says.
    #[error("decoding: {0}")]
    Decoding(String),
    /// The answer is not HTTP.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The run does not allow this request.
    #[error("denied: {0}")]
    Denied(String),
    /// The run does not allow to go there.
    #[error("denied: {0}")]
    NotAllowed(Box<Refusal>),
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
            Self::Dns(_) => 1100,
            Self::NoSuchHost(_) => 1101,
            Self::NotAllowed(refusal) if refusal.is_of_address() => 1110,
            Self::NotAllowed(_) | Self::Denied(_) => 1111,
            Self::Proxy(_) => 1200,
            Self::BrokenPipe => 1201,
            Self::Dial(_) | Self::TooManyConnections { .. } => 1210,
            Self::DialTimeout => 1211,
            Self::Refused => 1212,
            Self::Reset | Self::Closed => 1220,
            Self::Tls(_) => 1300,
            Self::NotTls(_) => 1301,
            Self::UnknownAuthority(_) => 1310,
            Self::WrongHost(_) => 1311,
            Self::Http2 { code, .. } | Self::Http3 { code, .. } => *code,
            Self::Decoding(_) => 1701,
            Self::Protocol(_) | Self::InvalidRequest(_) | Self::TooLarge(_) | Self::Other(_) => 1000,
        }
    }

    /// Sorts an error of the operating system.
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof => {
                Self::Reset
            }
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::InvalidData => Self::Tls(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::NotAllowed(Box::new(refusal))
    }
}
