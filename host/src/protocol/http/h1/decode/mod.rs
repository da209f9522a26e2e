//! Bytes of an HTTP/1.1 response into a message (RFC 9112), however they are cut.

mod chunks;
mod head;

use head::{Coding, Framing, blank_lines, may_end, parse_head};

use super::super::Response;
use crate::protocol::Error;

/// The head of a response, with all interim answers before it, may not be larger than this many bytes.
const MAX_HEAD: usize = 256 << 10;
/// Nor come after more interim answers than this.
const MAX_INTERIM: u8 = 100;
/// Nor have more headers than this.
pub(in super::super) const MAX_HEADERS: usize = 256;
/// What has this many bytes is kept where it lies rather than copied, if it can be. Tests have few bytes.
const LONG: usize = if cfg!(test) { 40 } else { 4 << 10 };
/// How much room is made for a body before it is there, in bytes.
const MOST_RESERVED: u64 = 1 << 20;

/// Takes the bytes of one response in.
#[expect(clippy::struct_excessive_bools, reason = "facts about an answer; none excludes another")]
#[derive(Debug)]
pub(in super::super) struct Decoder {
    state: State,
    /// The head, then the decoded body.
    raw: Vec<u8>,
    /// How many bytes of an unfinished head were parsed in vain.
    tried: u32,
    /// Bytes that came before the head: interim answers and empty lines.
    skipped: u32,
    interim: u8,
    head_length: u32,
    status: u16,
    body_length: u64,
    /// Whether the connection may carry another exchange.
    reusable: bool,
    /// Whether the answer sets cookies.
    has_cookies: bool,
    /// Whether the answer has a `content-encoding`.
    is_encoded: bool,
    head_only: bool,
    keep_body: bool,
    max_body: u64,
    /// What an unfinished line of the chunked coding holds so far.
    line: Vec<u8>,
    /// Bytes of extensions and trailers so far.
    extra: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
    /// Done, because the stream has ended.
    Ended,
}

impl Decoder {
    /// Expects the answer to a request with this method. `raw` is a buffer to reuse.
    pub(in super::super) fn new(method: &str, max_body: u64, keep_body: bool, mut raw: Vec<u8>) -> Self {
        raw.clear();
        Self {
            state: State::Head,
            raw,
            tried: 0,
            skipped: 0,
            interim: 0,
            head_length: 0,
            status: 0,
            body_length: 0,
            reusable: true,
            has_cookies: false,
            is_encoded: false,
            head_only: method == "HEAD",
            keep_body,
            max_body,
            line: Vec::new(),
            extra: 0,
        }
    }

    pub(in super::super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Ended)
    }

    pub(in super::super) fn has_head(&self) -> bool {
        self.head_length > 0
    }

    /// Bytes of the body that are here.
    pub(in super::super) fn held(&self) -> usize {
        if self.has_head() { self.raw.len() - self.head_length as usize } else { 0 }
    }

    /// Takes what is here of the body.
    pub(in super::super) fn take_body(&mut self) -> Vec<u8> {
        self.raw.split_off(self.head_length as usize)
    }

    /// The answer without its body, which is read as it comes.
    pub(in super::super) fn bodiless(&self) -> Response {
        Response {
            status: self.status,
            body_length: 0,
            encoded_length: 0,
            is_encoded: self.is_encoded,
            has_cookies: self.has_cookies,
            raw: self.raw[..self.head_length as usize].to_vec(),
            head_length: self.head_length as usize,
        }
    }

    pub(in super::super) fn is_reusable(&self) -> bool {
        self.reusable
    }

    #[cfg(test)]
    pub(in super::super) fn status(&self) -> u16 {
        self.status
    }

    #[cfg(test)]
    pub(in super::super) fn body_length(&self) -> u64 {
        self.body_length
    }

    /// Whether the stream had to end for the answer to be complete.
    pub(in super::super) fn ended_with_stream(&self) -> bool {
        self.state == State::Ended
    }

    /// Rules out another exchange on the connection, because the request was not written to its end.
    pub(in super::super) fn forbid_reuse(&mut self) {
        self.reusable = false;
    }

    /// The answer, once it is whole.
    pub(in super::super) fn into_response(self) -> Response {
        Response {
            status: self.status,
            body_length: self.body_length,
            encoded_length: self.body_length,
            is_encoded: self.is_encoded,
            has_cookies: self.has_cookies,
            raw: self.raw,
            head_length: self.head_length as usize,
        }
    }

    /// The head and the body, and where the body starts.
    #[cfg(test)]
    pub(in super::super) fn into_raw(self) -> (Vec<u8>, usize) {
        (self.raw, self.head_length as usize)
    }

    /// Takes the end of the stream in.
    pub(in super::super) fn end(&mut self) -> Result<(), Error> {
        self.reusable = false;
        match self.state {
            State::UntilClose => {
                self.state = State::Ended;
                Ok(())
            }
            State::Done | State::Ended => Ok(()),
            // What was not parsed yet may be wrong already.
            State::Head if self.raw.len() > self.tried as usize => parse_head(&self.raw).and(Err(Error::Reset)),
            _ => Err(Error::Reset),
        }
    }

    /// Takes bytes in. Where an answer begins with them that is long and of a simple form, it keeps the buffer in which they
    /// lie, and leaves an empty one.
    pub(in super::super) fn feed_or_keep(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        if bytes.len() >= LONG && self.keep_body && self.state == State::Head && self.raw.is_empty() {
            return self.begin_in(bytes);
        }
        self.feed(bytes)
    }

    /// Takes the begin of an answer in, and with it the buffer if that holds nothing else, and the body is as long as the head
    /// says.
    fn begin_in(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let Ok(Some((head, status, framing))) = parse_head(bytes) else { return self.feed(bytes) };
        let here = (bytes.len() - head) as u64;
        let has_body = status >= 200 && !matches!(status, 204 | 304) && !self.head_only;
        let is_exact = framing.coding == Coding::None && framing.length.is_some_and(|body| body >= here.max(1));
        if !has_body || !is_exact || blank_lines(bytes) > 0 {
            return self.feed(bytes);
        }
        self.begin(head, status, &framing)?;
        let State::Length(body) = self.state else { return self.feed(bytes) };
        self.raw = std::mem::take(bytes);
        self.body_length = here;
        self.state = if here == body { State::Done } else { State::Length(body - here) };
        // Cutting off makes no copy, and neither does having more where it lies, as a rule.
        let whole = head + body.min(MOST_RESERVED) as usize;
        self.raw.shrink_to(whole);
        self.raw.reserve_exact(whole.saturating_sub(self.raw.len()));
        Ok(())
    }

    /// Takes bytes in.
    pub(in super::super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Head => self.head(bytes)?,
                State::Length(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.body(&bytes[..taken as usize])?;
                    self.state = if taken == left { State::Done } else { State::Length(left - taken) };
                    taken as usize
                }
                State::ChunkData(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.body(&bytes[..taken as usize])?;
                    self.state = if taken == left { State::ChunkEnd } else { State::ChunkData(left - taken) };
                    taken as usize
                }
                State::ChunkSize | State::ChunkEnd | State::Trailers => self.chunk_line(bytes)?,
                State::UntilClose => {
                    self.body(bytes)?;
                    bytes.len()
                }
                State::Done | State::Ended => {
                    // Bytes that nobody asked for: whatever they are, the next answer would start with them.
                    self.reusable = false;
                    bytes.len()
                }
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Takes bytes of the head in and returns how many belonged to it.
    fn head(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let before = self.raw.len();
        // Most heads arrive whole: they are parsed where they lie and copied once.
        if before == 0 {
            let blank = blank_lines(bytes);
            if blank > 0 {
                return self.skip(blank);
            }
            let Some(parsed) = parse_head(bytes)? else {
                self.raw.extend_from_slice(bytes);
                self.tried = bytes.len() as u32;
                return self.unfinished(bytes.len());
            };
            return self.complete(bytes, 0, parsed);
        }
        self.raw.extend_from_slice(bytes);
        let blank = blank_lines(&self.raw);
        if blank > 0 {
            // Only a CR can have been waiting for its LF.
            self.raw.clear();
            self.tried = 0;
            return self.skip(blank).map(|_| blank - before);
        }
        // A head that comes in tiny pieces is not parsed for each of them, or its cost would grow with the square of its
        // length: only where it may be complete, and when it has doubled, so that what is wrong early is told early.
        if !may_end(&self.raw, before) && self.raw.len() < 2 * self.tried as usize {
            return self.unfinished(bytes.len());
        }
        self.tried = self.raw.len() as u32;
        match parse_head(&self.raw)? {
            None => self.unfinished(bytes.len()),
            Some(parsed) => self.complete(&[], before, parsed),
        }
    }

    /// Waits for the rest of a head, if it may still become one.
    fn unfinished(&mut self, taken: usize) -> Result<usize, Error> {
        self.check_head(self.raw.len())?;
        Ok(taken)
    }

    fn check_head(&self, length: usize) -> Result<(), Error> {
        if self.skipped as usize + length > MAX_HEAD {
            return Err(Error::Protocol(format!("the head is larger than {MAX_HEAD} bytes")));
        }
        Ok(())
    }

    /// Leaves out what is no part of the answer's own head.
    fn skip(&mut self, length: usize) -> Result<usize, Error> {
        self.check_head(length)?;
        self.skipped += length as u32;
        Ok(length)
    }

    /// Goes by a head that is complete, in `bytes` or, where some of it came before, in `raw`.
    fn complete(&mut self, bytes: &[u8], before: usize, parsed: (usize, u16, Framing)) -> Result<usize, Error> {
        let (length, status, framing) = parsed;
        let taken = length - before;
        if status < 100 {
            return Err(Error::Protocol(format!("`{status:03}` is not a status")));
        }
        if status < 200 {
            return self.interim(status, length).map(|()| taken);
        }
        if before == 0 {
            let body = framing.length.unwrap_or(0).min(MOST_RESERVED) as usize;
            self.raw.reserve_exact(length + if self.keep_body { body } else { 0 });
            self.raw.extend_from_slice(&bytes[..length]);
        } else {
            self.raw.truncate(length);
        }
        self.begin(length, status, &framing)?;
        Ok(taken)
    }

    /// Goes by the head of the answer itself.
    fn begin(&mut self, length: usize, status: u16, framing: &Framing) -> Result<(), Error> {
        self.check_head(length)?;
        self.head_length = length as u32;
        self.status = status;
        self.frame(framing)
    }

    /// Skips an interim answer (RFC 9110, 15.2), which is followed by the real one.
    fn interim(&mut self, status: u16, length: usize) -> Result<(), Error> {
        // 101 would change the protocol, which was not asked for.
        if status == 101 {
            return Err(Error::Protocol("status 101 without a request to upgrade".to_owned()));
        }
        if self.interim == MAX_INTERIM {
            return Err(Error::Protocol(format!("more than {MAX_INTERIM} interim answers")));
        }
        self.interim += 1;
        self.raw.clear();
        self.tried = 0;
        self.skip(length).map(|_| ())
    }

    /// Decides how the body is delimited (RFC 9112, 6.3).
    fn frame(&mut self, framing: &Framing) -> Result<(), Error> {
        self.has_cookies = framing.cookies;
        self.is_encoded = framing.encoded;
        self.reusable = !framing.close && framing.keep_alive;
        self.state = if self.head_only || matches!(self.status, 204 | 304) {
            State::Done
        } else if framing.coding == Coding::Chunked {
            // Both framings at once is how requests are smuggled: the answer is read, the connection is not trusted again.
            self.reusable &= framing.length.is_none();
            State::ChunkSize
        } else if framing.coding == Coding::Other {
            State::UntilClose
        } else {
            match framing.length {
                Some(0) => State::Done,
                Some(length) if length > self.max_body && self.keep_body => return Err(Error::TooLarge(self.max_body)),
                Some(length) => State::Length(length),
                None => State::UntilClose,
            }
        };
        if self.state == State::UntilClose {
            self.reusable = false;
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.body_length += bytes.len() as u64;
        if self.keep_body {
            if self.body_length > self.max_body {
                return Err(Error::TooLarge(self.max_body));
            }
            self.raw.extend_from_slice(bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
