//! What both formats have in common: pieces of a stream go in, events come out, and no event is larger than it may be.

use std::borrow::Cow;

use super::lines::Lines;
use super::sse::Sse;

/// An event as it stands in the stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Block {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) data: String,
    /// Milliseconds to wait before a reconnect, as last asked for.
    pub(super) retry: Option<f64>,
}

/// An event has more bytes than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) u64);

/// The parser of a stream.
#[derive(Debug)]
pub(super) enum Parser {
    Sse(Sse),
    Lines(Lines),
}

impl Parser {
    /// Takes bytes off the front until an event is complete; `None` when all are taken.
    pub(super) fn next(&mut self, bytes: &mut &[u8], limit: u64) -> Result<Option<Block>, TooLarge> {
        match self {
            Self::Sse(parser) => parser.next(bytes, limit),
            Self::Lines(parser) => parser.next(bytes, limit),
        }
    }

    /// What the end of the stream completes.
    pub(super) fn finish(&mut self) -> Option<Block> {
        match self {
            // An event that the stream cuts off is none.
            Self::Sse(_) => None,
            Self::Lines(parser) => parser.finish(),
        }
    }

    /// Begins anew on another connection.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Sse(parser) => parser.restart(),
            Self::Lines(parser) => parser.restart(),
        }
    }

    /// The last id, and the milliseconds that the server asked for.
    pub(super) fn state(&self) -> (&str, Option<f64>) {
        match self {
            Self::Sse(parser) => parser.state(),
            Self::Lines(_) => ("", None),
        }
    }
}

/// Refuses what is larger than the limit.
pub(super) fn is_over(bytes: usize, limit: u64) -> Result<(), TooLarge> {
    if bytes as u64 > limit { Err(TooLarge(limit)) } else { Ok(()) }
}

/// Bytes as text, with a mark in the place of what is none.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
