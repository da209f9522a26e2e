//! Exchanges in pieces: an answer that is read as it comes, and a request whose body follows.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::exchange::{Receiver, Sender, poll_data, receive_head};
use super::quic::Held;
use super::{Slot, error};
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::http::taken::Taken;
use crate::protocol::http::{Progress, Request, Response};

/// An answer whose head has come. Dropping it stops the stream.
pub(in super::super) struct Incoming {
    // Dropped before the slot, whose stream it is.
    receiver: Receiver,
    held: Rc<Held>,
    /// What must still come, where the head says how much.
    left: Option<u64>,
    announced: u64,
    has_ended: bool,
    slot: Slot,
}

/// A request whose head is sent. Dropping it resets the stream.
pub(in super::super) struct Outgoing {
    sender: Sender,
    receiver: Receiver,
    held: Rc<Held>,
    method: String,
    slot: Slot,
}

impl Incoming {
    pub(super) fn new(slot: Slot, receiver: Receiver, held: Rc<Held>, announced: Option<u64>) -> Self {
        Self { receiver, held, left: announced, announced: announced.unwrap_or_default(), has_ended: false, slot }
    }

    /// Whether it is known that nothing more comes.
    pub(in super::super) fn is_at_end(&self) -> bool {
        self.has_ended
    }

    /// Waits for bytes of the body; `None` at its end.
    pub(in super::super) async fn receive(&mut self, progress: &mut Progress) -> Result<Option<Vec<u8>>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        let (receiver, held) = (&mut self.receiver, &self.held);
        let came = loop {
            let next = poll_fn(|context| poll_data(receiver, held, context)).await;
            match next.map_err(|error| error::cause(&error, &self.slot.connection))? {
                Some(bytes) if bytes.is_empty() => {}
                other => break other,
            }
        };
        self.slot.claim(progress);
        let Some(bytes) = came else {
            self.has_ended = true;
            if let Some(left) = self.left.filter(|&left| left > 0) {
                return Err(error::cut(self.announced, self.announced - left));
            }
            self.slot.connection.state.used.set(true);
            return Ok(None);
        };
        if let Some(left) = &mut self.left {
            let length = bytes.len() as u64;
            *left =
                left.checked_sub(length).ok_or_else(|| error::cut(self.announced, self.announced - *left + length))?;
        }
        Ok(Some(bytes.to_vec()))
    }
}

impl Slot {
    /// Sends the head of a request whose body follows.
    pub(in super::super) async fn start(
        self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<Outgoing, Error> {
        let (sender, receiver, held) = self.send(settings, request, progress).await.map_err(|failure| failure.error)?;
        Ok(Outgoing { sender, receiver, held, method: request.method.to_owned(), slot: self })
    }

    /// Puts what nobody has taken yet to the account of an exchange.
    pub(super) fn claim(&self, progress: &mut Progress) {
        let (sent, received) = self.connection.state.claim();
        progress.sent += sent;
        progress.received += received;
    }
}

impl Outgoing {
    /// Sends bytes of the body, as far as the server takes them.
    pub(in super::super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let sent = self.sender.send_data(Bytes::copy_from_slice(bytes)).await;
        sent.map_err(|error| error::cause(&error, &self.slot.connection))
    }

    /// Ends the body and waits for the head of the answer. `ready` is when the request began.
    pub(in super::super) async fn answer(
        self,
        settings: &Http,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<(Incoming, Response), Error> {
        let (incoming, mut taken) = self.head(settings, false, ready, progress).await?;
        Ok((incoming, taken.response()))
    }

    /// Ends the body and reads the whole answer. `ready` is when the request began.
    pub(in super::super) async fn finish(
        self,
        settings: &Http,
        keep_body: bool,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<Response, Error> {
        let (mut incoming, mut taken) = self.head(settings, keep_body, ready, progress).await?;
        let first = Instant::now();
        while let Some(bytes) = incoming.receive(progress).await? {
            taken.body(&bytes)?;
        }
        progress.timings.receiving = first.elapsed();
        Ok(taken.response())
    }

    async fn head<'a>(
        mut self,
        settings: &'a Http,
        keep_body: bool,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<(Incoming, Taken<'a>), Error> {
        let connection = Rc::clone(&self.slot.connection);
        let cause = |error| error::cause(&error, &connection);
        self.sender.finish().await.map_err(cause)?;
        let sent = Instant::now();
        progress.timings.sending = sent - ready;
        let head = receive_head(&mut self.receiver).await;
        self.slot.claim(progress);
        let head = head.map_err(cause)?;
        progress.timings.waiting = sent.elapsed();
        let mut taken = Taken::of(settings, &self.method, keep_body, Vec::new());
        taken.head(&head)?;
        let incoming = Incoming::new(self.slot, self.receiver, self.held, taken.announced_body());
        Ok((incoming, taken))
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Incoming").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outgoing").field("slot", &self.slot).finish_non_exhaustive()
    }
}
