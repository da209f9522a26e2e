//! A connection that bytes are sent and received on as somebody asks.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::{fmt, mem};

use bytes::{Buf as _, BufMut as _, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::{Mask, within};
use crate::plan::Destination;
use crate::protocol::connector::{Connector, Opening};
use crate::protocol::places::Place;
use crate::protocol::stream::Stream;
use crate::protocol::tls::Alpn;
use crate::protocol::{Error, apart};

/// What is read at once, at least and at most: more the more is waiting.
const PIECES: (usize, usize) = (4 << 10, 64 << 10);
/// How far back bytes are masked again when more arrive, for what lies across both.
const MASKED_AGAIN: usize = 4 << 10;

/// A TCP connection, with TLS or without.
pub struct Tcp {
    stream: Stream,
    _place: Place,
    remote: Option<SocketAddr>,
    /// The version of TLS and the cipher suite.
    tls: Option<(&'static str, Option<&'static str>)>,
    /// What arrived and nobody took yet.
    buffer: BytesMut,
    mask: Option<Mask>,
    /// The other side sends no more.
    has_ended: bool,
    /// Nothing can be sent any more: that was said, or a part of something was sent and the rest was not.
    is_shut: bool,
    arrived: Option<Instant>,
    received: u64,
}

impl Tcp {
    /// Opens a connection before the deadline; writes down how long each phase took. Must be called inside a `LocalSet`
    /// where there is TLS.
    pub async fn connect(
        connector: &Connector,
        to: &Destination<'_>,
        tls: bool,
        mask: Option<Mask>,
        deadline: Instant,
        opening: &mut Opening,
    ) -> Result<Self, Error> {
        let connect = apart(|| connector.connect(to, tls.then_some(Alpn::None), opening));
        let opened = timeout_at(deadline, connect).await.unwrap_or(Err(Error::DialTimeout))?;
        Ok(Self {
            stream: opened.stream,
            _place: opened.place,
            remote: opened.remote,
            tls: opened.tls.map(|agreed| (agreed.version, agreed.cipher)),
            buffer: BytesMut::new(),
            mask,
            has_ended: false,
            is_shut: false,
            arrived: None,
            received: 0,
        })
    }

    /// Sends all of it. Whoever gives up in the middle has sent nobody knows how much, so nothing can be sent after that.
    pub async fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Error> {
        if self.is_shut {
            return Err(Error::BrokenPipe);
        }
        self.is_shut = true;
        let stream = &mut self.stream;
        let sent = within(deadline, async {
            stream.write_all(bytes).await.map_err(|error| Error::from_io(&error))?;
            stream.flush().await.map_err(|error| Error::from_io(&error))
        });
        sent.await?;
        self.is_shut = false;
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self, deadline: Instant) -> Result<(), Error> {
        self.is_shut = true;
        let stream = &mut self.stream;
        within(deadline, async { stream.shutdown().await.map_err(|error| Error::from_io(&error)) }).await
    }

    /// What is there, at most so much; waits where nothing is. `None`: no more will come.
    pub async fn receive(&mut self, most: usize, deadline: Instant) -> Result<Option<Vec<u8>>, Error> {
        if self.buffer.is_empty() && most > 0 && !within(deadline, self.fill(most)).await? {
            return Ok(None);
        }
        Ok(Some(self.take(most.min(self.buffer.len()))))
    }

    /// Exactly so much.
    pub async fn receive_exactly(&mut self, length: usize, deadline: Instant) -> Result<Vec<u8>, Error> {
        let filled = within(deadline, async {
            while self.buffer.len() < length {
                if !self.fill(length - self.buffer.len()).await? {
                    return Err(Error::Closed);
                }
            }
            Ok(())
        });
        filled.await?;
        Ok(self.take(length))
    }

    /// All up to a delimiter, which is not empty, and that as well: at most so much. `None`: no more will come.
    pub async fn receive_until(
        &mut self,
        delimiter: &[u8],
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, Error> {
        let found = within(deadline, self.find(delimiter, most)).await?;
        Ok(found.map(|end| self.take(end)))
    }

    /// Where the first delimiter ends.
    async fn find(&mut self, delimiter: &[u8], most: usize) -> Result<Option<usize>, Error> {
        let finder = memmem::Finder::new(delimiter);
        let mut searched = 0_usize;
        loop {
            // The delimiter may have begun in what was searched before.
            let from = searched.saturating_sub(delimiter.len() - 1);
            let end = finder.find(&self.buffer[from..]).map(|at| from + at + delimiter.len());
            searched = self.buffer.len();
            match end {
                Some(end) if end <= most => return Ok(Some(end)),
                None if searched < most => {}
                _ => return Err(Error::TooLarge(most as u64)),
            }
            if !self.fill(most - searched).await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(Error::Closed) };
            }
        }
    }

    /// Waits for more bytes, at most so many; returns whether there are any.
    async fn fill(&mut self, most: usize) -> Result<bool, Error> {
        if self.has_ended {
            return Ok(false);
        }
        let before = self.buffer.len();
        let piece = (2 * before).clamp(PIECES.0, PIECES.1).min(most);
        self.buffer.reserve(piece);
        let read = self.stream.read_buf(&mut (&mut self.buffer).limit(piece)).await;
        let length = match read {
            Ok(0) => {
                self.has_ended = true;
                return Ok(false);
            }
            Ok(length) => length,
            Err(error) => {
                self.has_ended = true;
                return Err(Error::from_io(&error));
            }
        };
        self.arrived = Some(Instant::now());
        self.received += length as u64;
        if let Some(mask) = &self.mask {
            mask(&mut self.buffer[before.saturating_sub(MASKED_AGAIN)..]);
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.buffer[..length].to_vec();
        self.buffer.advance(length);
        if self.buffer.is_empty() {
            // Many connections only wait, and need no memory for that.
            self.buffer = BytesMut::new();
        }
        taken
    }

    /// Whether it is as good as new: nothing is waiting to be read, and both sides can still send.
    pub fn is_clean(&mut self) -> bool {
        self.buffer.is_empty() && !self.has_ended && !self.is_shut && self.stream.is_open()
    }

    /// When the last bytes came.
    #[must_use]
    pub fn arrived(&self) -> Option<Instant> {
        self.arrived
    }

    /// Bytes that came since this was last asked.
    pub fn take_received(&mut self) -> u64 {
        mem::take(&mut self.received)
    }

    /// The address of the other side, or of the proxy in between.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// The version of TLS and the cipher suite.
    #[must_use]
    pub fn tls(&self) -> Option<(&'static str, Option<&'static str>)> {
        self.tls
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        // With TLS the other side learns that this was the end and no cut. If there is no room for that now, it does not.
        if let (Stream::Tls(stream), false) = (&mut self.stream, self.is_shut) {
            let _ = Pin::new(stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tcp").field("remote", &self.remote).finish_non_exhaustive()
    }
}
