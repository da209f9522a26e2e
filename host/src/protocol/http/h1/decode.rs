//! Bytes of an HTTP/1.1 response into a message (RFC 9112), however they are cut.

use std::mem::MaybeUninit;

use super::super::{Error, Response};

/// The head of a response, with all interim answers before it, may not be larger than this many bytes.
const MAX_HEAD: usize = 256 << 10;
/// Nor come after more interim answers than this.
const MAX_INTERIM: u8 = 100;
/// Nor have more headers than this.
pub(in super::super) const MAX_HEADERS: usize = 256;
/// How many fit on the stack. Frames live on the guest's fiber, so they are kept small.
const FEW_HEADERS: usize = 32;
/// What the chunked coding adds to a body beside sizes: extensions and blanks of all chunks, and the trailers.
const MAX_EXTRA: usize = 16 << 10;
/// A chunk's size line without anything that counts as such: 16 digits, and CRLF.
const BARE_SIZE: usize = 18;

/// Takes the bytes of one response in.
#[derive(Debug)]
pub(in super::super) struct Decoder {
    state: State,
    /// The head, then the decoded body.
    raw: Vec<u8>,
    /// How many bytes of an unfinished head were parsed in vain.
    tried: usize,
    /// Bytes that came before the head: interim answers and empty lines.
    skipped: usize,
    interim: u8,
    head_length: usize,
    status: u16,
    body_length: u64,
    /// Whether the connection may carry another exchange.
    reusable: bool,
    /// Whether the stream has ended.
    ended: bool,
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
    extra: usize,
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
}

/// What the head of a response says about its body.
struct Framing {
    length: Option<u64>,
    coding: Coding,
    close: bool,
    keep_alive: bool,
    cookies: bool,
    encoded: bool,
}

/// The last transfer coding of a body, which says where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    None,
    Chunked,
    Other,
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
            ended: false,
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
        self.state == State::Done
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
        self.ended
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
            head_length: self.head_length,
        }
    }

    /// The head and the body, and where the body starts.
    #[cfg(test)]
    pub(in super::super) fn into_raw(self) -> (Vec<u8>, usize) {
        (self.raw, self.head_length)
    }

    /// Takes the end of the stream in.
    pub(in super::super) fn end(&mut self) -> Result<(), Error> {
        self.reusable = false;
        self.ended = true;
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            // What was not parsed yet may be wrong already.
            State::Head if self.raw.len() > self.tried => parse_head(&self.raw).and(Err(Error::Reset)),
            _ => Err(Error::Reset),
        }
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
                State::Done => {
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
                self.tried = bytes.len();
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
        if !may_end(&self.raw, before) && self.raw.len() < 2 * self.tried {
            return self.unfinished(bytes.len());
        }
        self.tried = self.raw.len();
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
        if self.skipped + length > MAX_HEAD {
            return Err(Error::Protocol(format!("the head is larger than {MAX_HEAD} bytes")));
        }
        Ok(())
    }

    /// Leaves out what is no part of the answer's own head.
    fn skip(&mut self, length: usize) -> Result<usize, Error> {
        self.check_head(length)?;
        self.skipped += length;
        Ok(length)
    }

    /// Goes by a head that is complete, in `bytes` or, where some of it came before, in `raw`.
    fn complete(&mut self, bytes: &[u8], before: usize, parsed: (usize, u16, Framing)) -> Result<usize, Error> {
        let (length, status, framing) = parsed;
        let taken = length - before;
        self.check_head(length)?;
        if status < 100 {
            return Err(Error::Protocol(format!("`{status:03}` is not a status")));
        }
        if status < 200 {
            return self.interim(status, length).map(|()| taken);
        }
        if before == 0 {
            let body = framing.length.unwrap_or(0).min(1 << 20) as usize;
            self.raw.reserve_exact(length + if self.keep_body { body } else { 0 });
            self.raw.extend_from_slice(&bytes[..length]);
        } else {
            self.raw.truncate(length);
        }
        self.head_length = length;
        self.status = status;
        self.frame(&framing)?;
        Ok(taken)
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

    /// Takes bytes of a line of the chunked coding (RFC 9112, 7.1) in and returns how many belonged to it.
    fn chunk_line(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.line.extend_from_slice(&bytes[..taken]);
        if self.state == State::ChunkEnd && !b"\r\n".starts_with(&self.line) {
            return Err(Error::Protocol("a chunk does not end where its size says".to_owned()));
        }
        if self.extra + self.line.len() > MAX_EXTRA + BARE_SIZE {
            return Err(too_much_extra());
        }
        if end.is_none() {
            // What is wrong already is told now; the end of the line may never come.
            let fresh = &self.line[(self.line.len() - taken).saturating_sub(1)..];
            if fresh.iter().rev().skip(1).any(|&byte| byte == b'\r') {
                return Err(inner_cr());
            }
            if self.state == State::ChunkSize {
                check_size_line(&self.line)?;
            }
            return Ok(taken);
        }
        let mut line = std::mem::take(&mut self.line);
        let text = line
            .strip_suffix(b"\r\n")
            .ok_or_else(|| Error::Protocol("a line of the chunked body does not end with CRLF".to_owned()))?;
        // Where one side takes a CR alone for the end of a line and the other does not, answers can be smuggled.
        if text.contains(&b'\r') {
            return Err(inner_cr());
        }
        self.state = match self.state {
            State::ChunkSize => {
                let (size, digits) = chunk_size(text)?;
                self.extra += text.len() - digits;
                if size == 0 { State::Trailers } else { State::ChunkData(size) }
            }
            State::ChunkEnd => State::ChunkSize,
            // Trailers are read and dropped.
            _ if text.is_empty() => State::Done,
            _ => {
                self.extra += text.len();
                State::Trailers
            }
        };
        if self.extra > MAX_EXTRA {
            return Err(too_much_extra());
        }
        line.clear();
        self.line = line;
        Ok(taken)
    }
}

/// Whether what is there of a chunk's size line can become one.
fn check_size_line(line: &[u8]) -> Result<(), Error> {
    let line = &line[..line.len().min(64)];
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let next = line[digits..].iter().find(|&&byte| byte != b' ' && byte != b'\t');
    let zeros = line.iter().take_while(|&&byte| byte == b'0').count();
    if digits == 0 || digits - zeros > 16 || next.is_some_and(|next| !matches!(next, b';' | b'\r')) {
        return Err(Error::Protocol(format!("`{}` is not a chunk size", line.escape_ascii())));
    }
    Ok(())
}

fn inner_cr() -> Error {
    Error::Protocol("a CR inside of a line of the chunked body".to_owned())
}

fn too_much_extra() -> Error {
    Error::Protocol(format!("chunk extensions and trailers of more than {MAX_EXTRA} bytes"))
}

/// A chunk's size, and how many bytes its digits take. More than 16 of them are more than it needs.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), Error> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let blanks = digits.iter().rev().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    let digits = &digits[..digits.len() - blanks];
    let wrong = || Error::Protocol(format!("`{}` is not a chunk size", digits.escape_ascii()));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Ok((size.ok_or_else(wrong)?, digits.len().min(16)))
}

/// How many bytes of empty lines come before a head, which is robust to leave out (RFC 9112, 2.2).
fn blank_lines(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        match &bytes[length..] {
            [b'\r', b'\n', ..] => length += 2,
            [b'\n', ..] => length += 1,
            _ => return length,
        }
    }
}

/// Whether an empty line, with which a head ends, ends in what came after `before`.
fn may_end(raw: &[u8], before: usize) -> bool {
    raw[before.saturating_sub(2)..].windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r")
}

fn parse_head(bytes: &[u8]) -> Result<Option<(usize, u16, Framing)>, Error> {
    let mut few = [MaybeUninit::uninit(); FEW_HEADERS];
    match parse_head_with(bytes, &mut few) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![MaybeUninit::uninit(); MAX_HEADERS];
            parse_head_with(bytes, &mut many)
        }
        result => result,
    }
    .map_err(|error| Error::Protocol(error.to_string()))
    .and_then(|parsed| match parsed {
        Some((_, _, Err(message))) => Err(Error::Protocol(message)),
        Some((length, status, Ok(framing))) => Ok(Some((length, status, framing))),
        None => Ok(None),
    })
}

type ParsedHead = Option<(usize, u16, Result<Framing, String>)>;

fn parse_head_with<'b>(
    bytes: &'b [u8],
    headers: &mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<ParsedHead, httparse::Error> {
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, headers)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let framing = framing(response.version.unwrap_or(0), response.headers);
    Ok(Some((length, response.code.unwrap_or(0), framing)))
}

fn framing(version: u8, headers: &[httparse::Header<'_>]) -> Result<Framing, String> {
    let mut framing = Framing {
        length: None,
        coding: Coding::None,
        close: false,
        keep_alive: version == 1,
        cookies: false,
        encoded: false,
    };
    for header in headers {
        // Compared by length first: most headers are none of these.
        match header.name.len() {
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let length = content_length(header.value)?;
                if framing.length.is_some_and(|before| before != length) {
                    return Err("two different `content-length` headers".to_owned());
                }
                framing.length = Some(length);
            }
            16 if header.name.eq_ignore_ascii_case("content-encoding") => framing.encoded = true,
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                let last = header.value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
                let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                // As hyper has it: where the rest is no text, neither is the end.
                framing.coding = if is_chunked && header.value.is_ascii() { Coding::Chunked } else { Coding::Other };
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for option in header.value.split(|&byte| byte == b',') {
                    framing.close |= option.trim_ascii().eq_ignore_ascii_case(b"close");
                    framing.keep_alive |= option.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
                }
            }
            10 if header.name.eq_ignore_ascii_case("set-cookie") => framing.cookies = true,
            _ => {}
        }
    }
    // HTTP/1.0 has no transfer codings, so whoever sent this does not know where the answer ends (RFC 9112, 6.1).
    if version == 0 && framing.coding != Coding::None {
        return Err("`transfer-encoding` in an answer of HTTP/1.0".to_owned());
    }
    Ok(framing)
}

/// One number, or the same number several times (RFC 9110, 8.6).
fn content_length(value: &[u8]) -> Result<u64, String> {
    let mut length = None;
    for part in value.split(|&byte| byte == b',') {
        let digits = part.trim_ascii();
        let number = Some(digits).filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| digits.parse().ok());
        match (number, length) {
            (Some(number), None) => length = Some(number),
            (Some(number), Some(before)) if number == before => {}
            _ => return Err(format!("`content-length: {}` is not a length", value.escape_ascii())),
        }
    }
    length.ok_or_else(|| "an empty `content-length`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(method: &str, pieces: &[&[u8]], closed: bool) -> Result<(u16, Vec<u8>, bool), Error> {
        let mut decoder = Decoder::new(method, 1 << 20, true, Vec::new());
        for piece in pieces {
            decoder.feed(piece)?;
        }
        if closed {
            decoder.end()?;
        }
        assert!(decoder.is_done(), "not done: {decoder:?}");
        let (status, reusable) = (decoder.status(), decoder.is_reusable());
        let (raw, head) = decoder.into_raw();
        Ok((status, raw[head..].to_vec(), reusable))
    }

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: 1\r\n\r\n";

    #[test]
    fn a_body_of_known_length_ends_where_it_says() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(decode("GET", &[answer], false).unwrap(), (200, b"hello".to_vec(), true));
    }

    #[test]
    fn however_an_answer_is_cut_it_is_the_same() {
        for cut in 0..CHUNKED.len() {
            let (first, second) = CHUNKED.split_at(cut);
            assert_eq!(
                decode("GET", &[first, second], false).unwrap(),
                (200, b"hello world".to_vec(), true),
                "cut at {cut}"
            );
        }
        let bytes: Vec<&[u8]> = CHUNKED.chunks(1).collect();
        assert_eq!(decode("GET", &bytes, false).unwrap().1, b"hello world");
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        assert_eq!(
            decode("GET", &[b"HTTP/1.1 200 OK\r\n\r\nall of it"], true).unwrap(),
            (200, b"all of it".to_vec(), false)
        );
    }

    #[test]
    fn answers_without_a_body_have_none() {
        assert_eq!(
            decode("HEAD", &[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"], false).unwrap(),
            (200, vec![], true)
        );
        assert_eq!(decode("GET", &[b"HTTP/1.1 204 No Content\r\n\r\n"], false).unwrap(), (204, vec![], true));
        assert_eq!(decode("GET", &[b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"], false).unwrap().0, 304);
    }

    #[test]
    fn interim_answers_are_skipped() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
        for cut in 0..answer.len() {
            let (first, second) = answer.split_at(cut);
            assert_eq!(decode("GET", &[first, second], false).unwrap(), (200, b"x".to_vec(), true), "cut at {cut}");
        }
    }

    #[test]
    fn a_connection_is_reused_only_where_both_sides_agree() {
        for (head, reusable) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: keep-alive, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nextra", false),
        ] {
            assert_eq!(decode("GET", &[head.as_bytes()], false).unwrap().2, reusable, "{head}");
        }
    }

    #[test]
    fn what_is_not_http_is_a_protocol_error() {
        for answer in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a\rb\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\x0c\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 099 Odd\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            let error = decode("GET", &[answer.as_bytes()], true).unwrap_err();
            assert!(matches!(error, Error::Protocol(_)), "{answer}: {error}");
        }
    }

    #[test]
    fn an_answer_cut_short_is_a_reset() {
        for answer in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe",
        ] {
            assert_eq!(decode("GET", &[answer.as_bytes()], true).unwrap_err(), Error::Reset, "{answer}");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_and_a_dropped_one_is_not() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789";
        let mut decoder = Decoder::new("GET", 8, true, Vec::new());
        assert_eq!(decoder.feed(answer), Err(Error::TooLarge(8)));
        let mut decoder = Decoder::new("GET", 8, false, Vec::new());
        decoder.feed(answer).unwrap();
        assert_eq!((decoder.body_length(), decoder.is_done()), (9, true));
    }

    #[test]
    fn interim_answers_are_limited_in_number_and_in_bytes() {
        let with = |count: usize, interim: &str| {
            let answer = interim.repeat(count) + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            decode("GET", &answer.as_bytes().chunks(1000).collect::<Vec<_>>(), false)
        };
        let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
        assert_eq!(with(100, hint).unwrap().0, 200);
        assert!(matches!(with(101, hint), Err(Error::Protocol(why)) if why.contains("100 interim answers")));
        let large = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(100_000));
        assert_eq!(with(2, &large).unwrap().0, 200);
        assert!(matches!(with(3, &large), Err(Error::Protocol(why)) if why.contains("larger than 262144 bytes")));
    }

    #[test]
    fn empty_lines_before_the_head_are_skipped_and_limited() {
        let answer = "\r\n\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
        for cut in 0..answer.len() {
            let (first, second) = answer.as_bytes().split_at(cut);
            assert_eq!(decode("GET", &[first, second], false).unwrap(), (200, b"x".to_vec(), true), "cut at {cut}");
        }
        let mut decoder = Decoder::new("GET", 1 << 20, true, Vec::new());
        let refused = (0..300 << 10).find_map(|_| decoder.feed(b"\r").and_then(|()| decoder.feed(b"\n")).err());
        assert!(matches!(refused, Some(Error::Protocol(_))), "{refused:?}");
        assert!(decoder.raw.capacity() < 1 << 10);
    }

    // Parsing it anew for each byte would look at 25 billion bytes.
    #[test]
    fn a_large_head_that_comes_byte_by_byte_is_not_parsed_for_each_byte() {
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n",
            format!("a: {}\r\n", "b".repeat(1200)).repeat(200)
        );
        assert!(answer.len() > 230_000);
        let started = std::time::Instant::now();
        assert_eq!(decode("GET", &answer.as_bytes().chunks(1).collect::<Vec<_>>(), false).unwrap().0, 200);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    #[test]
    fn what_is_wrong_in_an_unfinished_head_is_told_when_the_connection_ends() {
        let head = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(20));
        let error = decode("GET", &[head.as_bytes(), b"wrong\x00"], true).unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }

    #[test]
    fn what_the_chunked_coding_adds_is_limited_in_total() {
        let with = |chunks: &str, trailers: &str| {
            let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n{trailers}\r\n");
            decode("GET", &answer.as_bytes().chunks(100).collect::<Vec<_>>(), false)
        };
        assert_eq!(with(&"1\r\na\r\n".repeat(50_000), "").unwrap().1.len(), 50_000, "sizes do not count");
        let extension = format!("1;{}\r\na\r\n", "x".repeat(1000));
        assert_eq!(with(&extension.repeat(16), "").unwrap().1.len(), 16);
        for (chunks, trailers) in [
            (extension.repeat(17), String::new()),
            (format!("1{}\r\na\r\n", " ".repeat(20_000)), String::new()),
            (String::new(), format!("a: {}\r\n", "x".repeat(20_000))),
            (String::new(), "a: b\r\n".repeat(5000)),
        ] {
            let error = with(&chunks, &trailers).unwrap_err();
            assert!(error.to_string().contains("more than 16384 bytes"), "{error}");
        }
        // Without an end of the line in sight.
        let mut decoder = Decoder::new("GET", 1 << 20, true, Vec::new());
        decoder.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;").unwrap();
        assert!(matches!(decoder.feed(&[b'x'; 20_000]), Err(Error::Protocol(_))));
    }

    #[test]
    fn many_headers_are_read_and_far_too_many_are_not() {
        let with = |count: usize| format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(count));
        assert_eq!(decode("GET", &[with(200).as_bytes()], false).unwrap().0, 200);
        assert!(matches!(decode("GET", &[with(2000).as_bytes()], false), Err(Error::Protocol(_))));
    }
}
