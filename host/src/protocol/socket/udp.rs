//! A socket that exchanges datagrams with one address.

use std::net::SocketAddr;
use std::{fmt, io};

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::{Mask, within};
use crate::plan::Destination;
use crate::protocol::Error;
use crate::protocol::connector::{Connector, Opening};
use crate::protocol::places::Place;

/// The most bytes that fit into a datagram of UDP over IPv4.
pub const LARGEST_DATAGRAM: usize = 65_507;

/// A UDP socket that knows one other side.
pub struct Udp {
    socket: UdpSocket,
    _place: Place,
    remote: SocketAddr,
    mask: Option<Mask>,
    arrived: Option<Instant>,
}

impl Udp {
    /// Looks a host up before the deadline and opens a socket that sends there.
    pub async fn bind(
        connector: &Connector,
        to: &Destination<'_>,
        mask: Option<Mask>,
        deadline: Instant,
        opening: &mut Opening,
    ) -> Result<Self, Error> {
        let bound = timeout_at(deadline, connector.datagrams(to, opening)).await;
        let (bound, place) = bound.unwrap_or(Err(Error::DialTimeout))?;
        let (socket, remote) = bound.connect()?;
        Ok(Self { socket, _place: place, remote, mask, arrived: None })
    }

    /// Sends a datagram.
    pub async fn send(&self, bytes: &[u8], deadline: Instant) -> Result<(), Error> {
        if bytes.len() > LARGEST_DATAGRAM {
            return Err(Error::TooLarge(LARGEST_DATAGRAM as u64));
        }
        within(deadline, async { self.socket.send(bytes).await.map_err(|error| sorted(&error)) }).await?;
        Ok(())
    }

    /// Waits for a datagram.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Vec<u8>, Error> {
        let mut datagram = within(deadline, self.next()).await?;
        self.arrived = Some(Instant::now());
        if let Some(mask) = &self.mask {
            mask(&mut datagram);
        }
        Ok(datagram)
    }

    async fn next(&self) -> Result<Vec<u8>, Error> {
        loop {
            self.socket.readable().await.map_err(|error| sorted(&error))?;
            // Room for the largest, but not while there is nothing: many sockets wait.
            let mut datagram = Vec::with_capacity(LARGEST_DATAGRAM);
            match self.socket.try_recv_buf(&mut datagram) {
                Ok(_) => {
                    datagram.shrink_to_fit();
                    return Ok(datagram);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(sorted(&error)),
            }
        }
    }

    /// When the last datagram came.
    #[must_use]
    pub fn arrived(&self) -> Option<Instant> {
        self.arrived
    }

    /// The address of the other side.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }
}

fn sorted(error: &io::Error) -> Error {
    match error.raw_os_error() {
        // `EMSGSIZE`, for which the standard library has no kind.
        Some(90) if cfg!(target_os = "linux") => Error::TooLarge(LARGEST_DATAGRAM as u64),
        _ => Error::from_io(error),
    }
}

impl fmt::Debug for Udp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Udp").field("remote", &self.remote).finish_non_exhaustive()
    }
}
