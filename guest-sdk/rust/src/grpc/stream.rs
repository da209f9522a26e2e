//! Calls that stream.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Code, Status, host, value};
use crate::Error;
use crate::vu::{duration, milliseconds};

/// A call that streams, in one direction or both.
///
/// ```no_run
/// use serde_json::{Value, json};
/// use squall_sdk::grpc::Connection;
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let server = Connection::to("127.0.0.1:8080").plaintext().reflect().open()?;
/// let mut chat = server.call("chat.Chat/Talk").stream()?;
/// chat.send(&json!({ "text": "hello" }))?;
/// chat.end()?;
/// while let Some(message) = chat.message::<Value>()? {
///     println!("{message} after {:?}", chat.arrived());
/// }
/// # Ok(()) }
/// ```
///
/// One that is dropped before its end is cancelled.
#[derive(Debug)]
pub struct Stream {
    id: u32,
    headers: Vec<host::PairResult>,
    trailers: Vec<host::PairResult>,
    status: Option<Status>,
}

/// What comes on a stream.
#[derive(Debug)]
pub enum Event {
    /// The metadata before the messages, as names and values.
    Headers(Vec<(String, String)>),
    /// A message as JSON.
    Json(String),
    /// A message as bytes.
    Raw(Vec<u8>),
    /// The end. [`Stream::trailer`] has the metadata after the messages.
    End(Status),
}

impl Stream {
    pub(super) fn new(id: u32) -> Self {
        Self { id, headers: Vec::new(), trailers: Vec::new(), status: None }
    }

    /// Sends a message as JSON. Waits while the server takes no more.
    pub fn send(&mut self, message: &impl Serialize) -> Result<(), Error> {
        Ok(host::send(self.id, host::MessageParam::Json(&serde_json::to_string(message)?))?)
    }

    /// Sends a message as it goes on the wire.
    pub fn send_raw(&mut self, message: &[u8]) -> Result<(), Error> {
        Ok(host::send(self.id, host::MessageParam::Raw(message))?)
    }

    /// Says that no more will be sent.
    pub fn end(&mut self) -> Result<(), Error> {
        Ok(host::end(self.id)?)
    }

    /// Waits for the next message and reads it; none at the end. An end that is not well is [`Error::Grpc`].
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        match self.next_message()? {
            Some(host::MessageResult::Json(text)) => Ok(Some(serde_json::from_str(&text)?)),
            Some(host::MessageResult::Raw(_)) => Err(Error::new("the message came as bytes, not as JSON")),
            None => Ok(None),
        }
    }

    /// Waits for the next message that comes as bytes; none at the end. An end that is not well is [`Error::Grpc`].
    pub fn raw_message(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.next_message()? {
            Some(host::MessageResult::Raw(bytes)) => Ok(Some(bytes)),
            Some(host::MessageResult::Json(text)) => Ok(Some(text.into_bytes())),
            None => Ok(None),
        }
    }

    /// Waits for whatever comes next; none if nothing came in that time. After the end, that is an error.
    pub fn receive(&mut self, within: Option<Duration>) -> Result<Option<Event>, Error> {
        Ok(self.next_event(within)?.map(|event| match event {
            host::Event::Headers(pairs) => {
                Event::Headers(pairs.into_iter().map(|pair| (pair.name, pair.value)).collect())
            }
            host::Event::Message(host::MessageResult::Json(text)) => Event::Json(text),
            host::Event::Message(host::MessageResult::Raw(bytes)) => Event::Raw(bytes),
            host::Event::End((status, _)) => Event::End(Status::new(status)),
        }))
    }

    /// From the begin of the call to the arrival of what was received last, however late it was taken.
    #[must_use]
    pub fn arrived(&self) -> Duration {
        duration(host::arrived(self.id))
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    /// The first value of this name in the metadata before the messages, once it has come.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }

    /// The first value of this name in the metadata after the messages, once it has come.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        value(&self.trailers, name)
    }

    /// Cancels it.
    pub fn cancel(self) {}

    fn next_message(&mut self) -> Result<Option<host::MessageResult>, Error> {
        if let Some(status) = &self.status {
            return if status.code() == Code::OK { Ok(None) } else { Err(Error::Grpc(Box::new(status.clone()))) };
        }
        loop {
            match self.next_event(None)? {
                None | Some(host::Event::Headers(_)) => {}
                Some(host::Event::Message(message)) => return Ok(Some(message)),
                Some(host::Event::End((status, _))) => {
                    let status = Status::new(status);
                    return if status.code() == Code::OK { Ok(None) } else { Err(Error::Grpc(Box::new(status))) };
                }
            }
        }
    }

    fn next_event(&mut self, within: Option<Duration>) -> Result<Option<host::Event>, Error> {
        let event = host::receive(self.id, within.map(milliseconds))?;
        match &event {
            Some(host::Event::Headers(headers)) => self.headers.clone_from(headers),
            Some(host::Event::End((status, trailers))) => {
                self.trailers.clone_from(trailers);
                self.status = Some(Status::new(status.clone()));
            }
            _ => {}
        }
        Ok(event)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.status.is_none() {
            host::cancel(self.id);
        }
    }
}
