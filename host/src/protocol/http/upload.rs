//! A request whose body is sent piece by piece.

use std::sync::Arc;
use std::time::Instant;

use send_wrapper::SendWrapper;
use tokio::time::{Instant as Deadline, timeout_at};

use super::client::Way;
use super::h1::Decoder;
use super::multiplexed::Outgoing;
use super::pool::Idle;
use super::{Body, Client, Exchange, Progress, Request, Response, Target};
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
        let left = match request.body {
            Some(Body::Later(length)) => length,
            _ => Some(0),
        };
        let mut progress = Progress::default();
        let started = timeout_at(deadline, self.try_start(request, target, &mut progress)).await;
        match started.unwrap_or(Err(Error::Timeout)) {
            Ok((wire, ready)) => {
                let running = Running { wire, left, keep_body: request.keep_body, progress, ready };
                Ok(Upload(SendWrapper::new(Box::new(running))))
            }
            Err(error) => Err(Box::new(progress.into_exchange(Err(error)))),
        }
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

    async fn try_finish(&self, running: Running, progress: &mut Progress) -> Result<Response, Error> {
        let Running { wire, left, keep_body, ready, .. } = running;
        if let Some(left) = left.filter(|&left| left > 0) {
            return Err(Error::InvalidRequest(format!("{left} bytes of the announced body are missing")));
        }
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
