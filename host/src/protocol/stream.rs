//! Bytes in and out, secured or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::dial::Socket;
use super::tls;

/// A connected socket, secured or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Whether an idle connection still seems open. Costs no system call while nothing has arrived.
    pub(super) fn is_open(&mut self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_quiet(),
            // What arrives on an idle TLS connection may be a session ticket, which is no answer.
            Self::Tls(stream) => {
                let mut buffer = [0; 1];
                let mut context = Context::from_waker(Waker::noop());
                Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut buffer)).is_pending()
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer).map_err(tls::in_our_words),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => match Pin::new(&mut **stream).poll_write(context, bytes) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(why_closed(stream, context, error))),
                other => other,
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A server that refuses a client's certificate says why and hangs up. Where the hanging up is met first, while writing,
/// the reason still waits to be read.
fn why_closed(stream: &mut TlsStream<Socket>, context: &mut Context<'_>, error: io::Error) -> io::Error {
    let mut buffer = [0; 1];
    match Pin::new(stream).poll_read(context, &mut ReadBuf::new(&mut buffer)) {
        Poll::Ready(Err(reason)) if reason.get_ref().is_some() => tls::in_our_words(reason),
        _ => tls::in_our_words(error),
    }
}
