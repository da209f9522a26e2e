//! Bytes of one's own over TCP and TLS, and datagrams, for whoever speaks a protocol that squall does not know.
//!
//! [`Tcp`] hides that bytes come in other pieces than they are asked for, [`Udp`] that anybody may send to a socket. Nothing
//! is read before somebody asks, so a peer that sends without end fills the system's buffers and no more.

mod tcp;
mod udp;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

pub use tcp::Tcp;
pub use udp::{LARGEST_DATAGRAM, Udp};

use super::Error;
use crate::plan::canonical_host;

/// What is done to all bytes that arrive, before anybody sees them. Lengths stay what they are.
pub type Mask = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Reads `host:port`, with brackets around an IPv6 address. The host is canonical.
pub fn parse_address(text: &str) -> Result<(String, u16), Error> {
    let invalid = |why: &str| Error::InvalidRequest(format!("`{}` is no address: {why}", shown(text)));
    let (host, port) =
        text.rsplit_once(':').ok_or_else(|| invalid("write a host and a port, as in `127.0.0.1:6379`"))?;
    // Digits only: a number may be written with a sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port: &u16| digits && *port != 0);
    let port = port.ok_or_else(|| invalid("the port goes from 1 to 65535"))?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(invalid("write an IPv6 address in brackets, as in `[::1]:6379`"));
    }
    let host = canonical_host(host).ok_or_else(|| invalid("this is no host"))?;
    Ok((host, port))
}

/// A guest's text that fits into a message.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// Waits no longer than until a deadline.
async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout_at(deadline, work).await.unwrap_or(Err(Error::Timeout))
}
