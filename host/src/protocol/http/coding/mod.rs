//! How bodies are encoded (RFC 9110, 8.4): gzip, deflate, br and zstd, one after the other, in both directions.
//!
//! Decoding is done in steps that each make at most a piece of output, so that what a body decodes to is never held but
//! where the caller wants it: a small answer that stands for gigabytes costs what the limit allows.

mod brotli;
mod deflate;
mod encode;
mod gzip;
mod zstd;

use super::Response;
use crate::protocol::Error;
use brotli::Brotli;
use deflate::Deflate;
pub use encode::encode;
use gzip::Gzip;
use zstd::Zstd;

/// Bytes that are decoded at once, and read from one coding into the next.
const PIECE: usize = 16 << 10;
/// Decoded bytes after which others on this thread have their turn.
const TURN: usize = 256 << 10;
/// More codings than this on one body are no use but to make work.
const MOST_CODINGS: usize = 5;

/// An encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// Zlib (RFC 1950) around deflate (RFC 1951).
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// What one coding makes of its input.
trait Decode {
    /// Takes input and makes output; returns how many bytes of each. Neither means that it needs more input.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Error>;
    /// Whether the input may end here.
    fn is_whole(&self) -> bool;
    /// As `content-encoding` has it.
    fn name(&self) -> &'static str;
}

/// The decoder of a body: its codings, the outermost first.
pub(super) struct Decoder {
    stages: Vec<Stage>,
}

struct Stage {
    decode: Box<dyn Decode>,
    /// What the stage before has made and this one has not taken yet.
    input: Vec<u8>,
    taken: usize,
}

impl Coding {
    /// As `content-encoding` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else if is("deflate") {
            Some(Self::Deflate)
        } else if is("br") {
            Some(Self::Brotli)
        } else if is("zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

impl Decoder {
    /// Makes the decoder that the values of `content-encoding` ask for. A coding that nobody knows is left in place, and
    /// what lies under it too; `None` if there is nothing to do.
    pub(super) fn new(values: &[String]) -> Result<Option<Self>, Error> {
        let names = values.iter().flat_map(|value| value.split(',')).map(str::trim);
        let codings = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let codings: Vec<Option<Coding>> = codings.map(Coding::named).collect();
        if codings.len() > MOST_CODINGS {
            return Err(Error::Decoding(format!("{} codings on one body, over {MOST_CODINGS}", codings.len())));
        }
        // The last was applied last, so it comes off first.
        let stages: Vec<Stage> = codings.into_iter().rev().map_while(|coding| coding.map(Stage::new)).collect();
        Ok((!stages.is_empty()).then_some(Self { stages }))
    }

    /// Fills `output` as far as `source` goes, and takes what was used off it. 0 means that more input is needed.
    pub(super) fn read(&mut self, source: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        read(&mut self.stages, source, output)
    }

    /// Checks that nothing is missing at the end.
    pub(super) fn finish(&self) -> Result<(), Error> {
        match self.stages.iter().find(|stage| !stage.decode.is_whole()) {
            Some(stage) => Err(Error::Decoding(format!("{}: the body ends too early", stage.decode.name()))),
            None => Ok(()),
        }
    }
}

impl Stage {
    fn new(coding: Coding) -> Self {
        let decode: Box<dyn Decode> = match coding {
            Coding::Gzip => Box::new(Gzip::new()),
            Coding::Deflate => Box::new(Deflate::new()),
            Coding::Brotli => Box::new(Brotli::new()),
            Coding::Zstd => Box::new(Zstd::new()),
        };
        Self { decode, input: Vec::new(), taken: 0 }
    }
}

fn read(stages: &mut [Stage], source: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
    let Some((stage, before)) = stages.split_last_mut() else { return Ok(0) };
    loop {
        let input = if before.is_empty() { *source } else { &stage.input[stage.taken..] };
        let (taken, made) = stage.decode.step(input, output)?;
        if before.is_empty() {
            *source = &source[taken..];
        } else {
            stage.taken += taken;
        }
        if made > 0 {
            return Ok(made);
        }
        if taken > 0 {
            continue;
        }
        if before.is_empty() {
            return Ok(0);
        }
        stage.taken = 0;
        stage.input.resize(PIECE, 0);
        let refilled = read(before, source, &mut stage.input)?;
        stage.input.truncate(refilled);
        if refilled == 0 {
            return Ok(0);
        }
    }
}

/// Takes one coding off bytes, which may become at most `limit` of them.
pub(in crate::protocol) async fn decode(coding: Coding, mut source: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder { stages: vec![Stage::new(coding)] };
    let (mut whole, mut piece, mut since_turn) = (Vec::with_capacity(source.len()), vec![0; PIECE], 0);
    loop {
        let made = decoder.read(&mut source, &mut piece)?;
        if made == 0 {
            break;
        }
        if (whole.len() + made) as u64 > limit {
            return Err(Error::TooLarge(limit));
        }
        whole.extend_from_slice(&piece[..made]);
        since_turn += made;
        if since_turn >= TURN {
            since_turn = 0;
            tokio::task::yield_now().await;
        }
    }
    decoder.finish()?;
    Ok(whole)
}

/// What a coding that has ended makes of further input.
fn nothing_after(input: &[u8], name: &str) -> Result<(usize, usize), Error> {
    if input.is_empty() {
        return Ok((0, 0));
    }
    Err(Error::Decoding(format!("{name}: bytes after the end")))
}

impl Response {
    /// Takes the codings off the body. It may become at most `limit` bytes.
    pub async fn decode(&mut self, limit: u64) -> Result<(), Error> {
        let Some(mut decoder) = self.decoder()? else { return Ok(()) };
        let mut source = &self.raw[self.head_length..];
        let mut whole = Vec::with_capacity(self.raw.len());
        whole.extend_from_slice(&self.raw[..self.head_length]);
        let mut piece = vec![0; PIECE];
        let mut since_turn = 0;
        loop {
            let made = decoder.read(&mut source, &mut piece)?;
            if made == 0 {
                break;
            }
            if (whole.len() - self.head_length + made) as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            whole.extend_from_slice(&piece[..made]);
            since_turn += made;
            if since_turn >= TURN {
                since_turn = 0;
                tokio::task::yield_now().await;
            }
        }
        decoder.finish()?;
        whole.shrink_to_fit();
        self.body_length = (whole.len() - self.head_length) as u64;
        self.raw = whole;
        self.is_encoded = false;
        Ok(())
    }

    /// The decoder that the body needs, if it needs one.
    fn decoder(&self) -> Result<Option<Decoder>, Error> {
        if !self.is_encoded || self.body().is_empty() {
            return Ok(None);
        }
        Decoder::new(&self.header_all("content-encoding"))
    }
}

#[cfg(test)]
mod tests;
