//! HTTP/2 over the `h2` crate (ADR 0008): a connection that carries several exchanges at once.
//!
//! A task reads and writes the socket; it ends when the last handle is dropped. An exchange that is dropped resets its
//! own stream and nothing else. What comes back is a [`Response`](super::Response) in the form of HTTP/1.1, so nobody
//! outside asks which version it was.

mod counted;
mod driver;
mod error;
mod exchange;
mod pieces;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::h2::client::{Builder, SendRequest};
use bytes::Bytes;
use tokio::sync::Notify;

pub(in crate::protocol) use error::cause;
pub(super) use error::unspoken;
pub(super) use pieces::{Incoming, Outgoing};

use super::Peer;
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::places::Place;
use crate::protocol::stream::Stream;
use counted::Counted;
use driver::Driver;

/// How much of one answer may be on its way before we have read any of it. Small windows would make us, not the target,
/// the limit: at a round trip of 50 ms, HTTP/2's own 64 KiB allow 1.3 MB/s.
const STREAM_WINDOW: u64 = 4 << 20;
/// The same for all answers of a connection together.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// HTTP/2's own window, below which none is set.
const LEAST_WINDOW: u64 = 65_535;
/// The largest head of an answer, as in HTTP/1.1.
const MAX_HEAD: u32 = 256 << 10;
/// What the `h2` crate calls the limit of streams before the server has named its own, which has 32 bits.
const UNKNOWN: usize = usize::MAX - 1;
/// How many streams that we reset are remembered, so that what still arrives on them is dropped and no error.
const REMEMBERED_RESETS: usize = 50;
/// How many streams a server may break by faults of its own before the connection is given up.
const FAULTS: usize = 64;

/// An open connection that speaks HTTP/2.
#[derive(Debug)]
pub(in crate::protocol) struct Connection {
    // Dropped before `state`: when the driver is woken by it, it sees that nobody is left.
    send: RefCell<SendRequest<Bytes>>,
    state: Rc<State>,
    peer: Peer,
}

/// What a connection and its driver both know.
#[derive(Debug, Default)]
struct State {
    /// Streams in use.
    active: Cell<usize>,
    /// Exchanges that wait for a stream.
    waiting: Cell<usize>,
    /// Woken when a stream becomes free, when the server allows more, and at the end.
    freed: Notify,
    closed: Cell<bool>,
    /// When the last stream was given back.
    idle_since: Cell<Option<Instant>>,
    /// Whether an exchange was completed on it.
    used: Cell<bool>,
    /// Bytes written and read, and how many of them were put to the account of an exchange.
    sent: Cell<u64>,
    received: Cell<u64>,
    claimed: Cell<(u64, u64)>,
}

/// The right to open one stream, held until the exchange is over.
#[derive(Debug)]
pub(in crate::protocol) struct Slot {
    connection: Rc<Connection>,
}

impl Connection {
    /// Takes over a stream on which nothing was said yet, and starts its driver.
    pub(in crate::protocol) async fn open(
        stream: Stream,
        place: Place,
        settings: &Http,
        peer: Peer,
    ) -> Result<Rc<Self>, Error> {
        let state = Rc::new(State::default());
        let window = u32::try_from(settings.max_body.clamp(LEAST_WINDOW, STREAM_WINDOW)).unwrap_or(u32::MAX);
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(window)
            .initial_connection_window_size(window.saturating_mul(4).min(CONNECTION_WINDOW))
            .max_header_list_size(MAX_HEAD)
            .initial_max_send_streams(UNKNOWN)
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .max_local_error_reset_streams(Some(FAULTS));
        let counted = Counted::new(stream, place, Rc::clone(&state));
        let (send, connection) = builder.handshake(counted).await.map_err(|error| error::named(&error))?;
        tokio::task::spawn_local(Driver::new(connection, Rc::clone(&state)));
        Ok(Rc::new(Self { send: RefCell::new(send), state, peer }))
    }

    /// Whether it takes new requests: it is up, the server has not said goodbye, and it did not lie idle for too long.
    pub(super) fn is_open(&self, idle: Option<Duration>) -> bool {
        if let (Some(idle), Some(since)) = (idle, self.state.idle_since.get())
            && self.state.active.get() == 0
            && since.elapsed() >= idle
        {
            return false;
        }
        // Ready with an error once the connection failed or a GOAWAY came; this handle has no request of its own to wait for.
        let mut context = Context::from_waker(Waker::noop());
        !self.state.closed.get() && !matches!(self.send.borrow_mut().poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    /// Whether the server allows no stream at all, and none is open.
    pub(super) fn is_useless(&self) -> bool {
        self.state.active.get() == 0 && self.limit() == 0
    }

    /// Since when it lies idle, if nobody uses it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.state.idle_since.get().filter(|_| self.state.active.get() == 0)
    }

    /// Takes a stream, if the server allows one more now.
    pub(in crate::protocol) fn slot(self: &Rc<Self>) -> Option<Slot> {
        let active = self.state.active.get();
        (active < self.limit()).then(|| {
            self.state.active.set(active + 1);
            Slot { connection: Rc::clone(self) }
        })
    }

    /// Waits until it is worth asking for a stream again.
    pub(super) async fn freed(&self) {
        struct Waiting<'a>(&'a Cell<usize>);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let freed = self.state.freed.notified();
        self.state.waiting.set(self.state.waiting.get() + 1);
        let _waiting = Waiting(&self.state.waiting);
        freed.await;
    }

    /// Waits until the server has spoken HTTP/2: its first frame says how it wants to be spoken to.
    async fn settled(&self) -> Result<(), Error> {
        while !self.is_settled() {
            if !self.is_open(None) {
                return Err(self.why_closed());
            }
            self.freed().await;
        }
        Ok(())
    }

    /// Why no stream can be opened any more.
    fn why_closed(&self) -> Error {
        match self.send.borrow_mut().poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => error::named(&error),
            _ => Error::Reset,
        }
    }

    /// Whether the server has said how many streams it allows.
    pub(super) fn is_settled(&self) -> bool {
        self.send.borrow().current_max_send_streams() != UNKNOWN
    }

    /// How many streams the server allows at once. Until it has said so, one: a server refuses what is too much, and a
    /// refusal costs more than the wait for its first frame, which comes unasked.
    fn limit(&self) -> usize {
        match self.send.borrow().current_max_send_streams() {
            UNKNOWN => 1,
            limit => limit,
        }
    }
}

impl State {
    /// Bytes written and read since this was last asked.
    ///
    /// Frames of several exchanges share a connection, and some belong to none of them. Whoever ends takes what nobody has
    /// taken yet: the sum over all exchanges is exact, the share of one is not.
    fn claim(&self) -> (u64, u64) {
        let (sent, received) = self.claimed.replace((self.sent.get(), self.received.get()));
        (self.sent.get() - sent, self.received.get() - received)
    }
}

impl Slot {
    /// Where to open its stream.
    pub(in crate::protocol) fn requests(&self) -> SendRequest<Bytes> {
        self.connection.send.borrow().clone()
    }

    /// Waits until the server has spoken HTTP/2.
    pub(in crate::protocol) async fn settled(&self) -> Result<(), Error> {
        self.connection.settled().await
    }

    /// The other side.
    pub(in crate::protocol) fn peer(&self) -> Peer {
        Peer { reused: self.connection.state.used.get(), ..self.connection.peer }
    }

    /// Notes that an exchange was completed.
    pub(in crate::protocol) fn mark_used(&self) {
        self.connection.state.used.set(true);
    }

    /// Bytes written and read that nobody has put to an account yet.
    pub(in crate::protocol) fn claim_bytes(&self) -> (u64, u64) {
        self.connection.state.claim()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let state = &self.connection.state;
        state.active.set(state.active.get() - 1);
        state.idle_since.set(Some(Instant::now()));
        if state.waiting.get() > 0 {
            state.freed.notify_one();
        }
    }
}
