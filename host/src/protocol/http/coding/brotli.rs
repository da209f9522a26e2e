//! `br` (RFC 7932).

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};

use super::{Decode, Error};

/// Takes brotli off a body.
pub(super) struct Brotli {
    state: Box<BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>>,
    total: usize,
    done: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        // Strict: without windows over 16 MiB, which are no part of the RFC.
        let state =
            BrotliState::new_strict(HeapAlloc::new(0), HeapAlloc::new(0), HeapAlloc::new(HuffmanCode::default()));
        Self { state: Box::new(state), total: 0, done: false }
    }
}

impl Decode for Brotli {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Error> {
        if self.done {
            return super::nothing_after(input, self.name());
        }
        let (mut left, mut taken) = (input.len(), 0);
        let (mut room, mut made) = (output.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut room,
            &mut made,
            output,
            &mut self.total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => Err(Error::Decoding("br: this is not brotli".to_owned())),
            BrotliResult::ResultSuccess => {
                self.done = true;
                Ok((taken, made))
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok((taken, made)),
        }
    }

    fn is_whole(&self) -> bool {
        self.done
    }

    fn name(&self) -> &'static str {
        "br"
    }
}
