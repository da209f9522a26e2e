//! HTTP/3 over the `h3` crate on `quinn`: a connection that carries several exchanges at once.
//!
//! Each connection has a UDP socket of its own, as browsers have it, so that servers and what balances load before them
//! see as many clients as there are. Three tasks of the thread move its packets; they end when the last handle is dropped. An
//! exchange that is dropped resets its own stream and nothing else. What comes back is a
//! [`Response`](super::Response) in the form of HTTP/1.1, so nobody outside asks which version it was.

mod dial;
mod driver;
mod error;
mod exchange;
mod pieces;
mod quic;
mod socket;
mod tasks;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::h3::ConnectionState as _;
use ::h3::client::SendRequest;
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::Notify;

pub(super) use dial::Dial;
pub(super) use error::needs_tls;
pub(super) use pieces::{Incoming, Outgoing};

use super::Peer;
use quic::{Next, Opener, Pair};

/// An open connection that speaks HTTP/3.
pub(in crate::protocol) struct Connection {
    send: RefCell<SendRequest<Opener, Bytes>>,
    next: Next,
    /// A stream that was opened and not used.
    spare: RefCell<Option<Pair>>,
    quic: quinn::Connection,
    state: Rc<State>,
    peer: Peer,
}

/// What a connection, its driver and its streams know.
#[derive(Debug, Default)]
struct State {
    /// Streams in use.
    active: Cell<usize>,
    /// Woken when a stream is given back unused, and at the end.
    freed: Notify,
    /// Whether it takes no more requests: it has ended, or the server rejects them.
    closed: Cell<bool>,
    /// Why QUIC ended it, once it did.
    reason: RefCell<Option<quinn::ConnectionError>>,
    /// Whether the system said that there is nobody at the other side.
    refused: Cell<bool>,
    /// When the last stream was given back.
    idle_since: Cell<Option<Instant>>,
    /// Whether an exchange was completed on it.
    used: Cell<bool>,
    /// Bytes written to streams and read from them, and how many of them were put to the account of an exchange.
    sent: Cell<u64>,
    received: Cell<u64>,
    claimed: Cell<(u64, u64)>,
}

/// A stream that is open, held until the exchange is over.
#[derive(Debug)]
pub(in crate::protocol) struct Slot {
    connection: Rc<Connection>,
    pair: RefCell<Option<Pair>>,
}

impl Connection {
    /// Whether it takes new requests: it is up, the server has not said goodbye, and it did not lie idle for too long.
    pub(super) fn is_open(&self, idle: Option<Duration>) -> bool {
        if let (Some(idle), Some(since)) = (idle, self.idle_since())
            && since.elapsed() >= idle
        {
            return false;
        }
        !self.state.closed.get() && self.quic.close_reason().is_none() && !self.send.borrow().is_closing()
    }

    /// Since when it lies idle, if nobody uses it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.state.idle_since.get().filter(|_| self.state.active.get() == 0)
    }

    /// Opens a stream, if the server allows one more now.
    pub(super) fn slot(self: &Rc<Self>) -> Option<Slot> {
        let spare = self.spare.borrow_mut().take();
        let pair = spare.or_else(|| self.quic.open_bi().now_or_never()?.ok())?;
        self.state.active.set(self.state.active.get() + 1);
        Some(Slot { connection: Rc::clone(self), pair: RefCell::new(Some(pair)) })
    }

    /// Waits until it is worth asking for a stream again.
    pub(super) async fn freed(&self) {
        if self.spare.borrow().is_some() {
            return;
        }
        tokio::select! {
            () = self.state.freed.notified() => {}
            // One that came to an end is no longer waited for.
            opened = self.quic.open_bi() => {
                if let Ok(pair) = opened {
                    self.put_back(pair);
                }
            }
        }
    }

    /// Why QUIC ended it.
    fn reason(&self) -> Option<quinn::ConnectionError> {
        self.state.reason.borrow().clone().or_else(|| self.quic.close_reason())
    }

    fn put_back(&self, pair: Pair) {
        *self.spare.borrow_mut() = Some(pair);
        self.state.freed.notify_one();
    }
}

impl State {
    /// Bytes written and read since this was last asked.
    ///
    /// Some streams belong to no exchange. Whoever ends takes what nobody has taken yet: the sum over all exchanges is exact,
    /// the share of one is not.
    fn claim(&self) -> (u64, u64) {
        let (sent, received) = self.claimed.replace((self.sent.get(), self.received.get()));
        (self.sent.get() - sent, self.received.get() - received)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.state.active.set(connection.state.active.get() - 1);
        connection.state.idle_since.set(Some(Instant::now()));
        if let Some(pair) = self.pair.borrow_mut().take() {
            connection.put_back(pair);
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("state", &self.state)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
