//! What has come of an answer that travels on a stream, put in the form of HTTP/1.1.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, SET_COOKIE};

use super::{Request, Response, head};
use crate::plan::Http;
use crate::protocol::Error;

/// The most room that an announced length makes us reserve.
const MOST_RESERVED: u64 = 1 << 20;

/// What has come of an answer.
#[expect(clippy::struct_excessive_bools, reason = "facts about an answer; none excludes another")]
pub(super) struct Taken<'a> {
    settings: &'a Http,
    head_only: bool,
    status: u16,
    raw: Vec<u8>,
    head_length: usize,
    body_length: u64,
    has_cookies: bool,
    is_encoded: bool,
    keep_body: bool,
    /// What its head says how long it is.
    announced: Option<u64>,
}

impl<'a> Taken<'a> {
    /// Nothing yet. `raw` is a buffer to reuse.
    pub(super) fn new(settings: &'a Http, request: &Request<'_>, raw: Vec<u8>) -> Self {
        Self::of(settings, request.method, request.keep_body, raw)
    }

    /// The same, to a request of which no more is known.
    pub(super) fn of(settings: &'a Http, method: &str, keep_body: bool, raw: Vec<u8>) -> Self {
        Self {
            settings,
            head_only: method == "HEAD",
            status: 0,
            raw,
            head_length: 0,
            body_length: 0,
            has_cookies: false,
            is_encoded: false,
            keep_body,
            announced: None,
        }
    }

    /// Only counts the body, which then may have any length.
    pub(super) fn keep_nothing(&mut self) {
        self.keep_body = false;
    }

    /// How long the body is by the head, if that says so and there may be one.
    pub(super) fn announced_body(&self) -> Option<u64> {
        self.announced.filter(|_| self.may_have_body())
    }

    /// How long the body should have been and was, where that is not the same.
    pub(super) fn misses(&self) -> Option<(u64, u64)> {
        let announced = self.announced_body()?;
        (announced != self.body_length).then_some((announced, self.body_length))
    }

    /// The answer so far; the buffer goes with it.
    pub(super) fn response(&mut self) -> Response {
        Response {
            status: self.status,
            body_length: self.body_length,
            encoded_length: self.body_length,
            is_encoded: self.is_encoded,
            has_cookies: self.has_cookies,
            raw: std::mem::take(&mut self.raw),
            head_length: self.head_length,
        }
    }

    /// Takes the head in.
    pub(super) fn head<B>(&mut self, answer: &http::Response<B>) -> Result<(), Error> {
        self.status = answer.status().as_u16();
        self.has_cookies = answer.headers().contains_key(SET_COOKIE);
        self.is_encoded = answer.headers().contains_key(CONTENT_ENCODING);
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        self.announced = length;
        let mut body = length.unwrap_or(0);
        if !self.may_have_body() || !self.keep_body {
            body = 0;
        }
        if body > self.settings.max_body {
            return Err(Error::TooLarge(self.settings.max_body));
        }
        self.raw.clear();
        self.raw.reserve_exact(head::length(answer) + body.min(MOST_RESERVED) as usize);
        head::write(answer, &mut self.raw)?;
        self.head_length = self.raw.len();
        Ok(())
    }

    /// Takes bytes of the body in.
    pub(super) fn body(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !bytes.is_empty() && !self.may_have_body() {
            return Err(Error::Protocol(format!("a body where status {} has none", self.status)));
        }
        self.body_length += bytes.len() as u64;
        if self.keep_body {
            if self.body_length > self.settings.max_body {
                return Err(Error::TooLarge(self.settings.max_body));
            }
            self.raw.extend_from_slice(bytes);
        }
        Ok(())
    }

    pub(super) fn may_have_body(&self) -> bool {
        !self.head_only && !matches!(self.status, 204 | 304)
    }
}
