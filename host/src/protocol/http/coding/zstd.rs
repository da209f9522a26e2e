//! `zstd` (RFC 8878): frames of blocks. The decoder wants whole blocks, so they are gathered here first.

use std::io::Read as _;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Decode, Error};

/// The largest window that HTTP allows (RFC 9659).
const MAX_WINDOW: u64 = 8 << 20;
/// The largest block.
const MAX_BLOCK: usize = 128 << 10;
/// The magic number and the byte that says how long the rest of the head is.
const HEAD_START: usize = 5;
/// The magic number of a frame to skip and its length.
const SKIP_HEAD: usize = 8;
const BLOCK_HEAD: usize = 3;

/// Takes zstd off a body.
pub(super) struct Zstd {
    frame: FrameDecoder,
    part: Part,
    /// What has come of this part.
    pending: Vec<u8>,
    frames: u64,
}

/// What the next bytes are, and how many of them make it whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    HeadStart,
    Head(usize),
    SkipHead,
    Skip(usize),
    BlockHead { checksum: bool },
    Block { length: usize, checksum: bool },
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MAX_WINDOW);
        Self { frame, part: Part::HeadStart, pending: Vec::new(), frames: 0 }
    }

    /// Takes input until the part is whole; returns how many bytes, and whether it is.
    fn gather(&mut self, input: &[u8]) -> (usize, bool) {
        let length = match self.part {
            Part::HeadStart => HEAD_START,
            Part::SkipHead => SKIP_HEAD,
            Part::BlockHead { .. } => BLOCK_HEAD,
            Part::Head(length) | Part::Block { length, .. } => length,
            Part::Skip(left) => {
                let taken = left.min(input.len());
                self.part = Part::Skip(left - taken);
                return (taken, left == taken);
            }
        };
        let taken = input.len().min(length - self.pending.len());
        self.pending.extend_from_slice(&input[..taken]);
        (taken, self.pending.len() == length)
    }

    /// Does what a whole part asks for. Parts that say how the next goes on stay in `pending`.
    fn advance(&mut self) -> Result<(), Error> {
        self.part = match self.part {
            Part::HeadStart => match self.pending[..] {
                // A frame to skip: its magic number ends in any of 16 digits.
                [low, 0x2a, 0x4d, 0x18, _] if low >> 4 == 5 => Part::SkipHead,
                [0x28, 0xb5, 0x2f, 0xfd, descriptor] => Part::Head(HEAD_START + head_rest(descriptor)),
                _ => return Err(wrong("this is not zstd")),
            },
            Part::SkipHead => {
                let length = self.pending[4..].iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
                self.pending.clear();
                Part::Skip(length)
            }
            Part::Skip(_) => Part::HeadStart,
            Part::Head(_) => {
                self.frame.reset(&self.pending[..]).map_err(|error| wrong(&error.to_string()))?;
                let checksum = self.pending[4] & 4 != 0;
                self.pending.clear();
                Part::BlockHead { checksum }
            }
            Part::BlockHead { checksum } => {
                let length = block_length(&self.pending, checksum)?;
                Part::Block { length, checksum }
            }
            Part::Block { checksum, .. } => {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.frame.decode_blocks(&self.pending[..], blocks);
                let is_last = decoded.map_err(|error| wrong(&error.to_string()))?;
                self.pending.clear();
                if is_last { Part::HeadStart } else { Part::BlockHead { checksum } }
            }
        };
        Ok(())
    }

    /// Checks a frame's checksum once all of it was handed out.
    fn end_frame(&mut self) -> Result<(), Error> {
        let said = self.frame.get_checksum_from_data();
        if said.is_some() && said != self.frame.get_calculated_checksum() {
            return Err(wrong("the checksum does not match"));
        }
        self.frames += 1;
        Ok(())
    }
}

impl Decode for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Error> {
        let mut taken = 0;
        loop {
            if self.frame.can_collect() > 0 {
                let made = self.frame.read(output).map_err(|error| wrong(&error.to_string()))?;
                if self.part == Part::HeadStart && self.frame.can_collect() == 0 {
                    self.end_frame()?;
                }
                return Ok((taken, made));
            }
            let (gathered, is_whole) = self.gather(&input[taken..]);
            taken += gathered;
            if !is_whole {
                return Ok((taken, 0));
            }
            self.advance()?;
            // A frame without any content is whole as well.
            if self.part == Part::HeadStart && self.frame.can_collect() == 0 {
                self.end_frame()?;
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.part == Part::HeadStart && self.pending.is_empty() && self.frames > 0
    }

    fn name(&self) -> &'static str {
        "zstd"
    }
}

/// How many bytes of a frame's head follow its descriptor.
fn head_rest(descriptor: u8) -> usize {
    let is_single = descriptor & 32 != 0;
    let window = usize::from(!is_single);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = match descriptor >> 6 {
        0 => usize::from(is_single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    window + dictionary + size
}

/// How long a block is with its head, and the frame's checksum if it is the last.
fn block_length(head: &[u8], checksum: bool) -> Result<usize, Error> {
    let head = head.iter().rev().fold(0, |head, &byte| head << 8 | usize::from(byte));
    let (is_last, kind, size) = (head & 1 == 1, head >> 1 & 3, head >> 3);
    if size > MAX_BLOCK {
        return Err(wrong("a block is too large"));
    }
    // A block of one byte repeated holds that byte only.
    let content = if kind == 1 { 1 } else { size };
    Ok(BLOCK_HEAD + content + if is_last && checksum { 4 } else { 0 })
}

fn wrong(what: &str) -> Error {
    Error::Decoding(format!("zstd: {what}"))
}
