//! What carries several exchanges at once: connections of HTTP/2 and of HTTP/3, and what travels on them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Progress, Request, Response, h2, h3};
use crate::plan::Http;
use crate::protocol::Error;

/// An open connection.
#[derive(Debug, Clone)]
pub(in crate::protocol) enum Connection {
    Http2(Rc<h2::Connection>),
    Http3(Rc<h3::Connection>),
}

/// The right to one stream of a connection, held until its exchange is over.
#[derive(Debug)]
pub(in crate::protocol) enum Slot {
    Http2(h2::Slot),
    Http3(h3::Slot),
}

/// An answer whose head has come. Dropping it gives up the rest.
#[derive(Debug)]
pub(super) enum Incoming {
    Http2(h2::Incoming),
    Http3(Box<h3::Incoming>),
}

/// A request whose head is sent. Dropping it gives it up.
#[derive(Debug)]
pub(super) enum Outgoing {
    Http2(h2::Outgoing),
    Http3(Box<h3::Outgoing>),
}

/// Why an exchange has no answer, and whether it may be repeated.
#[derive(Debug)]
pub(in crate::protocol) struct Failure {
    pub(in crate::protocol) error: Error,
    pub(super) again: Again,
}

/// Whether an exchange may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The server says that it did not process the request (RFC 9113, 8.7; RFC 9114, 4.1.1): any method may be repeated.
    NotProcessed,
    /// The connection ended before anything of the answer came, as one does that the server closed while it was idle.
    Closed,
    /// It may not: the server may have acted on it.
    No,
}

impl Failure {
    /// Whether the request may be sent once more.
    pub(super) fn may_be_repeated(&self, request: &Request<'_>, progress: &Progress) -> bool {
        match self.again {
            Again::NotProcessed => true,
            Again::Closed => progress.peer.reused && request.is_idempotent(),
            Again::No => false,
        }
    }

    /// Whether the server says that it did not process the request.
    pub(in crate::protocol) fn is_unprocessed(&self) -> bool {
        self.again == Again::NotProcessed
    }

    pub(in crate::protocol) fn last(error: Error) -> Self {
        Self { error, again: Again::No }
    }
}

impl From<Rc<h2::Connection>> for Connection {
    fn from(connection: Rc<h2::Connection>) -> Self {
        Self::Http2(connection)
    }
}

impl Connection {
    /// Whether it takes new requests: it is up, the server has not said goodbye, and it did not lie idle for too long.
    pub(super) fn is_open(&self, idle: Option<Duration>) -> bool {
        match self {
            Self::Http2(connection) => connection.is_open(idle),
            Self::Http3(connection) => connection.is_open(idle),
        }
    }

    /// Whether the server allows no stream at all, and none is open.
    pub(super) fn is_useless(&self) -> bool {
        match self {
            Self::Http2(connection) => connection.is_useless(),
            // How many streams may be opened grows with those that ended, and with time.
            Self::Http3(_) => false,
        }
    }

    /// Whether the server has said how many streams it allows. QUIC says so in its handshake.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Http2(connection) => connection.is_settled(),
            Self::Http3(_) => true,
        }
    }

    /// Since when it lies idle, if nobody uses it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        match self {
            Self::Http2(connection) => connection.idle_since(),
            Self::Http3(connection) => connection.idle_since(),
        }
    }

    /// Takes a stream, if the server allows one more now.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Http2(connection) => connection.slot().map(Slot::Http2),
            Self::Http3(connection) => connection.slot().map(Slot::Http3),
        }
    }

    /// Waits until it is worth asking for a stream again.
    pub(super) async fn freed(&self) {
        match self {
            Self::Http2(connection) => connection.freed().await,
            Self::Http3(connection) => Box::pin(connection.freed()).await,
        }
    }
}

impl Slot {
    /// The stream of HTTP/2, for who asked for a lane of HTTP/2.
    pub(in crate::protocol) fn into_http2(self) -> Option<h2::Slot> {
        match self {
            Self::Http2(slot) => Some(slot),
            Self::Http3(_) => None,
        }
    }

    /// Sends a request and reads the whole answer. `raw` is a buffer to reuse.
    pub(super) async fn exchange(
        self,
        settings: &Http,
        request: &Request<'_>,
        raw: Vec<u8>,
        progress: &mut Progress,
    ) -> Result<Response, Failure> {
        match self {
            Self::Http2(slot) => slot.exchange(settings, request, raw, progress).await,
            // Boxed, so that one version does not make room for the other.
            Self::Http3(slot) => Box::pin(slot.exchange(settings, request, raw, progress)).await,
        }
    }

    /// Sends a request and waits for the head of the answer, and until all of the request is sent.
    pub(super) async fn open(
        self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<(Incoming, Response), Failure> {
        match self {
            Self::Http2(slot) => {
                let (incoming, head) = slot.open(settings, request, progress).await?;
                Ok((Incoming::Http2(incoming), head))
            }
            Self::Http3(slot) => {
                let (incoming, head) = Box::pin(slot.open(settings, request, progress)).await?;
                Ok((Incoming::Http3(Box::new(incoming)), head))
            }
        }
    }

    /// Sends the head of a request whose body follows.
    pub(super) async fn start(
        self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<Outgoing, Error> {
        match self {
            Self::Http2(slot) => Ok(Outgoing::Http2(slot.start(settings, request, progress)?)),
            Self::Http3(slot) => {
                let outgoing = Box::pin(slot.start(settings, request, progress)).await?;
                Ok(Outgoing::Http3(Box::new(outgoing)))
            }
        }
    }
}

impl Incoming {
    /// Whether it is known that nothing more comes.
    pub(super) fn is_at_end(&self) -> bool {
        match self {
            Self::Http2(incoming) => incoming.is_at_end(),
            Self::Http3(incoming) => incoming.is_at_end(),
        }
    }

    /// Waits for bytes of the body; `None` at its end.
    pub(super) async fn receive(&mut self, progress: &mut Progress) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Http2(incoming) => incoming.receive(progress).await,
            Self::Http3(incoming) => incoming.receive(progress).await,
        }
    }
}

impl Outgoing {
    /// Sends bytes of the body, as far as the server takes them.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Http2(outgoing) => outgoing.write(bytes).await,
            Self::Http3(outgoing) => outgoing.write(bytes).await,
        }
    }

    /// Ends the body and waits for the head of the answer. `ready` is when the request began.
    pub(super) async fn answer(
        self,
        settings: &Http,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<(Incoming, Response), Error> {
        match self {
            Self::Http2(outgoing) => {
                let (incoming, head) = outgoing.answer(ready, progress).await?;
                Ok((Incoming::Http2(incoming), head))
            }
            Self::Http3(outgoing) => {
                let (incoming, head) = Box::pin(outgoing.answer(settings, ready, progress)).await?;
                Ok((Incoming::Http3(Box::new(incoming)), head))
            }
        }
    }

    /// Ends the body and reads the whole answer. `ready` is when the request began.
    pub(super) async fn finish(
        self,
        settings: &Http,
        keep_body: bool,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<Response, Error> {
        match self {
            Self::Http2(outgoing) => outgoing.finish(settings.max_body, keep_body, ready, progress).await,
            Self::Http3(outgoing) => Box::pin(outgoing.finish(settings, keep_body, ready, progress)).await,
        }
    }
}
