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
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::protocol::places::Place;

/// How many errors of a socket are met before others have a turn.
const MOST_ERRORS: usize = 16;

/// A connected socket. The place of its connection is given back with it.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: Arc<UdpSocket>,
    #[cfg(target_os = "linux")]
    state: quinn::udp::UdpSocketState,
    remote: SocketAddr,
    refused: Arc<Notify>,
    _place: Place,
}

/// Waits for the system to say that there is nobody at the other side.
#[derive(Debug)]
pub(super) struct Refusal {
    socket: Arc<UdpSocket>,
    /// Told by who sends and receives, where they are told first.
    refused: Arc<Notify>,
}

/// Waits until the socket can be written.
#[derive(Debug)]
struct Writable(Arc<Datagrams>);

impl Datagrams {
    /// Takes a connected socket over.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(clippy::unnecessary_wraps, reason = "on Linux there is more to set up")
    )]
    pub(super) fn new(socket: UdpSocket, remote: SocketAddr, place: Place) -> io::Result<(Self, Refusal)> {
        let (socket, refused) = (Arc::new(socket), Arc::new(Notify::new()));
        let refusal = Refusal { socket: Arc::clone(&socket), refused: Arc::clone(&refused) };
        let datagrams = Self {
            #[cfg(target_os = "linux")]
            state: quinn::udp::UdpSocketState::new((&*socket).into())?,
            socket,
            remote,
            refused,
            _place: place,
        };
        Ok((datagrams, refusal))
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
        let writable = Interest::WRITABLE;
        self.socket.try_io(writable, || self.state.try_send((&*self.socket).into(), transmit))
    }

    #[cfg(not(target_os = "linux"))]
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit.contents).map(|_| ())
    }

    #[cfg(target_os = "linux")]
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let readable = Interest::READABLE;
        self.socket.try_io(readable, || self.state.recv((&*self.socket).into(), buffers, metas))
    }

    #[cfg(not(target_os = "linux"))]
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let length = self.socket.try_recv(&mut buffers[0])?;
        metas[0] = RecvMeta { addr: self.remote, len: length, stride: length, ..RecvMeta::default() };
        Ok(1)
    }
}

impl Refusal {
    /// Ready when the port turned out to be closed.
    pub(super) async fn met(&self) {
        tokio::select! {
            () = self.refused.notified() => {}
            () = self.told() => {}
        }
    }

    /// A socket that is told of an error is not readable for it, and would be told by the next datagram that is sent.
    async fn told(&self) {
        while self.socket.ready(Interest::ERROR).await.is_ok() {
            if let Ok(Some(error)) = self.socket.take_error()
                && error.kind() == io::ErrorKind::ConnectionRefused
            {
                return;
            }
            let over = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = self.socket.try_io(Interest::ERROR, over);
        }
        std::future::pending::<()>().await;
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
