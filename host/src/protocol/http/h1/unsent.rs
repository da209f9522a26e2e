//! What of a request is still to be written.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;

use super::super::{Body, Request};
use crate::plan::Http;
use crate::protocol::Error;
use crate::protocol::dial::Via;
use crate::protocol::stream::Stream;

thread_local! {
    /// What is being written now, on this thread. What the first write leaves over takes the buffer along.
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The largest capacity the outgoing buffer keeps between requests, in bytes.
const KEEP_OUTGOING: usize = 256 << 10;
/// A body up to this size is copied behind its head, so that both leave in one write.
const COPIED_BODY: usize = 64 << 10;

/// What of a request is still to be written.
#[derive(Debug, Default)]
pub(super) struct Unsent<'a> {
    /// The head, and a small body, from `at` on.
    bytes: Vec<u8>,
    at: usize,
    /// A large body is written from where it lies: from `begun` on in the piece with this `index`.
    large: Option<Body<'a>>,
    index: usize,
    begun: usize,
    /// Bytes written that nobody has counted yet.
    written: u64,
    /// Why the first write failed.
    failed: Option<Error>,
}

impl<'a> Unsent<'a> {
    /// Writes as much of a request as can be written at once: most often all of it.
    pub(super) fn begin(
        request: &Request<'a>,
        settings: &Http,
        via: Option<&Via>,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Result<Self, Error> {
        let mut unsent = Self::default();
        OUTGOING.with_borrow_mut(|outgoing| {
            outgoing.clear();
            request.write(settings, via, outgoing)?;
            if let Some(body) = request.body {
                if body.length() <= COPIED_BODY {
                    body.pieces().for_each(|piece| outgoing.extend_from_slice(piece));
                } else {
                    unsent.large = Some(body);
                }
            }
            let mut written = 0;
            match Pin::new(stream).poll_write(context, outgoing) {
                Poll::Ready(Ok(length)) => written = length,
                Poll::Ready(Err(error)) => unsent.failed = Some(Error::from_io(&error)),
                Poll::Pending => {}
            }
            unsent.written = written as u64;
            if written < outgoing.len() {
                (unsent.bytes, unsent.at) = (std::mem::take(outgoing), written);
            } else {
                outgoing.shrink_to(KEEP_OUTGOING);
            }
            Ok(unsent)
        })
    }

    /// Bytes of a body that follows its head.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { large: Some(Body::Whole(bytes)), ..Self::default() }
    }

    /// Writes on. Ready when all is written.
    pub(super) fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while self.at < self.bytes.len() {
            let length = ready!(poll_write(stream, context, &self.bytes[self.at..]))?;
            self.at += length;
            self.written += length as u64;
        }
        while let Some(piece) = self.large.and_then(|body| body.piece(self.index)) {
            if self.begun == piece.len() {
                (self.index, self.begun) = (self.index + 1, 0);
                continue;
            }
            let length = ready!(poll_write(stream, context, &piece[self.begun..]))?;
            self.begun += length;
            self.written += length as u64;
        }
        Pin::new(stream).poll_flush(context).map_err(|error| Error::from_io(&error))
    }

    /// How many bytes were written since this was last asked.
    pub(super) fn take_written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }
}

fn poll_write(stream: &mut Stream, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
    match ready!(Pin::new(stream).poll_write(context, bytes)) {
        Ok(0) => Poll::Ready(Err(Error::Reset)),
        Ok(length) => Poll::Ready(Ok(length)),
        Err(error) => Poll::Ready(Err(Error::from_io(&error))),
    }
}
