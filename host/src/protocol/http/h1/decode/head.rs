//! The head of a response: where it ends, and what it says about the body.

use std::mem::MaybeUninit;

use super::MAX_HEADERS;
use crate::protocol::Error;

/// How many fit on the stack. Frames live on the guest's fiber, so they are kept small.
const FEW_HEADERS: usize = 32;

/// What the head of a response says about its body.
#[expect(clippy::struct_excessive_bools, reason = "facts about an answer; none excludes another")]
pub(super) struct Framing {
    pub(super) length: Option<u64>,
    pub(super) coding: Coding,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) cookies: bool,
    pub(super) encoded: bool,
}

/// The last transfer coding of a body, which says where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    None,
    Chunked,
    Other,
}

/// How many bytes of empty lines come before a head, which is robust to leave out (RFC 9112, 2.2).
pub(super) fn blank_lines(bytes: &[u8]) -> usize {
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
pub(super) fn may_end(raw: &[u8], before: usize) -> bool {
    raw[before.saturating_sub(2)..].windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r")
}

pub(super) fn parse_head(bytes: &[u8]) -> Result<Option<(usize, u16, Framing)>, Error> {
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
