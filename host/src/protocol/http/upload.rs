//! A request whose body is sent piece by piece.

use std::sync::Arc;
use std::time::Instant;

use send_wrapper::SendWrapper;
use tokio::time::{Instant as Deadline, timeout_at};

use super::client::Way;
use super::h1::Decoder;
use super::multiplexed::Outgoing;
use super::pool::Idle;
use super::streaming::{Begun, within};
use super::{Body, Client, Exchange, Progress, Request, Response, Streaming, Target};
use crate::protocol::Error;

/// A request on its way: its head is sent. Dropping it gives it up.
#[derive(Debug)]
pub struct Upload(SendWrapper<Box<Running>>);

#[derive(Debug)]
struct Running {
    wire: Wire,
    /// What must still follow, where the head says how much.
    left: Option<u64>,
    keep_body: bool,
    progress: Progress,
    ready: Instant,
}

/// Where it goes.
#[derive(Debug)]
enum Wire {
    Http1(Idle, Decoder),
    Stream(Outgoing),
}

impl Client {
    /// Sends the head of a request, whose body is [`Body::Later`].
    pub async fn start(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        deadline: Deadline,
    ) -> Result<Upload, Box<Exchange>> {
        let mut progress = Progress::default();
        let started = self.start_as_is(request, target, deadline, &mut progress).await;
        started.map_err(|error| Box::new(progress.into_exchange(Err(error))))
    }

    /// The same. The progress is still known if this future is dropped.
    pub async fn start_as_is(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        deadline: Deadline,
        progress: &mut Progress,
    ) -> Result<Upload, Error> {
        let left = match request.body {
            Some(Body::Later(length)) => length,
            _ => Some(0),
        };
        let started = timeout_at(deadline, self.try_start(request, target, progress)).await;
        let (wire, ready) = started.unwrap_or(Err(Error::Timeout))?;
        let running = Running { wire, left, keep_body: request.keep_body, progress: progress.clone(), ready };
        Ok(Upload(SendWrapper::new(Box::new(running))))
    }

    async fn try_start(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
    ) -> Result<(Wire, Instant), Error> {
        let started = Instant::now();
        let mut connection = match self.pool().take_idle(target, self.shared().settings().idle_timeout) {
            Some(connection) => connection,
            None if self.may_multiplex(target) => match self.way(target, progress, started).await? {
                Way::Alone(connection) => connection,
                Way::Stream(slot) => {
                    progress.timings.blocked = started.elapsed();
                    let ready = Instant::now();
                    let outgoing = slot.start(self.shared().settings(), request, progress).await?;
                    return Ok((Wire::Stream(outgoing), ready));
                }
            },
            None => self.connect(target, progress, started).await?,
        };
        progress.peer = connection.peer;
        let ready = Instant::now();
        progress.timings.blocked = ready - started;
        progress.first_byte = None;
        let settings = self.shared().settings();
        let mut decoder = Decoder::new(request.method, settings.max_body, request.keep_body, Vec::new());
        connection.http.send(settings, request, &mut decoder, progress).await?;
        Ok((Wire::Http1(connection, decoder), ready))
    }

    /// Sends the next bytes of a body.
    pub async fn write(&self, upload: &mut Upload, bytes: &[u8], deadline: Deadline) -> Result<(), Error> {
        let write = upload.0.write(bytes);
        timeout_at(deadline, write).await.unwrap_or(Err(Error::Timeout))
    }

    /// Ends a body and reads the whole answer.
    pub async fn finish(&self, upload: Upload, deadline: Deadline) -> Exchange {
        let mut running = *SendWrapper::take(upload.0);
        let mut progress = std::mem::take(&mut running.progress);
        let finish = self.try_finish(running, &mut progress);
        let result = timeout_at(deadline, finish).await.unwrap_or(Err(Error::Timeout));
        progress.into_exchange(result)
    }

    /// Ends a body and waits for the head of the answer, which is then read as it comes and as it is encoded.
    pub async fn answer(
        &self,
        upload: Upload,
        deadline: Deadline,
        progress: &mut Progress,
    ) -> Result<(Response, Streaming), Error> {
        let mut running = *SendWrapper::take(upload.0);
        *progress = std::mem::take(&mut running.progress);
        let begun = timeout_at(deadline, self.try_answer(running, progress)).await;
        Ok(begun.unwrap_or(Err(Error::Timeout))?.into_streaming(progress.clone()))
    }

    async fn try_answer(&self, running: Running, progress: &mut Progress) -> Result<Begun, Error> {
        let Running { wire, left, ready, .. } = running;
        complete(left)?;
        match wire {
            Wire::Http1(mut connection, mut decoder) => {
                if left.is_none() {
                    connection.http.send_more(b"0\r\n\r\n", &mut decoder, progress).await?;
                }
                let sent = Instant::now();
                progress.timings.sending = sent - ready;
                self.receive_head(connection, decoder, sent, progress).await
            }
            Wire::Stream(outgoing) => {
                let patience = progress.patience.first_byte;
                let (incoming, head) =
                    within(patience, outgoing.answer(self.shared().settings(), ready, progress)).await?;
                let sent = ready + progress.timings.sending;
                let first = sent + progress.timings.waiting;
                Ok(Begun::by_stream(incoming, head, sent, first))
            }
        }
    }

    async fn try_finish(&self, running: Running, progress: &mut Progress) -> Result<Response, Error> {
        let Running { wire, left, keep_body, ready, .. } = running;
        complete(left)?;
        let (settings, silence) = (self.shared().settings(), self.shared().settings().read_timeout);
        match wire {
            Wire::Http1(mut connection, mut decoder) => {
                if left.is_none() {
                    connection.http.send_more(b"0\r\n\r\n", &mut decoder, progress).await?;
                }
                let sent = Instant::now();
                progress.timings.sending = sent - ready;
                connection.http.receive(&mut decoder, silence, progress).await?;
                let ended = Instant::now();
                let first = progress.first_byte.map_or(sent, |first| first.max(sent));
                progress.timings.waiting = first - sent;
                progress.timings.receiving = ended - first;
                self.keep(connection, decoder.is_reusable(), ended);
                Ok(decoder.into_response())
            }
            Wire::Stream(outgoing) => outgoing.finish(settings, keep_body, ready, progress).await,
        }
    }
}

impl Upload {
    /// What the exchange came to so far.
    #[must_use]
    pub fn exchange(&self, error: Error) -> Exchange {
        let mut progress = self.0.progress.clone();
        progress.timings.sending = self.0.ready.elapsed();
        progress.into_exchange(Err(error))
    }
}

/// Refuses to end a body of which something is missing.
fn complete(left: Option<u64>) -> Result<(), Error> {
    match left {
        None | Some(0) => Ok(()),
        Some(left) => Err(Error::InvalidRequest(format!("{left} bytes of the announced body are missing"))),
    }
}

impl Running {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len() as u64;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or_else(|| {
                Error::InvalidRequest(format!("{length} bytes where only {left} of the announced body are missing"))
            })?;
        }
        match &mut self.wire {
            Wire::Http1(connection, decoder) if self.left.is_some() => {
                connection.http.send_more(bytes, decoder, &mut self.progress).await?;
            }
            Wire::Http1(connection, decoder) => {
                let head = format!("{length:x}\r\n");
                // In one piece, or the small ones would leave in packets of their own.
                let chunk = [head.as_bytes(), bytes, b"\r\n"].concat();
                connection.http.send_more(&chunk, decoder, &mut self.progress).await?;
            }
            Wire::Stream(outgoing) => outgoing.write(bytes).await?,
        }
        Ok(())
    }
}
