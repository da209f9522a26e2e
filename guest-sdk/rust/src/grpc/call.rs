//! Calls, and the answers of those that are unary.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::pairs;
use super::{Code, Status, Stream, host, value};
use crate::Error;
use crate::vu::{duration, milliseconds};

/// A call to be made.
#[derive(Debug)]
#[must_use = "a call does nothing until it is made"]
pub struct Call<'a> {
    connection: u32,
    method: Cow<'a, str>,
    metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    timeout: Option<f64>,
    name: Option<Cow<'a, str>>,
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    discard_messages: bool,
    form: host::Form,
}

/// What a unary call came to.
#[derive(Debug)]
pub struct Answer {
    status: Status,
    message: Option<host::MessageResult>,
    headers: Vec<host::PairResult>,
    trailers: Vec<host::PairResult>,
    duration: f64,
}

impl<'a> Call<'a> {
    pub(super) fn new(connection: u32, method: Cow<'a, str>) -> Self {
        Self {
            connection,
            method,
            metadata: Vec::new(),
            timeout: None,
            name: None,
            tags: Vec::new(),
            discard_messages: false,
            form: host::Form::Json,
        }
    }

    /// Adds metadata. The value of a name that ends with `-bin` is base64.
    pub fn metadata(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// The time until its deadline, which the server is told. A unary call without one has the run's; a stream has none.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(milliseconds(limit));
        self
    }

    /// The value of the `name` tag; without one it is the method.
    pub fn name(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a tag to every sample of this call.
    pub fn tag(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Throws the answer's messages away, unread.
    pub fn discard_messages(mut self) -> Self {
        self.discard_messages = true;
        self
    }

    /// Has the answer's messages as bytes, which needs no types.
    pub fn raw_answer(mut self) -> Self {
        self.form = host::Form::Raw;
        self
    }

    /// Makes it with a message as JSON.
    pub fn json(self, message: &impl Serialize) -> Result<Answer, Error> {
        let message = serde_json::to_string(message)?;
        self.make(host::MessageParam::Json(&message))
    }

    /// Makes it with a message as it goes on the wire, and has the answer's in the same form.
    pub fn raw(self, message: &[u8]) -> Result<Answer, Error> {
        self.raw_answer().make(host::MessageParam::Raw(message))
    }

    /// Begins it as a stream, in whichever direction.
    pub fn stream(self) -> Result<Stream, Error> {
        let (metadata, tags) = (pairs(&self.metadata), pairs(&self.tags));
        Ok(Stream::new(host::open(self.connection, &self.method, self.form, self.options(&metadata, &tags))?))
    }

    fn make(self, message: host::MessageParam<'_>) -> Result<Answer, Error> {
        let (metadata, tags) = (pairs(&self.metadata), pairs(&self.tags));
        let options = self.options(&metadata, &tags);
        let answer = host::invoke(self.connection, &self.method, message, self.form, options)?;
        let host::Answer { status, message, headers, trailers, duration } = answer;
        Ok(Answer { status: Status::new(status), message, headers, trailers, duration })
    }
}

impl Call<'_> {
    fn options<'o>(
        &'o self,
        metadata: &'o [host::PairParam<'o>],
        tags: &'o [host::PairParam<'o>],
    ) -> host::CallOptions<'o> {
        host::CallOptions {
            metadata,
            timeout: self.timeout,
            name: self.name.as_deref(),
            tags,
            discard_messages: self.discard_messages,
        }
    }
}

impl Answer {
    /// How the call ended.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status.code() == Code::OK
    }

    /// The answer, or [`Error::Grpc`] where the call did not end well.
    pub fn ok(self) -> Result<Self, Error> {
        if self.is_ok() { Ok(self) } else { Err(Error::Grpc(Box::new(self.status))) }
    }

    /// Reads the message, which came as JSON.
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.message.as_ref(), &self.status)
    }

    /// The message's JSON text, if it came as JSON.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        match &self.message {
            Some(host::MessageResult::Json(text)) => Some(text),
            _ => None,
        }
    }

    /// The message's bytes, if it came as bytes.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.message {
            Some(host::MessageResult::Raw(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The first value of this name in the metadata before the message.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }

    /// The first value of this name in the metadata after it.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        value(&self.trailers, name)
    }

    /// From the first byte sent to the end of the answer (`grpc_req_duration`).
    #[must_use]
    pub fn duration(&self) -> Duration {
        duration(self.duration)
    }
}

/// Reads a message that came as JSON.
fn read<T: DeserializeOwned>(message: Option<&host::MessageResult>, status: &Status) -> Result<T, Error> {
    match message {
        Some(host::MessageResult::Json(text)) => Ok(serde_json::from_str(text)?),
        Some(host::MessageResult::Raw(_)) => Err(Error::new("the message came as bytes, not as JSON")),
        None if status.code() != Code::OK => Err(Error::Grpc(Box::new(status.clone()))),
        None => Err(Error::new("the answer has no message")),
    }
}
