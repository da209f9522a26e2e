//! WebSocket: text, bytes and pings both ways, on as many sockets as a journey needs.
//!
//! ```no_run
//! use squall_sdk::websocket;
//!
//! # fn main() -> Result<(), squall_sdk::websocket::Error> {
//! let mut socket = websocket::connect("ws://127.0.0.1:8080/ws/echo")?;
//! socket.send("hello")?;
//! let answer = socket.text()?;
//! assert_eq!(answer, "hello");
//! socket.close()?;
//! # Ok(()) }
//! ```
//!
//! The host reads the sockets while the journey does other things, so an [`Event`] says when it arrived and not when it was
//! asked for. It answers the server's pings. A socket that is dropped is closed, and so is one that its iteration leaves
//! open.

mod error;

use std::time::Duration;

use crate::bindings::squall::websocket::websocket as host;
use crate::vu::duration;

pub use error::Error;

/// Opens a socket at a `ws:` or `wss:` URL.
pub fn connect(url: &str) -> Result<Socket, Error> {
    Connect::to(url).open()
}

/// Waits for what comes next on any of this VU's sockets, at most as long as the run's default for requests; what came
/// first goes first. None: nothing came. [`Error::Closed`] where no socket is left that could bring something.
///
/// ```no_run
/// use std::time::Duration;
///
/// use squall_sdk::websocket::{self, Content};
///
/// # fn main() -> Result<(), squall_sdk::websocket::Error> {
/// let chat = websocket::connect("ws://127.0.0.1:8080/ws/echo")?;
/// let ticks = websocket::connect("ws://127.0.0.1:8080/ws/ticks?every=10ms&count=5")?;
/// chat.send("hello")?;
/// while let Some(event) = websocket::next_within(Duration::from_secs(1))? {
///     if let (true, Content::Text(text)) = (event.is_of(&ticks), &event.content) {
///         println!("{text} at {:?}", event.arrived);
///     }
/// }
/// # Ok(()) }
/// ```
pub fn next() -> Result<Option<Event>, Error> {
    received(host::receive_any(None))
}

/// The same, but waits at most so long.
pub fn next_within(timeout: Duration) -> Result<Option<Event>, Error> {
    received(host::receive_any(Some(timeout.as_secs_f64() * 1e3)))
}

/// A socket to be opened, with what is beyond its URL.
///
/// ```no_run
/// use std::time::Duration;
///
/// use squall_sdk::websocket::Connect;
///
/// # fn main() -> Result<(), squall_sdk::websocket::Error> {
/// let socket = Connect::to("ws://127.0.0.1:8080/ws/echo")
///     .header("authorization", "Bearer abc")
///     .subprotocol("chat.v2")
///     .subprotocol("chat.v1")
///     .timeout(Duration::from_secs(5))
///     .name("chat")
///     .open()?;
/// println!("{}", socket.subprotocol());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it is opened by `open`"]
pub struct Connect {
    url: String,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    timeout: Option<Duration>,
    name: Option<String>,
    tags: Vec<(String, String)>,
    jar: u32,
    max_message: Option<u32>,
}

impl Connect {
    /// A socket at a `ws:` or `wss:` URL.
    pub fn to(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Adds a header to the upgrade.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol; the best one first.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Waits at most so long for the open socket. Without one, the run's default for requests holds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the `name` tag, and with it the `url` tag, so that many URLs are one series.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a tag to every sample of this socket.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Takes cookies from this jar and keeps them in it, in place of the VU's own.
    pub fn jar(mut self, jar: crate::http::Jar) -> Self {
        self.jar = jar.0;
        self
    }

    /// Takes no message that is larger, in bytes.
    pub fn max_message(mut self, bytes: u32) -> Self {
        self.max_message = Some(bytes);
        self
    }

    /// Opens it.
    pub fn open(&self) -> Result<Socket, Error> {
        fn pairs(of: &[(String, String)]) -> Vec<host::PairParam<'_>> {
            of.iter().map(|(name, value)| host::PairParam { name, value }).collect()
        }
        let (headers, tags) = (pairs(&self.headers), pairs(&self.tags));
        let subprotocols: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        let options = host::ConnectOptions {
            headers: &headers,
            subprotocols: &subprotocols,
            timeout: self.timeout.map(|timeout| timeout.as_secs_f64() * 1e3),
            name: self.name.as_deref(),
            tags: &tags,
            jar: self.jar,
            max_message: self.max_message,
        };
        Ok(Socket { id: host::connect(&self.url, options)? })
    }
}

/// An open socket. Dropping it closes it with code 1000, and nobody waits for the server's answer.
#[derive(Debug)]
pub struct Socket {
    id: u32,
}

impl Socket {
    /// Sends a text. Waits while the server takes no more.
    pub fn send(&self, text: &str) -> Result<(), Error> {
        Ok(host::send_text(self.id, text)?)
    }

    /// Sends bytes, in the same way.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        Ok(host::send_binary(self.id, bytes)?)
    }

    /// Sends a ping of at most 125 bytes. Its pong is an event, and its round trip a sample of `ws_ping`.
    pub fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        Ok(host::ping(self.id, payload)?)
    }

    /// Waits for what comes next, at most as long as the run's default for requests. None: nothing came. After
    /// [`Content::Closed`] and [`Content::Failed`] there is [`Error::Closed`].
    pub fn next(&self) -> Result<Option<Event>, Error> {
        received(host::receive(self.id, None))
    }

    /// The same, but waits at most so long. With no time at all it takes what is there.
    pub fn next_within(&self, timeout: Duration) -> Result<Option<Event>, Error> {
        received(host::receive(self.id, Some(timeout.as_secs_f64() * 1e3)))
    }

    /// Waits for the next text, and passes over pongs. Anything else is an error, and so is nothing.
    pub fn text(&self) -> Result<String, Error> {
        match self.message()? {
            Content::Text(text) => Ok(text),
            _ => Err(Error::Protocol("bytes came where a text was expected".to_owned())),
        }
    }

    /// Waits for the next message of bytes, in the same way.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        match self.message()? {
            Content::Binary(bytes) => Ok(bytes),
            _ => Err(Error::Protocol("a text came where bytes were expected".to_owned())),
        }
    }

    /// The next text or bytes.
    fn message(&self) -> Result<Content, Error> {
        loop {
            match self.next()?.ok_or(Error::Timeout)?.content {
                Content::Pong { .. } => {}
                Content::Closed { code, reason } => {
                    return Err(Error::Reset(format!("the server closed the socket with code {code} {reason}")));
                }
                Content::Failed(error) => return Err(error),
                message => return Ok(message),
            }
        }
    }

    /// Closes it with code 1000, and waits for the server's answer. What comes before that is thrown away.
    pub fn close(self) -> Result<(), Error> {
        self.close_with(1000, "")
    }

    /// The same with a code (1000, 1001, 1003, 1007 to 1014, 3000 to 4999) and a reason of at most 123 bytes.
    pub fn close_with(self, code: u16, reason: &str) -> Result<(), Error> {
        self.say_close(code, reason)?;
        loop {
            match self.next()?.ok_or(Error::Timeout)?.content {
                Content::Closed { .. } => return Ok(()),
                Content::Failed(error) => return Err(error),
                _ => {}
            }
        }
    }

    /// Says that the socket is to be closed, and does not wait: the answer is an event.
    pub fn say_close(&self, code: u16, reason: &str) -> Result<(), Error> {
        Ok(host::close(self.id, Some(code), reason)?)
    }

    /// The subprotocol that the server chose; empty if it chose none.
    #[must_use]
    pub fn subprotocol(&self) -> String {
        self.facts().map(|facts| facts.subprotocol).unwrap_or_default()
    }

    /// The value of a header of the answer to the upgrade, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers of that answer in the order received, names in lower case.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let headers = host::headers(self.id).unwrap_or_default();
        headers.into_iter().map(|pair| (pair.name, pair.value)).collect()
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.facts().map_or(Phase::Closed, |facts| facts.phase)
    }

    /// Facts about it.
    pub fn facts(&self) -> Result<Facts, Error> {
        let facts = host::facts_of(self.id)?;
        Ok(Facts {
            phase: match facts.phase {
                host::Phase::Open => Phase::Open,
                host::Phase::Closing => Phase::Closing,
                host::Phase::Closed => Phase::Closed,
            },
            subprotocol: facts.subprotocol,
            held: facts.held,
            sent: facts.sent,
            received: facts.received,
            connecting: duration(facts.connecting),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        host::release(self.id);
    }
}

/// How far a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Messages go both ways.
    Open,
    /// It is to be closed, and the server has not answered yet.
    Closing,
    /// It has ended. What came before can still be received.
    Closed,
}

/// Facts about a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far it is.
    pub phase: Phase,
    /// The subprotocol that the server chose; empty if it chose none.
    pub subprotocol: String,
    /// Bytes of events that came and were not received yet.
    pub held: u32,
    /// Messages sent.
    pub sent: u32,
    /// Messages that came, also those that were not received yet.
    pub received: u32,
    /// From the call to the open socket, as `ws_connecting` has it.
    pub connecting: Duration,
}

/// What came, on which socket, and when.
#[derive(Debug)]
pub struct Event {
    socket: u32,
    /// When it arrived, since the run's start, as [`vu::now`](crate::vu::now) counts.
    pub arrived: Duration,
    /// What it is.
    pub content: Content,
}

impl Event {
    /// Whether it came on this socket.
    #[must_use]
    pub fn is_of(&self, socket: &Socket) -> bool {
        self.socket == socket.id
    }
}

/// What came.
#[derive(Debug)]
pub enum Content {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// The answer to a ping.
    Pong {
        /// What the ping held.
        payload: Vec<u8>,
        /// From the ping to its pong, as `ws_ping` has it.
        round_trip: Duration,
    },
    /// The server closed the socket, or answered to its closing. Nothing follows.
    Closed {
        /// The server's code; 1005 where it gave none.
        code: u16,
        /// The server's words.
        reason: String,
    },
    /// The socket came to an end in another way. Nothing follows.
    Failed(Error),
}

fn received(event: Result<Option<host::Event>, host::Error>) -> Result<Option<Event>, Error> {
    let event = event?.map(|event| Event {
        socket: event.socket,
        arrived: duration(event.arrived),
        content: match event.content {
            host::Content::Text(text) => Content::Text(text),
            host::Content::Binary(bytes) => Content::Binary(bytes),
            host::Content::Pong(pong) => Content::Pong { payload: pong.payload, round_trip: duration(pong.round_trip) },
            host::Content::Closed(closing) => Content::Closed { code: closing.code, reason: closing.reason },
            host::Content::Failed(error) => Content::Failed(error.into()),
        },
    });
    Ok(event)
}
