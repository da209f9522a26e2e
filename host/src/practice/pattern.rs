//! Bodies of any length that take no memory: the same pattern over and over.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What is repeated: 0 to 9 in turn, 16 KiB of it.
static PATTERN: [u8; 16 * 1024] = {
    let mut pattern = [0; 16 * 1024];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = b'0' + (at % 10) as u8;
        at += 1;
    }
    pattern
};

/// A body that is still to be sent.
#[derive(Debug)]
pub(super) struct Pattern {
    left: u64,
    chunk: u64,
    sized: bool,
}

impl Pattern {
    /// A body of `length` bytes, announced by `content-length`.
    pub(super) fn sized(length: u64) -> Self {
        Self { left: length, chunk: PATTERN.len() as u64, sized: true }
    }

    /// A body of `length` bytes in small chunks, its length not announced.
    pub(super) fn chunked(length: u64) -> Self {
        Self { left: length, chunk: 1000, sized: false }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let now = self.left.min(self.chunk);
        self.left -= now;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PATTERN[..now as usize])))))
    }

    fn is_end_stream(&self) -> bool {
        self.sized && self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.sized { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}
