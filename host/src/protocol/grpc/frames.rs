//! Messages in a stream of bytes: five bytes that say how long each is and whether it is compressed, then the message.
//!
//! A length is believed only as far as bytes have come: nothing is reserved for what a server merely announces.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::protocol::Error;
use crate::protocol::http::{Coding, decode};

/// Before each message.
const PREFIX: usize = 5;
/// A message up to this size is copied behind its prefix; a larger one follows it as it is.
const COPIED: usize = 16 << 10;
/// Reserved for a message before any of it has come.
const MOST_RESERVED: usize = 64 << 10;

/// How an answer's messages are compressed, where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Known(Coding),
    Unknown,
}

/// Finds messages in the bytes of a stream.
#[derive(Debug)]
pub(super) struct Frames {
    limit: u64,
    discard: bool,
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that have come.
    have: usize,
    /// The message that is under way, after its prefix.
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    compressed: bool,
    missing: usize,
    bytes: BytesMut,
}

/// A message as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) compressed: bool,
    pub(super) bytes: Bytes,
}

impl Frames {
    pub(super) fn new(limit: u64, discard: bool) -> Self {
        Self { limit, discard, prefix: [0; PREFIX], have: 0, message: None }
    }

    /// Takes bytes off `source` up to the end of a message, which it returns, or all of them.
    pub(super) fn take(&mut self, source: &mut Bytes) -> Result<Option<Frame>, Error> {
        if self.message.is_none() {
            let now = source.len().min(PREFIX - self.have);
            self.prefix[self.have..self.have + now].copy_from_slice(&source[..now]);
            source.advance(now);
            self.have += now;
            if self.have < PREFIX {
                return Ok(None);
            }
            self.have = 0;
            let [flag, l0, l1, l2, l3] = self.prefix;
            if flag > 1 {
                return Err(Error::Protocol(format!("a message begins with {flag}, which is no flag")));
            }
            let (compressed, length) = (flag == 1, u32::from_be_bytes([l0, l1, l2, l3]) as usize);
            if !self.discard && length as u64 > self.limit {
                return Err(Error::TooLarge(self.limit));
            }
            if source.len() >= length {
                let bytes = source.split_to(length);
                return Ok(Some(Frame { compressed, bytes: if self.discard { Bytes::new() } else { bytes } }));
            }
            let room = if self.discard { 0 } else { length.min(MOST_RESERVED) };
            self.message = Some(Message { compressed, missing: length, bytes: BytesMut::with_capacity(room) });
        }
        let Some(message) = &mut self.message else { return Ok(None) };
        let now = source.split_to(source.len().min(message.missing));
        message.missing -= now.len();
        if !self.discard {
            message.bytes.extend_from_slice(&now);
        }
        if message.missing > 0 {
            return Ok(None);
        }
        let whole = self.message.take().map(|message| (message.compressed, message.bytes.freeze()));
        Ok(whole.map(|(compressed, bytes)| Frame { compressed, bytes }))
    }

    /// Whether a message is under way, so that the stream may not end here.
    pub(super) fn is_inside(&self) -> bool {
        self.have > 0 || self.message.is_some()
    }
}

impl Encoding {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "identity" | "" => Self::Identity,
            "gzip" => Self::Known(Coding::Gzip),
            "deflate" => Self::Known(Coding::Deflate),
            _ => Self::Unknown,
        }
    }

    /// The message without its compression. It may become at most `limit` bytes.
    pub(super) async fn open(self, frame: Frame, limit: u64) -> Result<Bytes, Error> {
        match self {
            _ if !frame.compressed => Ok(frame.bytes),
            Self::Identity => {
                Err(Error::Protocol("a message is compressed, and no `grpc-encoding` says how".to_owned()))
            }
            Self::Unknown => Err(Error::Protocol("a message is compressed in a way nobody asked for".to_owned())),
            Self::Known(coding) => Ok(decode(coding, &frame.bytes, limit).await?.into()),
        }
    }
}

/// A message as it goes out: with its prefix, in one piece or two.
pub(super) fn framed(message: Bytes) -> Result<(Bytes, Bytes), Error> {
    let length = u32::try_from(message.len())
        .map_err(|_| Error::InvalidRequest(format!("a message has {} bytes, over 4 GiB", message.len())))?;
    let is_copied = message.len() <= COPIED;
    let mut bytes = BytesMut::with_capacity(PREFIX + if is_copied { message.len() } else { 0 });
    bytes.put_u8(0);
    bytes.put_u32(length);
    if is_copied {
        bytes.extend_from_slice(&message);
        return Ok((bytes.freeze(), Bytes::new()));
    }
    Ok((bytes.freeze(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages in some bytes that come in pieces of this size.
    fn cut(bytes: &[u8], size: usize, limit: u64) -> (Result<Vec<Vec<u8>>, Error>, bool) {
        let mut frames = Frames::new(limit, false);
        let mut messages = Vec::new();
        for piece in bytes.chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match frames.take(&mut piece) {
                    Ok(Some(frame)) => messages.push(frame.bytes.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (Err(error), false),
                }
            }
        }
        (Ok(messages), frames.is_inside())
    }

    #[test]
    fn messages_are_found_however_the_bytes_are_cut() {
        let bytes = [&[0, 0, 0, 0, 2][..], b"ab", &[0, 0, 0, 0, 0], &[0, 0, 0, 0, 5], b"hello"].concat();
        for size in 1..=bytes.len() {
            let expected = Ok(vec![b"ab".to_vec(), Vec::new(), b"hello".to_vec()]);
            assert_eq!(cut(&bytes, size, 5), (expected, false), "{size}");
            assert!(cut(&bytes[..bytes.len() - 1], size, 5).1, "{size}");
            assert!(cut(&bytes[..3], size, 5).1, "{size}");
            assert_eq!(cut(&bytes, size, 4).0, Err(Error::TooLarge(4)), "{size}");
        }
    }

    #[test]
    fn what_a_server_announces_is_not_reserved() {
        let mut frames = Frames::new(u64::MAX, false);
        let mut bytes = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(frames.take(&mut bytes), Ok(None));
        assert!(frames.message.unwrap().bytes.capacity() <= MOST_RESERVED);
        let mut frames = Frames::new(u64::MAX, true);
        assert_eq!(frames.take(&mut Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1])), Ok(None));
        assert_eq!(frames.message.unwrap().bytes.capacity(), 0);
        let flag = Frames::new(10, false).take(&mut Bytes::from_static(b"HTTP/1.1 200 OK"));
        assert!(matches!(flag, Err(Error::Protocol(_))));
    }

    #[test]
    fn a_large_message_is_not_copied() {
        let large = Bytes::from(vec![1; COPIED + 1]);
        let (prefix, message) = framed(large.clone()).unwrap();
        assert_eq!((&prefix[..], message.as_ptr()), (&[0, 0, 0, 64, 1][..], large.as_ptr()));
        assert_eq!(framed(Bytes::from_static(b"ab")).unwrap().0, &[0, 0, 0, 0, 2, b'a', b'b'][..]);
    }

    #[tokio::test]
    async fn a_compressed_message_may_not_grow_beyond_the_limit() {
        let compressed = {
            let zeros = vec![0; 1 << 20];
            crate::protocol::http::encode(&[Coding::Gzip], crate::protocol::http::Body::Whole(&zeros)).await.unwrap()
        };
        let frame = |compressed: bool, bytes: &[u8]| Frame { compressed, bytes: Bytes::copy_from_slice(bytes) };
        let gzip = Encoding::named("gzip");
        assert_eq!(gzip.open(frame(true, &compressed), 1000).await, Err(Error::TooLarge(1000)));
        assert_eq!(gzip.open(frame(true, &compressed), 1 << 20).await.unwrap().len(), 1 << 20);
        assert_eq!(gzip.open(frame(false, b"a"), 1000).await.unwrap(), &b"a"[..]);
        for (encoding, bytes) in [("identity", "a"), ("snappy", "a")] {
            let opened = Encoding::named(encoding).open(frame(true, bytes.as_bytes()), 1000).await;
            assert!(matches!(opened, Err(Error::Protocol(_))), "{encoding}");
        }
        assert!(matches!(gzip.open(frame(true, b"no gzip"), 1000).await, Err(Error::Decoding(_))));
    }
}
