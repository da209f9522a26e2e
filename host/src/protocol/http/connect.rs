//! A connection: resolve, TCP, TLS, and bytes in and out.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client::{Progress, Shared};
use super::decode::Decoder;
use super::{Error, Request, Settings, Target, tls};

thread_local! {
    /// What is being read and what is being written now, on this thread. An idle connection owns no buffer, which is
    /// most of what a waiting VU would cost.
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The largest capacity the outgoing buffer keeps between requests, in bytes.
const KEEP_OUTGOING: usize = 256 << 10;

/// An open connection to one origin.
#[derive(Debug)]
pub(super) struct Connection {
    target: Arc<Target>,
    stream: Stream,
    pub(super) remote: SocketAddr,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Resolves, connects and shakes hands; writes down how long each took.
    pub(super) async fn open(shared: &Shared, target: &Arc<Target>, progress: &mut Progress) -> Result<Self, Error> {
        let started = Instant::now();
        let addresses = resolve(shared, target).await?;
        let resolved = Instant::now();
        progress.timings.looking_up = resolved - started;
        let (stream, remote) = connect(&addresses).await?;
        let connected = Instant::now();
        progress.timings.connecting = connected - resolved;
        let stream = if target.is_tls() {
            let stream = shared.tls().connect(target.host(), stream).await?;
            progress.timings.tls_handshaking = connected.elapsed();
            Stream::Tls(Box::new(stream))
        } else {
            Stream::Plain(stream)
        };
        Ok(Self { target: Arc::clone(target), stream, remote })
    }

    /// Whether the connection leads where a request goes.
    pub(super) fn leads_to(&self, target: &Arc<Target>) -> bool {
        Arc::ptr_eq(&self.target, target) || self.target.same_origin(target)
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(tls::version(stream)),
        }
    }

    /// Whether an idle connection still seems open. Costs no system call while nothing has arrived.
    pub(super) fn is_open(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => {
                matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            // What arrives on an idle TLS connection may be a session ticket.
            Stream::Tls(_) => true,
        }
    }

    /// Writes a request and returns how many bytes it took.
    pub(super) async fn send(&mut self, settings: &Settings, request: &Request<'_>) -> Result<u64, Error> {
        // What the first write left over is copied, so that the thread's buffer is free for others in the meantime.
        let mut rest: Option<(Vec<u8>, usize)> = None;
        let mut total = 0;
        poll_fn(|context| {
            if rest.is_none() {
                let unsent = OUTGOING.with_borrow_mut(|outgoing| {
                    outgoing.clear();
                    request.write(settings, outgoing)?;
                    total = outgoing.len();
                    let written = match self.stream.poll_write(context, outgoing) {
                        Poll::Ready(written) => written.map_err(|error| Error::from_io(&error))?,
                        Poll::Pending => 0,
                    };
                    let unsent = outgoing[written..].to_vec();
                    outgoing.shrink_to(KEEP_OUTGOING);
                    Ok::<_, Error>(unsent)
                })?;
                rest = Some((unsent, 0));
            }
            let (bytes, sent) = rest.get_or_insert_default();
            while *sent < bytes.len() {
                match ready!(self.stream.poll_write(context, &bytes[*sent..])) {
                    Ok(0) => return Poll::Ready(Err(Error::Reset)),
                    Ok(written) => *sent += written,
                    Err(error) => return Poll::Ready(Err(Error::from_io(&error))),
                }
            }
            self.stream.poll_flush(context).map_err(|error| Error::from_io(&error))
        })
        .await?;
        Ok(total as u64)
    }

    /// Reads one answer. Returns when the first byte came.
    pub(super) async fn receive(&mut self, decoder: &mut Decoder, progress: &mut Progress) -> Result<Instant, Error> {
        let mut first = None;
        poll_fn(|context| {
            while !decoder.is_done() {
                ready!(INCOMING.with_borrow_mut(|incoming| {
                    let mut buffer = ReadBuf::new(incoming);
                    match ready!(self.stream.poll_read(context, &mut buffer)) {
                        Err(error) => return Poll::Ready(Err(Error::from_io(&error))),
                        Ok(()) if buffer.filled().is_empty() => return Poll::Ready(decoder.end()),
                        Ok(()) => {}
                    }
                    first.get_or_insert_with(Instant::now);
                    progress.received += buffer.filled().len() as u64;
                    Poll::Ready(decoder.feed(buffer.filled()))
                }))?;
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        Ok(first.unwrap_or_else(Instant::now))
    }
}

impl Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // TCP has nothing to flush.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
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
        found.map_err(|error| Error::Dns(format!("`{}`: {error}", target.host())))?.collect();
    // k6's policy `preferIPv4`.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    if addresses.is_empty() {
        return Err(Error::Dns(format!("`{}` has no address", target.host())));
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
