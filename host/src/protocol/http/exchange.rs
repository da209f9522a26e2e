//! One hop: what it came to and how long each phase took.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Response;
use crate::protocol::{Error, Opening};

/// How long each phase of an exchange took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Getting a connection: looking up, connecting and the handshake included.
    pub blocked: Duration,
    /// The phases of that, if a connection was opened.
    pub opening: Opening,
    /// Writing the request.
    pub sending: Duration,
    /// From the last byte written to the first received.
    pub waiting: Duration,
    /// From the first byte received to the last.
    pub receiving: Duration,
}

impl Timings {
    /// k6's `http_req_duration`.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }

    /// Everything from asking for a connection to the last byte.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.blocked + self.duration()
    }
}

/// The other side of an exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address, if it came to that and it has one.
    pub remote: Option<SocketAddr>,
    /// Which HTTP was spoken.
    pub protocol: Protocol,
    /// The TLS version as k6 tags it.
    pub tls_version: Option<&'static str>,
    /// The cipher suite by its IANA name.
    pub tls_cipher: Option<&'static str>,
    /// Whether the connection had carried an exchange before.
    pub reused: bool,
}

/// Which HTTP was spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1, also where the server answered in HTTP/1.0.
    #[default]
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

impl Protocol {
    /// As k6's `proto` tag has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
            // k6 has none; Go's own name for it.
            Self::Http3 => "HTTP/3.0",
        }
    }
}

/// What an exchange came to. Times and bytes are there also when it failed.
#[derive(Debug)]
pub struct Exchange {
    /// The answer.
    pub result: Result<Response, Error>,
    /// How long each phase took.
    pub timings: Timings,
    /// Bytes written.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
    /// Who was asked, and how.
    pub peer: Peer,
    /// Whether a connection that the server had closed made it necessary to send the request again.
    pub retried: bool,
}

/// How long an exchange waits where not as long as all do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to be open.
    pub connect: Option<Duration>,
    /// For the first byte of the answer, once the request is sent.
    pub first_byte: Option<Duration>,
}

/// What is known of an exchange while it goes on, so that a deadline does not lose it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub(super) patience: Patience,
    pub(super) timings: Timings,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// When the first byte of the answer came.
    pub(super) first_byte: Option<Instant>,
    pub(super) peer: Peer,
    pub(super) retried: bool,
}

impl Exchange {
    /// An exchange that never was, because the request could not be sent.
    #[must_use]
    pub fn refused(error: Error) -> Self {
        Self {
            result: Err(error),
            timings: Timings::default(),
            sent: 0,
            received: 0,
            peer: Peer::default(),
            retried: false,
        }
    }
}

impl Progress {
    /// That of an exchange that has not begun.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// What it came to.
    #[must_use]
    pub fn into_exchange(self, result: Result<Response, Error>) -> Exchange {
        let Self { timings, sent, received, peer, retried, .. } = self;
        Exchange { result, timings, sent, received, peer, retried }
    }
}
