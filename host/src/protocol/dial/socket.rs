//! A connected socket of either kind.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::protocol::Error;

/// A connected socket, before any TLS.
#[derive(Debug)]
pub(in super::super) enum Socket {
    /// TCP, to the target or to its proxy.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Connects to a Unix socket.
    #[cfg(unix)]
    #[expect(clippy::disallowed_methods, reason = "here is where Unix sockets are opened, those the operator named")]
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        let opened = UnixStream::connect(path).await;
        opened.map(Self::Unix).map_err(|error| match super::connect::dial_error(&error) {
            Error::Dial(reason) => Error::Dial(format!("`{}`: {reason}", path.display())),
            other => other,
        })
    }

    /// Says that there are no Unix sockets.
    #[cfg(not(unix))]
    #[expect(clippy::unused_async, reason = "connecting takes time where it is possible")]
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        Err(Error::Dial(format!("`{}`: this system has no Unix sockets", path.display())))
    }

    /// Whether nothing has arrived and nobody has hung up. Costs no system call while nothing has arrived.
    pub(in super::super) fn is_quiet(&self) -> bool {
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut [0; 1]),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_read(&mut [0; 1]),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
