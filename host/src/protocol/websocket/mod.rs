//! WebSocket (RFC 6455) on connections of our own.
//!
//! Keys, frame headers and close codes are tungstenite's. Putting messages together is done here, over one buffer per
//! thread: an idle socket owns none, which is what many open sockets would mostly cost. [`Sockets`] are those of one VU,
//! read by one task while the guest does other things, and by the guest itself while it waits. `permessage-deflate` is not
//! spoken and not offered.

mod frames;
mod socket;
mod sockets;
mod upgrade;
mod wakes;
mod write;

use std::time::Instant;

use super::Error;
use super::http::Response;

pub use socket::{Facts, Phase, Watch};
pub use sockets::Sockets;
pub use upgrade::{Attempt, Upgrade, Upgraded, destination, target};

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The server answered, and did not upgrade.
    #[error("the upgrade was refused with status {}", .0.status)]
    Rejected(Box<Response>),
    /// The connection came to an end.
    #[error("{0}")]
    Ended(&'static str),
    /// The socket has ended before.
    #[error("the socket is closed")]
    Closed,
    /// There is no such socket.
    #[error("socket {0} was released, or belongs to an earlier iteration")]
    Stale(u32),
    /// As in any protocol.
    #[error(transparent)]
    Connection(#[from] Error),
}

impl Problem {
    /// k6's numeric `error_code`; 0 for what k6 has none for.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Rejected(answer) if answer.status >= 400 => 1000 + answer.status,
            Self::Ended(_) => Error::Reset.code(),
            Self::Connection(error) => error.code(),
            Self::Rejected(_) | Self::Closed | Self::Stale(_) => 1000,
        }
    }
}

/// What came on a socket.
#[derive(Debug)]
pub enum Content {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// The answer to a ping of ours, and how long it took.
    Pong(Vec<u8>, std::time::Duration),
    /// The other side closed the socket: its code and its words.
    Closed(u16, String),
    /// The socket came to an end in another way.
    Failed(Problem),
}

/// What came, where, and when.
#[derive(Debug)]
pub struct Event {
    /// The socket.
    pub socket: u32,
    /// When it was read.
    pub arrived: Instant,
    /// What it is.
    pub content: Content,
}
