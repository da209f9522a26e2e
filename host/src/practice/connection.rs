//! Connections on their way from the one socket to the worker threads.
//!
//! One task accepts and deals connections out in turn, so that every thread gets the same number of them: with a
//! listener per thread the kernel's hash decides, and a bench with few connections would measure its luck.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::stats::{Counters, OpenConnection};

/// A connection between two runtimes.
pub(super) type Parcel = (std::net::TcpStream, SocketAddr);

/// Accepts for ever and deals connections out in turn.
pub(super) async fn deal(listener: TcpListener, workers: Vec<UnboundedSender<Parcel>>) {
    let mut turn = workers.iter().cycle();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: some connections have to close first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // A connection that is already gone needs no answer.
        let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else {
            continue;
        };
        if turn.next().is_none_or(|worker| worker.send((stream, peer)).is_err()) {
            return;
        }
    }
}

/// The connections of one worker.
pub(super) struct Inbox {
    pub(super) parcels: UnboundedReceiver<Parcel>,
    pub(super) counters: Arc<Counters>,
    pub(super) worker: usize,
    pub(super) addr: SocketAddr,
}

impl Listener for Inbox {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Some((stream, peer)) = self.parcels.recv().await else {
                // The dealer only ends with the server, which then ends this task as well.
                std::future::pending::<()>().await;
                continue;
            };
            if let Ok(stream) = TcpStream::from_std(stream) {
                return (Connection { stream, _open: self.counters.accepted(self.worker) }, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

/// A connection that is counted as open as long as it lives.
pub(super) struct Connection {
    stream: TcpStream,
    _open: OpenConnection,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, open: OpenConnection) -> Self {
        Self { stream, _open: open }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
