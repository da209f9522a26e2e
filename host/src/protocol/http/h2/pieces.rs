//! Exchanges in pieces: an answer that is read as it comes, and a request whose body follows.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use ::h2::client::{ResponseFuture, SendRequest};
use ::h2::{RecvStream, SendStream};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, SET_COOKIE};

use super::{Slot, error};
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::http::{Peer, Progress, Request, Response, head};

/// An answer whose head has come. Dropping it resets the stream.
#[derive(Debug)]
pub(in super::super) struct Incoming {
    body: Option<RecvStream>,
    send: SendRequest<Bytes>,
    slot: Slot,
}

/// A request whose head is sent. Dropping it resets the stream.
#[derive(Debug)]
pub(in super::super) struct Outgoing {
    stream: SendStream<Bytes>,
    answer: ResponseFuture,
    send: SendRequest<Bytes>,
    head_only: bool,
    slot: Slot,
}

impl Incoming {
    pub(super) fn new(slot: Slot, body: Option<RecvStream>, send: SendRequest<Bytes>) -> Self {
        Self { body, send, slot }
    }

    /// Whether it is known that nothing more comes.
    pub(in super::super) fn is_at_end(&self) -> bool {
        self.body.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    /// Waits for bytes of the body; `None` at its end.
    pub(in super::super) async fn receive(&mut self, progress: &mut Progress) -> Result<Option<Vec<u8>>, Error> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let mut came = None;
        while let Some(bytes) = poll_fn(|context| body.poll_data(context)).await {
            let bytes = bytes.map_err(|error| error::cause(&error, &mut self.send))?;
            // It fails only for more than came.
            let _ = body.flow_control().release_capacity(bytes.len());
            if !bytes.is_empty() {
                came = Some(bytes.to_vec());
                break;
            }
        }
        self.slot.claim(progress);
        if came.is_none() {
            self.slot.connection.state.used.set(true);
        }
        Ok(came)
    }
}

impl Slot {
    /// Sends the head of a request whose body follows.
    pub(in super::super) fn start(
        self,
        settings: &Http,
        request: &Request<'_>,
        progress: &mut Progress,
    ) -> Result<Outgoing, Error> {
        let connection = &self.connection;
        progress.peer = Peer { reused: connection.state.used.get(), ..connection.peer };
        let head = head::request(settings, request)?;
        let mut send = connection.send.borrow().clone();
        let (answer, stream) = send.send_request(head, false).map_err(|error| error::named(&error))?;
        Ok(Outgoing { stream, answer, send, head_only: request.method == "HEAD", slot: self })
    }

    fn claim(&self, progress: &mut Progress) {
        let (sent, received) = self.connection.state.claim();
        progress.sent += sent;
        progress.received += received;
    }
}

impl Outgoing {
    /// Sends bytes of the body, as far as the server takes them.
    pub(in super::super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            self.stream.reserve_capacity(bytes.len());
            let stream = &mut self.stream;
            let room = poll_fn(|context| match stream.capacity() {
                0 => stream.poll_capacity(context),
                room => Poll::Ready(Some(Ok(room))),
            });
            match room.await {
                None => return Err(Error::Reset),
                Some(Err(error)) => return Err(error::cause(&error, &mut self.send)),
                Some(Ok(room)) => {
                    let (now, later) = bytes.split_at(room.min(bytes.len()));
                    let sent = self.stream.send_data(Bytes::copy_from_slice(now), false);
                    sent.map_err(|error| error::cause(&error, &mut self.send))?;
                    bytes = later;
                }
            }
        }
        Ok(())
    }

    /// Ends the body and reads the whole answer. `ready` is when the request began.
    pub(in super::super) async fn finish(
        self,
        max_body: u64,
        keep_body: bool,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<Response, Error> {
        let (mut incoming, mut response) = self.answer(ready, progress).await?;
        let first = Instant::now();
        let mut body_length = 0;
        while let Some(bytes) = incoming.receive(progress).await? {
            body_length += bytes.len() as u64;
            if keep_body {
                if body_length > max_body {
                    return Err(Error::TooLarge(max_body));
                }
                response.raw.extend_from_slice(&bytes);
            }
        }
        progress.timings.receiving = first.elapsed();
        (response.body_length, response.encoded_length) = (body_length, body_length);
        Ok(response)
    }

    /// Ends the body and waits for the head of the answer.
    pub(in super::super) async fn answer(
        mut self,
        ready: Instant,
        progress: &mut Progress,
    ) -> Result<(Incoming, Response), Error> {
        self.stream.send_data(Bytes::new(), true).map_err(|error| error::cause(&error, &mut self.send))?;
        let sent = Instant::now();
        progress.timings.sending = sent - ready;
        let answer = (&mut self.answer).await.map_err(|error| error::cause(&error, &mut self.send))?;
        progress.timings.waiting = sent.elapsed();
        let mut raw = Vec::new();
        head::write(&answer, &mut raw)?;
        let response = Response {
            status: answer.status().as_u16(),
            body_length: 0,
            encoded_length: 0,
            is_encoded: answer.headers().contains_key(CONTENT_ENCODING),
            has_cookies: answer.headers().contains_key(SET_COOKIE),
            head_length: raw.len(),
            raw,
        };
        let body = (!self.head_only).then(|| answer.into_body());
        Ok((Incoming::new(self.slot, body, self.send), response))
    }
}
