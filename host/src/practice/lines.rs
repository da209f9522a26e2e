//! Lines over TCP and datagrams over UDP: both are answered with what they were sent, unless that is a command.
//!
//! One thread serves them all, so that the threads of HTTP have nothing to do with it.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The longest line that is read: 1 MiB. A longer one ends its connection.
const LONGEST: u64 = 1 << 20;
/// The most bytes that `bytes N` answers with: 64 MiB.
const MOST_BYTES: usize = 64 << 20;
const LARGEST_DATAGRAM: usize = 65_507;

/// What was seen of lines and datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineStats {
    /// TCP connections accepted.
    pub tcp_connections: u64,
    /// Lines that came on them.
    pub tcp_lines: u64,
    /// Datagrams that came.
    pub udp_datagrams: u64,
}

#[derive(Debug, Default)]
pub(super) struct LineCounters {
    tcp_connections: AtomicU64,
    tcp_lines: AtomicU64,
    udp_datagrams: AtomicU64,
}

impl LineCounters {
    pub(super) fn stats(&self) -> LineStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LineStats {
            tcp_connections: read(&self.tcp_connections),
            tcp_lines: read(&self.tcp_lines),
            udp_datagrams: read(&self.udp_datagrams),
        }
    }

    pub(super) fn reset(&self) {
        for counter in [&self.tcp_connections, &self.tcp_lines, &self.udp_datagrams] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// What it listens on.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    tcp: Option<std::net::TcpListener>,
    udp: Option<std::net::UdpSocket>,
}

impl Sockets {
    /// Listens on TCP; returns where.
    pub(super) fn listen(&mut self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        self.tcp.insert(listener).local_addr()
    }

    /// Listens on UDP; returns where.
    pub(super) fn bind(&mut self, addr: SocketAddr) -> io::Result<SocketAddr> {
        let socket = std::net::UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        self.udp.insert(socket).local_addr()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tcp.is_none() && self.udp.is_none()
    }

    /// Serves until told to stop.
    pub(super) fn serve(
        self,
        runtime: &tokio::runtime::Runtime,
        counters: &Arc<LineCounters>,
        stop: &CancellationToken,
    ) {
        let local = LocalSet::new();
        local.block_on(runtime, async {
            if let Some(listener) = self.tcp.and_then(|listener| TcpListener::from_std(listener).ok()) {
                spawn_local(accept(listener, Arc::clone(counters)));
            }
            if let Some(socket) = self.udp.and_then(|socket| UdpSocket::from_std(socket).ok()) {
                spawn_local(exchange(socket, Arc::clone(counters)));
            }
            stop.cancelled().await;
        });
    }
}

async fn accept(listener: TcpListener, counters: Arc<LineCounters>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some connections have to close first.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        counters.tcp_connections.fetch_add(1, Ordering::Relaxed);
        let counters = Arc::clone(&counters);
        spawn_local(async move {
            // A client that went away needs no answer.
            let _ = answer(stream, &counters).await;
        });
    }
}

/// Answers the lines of one connection.
async fn answer(stream: TcpStream, counters: &LineCounters) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await?;
        if length == 0 || line.last() != Some(&b'\n') {
            return Ok(());
        }
        counters.tcp_lines.fetch_add(1, Ordering::Relaxed);
        let words: Vec<&str> = std::str::from_utf8(&line).unwrap_or_default().split_ascii_whitespace().collect();
        match words[..] {
            ["close"] => return Ok(()),
            ["half"] => return writer.write_all(b"half a line, and the end").await,
            ["reset"] => return reset(reader, writer),
            ["silent"] => {}
            ["endless"] => loop {
                writer.write_all(&[b'x'; 16 << 10]).await?;
            },
            ["delay", milliseconds] => {
                sleep(Duration::from_millis(number(milliseconds) as u64)).await;
                writer.write_all(&line).await?;
            }
            ["bytes", length] => {
                let mut bytes = vec![b'x'; number(length).min(MOST_BYTES)];
                bytes.push(b'\n');
                writer.write_all(&bytes).await?;
            }
            ["drip", length, milliseconds] => {
                for _ in 0..number(length) {
                    writer.write_all(b"x").await?;
                    sleep(Duration::from_millis(number(milliseconds) as u64)).await;
                }
                writer.write_all(b"\n").await?;
            }
            _ => writer.write_all(&line).await?,
        }
    }
}

/// Breaks a connection off instead of closing it.
#[expect(deprecated, reason = "to linger blocks where there is something left to send; for no time, it does not")]
fn reset(reader: BufReader<OwnedReadHalf>, writer: OwnedWriteHalf) -> io::Result<()> {
    let stream = reader.into_inner().reunite(writer).map_err(io::Error::other)?;
    stream.set_linger(Some(Duration::ZERO))
}

/// Answers datagrams.
async fn exchange(socket: UdpSocket, counters: Arc<LineCounters>) {
    let socket = Rc::new(socket);
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    loop {
        // An error is about a datagram that was sent: its receiver is gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        counters.udp_datagrams.fetch_add(1, Ordering::Relaxed);
        let datagram = &buffer[..length];
        let words: Vec<&str> = std::str::from_utf8(datagram).unwrap_or_default().split_ascii_whitespace().collect();
        match words[..] {
            ["drop"] => {}
            ["stranger"] => {
                let other = UdpSocket::bind(SocketAddr::new(from.ip(), 0)).await;
                if let Ok(other) = other {
                    send(&other, b"from a stranger", from).await;
                }
                send(&socket, datagram, from).await;
            }
            ["twice"] => {
                send(&socket, datagram, from).await;
                send(&socket, datagram, from).await;
            }
            ["bytes", length] => send(&socket, &vec![b'x'; number(length).min(LARGEST_DATAGRAM)], from).await,
            ["delay", milliseconds] => {
                let (socket, datagram) = (Rc::clone(&socket), datagram.to_vec());
                let wait = Duration::from_millis(number(milliseconds) as u64);
                spawn_local(async move {
                    sleep(wait).await;
                    send(&socket, &datagram, from).await;
                });
            }
            _ => send(&socket, datagram, from).await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the practice server answers; it is no journey")]
async fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) {
    // What cannot be sent is lost, as datagrams are.
    let _ = socket.send_to(datagram, to).await;
}

/// A number of a command; what is none is 0.
fn number(text: &str) -> usize {
    text.parse().unwrap_or_default()
}
