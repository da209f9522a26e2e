//! The UDP socket under a connection, as QUIC's library uses it.
//!
//! It is connected: it sends to the address that the door let pass and to no other, whatever the server asks for, and
//! what others send never arrives. That is also how a closed port is noticed: the system tells it to connected sockets only.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::protocol::places::Place;

/// How many errors of a socket are met before others have a turn.
const MOST_ERRORS: usize = 16;

/// A connected socket. The place of its connection is given back with it.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: UdpSocket,
    #[cfg(target_os = "linux")]
    state: quinn::udp::UdpSocketState,
    remote: SocketAddr,
    refused: Arc<Notify>,
    _place: Place,
}

/// Waits until the socket can be written.
#[derive(Debug)]
struct Writable(Arc<Datagrams>);

impl Datagrams {
    /// Takes a connected socket over. `refused` is told when there turns out to be nobody at the other side.
    pub(super) fn new(socket: UdpSocket, remote: SocketAddr, refused: Arc<Notify>, place: Place) -> io::Result<Self> {
        Ok(Self {
            #[cfg(target_os = "linux")]
            state: quinn::udp::UdpSocketState::new((&socket).into())?,
            socket,
            remote,
            refused,
            _place: place,
        })
    }

    /// Sorts what sending or receiving failed with: what is told of one datagram is no end of the socket.
    fn pass(&self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => Err(error),
            io::ErrorKind::ConnectionRefused => {
                self.refused.notify_one();
                Ok(())
            }
            // Lost, as datagrams may be: too large for the path, no route for a moment.
            _ => Ok(()),
        }
    }

    #[cfg(target_os = "linux")]
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let writable = tokio::io::Interest::WRITABLE;
        self.socket.try_io(writable, || self.state.try_send((&self.socket).into(), transmit))
    }

    #[cfg(not(target_os = "linux"))]
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit.contents).map(|_| ())
    }

    #[cfg(target_os = "linux")]
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let readable = tokio::io::Interest::READABLE;
        self.socket.try_io(readable, || self.state.recv((&self.socket).into(), buffers, metas))
    }

    #[cfg(not(target_os = "linux"))]
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let length = self.socket.try_recv(&mut buffers[0])?;
        metas[0] = RecvMeta { addr: self.remote, len: length, stride: length, ..RecvMeta::default() };
        Ok(1)
    }
}

impl AsyncUdpSocket for Datagrams {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        // A server may ask to be met at another address, which the door has not seen.
        if transmit.destination != self.remote {
            return Ok(());
        }
        self.send(transmit).or_else(|error| self.pass(error))
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..MOST_ERRORS {
            ready!(self.socket.poll_recv_ready(context))?;
            match self.receive(buffers, metas) {
                Ok(count) => return Poll::Ready(Ok(count)),
                // What would block is waited for in the next turn, and what was told of one datagram is over.
                Err(error) => {
                    let _ = self.pass(error);
                }
            }
        }
        // Others shall have a turn too.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    #[cfg(target_os = "linux")]
    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    #[cfg(target_os = "linux")]
    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    #[cfg(target_os = "linux")]
    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.socket.poll_send_ready(context)
    }
}
