//! An answer that is read as it comes.

mod as_is;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use send_wrapper::SendWrapper;
use tokio::time::{Instant as Deadline, timeout, timeout_at};

use super::client::Way;
use super::coding;
use super::h1::Decoder;
use super::multiplexed::Incoming;
use super::pool::Idle;
use super::{Client, Exchange, Progress, Request, Response, Target};
use crate::protocol::Error;

/// Decoded bytes that are made at once.
const PIECE: usize = 64 << 10;
/// How often what has come is taken in, before the connection is given up.
const MOST_GIVEN_UP: usize = 16;

/// An answer on its way: its head has come. Dropping it gives up the rest.
#[derive(Debug)]
pub struct Streaming(SendWrapper<Box<Running>>);

struct Running {
    wire: Wire,
    coding: Option<coding::Decoder>,
    /// What came and was not handed out.
    raw: Vec<u8>,
    taken: usize,
    status: u16,
    body_length: u64,
    encoded_length: u64,
    progress: Progress,
    sent: Instant,
    first: Instant,
    /// When the bytes came that were read last, and those that are read next.
    last: Instant,
    newest: Instant,
    ended: Option<Instant>,
}

/// Where it comes from.
enum Wire {
    Http1 {
        connection: Idle,
        decoder: Box<Decoder>,
    },
    Stream(Incoming),
    /// It has ended.
    Done,
}

/// What the head's coming came to.
pub(super) struct Begun {
    wire: Wire,
    head: Response,
    sent: Instant,
    first: Instant,
}

impl Client {
    /// Sends a request and waits for the head of the answer, which is the exchange's result.
    pub async fn begin(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        deadline: Deadline,
    ) -> (Exchange, Option<Streaming>) {
        let mut progress = Progress::default();
        let begun = timeout_at(deadline, self.try_begin(request, target, &mut progress)).await;
        let begun = begun.unwrap_or(Err(Error::Timeout)).and_then(|begun| {
            self.learn(target, &begun.head);
            let values = if begun.head.is_encoded { begun.head.header_all("content-encoding") } else { Vec::new() };
            Ok((coding::Decoder::new(&values)?, begun))
        });
        let (coding, begun) = match begun {
            Ok(begun) => begun,
            Err(error) => return (progress.into_exchange(Err(error)), None),
        };
        let (head, mut streaming) = begun.into_streaming(progress.clone());
        streaming.0.coding = coding;
        (progress.into_exchange(Ok(head)), Some(streaming))
    }

    async fn try_begin(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
    ) -> Result<Begun, Error> {
        let started = Instant::now();
        if let Some(connection) = self.pool().take_idle(target, self.shared().settings().idle_timeout) {
            let received = progress.received;
            match self.begin_alone(connection, request, progress, started).await {
                Err(Error::Reset | Error::BrokenPipe) if progress.received == received && request.is_idempotent() => {
                    progress.retried = true;
                }
                result => return result,
            }
        }
        if !self.may_multiplex(target) {
            let connection = self.connect(target, progress, started).await?;
            return self.begin_alone(connection, request, progress, started).await;
        }
        loop {
            let slot = match self.way(target, progress, started).await? {
                Way::Alone(connection) => return self.begin_alone(connection, request, progress, started).await,
                Way::Stream(slot) => slot,
            };
            progress.timings.blocked = started.elapsed();
            let begun = Instant::now();
            let patience = progress.patience.first_byte;
            let opened = slot.open(self.shared().settings(), request, progress);
            let opened = match patience {
                None => opened.await,
                Some(limit) => timeout(limit, opened).await.map_err(|_| Error::Timeout)?,
            };
            match opened {
                Ok((incoming, head)) => {
                    let sent = begun + progress.timings.sending;
                    let first = sent + progress.timings.waiting;
                    return Ok(Begun::by_stream(incoming, head, sent, first));
                }
                Err(failure) if progress.retried || !failure.may_be_repeated(request, progress) => {
                    return Err(failure.error);
                }
                Err(_) => progress.retried = true,
            }
        }
    }

    async fn begin_alone(
        &self,
        mut connection: Idle,
        request: &Request<'_>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Begun, Error> {
        progress.peer = connection.peer;
        let ready = Instant::now();
        progress.timings.blocked = ready - started;
        progress.first_byte = None;
        // It is not kept, so there is no limit to it.
        let mut decoder = Decoder::new(request.method, u64::MAX, true, Vec::new());
        connection.http.send(self.shared().settings(), request, &mut decoder, progress).await?;
        let sent = Instant::now();
        progress.timings.sending = sent - ready;
        self.receive_head(connection, decoder, sent, progress).await
    }

    /// Waits for the head of an answer to a request that is sent.
    pub(super) async fn receive_head(
        &self,
        mut connection: Idle,
        mut decoder: Decoder,
        sent: Instant,
        progress: &mut Progress,
    ) -> Result<Begun, Error> {
        if !decoder.has_head() {
            let (silence, patience) = (self.shared().settings().read_timeout, progress.patience.first_byte);
            within(patience, connection.http.receive_piece(&mut decoder, silence, progress)).await?;
        }
        let first = progress.first_byte.map_or(sent, |first| first.max(sent));
        progress.timings.waiting = first - sent;
        let head = decoder.bodiless();
        Ok(Begun { wire: Wire::Http1 { connection, decoder: Box::new(decoder) }, head, sent, first })
    }

    /// Reads what comes next, at most so many bytes; `None` at the end.
    pub async fn read(
        &self,
        streaming: &mut Streaming,
        at_most: usize,
        mut deadline: Deadline,
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(limit) = self.shared().settings().read_timeout {
            deadline = deadline.min(Deadline::now() + limit);
        }
        let read = timeout_at(deadline, streaming.0.read(self, at_most.max(1))).await;
        let read = read.unwrap_or(Err(Error::Timeout));
        if read.is_err() {
            streaming.0.wire = Wire::Done;
        }
        read
    }

    /// The same, but waits until `patience` ends at most; `None` then, and the answer goes on.
    pub async fn read_for_now(
        &self,
        streaming: &mut Streaming,
        at_most: usize,
        deadline: Deadline,
        patience: Deadline,
    ) -> Option<Result<Option<Vec<u8>>, Error>> {
        if patience >= deadline {
            return Some(self.read(streaming, at_most, deadline).await);
        }
        // Nothing is lost when this ends early: what was read of the connection is in the decoder.
        let read = timeout_at(patience, streaming.0.read(self, at_most.max(1))).await.ok()?;
        if read.is_err() {
            streaming.0.wire = Wire::Done;
        }
        Some(read)
    }

    /// Takes what has come already, and keeps the connection if that was all.
    pub fn give_up(&self, streaming: &mut Streaming) {
        let running = &mut *streaming.0;
        for _ in 0..MOST_GIVEN_UP {
            if !matches!(running.receive(self).now_or_never(), Some(Ok(true))) {
                break;
            }
        }
    }

    /// Reads the rest and drops it.
    pub async fn drain(&self, streaming: &mut Streaming, deadline: Deadline) -> Result<(), Error> {
        let running = &mut *streaming.0;
        let drained = async {
            while running.receive(self).await? {}
            Ok(())
        };
        timeout_at(deadline, drained).await.unwrap_or(Err(Error::Timeout))
    }
}

impl Begun {
    pub(super) fn by_stream(incoming: Incoming, head: Response, sent: Instant, first: Instant) -> Self {
        Self { wire: Wire::Stream(incoming), head, sent, first }
    }

    pub(super) fn into_streaming(self, progress: Progress) -> (Response, Streaming) {
        let Self { wire, head, sent, first } = self;
        let running = Running {
            wire,
            coding: None,
            raw: Vec::new(),
            taken: 0,
            status: head.status,
            body_length: 0,
            encoded_length: 0,
            progress,
            sent,
            first,
            last: first,
            newest: first,
            ended: None,
        };
        (head, Streaming(SendWrapper::new(Box::new(running))))
    }
}

/// What a future comes to, if there is time enough.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match limit {
        None => future.await,
        Some(limit) => timeout(limit, future).await.unwrap_or(Err(Error::Timeout)),
    }
}

impl Streaming {
    /// What the exchange came to so far.
    #[must_use]
    pub fn exchange(&self, error: Option<Error>) -> Exchange {
        let running = &*self.0;
        let mut progress = running.progress.clone();
        progress.timings.receiving = running.ended.unwrap_or(running.last) - running.first;
        progress.into_exchange(error.map_or_else(|| Ok(Response::bare(running.status)), Err))
    }

    /// Bytes of the body that were read, decoded and as they came.
    #[must_use]
    pub fn lengths(&self) -> (u64, u64) {
        (self.0.body_length, self.0.encoded_length)
    }

    /// From the last byte of the request to what was read last.
    #[must_use]
    pub fn arrived(&self) -> Duration {
        self.0.last - self.0.sent
    }

    /// When the last byte of the request was written.
    #[must_use]
    pub fn sent_at(&self) -> Instant {
        self.0.sent
    }

    /// When what was read last had come.
    #[must_use]
    pub fn arrived_at(&self) -> Instant {
        self.0.last
    }
}

impl Running {
    async fn read(&mut self, client: &Client, at_most: usize) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let mut source = &self.raw[self.taken..];
            let piece = match &mut self.coding {
                None => source[..source.len().min(at_most)].to_vec(),
                Some(coding) => {
                    let mut piece = vec![0; at_most.min(PIECE)];
                    let before = source.len();
                    let made = coding.read(&mut source, &mut piece)?;
                    self.taken += before - source.len();
                    piece.truncate(made);
                    piece
                }
            };
            if self.coding.is_none() {
                self.taken += piece.len();
            }
            if !piece.is_empty() {
                self.body_length += piece.len() as u64;
                self.last = self.newest;
                return Ok(Some(piece));
            }
            if !self.receive(client).await? {
                // An empty body is not encoded.
                if let Some(coding) = self.coding.as_ref().filter(|_| self.encoded_length > 0) {
                    coding.finish()?;
                }
                return Ok(None);
            }
        }
    }

    /// Waits for more; `false` at the end.
    async fn receive(&mut self, client: &Client) -> Result<bool, Error> {
        let (bytes, came) = match &mut self.wire {
            Wire::Http1 { connection, decoder } => {
                self.progress.first_byte = None;
                let silence = client.shared().settings().read_timeout;
                connection.http.receive_piece(decoder, silence, &mut self.progress).await?;
                // The bytes that were read last make the piece: what came before may have been no more than a chunk's size.
                (decoder.take_body(), self.progress.first_byte.map(|_| Instant::now()))
            }
            Wire::Stream(incoming) => {
                let bytes = incoming.receive(&mut self.progress).await?;
                (bytes.unwrap_or_default(), Some(Instant::now()))
            }
            Wire::Done => return Ok(false),
        };
        // What came together with something before it came then.
        self.newest = came.unwrap_or(self.newest);
        if bytes.is_empty() {
            self.ended = Some(self.newest);
            if let Wire::Http1 { connection, decoder } = std::mem::replace(&mut self.wire, Wire::Done) {
                client.keep(connection, decoder.is_reusable(), self.newest);
            }
            return Ok(false);
        }
        self.encoded_length += bytes.len() as u64;
        (self.raw, self.taken) = (bytes, 0);
        Ok(true)
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Running")
            .field("status", &self.status)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
