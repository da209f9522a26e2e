//! TCP connections and UDP sockets, for protocols that squall does not speak itself.
//!
//! ```no_run
//! use squall_sdk::{Error, check, socket::TcpSocket};
//!
//! fn visit() -> Result<(), Error> {
//!     let mut server = TcpSocket::connect("127.0.0.1:6379")?;
//!     server.send(b"PING\r\n")?;
//!     check!("it answers", server.read_line()?.as_deref() == Some("+PONG"));
//!     println!("after {:?}", server.round_trip());
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! A socket is closed when it is dropped, and at the end of the iteration at the latest; one that is to be
//! [kept](TcpOptions::keep) waits for the next iteration. Sessions are measured as `socket_sessions`,
//! `socket_connecting` and `socket_session_duration`; what a round trip of a journey's own protocol is, the journey
//! knows, and adds to a [`Trend`](crate::metric::Trend).

use std::io;
use std::time::Duration;

use crate::Error;
use crate::bindings::squall::socket::socket as host;
use crate::vu::{duration, milliseconds};

/// How much is received at once where nobody says, and the longest line of [`TcpSocket::read_line`].
const PIECE: u32 = 64 << 10;

/// A TCP connection, with TLS or without.
///
/// It is also a reader and a writer. Reading never mixes with [`read_line`](Self::read_line): what arrived and was not
/// asked for waits on the host, for whichever call comes next.
#[derive(Debug)]
pub struct TcpSocket {
    id: u32,
    timeout: Option<f64>,
    keep: bool,
}

/// How a TCP connection is to be made.
///
/// ```no_run
/// use std::time::Duration;
///
/// use squall_sdk::socket::TcpSocket;
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let mut server = TcpSocket::to("127.0.0.1:6380")
///     .tls()
///     .timeout(Duration::from_secs(2))
///     .name("cache")
///     .keep()
///     .connect()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `connect`"]
pub struct TcpOptions<'a> {
    address: &'a str,
    tls: bool,
    timeout: Option<f64>,
    name: Option<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    keep: bool,
}

impl TcpSocket {
    /// Connects to `host:port`.
    pub fn connect(address: impl AsRef<str>) -> Result<Self, Error> {
        Self::to(address.as_ref()).connect()
    }

    /// Begins to say how to connect.
    pub fn to(address: &str) -> TcpOptions<'_> {
        TcpOptions { address, tls: false, timeout: None, name: None, tags: Vec::new(), keep: false }
    }

    /// How long each call waits from here on at most; none is the run's default for requests.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout.map(milliseconds);
    }

    /// Sends all these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        Ok(host::send(self.id, bytes.as_ref(), self.timeout)?)
    }

    /// Waits for bytes and returns those that are there, 64 KiB at most; none when the other side sends no more.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Ok(host::receive(self.id, PIECE, self.timeout)?)
    }

    /// Waits for exactly so many bytes.
    pub fn receive_exactly(&mut self, length: u32) -> Result<Vec<u8>, Error> {
        Ok(host::receive_exactly(self.id, length, self.timeout)?)
    }

    /// Waits for bytes up to a delimiter and returns them with it, at most so many; none when the other side sends no
    /// more.
    pub fn receive_until(&mut self, delimiter: impl AsRef<[u8]>, at_most: u32) -> Result<Option<Vec<u8>>, Error> {
        Ok(host::receive_until(self.id, delimiter.as_ref(), at_most, self.timeout)?)
    }

    /// Waits for a line and returns it without its end (`\n` or `\r\n`); none when the other side sends no more. One over
    /// 64 KiB is [`Error::TooLarge`], one that is not UTF-8 an error as well.
    pub fn read_line(&mut self) -> Result<Option<String>, Error> {
        let Some(mut line) = self.receive_until(b"\n", PIECE)? else { return Ok(None) };
        line.pop();
        line.pop_if(|last| *last == b'\r');
        Ok(Some(String::from_utf8(line)?))
    }

    /// Says that nothing more will be sent. What the other side still sends can be received.
    pub fn finish(&mut self) -> Result<(), Error> {
        Ok(host::finish(self.id, self.timeout)?)
    }

    /// From asking for the connection to the end of the last send.
    #[must_use]
    pub fn sent(&self) -> Duration {
        duration(host::sent(self.id))
    }

    /// From asking for the connection to the arrival of what was received last.
    #[must_use]
    pub fn arrived(&self) -> Duration {
        duration(host::arrived(self.id))
    }

    /// From the end of the last send to the arrival of what was received last; 0 where that came before.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.arrived().saturating_sub(self.sent())
    }

    /// What is known of the connection.
    pub fn details(&self) -> Result<Details, Error> {
        details(self.id)
    }

    /// Closes the connection, also one that was to be kept.
    pub fn close(mut self) {
        self.keep = false;
    }
}

impl TcpOptions<'_> {
    /// Goes with TLS, on the run's terms.
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// How long it may take to connect, and then each call.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(milliseconds(timeout)), ..self }
    }

    /// Keeps the connection for the next iteration, which gets it back by connecting in the same way.
    pub fn keep(self) -> Self {
        Self { keep: true, ..self }
    }

    /// Connects.
    pub fn connect(self) -> Result<TcpSocket, Error> {
        let (tls, timeout, keep) = (self.tls, self.timeout, self.keep);
        let options = host::ConnectOptions { tls, timeout, name: self.name, tags: &pairs(&self.tags), keep };
        let id = host::connect(self.address, options)?;
        Ok(TcpSocket { id, timeout, keep })
    }
}

impl<'a> TcpOptions<'a> {
    /// The value of the `name` tag, instead of the address.
    pub fn name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Adds a tag to every sample of this connection.
    pub fn tag(mut self, name: &'a str, value: &'a str) -> Self {
        self.tags.push((name, value));
        self
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        if !self.keep {
            host::close(self.id);
        }
    }
}

impl io::Read for TcpSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let at_most = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let piece = host::receive(self.id, at_most, self.timeout).map_err(io_error)?.unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl io::Write for TcpSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        host::send(self.id, bytes, self.timeout).map_err(io_error)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A UDP socket that exchanges datagrams with one address.
///
/// ```no_run
/// use std::time::Duration;
///
/// use squall_sdk::socket::UdpSocket;
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let mut clock = UdpSocket::to("127.0.0.1:9123").timeout(Duration::from_millis(200)).bind()?;
/// clock.send(b"what time is it?")?;
/// let answer = clock.receive()?; // `Error::Timeout` if one of the two was lost
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    id: u32,
    timeout: Option<f64>,
}

/// How a UDP socket is to be made.
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `bind`"]
pub struct UdpOptions<'a> {
    address: &'a str,
    timeout: Option<f64>,
    name: Option<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
}

impl UdpSocket {
    /// Opens a socket that sends to `host:port` and receives from nobody else.
    pub fn bind(address: impl AsRef<str>) -> Result<Self, Error> {
        Self::to(address.as_ref()).bind()
    }

    /// Begins to say how.
    pub fn to(address: &str) -> UdpOptions<'_> {
        UdpOptions { address, timeout: None, name: None, tags: Vec::new() }
    }

    /// How long each call waits from here on at most; none is the run's default for requests.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout.map(milliseconds);
    }

    /// Sends a datagram of at most 65507 bytes.
    pub fn send(&mut self, datagram: impl AsRef<[u8]>) -> Result<(), Error> {
        Ok(host::send_datagram(self.id, datagram.as_ref(), self.timeout)?)
    }

    /// Waits for a datagram.
    pub fn receive(&mut self) -> Result<Vec<u8>, Error> {
        Ok(host::receive_datagram(self.id, self.timeout)?)
    }

    /// From asking for the socket to the end of the last send.
    #[must_use]
    pub fn sent(&self) -> Duration {
        duration(host::sent(self.id))
    }

    /// From asking for the socket to the arrival of the last datagram.
    #[must_use]
    pub fn arrived(&self) -> Duration {
        duration(host::arrived(self.id))
    }

    /// From the end of the last send to the arrival of the last datagram; 0 where that came before.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.arrived().saturating_sub(self.sent())
    }

    /// What is known of the socket.
    pub fn details(&self) -> Result<Details, Error> {
        details(self.id)
    }

    /// Closes the socket.
    pub fn close(self) {}
}

impl<'a> UdpOptions<'a> {
    /// How long it may take to look the host up, and then each call.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(milliseconds(timeout)), ..self }
    }

    /// The value of the `name` tag, instead of the address.
    pub fn name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Adds a tag to every sample of this socket.
    pub fn tag(mut self, name: &'a str, value: &'a str) -> Self {
        self.tags.push((name, value));
        self
    }

    /// Opens the socket.
    pub fn bind(self) -> Result<UdpSocket, Error> {
        let options = host::BindOptions { timeout: self.timeout, name: self.name, tags: &pairs(&self.tags) };
        Ok(UdpSocket { id: host::bind(self.address, options)?, timeout: self.timeout })
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        host::close(self.id);
    }
}

/// What is known of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The address of the other side, or of the proxy in between, as `ip:port`.
    pub remote: String,
    /// `tls1.2` or `tls1.3`; empty without TLS.
    pub tls_version: String,
    /// The cipher suite by its IANA name; empty without TLS.
    pub tls_cipher_suite: String,
    /// The time to look the host up.
    pub looking_up: Duration,
    /// The time to connect; 0 for UDP.
    pub connecting: Duration,
    /// The time of the TLS handshake; 0 without.
    pub tls_handshaking: Duration,
    /// Whether an earlier iteration opened it.
    pub reused: bool,
}

fn details(id: u32) -> Result<Details, Error> {
    let host::Details { remote, tls_version, tls_cipher_suite, looking_up, connecting, tls_handshaking, reused } =
        host::details_of(id)?;
    Ok(Details {
        remote,
        tls_version,
        tls_cipher_suite,
        looking_up: duration(looking_up),
        connecting: duration(connecting),
        tls_handshaking: duration(tls_handshaking),
        reused,
    })
}

fn pairs<'a>(tags: &[(&'a str, &'a str)]) -> Vec<host::Pair<'a>> {
    tags.iter().map(|&(name, value)| host::Pair { name, value }).collect()
}

/// An error of the kind that readers and writers of the standard library know.
fn io_error(error: host::Error) -> io::Error {
    let kind = match &error {
        host::Error::Timeout => io::ErrorKind::TimedOut,
        host::Error::Refused => io::ErrorKind::ConnectionRefused,
        host::Error::Reset => io::ErrorKind::ConnectionReset,
        host::Error::Closed => io::ErrorKind::UnexpectedEof,
        host::Error::Denied(_) => io::ErrorKind::PermissionDenied,
        host::Error::InvalidRequest(_) => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, Error::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_kind_for_the_standard_library() {
        let kinds = [
            (host::Error::Timeout, io::ErrorKind::TimedOut),
            (host::Error::Closed, io::ErrorKind::UnexpectedEof),
            (host::Error::TooLarge(1), io::ErrorKind::Other),
        ];
        for (error, kind) in kinds {
            assert_eq!(io_error(error).kind(), kind);
        }
        assert_eq!(io_error(host::Error::Closed).to_string(), "the other side closed the connection too early");
    }
}
