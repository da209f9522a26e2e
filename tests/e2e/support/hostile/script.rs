//! What a hostile server does with a connection, act by act.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Seen;

/// One act of a script.
#[derive(Debug, Clone)]
pub enum Act {
    /// Reads a head and counts the request.
    Head,
    /// Reads a head and agrees to the WebSocket that it asks for, with these lines in its answer.
    Upgrade(&'static str),
    /// Reads this many bytes, more or less.
    Read(usize),
    /// Says this.
    Say(Vec<u8>),
    /// Says this byte by byte, with a pause after each.
    Trickle(Vec<u8>, Duration),
    /// Says this again and again until nobody listens.
    Forever(Vec<u8>),
    /// Does nothing for so long.
    Pause(Duration),
    /// Says nothing more, but goes on listening.
    HalfClose,
    /// Resets the connection.
    Reset,
    /// Keeps the connection open, without a word, until the test ends.
    Hold,
}

/// Says a text.
pub fn say(text: impl AsRef<[u8]>) -> Act {
    Act::Say(text.as_ref().to_vec())
}

/// Does what the script says, until the other side goes away.
pub(super) fn play(acts: &[Act], mut stream: TcpStream, seen: &Seen) {
    for act in acts {
        let goes_on = match act {
            Act::Head => seen.read_head(&mut stream).is_some(),
            Act::Upgrade(lines) => {
                seen.read_head(&mut stream).is_some_and(|head| write(&mut stream, upgraded(&head, lines).as_bytes()))
            }
            Act::Read(bytes) => read(&mut stream, *bytes, seen),
            Act::Say(bytes) => write(&mut stream, bytes),
            Act::Trickle(bytes, pause) => bytes.iter().all(|byte| {
                thread::sleep(*pause);
                !seen.stopped() && write(&mut stream, &[*byte])
            }),
            Act::Forever(bytes) => {
                while !seen.stopped() && write(&mut stream, bytes) {}
                false
            }
            Act::Pause(time) => {
                thread::sleep(*time);
                true
            }
            Act::HalfClose => stream.shutdown(Shutdown::Write).is_ok(),
            Act::Reset => {
                // A socket that lingers for 0 seconds is closed by a reset.
                let _ = TcpSocket::from_std_stream(stream).set_zero_linger();
                return;
            }
            Act::Hold => {
                seen.wait();
                false
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// The answer to a request for a WebSocket.
fn upgraded(head: &str, lines: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: \
         {accept}\r\n{lines}\r\n"
    )
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

fn read(stream: &mut TcpStream, bytes: usize, seen: &Seen) -> bool {
    let (mut left, mut buffer) = (bytes, vec![0; 64 << 10]);
    while left > 0 {
        let most = left.min(buffer.len());
        match stream.read(&mut buffer[..most]) {
            Ok(0) => return false,
            Ok(length) => left -= length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && !seen.stopped() => {}
            Err(_) => return false,
        }
    }
    true
}
