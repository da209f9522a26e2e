//! Messages over a socket: four bytes of length, then `MessagePack`.

use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest message that the load process may send.
pub(super) const LARGEST_UP: usize = 32 << 20;
/// The largest message that it may be sent: a plan with the files that were granted.
pub(super) const LARGEST_DOWN: usize = 2 << 30;
/// Messages and bytes that it may send within a second. A run with an output of samples at 50,000 requests per second
/// sends some 600 and 20 MB.
const MOST_MESSAGES: u32 = 20_000;
const MOST_BYTES: usize = 512 << 20;
/// How deep a message may be nested.
const DEEPEST: usize = 256;
/// Bytes that are taken on trust of a message's length before they are there.
const STEP: usize = 1 << 20;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The other side has closed its end.
    #[error("the connection has ended")]
    Closed,
    /// The system failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// It is too large, too deep, too soon after others, or no message at all.
    #[error("{0}")]
    Foul(String),
}

/// Reads messages.
#[derive(Debug)]
pub(super) struct Reader {
    stream: UnixStream,
    largest: usize,
    /// Whether the number of messages is bounded as well.
    is_wary: bool,
    second: Instant,
    messages: u32,
    bytes: usize,
}

/// Writes messages.
#[derive(Debug)]
pub(super) struct Writer {
    stream: UnixStream,
    largest: usize,
}

impl Reader {
    /// Reads from one that is trusted.
    pub(super) fn trusting(stream: UnixStream) -> Self {
        Self::new(stream, LARGEST_DOWN, false)
    }

    /// Reads from one that may mean harm.
    pub(super) fn wary(stream: UnixStream) -> Self {
        Self::new(stream, LARGEST_UP, true)
    }

    fn new(stream: UnixStream, largest: usize, is_wary: bool) -> Self {
        Self { stream, largest, is_wary, second: Instant::now(), messages: 0, bytes: 0 }
    }

    /// Waits for the next message.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T, WireError> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(ended)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > self.largest {
            return Err(WireError::Foul(format!("a message of {length} bytes, and {} are allowed", self.largest)));
        }
        self.count(length)?;
        let bytes = self.bytes(length)?;
        let mut decoder = rmp_serde::Deserializer::from_read_ref(&bytes);
        decoder.set_max_depth(DEEPEST);
        T::deserialize(&mut decoder).map_err(|error| WireError::Foul(format!("a message that is none: {error}")))
    }

    /// Reads so many bytes. Room is made as they come, not when they are announced.
    pub(super) fn bytes(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        let mut bytes = Vec::with_capacity(length.min(STEP));
        (&mut self.stream).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length { Err(WireError::Closed) } else { Ok(bytes) }
    }

    fn count(&mut self, length: usize) -> Result<(), WireError> {
        if !self.is_wary {
            return Ok(());
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.messages, self.bytes) = (Instant::now(), 0, 0);
        }
        self.messages += 1;
        self.bytes += length;
        if self.messages > MOST_MESSAGES || self.bytes > MOST_BYTES {
            return Err(WireError::Foul("more messages in a second than a load has to send".to_owned()));
        }
        Ok(())
    }
}

impl Writer {
    /// Writes messages of at most so many bytes.
    pub(super) fn new(stream: UnixStream, largest: usize) -> Self {
        Self { stream, largest }
    }

    /// Writes a message. One that is too large is not written at all.
    pub(super) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        // Room for the length, which is known at the end.
        let mut frame = vec![0; 4];
        message.serialize(&mut rmp_serde::Serializer::new(&mut frame).with_struct_map()).map_err(io::Error::other)?;
        let length = frame.len() - 4;
        if length > self.largest {
            let text = format!("a message of {length} bytes, and {} are allowed", self.largest);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
        self.stream.write_all(&frame)
    }

    /// Writes bytes that a message announced.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }
}

/// A connection that ends between messages has ended; so has one that is reset.
fn ended(error: io::Error) -> WireError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => WireError::Closed,
        _ => WireError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Writer, Reader) {
        let (one, other) = UnixStream::pair().unwrap();
        (Writer::new(one, LARGEST_DOWN), Reader::wary(other))
    }

    #[test]
    fn messages_arrive_and_the_end_is_seen() {
        let (mut writer, mut reader) = pair();
        writer.send(&("one", 1.5)).unwrap();
        writer.send(&vec![1_u8, 2]).unwrap();
        drop(writer);
        assert_eq!(reader.next::<(String, f64)>().unwrap(), ("one".to_owned(), 1.5));
        assert_eq!(reader.next::<Vec<u8>>().unwrap(), [1, 2]);
        assert!(matches!(reader.next::<u8>(), Err(WireError::Closed)));
    }

    #[test]
    fn a_message_that_is_announced_and_never_comes_takes_no_memory() {
        let (mut writer, mut reader) = pair();
        writer.raw(&(LARGEST_UP as u32).to_be_bytes()).unwrap();
        writer.raw(b"short").unwrap();
        drop(writer);
        assert!(matches!(reader.next::<u8>(), Err(WireError::Closed)));
    }

    #[test]
    fn what_is_too_large_too_deep_or_no_message_is_refused() {
        let (mut writer, mut reader) = pair();
        writer.raw(&u32::MAX.to_be_bytes()).unwrap();
        assert!(matches!(reader.next::<u8>(), Err(WireError::Foul(_))));
        let (mut writer, mut reader) = pair();
        let deep = vec![0x91; 5000];
        writer.raw(&5000_u32.to_be_bytes()).unwrap();
        writer.raw(&deep).unwrap();
        assert!(matches!(reader.next::<serde_json::Value>(), Err(WireError::Foul(_))));
        writer.send(&"text").unwrap();
        assert!(matches!(reader.next::<u64>(), Err(WireError::Foul(_))));
    }

    #[test]
    fn a_flood_of_messages_is_refused() {
        let (mut writer, mut reader) = pair();
        let flood = std::thread::spawn(move || while writer.send(&0_u8).is_ok() {});
        let refused = (0..=MOST_MESSAGES * 100).find_map(|_| reader.next::<u8>().err());
        assert!(matches!(refused, Some(WireError::Foul(_))), "{refused:?}");
        drop(reader);
        flood.join().unwrap();
    }

    #[test]
    fn one_that_is_too_large_to_send_is_not_sent() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut writer = Writer::new(one, 10);
        assert_eq!(writer.send(&"longer than ten").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        writer.send(&7_u8).unwrap();
        assert_eq!(Reader::wary(other).next::<u8>().unwrap(), 7);
    }
}
