//! Bytes of an HTTP/1.1 response into a message (RFC 9112), however they are cut.

use std::mem::MaybeUninit;

use super::super::{Error, Response};

/// The head of a response may not be larger than this many bytes.
const MAX_HEAD: usize = 256 << 10;
/// Nor have more headers than this.
pub(in super::super) const MAX_HEADERS: usize = 256;
/// How many fit on the stack. Frames live on the guest's fiber, so they are kept small.
const FEW_HEADERS: usize = 32;
/// A chunk's size line, extensions included, or a trailer line.
const MAX_LINE: usize = 8 << 10;

/// Takes the bytes of one response in.
#[expect(clippy::struct_excessive_bools, reason = "facts about an answer; none excludes another")]
#[derive(Debug)]
pub(in super::super) struct Decoder {
    state: State,
    /// The head, then the decoded body.
    raw: Vec<u8>,
    head_length: usize,
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
#[expect(clippy::struct_excessive_bools, reason = "facts about an answer; none excludes another")]
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
        }
    }

    pub(in super::super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(in super::super) fn has_head(&self) -> bool {
        self.head_length > 0
    }

    /// Bytes of the body that are here.
    pub(in super::super) fn held(&self) -> usize {
        if self.has_head() { self.raw.len() - self.head_length } else { 0 }
    }

    /// Takes what is here of the body.
    pub(in super::super) fn take_body(&mut self) -> Vec<u8> {
        self.raw.split_off(self.head_length)
    }

    /// The answer without its body, which is read as it comes.
    pub(in super::super) fn bodiless(&self) -> Response {
        Response {
            status: self.status,
            body_length: 0,
            encoded_length: 0,
            is_encoded: self.is_encoded,
            has_cookies: self.has_cookies,
            raw: self.raw[..self.head_length].to_vec(),
            head_length: self.head_length,
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
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
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
        let parsed = if before == 0 {
            parse_head(bytes)?
        } else {
            self.raw.extend_from_slice(bytes);
            parse_head(&self.raw)?
        };
        let Some((length, status, framing)) = parsed else {
            if before == 0 {
                self.raw.extend_from_slice(bytes);
            }
            if self.raw.len() > MAX_HEAD {
                return Err(Error::Protocol(format!("the head is larger than {MAX_HEAD} bytes")));
            }
            return Ok(bytes.len());
        };
        let taken = length - before;
        if status < 100 {
            return Err(Error::Protocol(format!("`{status:03}` is not a status")));
        }
        // An interim answer (RFC 9110, 15.2) is followed by the real one. 101 would change the protocol, which was not asked for.
        if (100..200).contains(&status) {
            if status == 101 {
                return Err(Error::Protocol("status 101 without a request to upgrade".to_owned()));
            }
            self.raw.clear();
            return Ok(taken);
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
        if self.line.len() > MAX_LINE {
            return Err(Error::Protocol(format!("a chunk's size line or a trailer is longer than {MAX_LINE} bytes")));
        }
        if end.is_none() {
            return Ok(taken);
        }
        let mut line = std::mem::take(&mut self.line);
        let text = line
            .strip_suffix(b"\r\n")
            .ok_or_else(|| Error::Protocol("a line of the chunked body does not end with CRLF".to_owned()))?;
        // Where one side takes a CR alone for the end of a line and the other does not, answers can be smuggled.
        if text.contains(&b'\r') {
            return Err(Error::Protocol("a CR inside of a line of the chunked body".to_owned()));
        }
        self.state = match self.state {
            State::ChunkSize => match chunk_size(text)? {
                0 => State::Trailers,
                size => State::ChunkData(size),
            },
            State::ChunkEnd if text.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Error::Protocol("a chunk is longer than its size".to_owned())),
            // Trailers are read and dropped.
            _ if text.is_empty() => State::Done,
            _ => State::Trailers,
        };
        line.clear();
        self.line = line;
        Ok(taken)
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, Error> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let blanks = digits.iter().rev().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    let digits = &digits[..digits.len() - blanks];
    let wrong = || Error::Protocol(format!("`{}` is not a chunk size", digits.escape_ascii()));
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(wrong)
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
                framing.coding = if is_chunked { Coding::Chunked } else { Coding::Other };
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
    fn many_headers_are_read_and_far_too_many_are_not() {
        let with = |count: usize| format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(count));
        assert_eq!(decode("GET", &[with(200).as_bytes()], false).unwrap().0, 200);
        assert!(matches!(decode("GET", &[with(2000).as_bytes()], false), Err(Error::Protocol(_))));
    }
}
