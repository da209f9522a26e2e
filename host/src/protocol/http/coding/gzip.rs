//! `gzip` (RFC 1952): deflate with a head and a checksum, one member or several.

use flate2::Crc;

use super::deflate::{Inflate, Inflated};
use super::{Decode, Error};

/// A member's head may name a file and carry a comment; nobody needs more than this.
const MAX_HEAD: usize = 64 << 10;
/// The checksum and the length after a member.
const TRAILER: usize = 8;

/// Takes gzip off a body.
pub(super) struct Gzip {
    part: Part,
    /// What an unfinished head or trailer holds so far.
    pending: Vec<u8>,
    inflate: Inflate,
    crc: Crc,
    members: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Data,
    Trailer,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Head,
            pending: Vec::new(),
            inflate: Inflate::new(false, "gzip"),
            crc: Crc::new(),
            members: 0,
        }
    }

    fn head(&mut self, input: &[u8]) -> Result<usize, Error> {
        let before = self.pending.len();
        self.pending.extend_from_slice(&input[..input.len().min(MAX_HEAD)]);
        match head_length(&self.pending)? {
            Some(length) => {
                self.pending.clear();
                self.part = Part::Data;
                Ok(length - before)
            }
            None if self.pending.len() >= MAX_HEAD => Err(wrong("the head is too long")),
            None => Ok(self.pending.len() - before),
        }
    }

    fn trailer(&mut self, input: &[u8]) -> Result<usize, Error> {
        let taken = input.len().min(TRAILER - self.pending.len());
        self.pending.extend_from_slice(&input[..taken]);
        if let [c0, c1, c2, c3, l0, l1, l2, l3] = self.pending[..] {
            if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum() {
                return Err(wrong("the checksum does not match"));
            }
            if u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount() {
                return Err(wrong("the length does not match"));
            }
            self.pending.clear();
            self.crc.reset();
            self.inflate.restart();
            self.members += 1;
            self.part = Part::Head;
        }
        Ok(taken)
    }
}

impl Decode for Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Error> {
        match self.part {
            Part::Head if input.is_empty() => Ok((0, 0)),
            Part::Head => Ok((self.head(input)?, 0)),
            Part::Trailer => Ok((self.trailer(input)?, 0)),
            Part::Data => {
                let Inflated { taken, made, ended } = self.inflate.step(input, output)?;
                self.crc.update(&output[..made]);
                if ended {
                    self.part = Part::Trailer;
                }
                Ok((taken, made))
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.part == Part::Head && self.pending.is_empty() && self.members > 0
    }

    fn name(&self) -> &'static str {
        "gzip"
    }
}

/// How long a head is, once it is whole.
fn head_length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const CHECKSUM: u8 = 2;
    if !bytes.starts_with(&[0x1f, 0x8b][..bytes.len().min(2)]) {
        return Err(wrong("this is not gzip"));
    }
    if bytes.get(2).is_some_and(|&method| method != 8) {
        return Err(wrong("a method other than deflate"));
    }
    let Some(&flags) = bytes.get(3) else { return Ok(None) };
    if flags & 0xe0 != 0 {
        return Err(wrong("flags that nobody knows"));
    }
    let mut length = 10;
    if flags & EXTRA != 0 {
        let Some(&[low, high]) = bytes.get(10..12) else { return Ok(None) };
        length += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let Some(end) = bytes.get(length..).and_then(|rest| rest.iter().position(|&byte| byte == 0)) else {
                return Ok(None);
            };
            length += end + 1;
        }
    }
    if flags & CHECKSUM != 0 {
        length += 2;
    }
    Ok((bytes.len() >= length).then_some(length))
}

fn wrong(what: &str) -> Error {
    Error::Decoding(format!("gzip: {what}"))
}
