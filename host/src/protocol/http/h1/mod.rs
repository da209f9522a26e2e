//! The HTTP/1.1 exchange, written over `httparse` on the VU's own stream (ADR 0002).

mod decode;
#[cfg(test)]
mod differential;
mod silence;
mod unsent;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::time::{Sleep, sleep};

pub(super) use decode::{Decoder, MAX_HEADERS};

use super::{Progress, Request};
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::dial::Via;
use crate::protocol::places::Place;
use crate::protocol::stream::Stream;
use silence::Silence;
use unsent::Unsent;

thread_local! {
    /// What is being read now, on this thread. An idle connection owns no buffer, which is most of what a waiting VU
    /// would cost.
    static INCOMING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How much is read at once, in bytes.
const AT_ONCE: usize = 64 << 10;

/// How long a server that has answered may take nothing of the rest of a request.
const GRACE: Duration = Duration::from_millis(100);

/// Runs while a request cannot be written.
type Grace = Option<Pin<Box<Sleep>>>;

/// How much of an answer is taken in while the request is still written, in bytes.
const EARLY: usize = 64 << 20;

/// An open connection that speaks HTTP/1.1.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    via: Option<Arc<Via>>,
    place: Place,
}

impl Connection {
    /// Takes over a stream on which nothing was said yet, and which leads to the target or to a proxy that is told where
    /// to send what it gets.
    pub(super) fn new(stream: Stream, via: Option<Arc<Via>>, place: Place) -> Self {
        Self { stream, via, place }
    }

    /// Hands the stream over to whoever speaks another version on it.
    pub(super) fn into_parts(self) -> (Stream, Place) {
        (self.stream, self.place)
    }

    /// Whether an idle connection still seems open.
    pub(super) fn is_open(&mut self) -> bool {
        self.stream.is_open()
    }

    /// Writes a request. A server may answer before it has read all of it: what it says in the meantime is taken in, and
    /// once the answer is complete, nobody waits for the rest to be read.
    pub(super) async fn send(
        &mut self,
        settings: &Http,
        request: &Request<'_>,
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        // Most requests are written at once, so the others have a box for what is left.
        let mut rest: Option<Box<(Unsent<'_>, Grace)>> = None;
        poll_fn(|context| {
            if let Some((unsent, grace)) = rest.as_deref_mut() {
                return self.poll_send(context, unsent, grace, decoder, progress);
            }
            let mut unsent = Unsent::begin(request, settings, self.via.as_deref(), &mut self.stream, context)?;
            let mut grace = None;
            let result = self.poll_send(context, &mut unsent, &mut grace, decoder, progress);
            if result.is_pending() {
                rest = Some(Box::new((unsent, grace)));
            }
            result
        })
        .await
    }

    /// Writes bytes of a body that follows its head; nothing where the answer has made the rest needless.
    pub(super) async fn send_more(
        &mut self,
        bytes: &[u8],
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        if decoder.is_done() && !decoder.is_reusable() {
            return Ok(());
        }
        let (mut unsent, mut grace) = (Unsent::of(bytes), None);
        poll_fn(|context| self.poll_send(context, &mut unsent, &mut grace, decoder, progress)).await
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        unsent: &mut Unsent<'_>,
        grace: &mut Grace,
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Poll<Result<(), Error>> {
        let result = unsent.poll(&mut self.stream, context);
        let written = unsent.take_written();
        progress.sent += written;
        if let Poll::Ready(result) = result {
            return Poll::Ready(result.or_else(|error| self.last_words(context, error, decoder, progress)));
        }
        let grace = grace.get_or_insert_with(|| Box::pin(sleep(GRACE)));
        if written > 0 {
            grace.as_mut().reset(tokio::time::Instant::now() + GRACE);
        }
        self.poll_early_answer(context, grace.as_mut(), decoder, progress)
    }

    /// Takes in what the server says while it does not read on. Ready when that was the answer and the request need not
    /// be written to its end: the connection is over with the answer, or the server takes no more of the request.
    fn poll_early_answer(
        &mut self,
        context: &mut Context<'_>,
        mut grace: Pin<&mut Sleep>,
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Poll<Result<(), Error>> {
        if !decoder.is_done() {
            while decoder.held() < EARLY && !decoder.is_done() {
                ready!(self.poll_read(context, decoder, progress))?;
            }
            if !decoder.is_done() {
                return Poll::Pending;
            }
            grace.as_mut().reset(tokio::time::Instant::now() + GRACE);
        }
        if decoder.is_reusable() {
            ready!(grace.poll(context));
        }
        decoder.forbid_reuse();
        Poll::Ready(Ok(()))
    }

    /// Looks whether a server that hung up while the request was written had answered before. Nothing more will come.
    fn last_words(
        &mut self,
        context: &mut Context<'_>,
        error: Error,
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let answered = matches!(self.poll_answer(context, decoder, progress), Poll::Ready(Ok(())));
        // An answer that ends with the connection was cut off, since the connection was broken.
        if !answered || decoder.ended_with_stream() {
            return Err(error);
        }
        decoder.forbid_reuse();
        Ok(())
    }

    /// Reads one answer, if nothing is ever waited for longer than `silence`.
    pub(super) async fn receive(
        &mut self,
        decoder: &mut Decoder,
        silence: Option<Duration>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        self.read_while(decoder, silence, progress, |_| true).await
    }

    /// Reads until the head is there, or a piece of the body that was not taken yet, or the end.
    pub(super) async fn receive_piece(
        &mut self,
        decoder: &mut Decoder,
        silence: Option<Duration>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let had_head = decoder.has_head();
        let wants = |decoder: &Decoder| decoder.held() == 0 && (had_head || !decoder.has_head());
        self.read_while(decoder, silence, progress, wants).await
    }

    /// Reads while the answer goes on and more of it is wanted.
    async fn read_while(
        &mut self,
        decoder: &mut Decoder,
        silence: Option<Duration>,
        progress: &mut Progress,
        wants: impl Fn(&Decoder) -> bool,
    ) -> Result<(), Error> {
        let mut silence = silence.map(Silence::new);
        poll_fn(|context| {
            while !decoder.is_done() && wants(decoder) {
                let read = self.poll_read(context, decoder, progress);
                if let Some(silence) = &mut silence {
                    match read {
                        Poll::Ready(_) => silence.restart(),
                        Poll::Pending => silence.check(context)?,
                    }
                }
                ready!(read)?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll_answer(
        &mut self,
        context: &mut Context<'_>,
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Poll<Result<(), Error>> {
        while !decoder.is_done() {
            ready!(self.poll_read(context, decoder, progress))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what there is, or the end of the stream.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        decoder: &mut Decoder,
        progress: &mut Progress,
    ) -> Poll<Result<(), Error>> {
        INCOMING.with_borrow_mut(|incoming| {
            incoming.clear();
            incoming.reserve_exact(AT_ONCE);
            match ready!(pin!(self.stream.read_buf(incoming)).poll(context)) {
                Err(error) => return Poll::Ready(Err(Error::from_io(&error))),
                Ok(0) => return Poll::Ready(decoder.end()),
                Ok(length) => progress.received += length as u64,
            }
            progress.first_byte.get_or_insert_with(Instant::now);
            Poll::Ready(decoder.feed_or_keep(incoming))
        })
    }
}
