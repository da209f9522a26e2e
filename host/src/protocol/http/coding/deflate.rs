//! `deflate`: zlib (RFC 1950), or deflate without anything around it, which some servers send by that name.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Decode, Error};

/// Takes deflate off a body.
pub(super) struct Deflate {
    /// The first two bytes, which decide what this is.
    head: Vec<u8>,
    inflate: Option<Inflate>,
    done: bool,
}

/// Deflate proper, as zlib and gzip hold it.
pub(super) struct Inflate {
    state: Decompress,
    name: &'static str,
}

/// What a step of deflate came to.
pub(super) struct Inflated {
    pub(super) taken: usize,
    pub(super) made: usize,
    pub(super) ended: bool,
}

impl Inflate {
    pub(super) fn new(zlib: bool, name: &'static str) -> Self {
        Self { state: Decompress::new(zlib), name }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Inflated, Error> {
        let (taken, made) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|error| Error::Decoding(format!("{}: {error}", self.name)))?;
        Ok(Inflated {
            taken: (self.state.total_in() - taken) as usize,
            made: (self.state.total_out() - made) as usize,
            ended: status == Status::StreamEnd,
        })
    }

    /// Starts anew, on raw deflate.
    pub(super) fn restart(&mut self) {
        self.state.reset(false);
    }
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self { head: Vec::new(), inflate: None, done: false }
    }
}

impl Decode for Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Error> {
        if self.done {
            return super::nothing_after(input, self.name());
        }
        if let Some(inflate) = &mut self.inflate {
            let Inflated { taken, made, ended } = inflate.step(input, output)?;
            self.done = ended;
            return Ok((taken, made));
        }
        let taken = input.len().min(2 - self.head.len());
        self.head.extend_from_slice(&input[..taken]);
        let [first, second] = self.head[..] else { return Ok((taken, 0)) };
        let is_zlib = first & 15 == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]) % 31 == 0;
        let inflate = self.inflate.insert(Inflate::new(is_zlib, "deflate"));
        let Inflated { made, ended, .. } = inflate.step(&self.head, output)?;
        self.done = ended;
        Ok((taken, made))
    }

    fn is_whole(&self) -> bool {
        self.done
    }

    fn name(&self) -> &'static str {
        "deflate"
    }
}
