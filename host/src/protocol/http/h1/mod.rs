//! The HTTP/1.1 exchange, written over `httparse` on the VU's own stream (ADR 0002).

mod decode;
#[cfg(test)]
mod differential;
mod silence;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};

pub(super) use decode::{Decoder, MAX_HEADERS};

use super::dial::Via;
use super::stream::Stream;
use super::{Body, Error, Progress, Request};
use crate::plan::Http;
use silence::Silence;

thread_local! {
    /// What is being read and what is being written now, on this thread. An idle connection owns no buffer, which is
    /// most of what a waiting VU would cost.
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The largest capacity the outgoing buffer keeps between requests, in bytes.
const KEEP_OUTGOING: usize = 256 << 10;
/// A body up to this size is copied behind its head, so that both leave in one write.
const COPIED_BODY: usize = 64 << 10;

/// An open connection that speaks HTTP/1.1.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    via: Option<Arc<Via>>,
}

impl Connection {
    /// Takes over a stream on which nothing was said yet, and which leads to the target or to a proxy that is told where
    /// to send what it gets.
    pub(super) fn new(stream: Stream, via: Option<Arc<Via>>) -> Self {
        Self { stream, via }
    }

    /// Hands the stream over to whoever speaks another version on it.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether an idle connection still seems open.
    pub(super) fn is_open(&mut self) -> bool {
        self.stream.is_open()
    }

    /// Writes a request and returns how many bytes it took.
    pub(super) async fn send(&mut self, settings: &Http, request: &Request<'_>) -> Result<u64, Error> {
        // What the first write left over is copied, so that the thread's buffer is free for others in the meantime.
        let mut rest: Option<(Vec<u8>, usize)> = None;
        let mut total = 0;
        // A large body is written from where it lies.
        let mut large: Option<Body<'_>> = None;
        let (mut index, mut begun) = (0, 0);
        poll_fn(|context| {
            if rest.is_none() {
                let unsent = OUTGOING.with_borrow_mut(|outgoing| {
                    outgoing.clear();
                    request.write(settings, self.via.as_deref(), outgoing)?;
                    total = outgoing.len();
                    if let Some(body) = request.body {
                        let length = body.length();
                        total += length;
                        if length <= COPIED_BODY {
                            body.pieces().for_each(|piece| outgoing.extend_from_slice(piece));
                        } else {
                            large = Some(body);
                        }
                    }
                    let written = match Pin::new(&mut self.stream).poll_write(context, outgoing) {
                        Poll::Ready(written) => written.map_err(|error| Error::from_io(&error))?,
                        Poll::Pending => 0,
                    };
                    let unsent = outgoing[written..].to_vec();
                    outgoing.shrink_to(KEEP_OUTGOING);
                    Ok::<_, Error>(unsent)
                })?;
                rest = Some((unsent, 0));
            }
            let (bytes, sent) = rest.get_or_insert_default();
            while *sent < bytes.len() {
                match ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[*sent..])) {
                    Ok(0) => return Poll::Ready(Err(Error::Reset)),
                    Ok(written) => *sent += written,
                    Err(error) => return Poll::Ready(Err(Error::from_io(&error))),
                }
            }
            while let Some(piece) = large.and_then(|body| body.piece(index)) {
                if begun == piece.len() {
                    (index, begun) = (index + 1, 0);
                    continue;
                }
                match ready!(Pin::new(&mut self.stream).poll_write(context, &piece[begun..])) {
                    Ok(0) => return Poll::Ready(Err(Error::Reset)),
                    Ok(written) => begun += written,
                    Err(error) => return Poll::Ready(Err(Error::from_io(&error))),
                }
            }
            Pin::new(&mut self.stream).poll_flush(context).map_err(|error| Error::from_io(&error))
        })
        .await?;
        Ok(total as u64)
    }

    /// Reads until the head is there, or a piece of the body that was not taken yet, or the end. Returns when the first
    /// byte of it came; `None` if all of it was here before.
    pub(super) async fn receive_piece(
        &mut self,
        decoder: &mut Decoder,
        silence: Option<Duration>,
        progress: &mut Progress,
    ) -> Result<Option<Instant>, Error> {
        let had_head = decoder.has_head();
        let wants = |decoder: &Decoder| decoder.held() == 0 && (had_head || !decoder.has_head());
        self.read_while(decoder, silence, progress, wants).await
    }

    /// Writes bytes of a body.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| Error::from_io(&error))
    }

    /// Reads one answer, if nothing is ever waited for longer than `silence`. Returns when the first byte came.
    pub(super) async fn receive(
        &mut self,
        decoder: &mut Decoder,
        silence: Option<Duration>,
        progress: &mut Progress,
    ) -> Result<Instant, Error> {
        let first = self.read_while(decoder, silence, progress, |_| true).await?;
        Ok(first.unwrap_or_else(Instant::now))
    }

    /// Reads while the answer goes on and more of it is wanted.
    async fn read_while(
        &mut self,
        decoder: &mut Decoder,
        silence: Option<Duration>,
        progress: &mut Progress,
        wants: impl Fn(&Decoder) -> bool,
    ) -> Result<Option<Instant>, Error> {
        let mut first = None;
        let mut silence = silence.map(Silence::new);
        poll_fn(|context| {
            while !decoder.is_done() && wants(decoder) {
                let read = INCOMING.with_borrow_mut(|incoming| {
                    let mut buffer = ReadBuf::new(incoming);
                    match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                        Err(error) => return Poll::Ready(Err(Error::from_io(&error))),
                        Ok(()) if buffer.filled().is_empty() => return Poll::Ready(decoder.end()),
                        Ok(()) => {}
                    }
                    first.get_or_insert_with(Instant::now);
                    progress.received += buffer.filled().len() as u64;
                    Poll::Ready(decoder.feed(buffer.filled()))
                });
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
        .await?;
        Ok(first)
    }
}
