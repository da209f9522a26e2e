//! From a name to a socket: resolve, then connect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::shared::Shared;
use super::{Error, Progress, Target};

/// A connected socket, before any TLS.
#[derive(Debug)]
pub(super) enum Socket {
    /// TCP, to the target or to its proxy.
    Tcp(TcpStream),
}

/// What dialling came to.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) socket: Socket,
    /// The address of the other side, where there is one.
    pub(super) remote: Option<SocketAddr>,
}

/// Resolves and connects; writes down how long each took.
pub(super) async fn dial(shared: &Shared, target: &Target, progress: &mut Progress) -> Result<Dialled, Error> {
    let started = Instant::now();
    let addresses = resolve(shared, target).await?;
    let resolved = Instant::now();
    progress.timings.looking_up = resolved - started;
    let (stream, remote) = connect(&addresses).await?;
    progress.timings.connecting = resolved.elapsed();
    Ok(Dialled { socket: Socket::Tcp(stream), remote: Some(remote) })
}

impl Socket {
    /// Whether nothing has arrived and nobody has hung up. Costs no system call while nothing has arrived.
    pub(super) fn is_quiet(&self) -> bool {
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut [0; 1]),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

async fn resolve(shared: &Shared, target: &Target) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(address) = target.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, target.port())]);
    }
    if let Some(addresses) = shared.known_addresses(target.host()) {
        return Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.port())).collect());
    }
    let found = tokio::net::lookup_host((target.host(), target.port())).await;
    let mut addresses: Vec<SocketAddr> =
        found.map_err(|error| Error::NoSuchHost(format!("`{}`: {error}", target.host())))?.collect();
    // k6's policy `preferIPv4`.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    if addresses.is_empty() {
        return Err(Error::NoSuchHost(format!("`{}` has no address", target.host())));
    }
    shared.keep_addresses(target.host(), addresses.iter().map(SocketAddr::ip).collect());
    Ok(addresses)
}

/// Tries the addresses in turn and reports the last failure.
async fn connect(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Error> {
    let mut last = Error::Other("no address to connect to".to_owned());
    for &address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is one write; waiting for more to send would only delay it. Failing to say so changes no answer.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Err(error) => last = Error::from_io(&error),
        }
    }
    Err(last)
}
