//! A stream that counts its bytes.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::State;
use crate::protocol::Error;
use crate::protocol::places::Place;
use crate::protocol::stream::Stream;

/// A stream that counts its bytes.
#[derive(Debug)]
pub(super) struct Counted {
    stream: Stream,
    state: Rc<State>,
    // Given back when the socket is closed, which may be later than when nobody holds the connection any more.
    _place: Place,
}

impl Counted {
    pub(super) fn new(stream: Stream, place: Place, state: Rc<State>) -> Self {
        Self { stream, state, _place: place }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(context, buffer)) {
            // The crate forgets a GOAWAY over an error of the socket, but not over its end; to us both are the same.
            Err(error) if Error::from_io(&error) == Error::Reset => return Poll::Ready(Ok(())),
            read => read?,
        }
        let read = (buffer.filled().len() - before) as u64;
        self.state.received.set(self.state.received.get() + read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.state.sent.set(self.state.sent.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
