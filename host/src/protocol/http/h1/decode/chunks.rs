//! The lines of the chunked coding: sizes, ends of chunks, and trailers.

use super::{Decoder, State};
use crate::protocol::Error;

/// What the chunked coding adds to a body beside sizes: extensions and blanks of all chunks, and the trailers.
const MAX_EXTRA: usize = 16 << 10;
/// A chunk's size line without anything that counts as such: 16 digits, and CRLF.
const BARE_SIZE: usize = 18;

impl Decoder {
    /// Takes bytes of a line of the chunked coding (RFC 9112, 7.1) in and returns how many belonged to it.
    pub(super) fn chunk_line(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.line.extend_from_slice(&bytes[..taken]);
        if self.state == State::ChunkEnd && !b"\r\n".starts_with(&self.line) {
            return Err(Error::Protocol("a chunk does not end where its size says".to_owned()));
        }
        if self.extra as usize + self.line.len() > MAX_EXTRA + BARE_SIZE {
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
                self.extra += (text.len() - digits) as u32;
                if size == 0 { State::Trailers } else { State::ChunkData(size) }
            }
            State::ChunkEnd => State::ChunkSize,
            // Trailers are read and dropped.
            _ if text.is_empty() => State::Done,
            _ => {
                self.extra += text.len() as u32;
                State::Trailers
            }
        };
        if self.extra as usize > MAX_EXTRA {
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
