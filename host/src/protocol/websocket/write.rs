//! What a socket writes: at once as far as that goes, the rest when the other side takes it.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::frames::{Kind, closing, put};
use super::socket::{Phase, Socket};
use crate::protocol::Error;

/// The largest capacity the outgoing buffer keeps between messages, in bytes.
const KEEP_OUTGOING: usize = 256 << 10;

thread_local! {
    /// What is being written now, on this thread. What the first write leaves over takes the buffer along.
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is still to be written.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// From `written` on.
    bytes: Vec<u8>,
    written: usize,
    /// The pong that is to be written after that.
    pong: Option<Vec<u8>>,
}

impl Unsent {
    /// Whether there is nothing but a pong.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Answers a ping. Of several the last is answered (RFC 6455, 5.5.3), so that no flood of them piles up.
    pub(super) fn answer(&mut self, ping: Vec<u8>) {
        self.pong = Some(ping);
    }
}

impl Socket {
    /// Appends a frame and writes as much as can be written at once: most often all of it.
    pub(super) fn begin_write(&mut self, kind: Kind, payload: &[u8], context: &mut Context<'_>) -> Result<(), Error> {
        if !self.unsent.bytes.is_empty() {
            put(kind, payload, &mut self.unsent.bytes);
            return Ok(());
        }
        OUTGOING.with_borrow_mut(|outgoing| {
            outgoing.clear();
            put(kind, payload, outgoing);
            let mut written = 0;
            while written < outgoing.len() {
                match self.write_some(&outgoing[written..], context) {
                    Poll::Ready(length) => written += length?,
                    Poll::Pending => {
                        (self.unsent.bytes, self.unsent.written) = (std::mem::take(outgoing), written);
                        return Ok(());
                    }
                }
            }
            outgoing.shrink_to(KEEP_OUTGOING);
            self.flush(context).map(|_| ())
        })
    }

    /// Writes on what is left. Ready when nothing is.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            while self.unsent.written < self.unsent.bytes.len() {
                let unsent = std::mem::take(&mut self.unsent.bytes);
                let wrote = self.write_some(&unsent[self.unsent.written..], context);
                self.unsent.bytes = unsent;
                match wrote {
                    Poll::Ready(length) => self.unsent.written += length?,
                    Poll::Pending => return Poll::Pending,
                }
            }
            if !self.unsent.bytes.is_empty() {
                (self.unsent.bytes, self.unsent.written) = (Vec::new(), 0);
            }
            match self.unsent.pong.take() {
                Some(pong) if self.phase == Phase::Open => self.begin_write(Kind::Pong, &pong, context)?,
                _ => return Poll::Ready(self.flush(context).map(|_| ())),
            }
        }
    }

    fn write_some(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let Some((stream, _)) = &mut self.stream else { return Poll::Ready(Err(Error::BrokenPipe)) };
        match Pin::new(stream).poll_write(context, bytes) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Error::Reset)),
            Poll::Ready(Ok(length)) => {
                self.watch.bytes(length as u64, 0);
                Poll::Ready(Ok(length))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Error::from_io(&error))),
        }
    }

    /// Moves on what TLS holds back. What cannot be moved now moves with what is written or read next.
    fn flush(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let Some((stream, _)) = &mut self.stream else { return Ok(true) };
        match Pin::new(stream).poll_flush(context) {
            Poll::Pending => Ok(false),
            Poll::Ready(flushed) => flushed.map(|()| true).map_err(|error| Error::from_io(&error)),
        }
    }

    /// Says goodbye if that can be done at once, and ends.
    pub(super) fn leave(&mut self, code: u16) {
        let mut context = Context::from_waker(Waker::noop());
        if self.phase == Phase::Open && self.unsent.is_empty() {
            // What waits to be read would make a reset of the end, which overtakes the goodbye.
            let mut unread = [0; 4096];
            for _ in 0..16 {
                let Some((stream, _)) = &mut self.stream else { break };
                let mut unread = ReadBuf::new(&mut unread);
                let read = Pin::new(stream).poll_read(&mut context, &mut unread);
                let length = unread.filled().len();
                self.watch.bytes(0, length as u64);
                if !matches!(read, Poll::Ready(Ok(()))) || length == 0 {
                    break;
                }
            }
            let _ = self.begin_write(Kind::Close, &closing(Some(code), ""), &mut context);
        }
        if let Some((stream, _)) = &mut self.stream {
            let _ = Pin::new(stream).poll_shutdown(&mut context);
        }
        self.end();
    }
}
