//! Answers that are streams of events: server-sent events, lines of JSON, and the tokens of language models.
//!
//! ```no_run
//! use squall_sdk::{Error, check, events};
//!
//! fn watch() -> Result<(), Error> {
//!     for event in events::open("http://127.0.0.1:8080/sse?count=5&every=100")? {
//!         let event = event?;
//!         check!("it has an id", !event.id.is_empty());
//!         println!("{} after {:?}", event.data, event.arrived);
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! The tokens of a chat, with their time to first token and their rate as metrics:
//!
//! ```no_run
//! use serde_json::json;
//! use squall_sdk::events::{Request, Tokens};
//! use squall_sdk::{Error, check};
//!
//! fn ask() -> Result<(), Error> {
//!     let question = json!({
//!         "model": "m",
//!         "messages": [{ "role": "user", "content": "What is a squall?" }],
//!         "stream": true,
//!         "stream_options": { "include_usage": true },
//!     });
//!     let mut chat = Request::post("http://127.0.0.1:8080/v1/chat/completions")
//!         .json(&question)
//!         .tokens(Tokens::OpenAi)
//!         .open()?;
//!     let mut answer = String::new();
//!     while let Some(event) = chat.next_event()? {
//!         answer.push_str(event.token.as_deref().unwrap_or_default());
//!     }
//!     let summary = chat.summary()?;
//!     check!("the first token is quick", summary.time_to_first_token.is_some_and(|time| time.as_millis() < 500));
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! A stream is measured as a request (`http_req_*`) when it ends, is dropped, or the iteration ends; its events as
//! `stream_*`, its tokens as `llm_*`.

mod request;

use std::borrow::Cow;
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use request::{Request, Tokens};

use crate::Error;
use crate::bindings::squall::events::events as host;
use crate::vu::{duration, milliseconds};

/// Opens a stream of server-sent events by GET. [`Request`] can do more.
pub fn open<'a>(url: impl Into<Cow<'a, str>>) -> Result<Events, Error> {
    Request::get(url).open()
}

/// A stream of events whose head has come; an iterator over its events.
///
/// An answer that is no stream (its status is not from 200 to 299, or is 204) has no events: [`status`](Self::status) and
/// [`body`](Self::body) say what it is.
#[derive(Debug)]
pub struct Events {
    answer: host::Answer,
    /// It has ended, or broken: there is no more.
    is_over: bool,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The last id that the server gave, with this event or before. Empty: none.
    pub id: String,
    /// Its type: `message` where the server names none. Empty for a line of JSON.
    pub kind: String,
    /// Its data.
    pub data: String,
    /// What the server last asked to wait before a reconnect.
    pub retry: Option<Duration>,
    /// From the last byte of the first request to the arrival of the bytes that completed this event.
    pub arrived: Duration,
    /// On which connection it came: 0 is the first.
    pub connection: u32,
    /// The text of a token, where [`Tokens`] were asked for and this event is one.
    pub token: Option<String>,
}

/// What came, or that nothing did.
#[derive(Debug, Clone, PartialEq)]
pub enum Coming {
    /// An event.
    Event(Event),
    /// Nothing within the time; the stream goes on.
    Nothing,
    /// The stream is over.
    End,
}

/// What a stream came to so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The events that were handed out.
    pub events: u32,
    /// From the last byte of the first request to the first event.
    pub time_to_first_event: Option<Duration>,
    /// The same for the last event.
    pub last_event: Option<Duration>,
    /// How often the stream was taken up again.
    pub reconnects: u32,
    /// The last id that the server gave.
    pub last_event_id: String,
    /// The tokens: events that are one, or what the server said at last.
    pub tokens: u32,
    /// From the last byte of the first request to the first token.
    pub time_to_first_token: Option<Duration>,
    /// Tokens after the first by the seconds from the first to the last.
    pub tokens_per_second: Option<f64>,
    /// Whether it is over.
    pub ended: bool,
}

impl Events {
    fn new(answer: host::Answer) -> Self {
        Self { is_over: !answer.streams, answer }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.answer.status
    }

    /// Whether events may come.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.answer.streams
    }

    /// A header of the answer; the first of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.next().map(|header| header.value.as_str())
    }

    /// The beginning of the body of an answer that is no stream, at most 64 KiB.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.answer.body
    }

    /// From the last byte of the request to the first of the answer.
    #[must_use]
    pub fn waiting(&self) -> Duration {
        duration(self.answer.waiting)
    }

    /// Waits for the next event; none at the end.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        match self.wait(None)? {
            Coming::Event(event) => Ok(Some(event)),
            Coming::Nothing | Coming::End => Ok(None),
        }
    }

    /// Waits for the next event, but no longer than this. A reconnect that has begun is not cut short.
    pub fn next_within(&mut self, time: Duration) -> Result<Coming, Error> {
        self.wait(Some(milliseconds(time)))
    }

    /// What the stream came to so far.
    pub fn summary(&self) -> Result<Summary, Error> {
        let summary = host::summary_of(self.answer.id)?;
        Ok(Summary {
            events: summary.events,
            time_to_first_event: summary.time_to_first_event.map(duration),
            last_event: summary.last_event.map(duration),
            reconnects: summary.reconnects,
            last_event_id: summary.last_event_id,
            tokens: summary.tokens,
            time_to_first_token: summary.time_to_first_token.map(duration),
            tokens_per_second: summary.tokens_per_second,
            ended: summary.ended,
        })
    }

    /// Ends the stream. Dropping it does so as well.
    pub fn close(self) {}

    fn wait(&mut self, timeout: Option<f64>) -> Result<Coming, Error> {
        if self.is_over {
            return Ok(Coming::End);
        }
        let coming = host::next(self.answer.id, timeout);
        self.is_over = matches!(coming, Err(_) | Ok(host::Coming::End));
        Ok(match coming? {
            host::Coming::Event(event) => Coming::Event(Event::from(event)),
            host::Coming::Nothing => Coming::Nothing,
            host::Coming::End => Coming::End,
        })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        host::close(self.answer.id);
    }
}

impl Iterator for Events {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

impl Event {
    /// The data as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.data).map_err(|error| Error::Json(error.to_string()))
    }
}

impl From<host::Event> for Event {
    fn from(event: host::Event) -> Self {
        Self {
            id: event.id,
            kind: event.kind,
            data: event.data,
            retry: event.retry.map(duration),
            arrived: duration(event.arrived),
            connection: event.connection,
            token: event.token,
        }
    }
}
