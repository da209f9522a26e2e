//! What to ask for, and how to read what comes.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::Events;
use crate::Error;
use crate::bindings::squall::events::events as host;
use crate::vu::milliseconds;

/// How long to wait before a reconnect where nobody says; as browsers do.
const RETRY: Duration = Duration::from_secs(3);

/// A request that is answered by a stream of events. Texts are borrowed where they can be.
///
/// ```no_run
/// use std::time::Duration;
///
/// use squall_sdk::events::Request;
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let stream = Request::get("http://127.0.0.1:8080/sse?count=100&drop=10")
///     .reconnect(9)
///     .retry(Duration::from_millis(50))
///     .timeout(Duration::from_secs(30))
///     .name("/sse")
///     .open()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until it is opened"]
pub struct Request<'a> {
    method: Cow<'a, str>,
    url: Cow<'a, str>,
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    body: Option<Cow<'a, [u8]>>,
    timeout: Option<f64>,
    name: Option<Cow<'a, str>>,
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    format: host::Format,
    tokens: Tokens<'a>,
    reconnects: u32,
    retry: f64,
    last_event_id: Option<Cow<'a, str>>,
    any_content_type: bool,
    /// A body that could not be written as JSON: told by `open`, so that building needs no `?`.
    problem: Option<serde_json::Error>,
}

/// Where the tokens of a language model are in the data of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens<'a> {
    /// There are none.
    None,
    /// In the chunks of chat completions, as `api.openai.com` and the many servers that speak like it send them.
    OpenAi,
    /// In the `content_block_delta` of Anthropic's messages.
    Anthropic,
    /// At a JSON Pointer (RFC 6901): `/message/content`.
    At {
        /// To the text of a token.
        text: Cow<'a, str>,
        /// To the number of tokens that the answer had in all; the last event that has one counts.
        count: Option<Cow<'a, str>>,
    },
}

impl<'a> Request<'a> {
    /// A request with any method.
    pub fn new(method: impl Into<Cow<'a, str>>, url: impl Into<Cow<'a, str>>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            name: None,
            tags: Vec::new(),
            format: host::Format::ServerSentEvents,
            tokens: Tokens::None,
            reconnects: 0,
            retry: milliseconds(RETRY),
            last_event_id: None,
            any_content_type: false,
            problem: None,
        }
    }

    /// A GET request.
    pub fn get(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request.
    pub fn post(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Proves who asks by a token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", ["Bearer ", token].concat())
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Cow<'a, [u8]>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to a value as JSON, and the content type unless it is set already.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = Some(Cow::Owned(body)),
            Err(problem) => self.problem = Some(problem),
        }
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            return self;
        }
        self.header("content-type", "application/json")
    }

    /// Sets how long the whole stream may take, from now to its end, all reconnects included. Without it, the run's default
    /// holds for opening it and for each event on its own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(milliseconds(timeout));
        self
    }

    /// Sets the value of the `name` and `url` tags.
    pub fn name(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a tag on every sample of this stream.
    pub fn tag(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Reads each line that is not empty as an event (NDJSON, JSON lines), instead of server-sent events.
    pub fn json_lines(mut self) -> Self {
        self.format = host::Format::JsonLines;
        self
    }

    /// Says where the tokens are, which makes the `llm_*` metrics.
    pub fn tokens(mut self, tokens: Tokens<'a>) -> Self {
        self.tokens = tokens;
        self
    }

    /// Takes the stream up again when its connection ends, with `Last-Event-ID`, at most so often. Without it, never.
    pub fn reconnect(mut self, times: u32) -> Self {
        self.reconnects = times;
        self
    }

    /// How long to wait before that, until the server says another time (`retry`). Without it, 3 seconds.
    pub fn retry(mut self, time: Duration) -> Self {
        self.retry = milliseconds(time);
        self
    }

    /// The `Last-Event-ID` of the first request.
    pub fn last_event_id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.last_event_id = Some(id.into());
        self
    }

    /// Takes an answer of any content type. Without it, one that is not the format's is an error.
    pub fn any_content_type(mut self) -> Self {
        self.any_content_type = true;
        self
    }

    /// Sends it and waits for the head of the answer.
    pub fn open(self) -> Result<Events, Error> {
        if let Some(problem) = self.problem {
            return Err(Error::Json(problem.to_string()));
        }
        let headers = pairs(&self.headers);
        let tags = pairs(&self.tags);
        let request = host::Request {
            method: &self.method,
            url: &self.url,
            headers: &headers,
            body: self.body.as_deref(),
            timeout: self.timeout,
            name: self.name.as_deref(),
            tags: &tags,
        };
        let options = host::Options {
            format: self.format,
            tokens: self.tokens.lowered(),
            reconnects: self.reconnects,
            retry: self.retry,
            last_event_id: self.last_event_id.as_deref(),
            any_content_type: self.any_content_type,
        };
        Ok(Events::new(host::open(request, options)?))
    }
}

impl<'a> Tokens<'a> {
    /// At a JSON Pointer (RFC 6901), without a number of tokens at last.
    pub fn at(text: impl Into<Cow<'a, str>>) -> Self {
        Self::At { text: text.into(), count: None }
    }

    fn lowered(&self) -> host::Tokens<'_> {
        match self {
            Self::None => host::Tokens::None,
            Self::OpenAi => host::Tokens::Openai,
            Self::Anthropic => host::Tokens::Anthropic,
            Self::At { text, count } => host::Tokens::Pointers(host::TokenPointers { text, count: count.as_deref() }),
        }
    }
}

fn pairs<'r>(pairs: &'r [(Cow<'_, str>, Cow<'_, str>)]) -> Vec<host::PairParam<'r>> {
    pairs.iter().map(|(name, value)| host::PairParam { name, value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_body_says_what_it_is_unless_the_author_does() {
        let request = Request::post("http://a.test/").json(&[1, 2]);
        assert_eq!(request.body.as_deref(), Some(&b"[1,2]"[..]));
        assert_eq!(request.headers, [("content-type".into(), "application/json".into())]);
        let request = Request::post("http://a.test/").header("Content-Type", "application/x").json(&1);
        assert_eq!(request.headers.len(), 1);
    }

    #[test]
    fn a_request_waits_as_browsers_do_and_does_not_come_back_unless_told() {
        let request = Request::get("http://a.test/");
        assert_eq!((request.reconnects, request.retry), (0, 3000.0));
    }
}
