//! How much a file's descriptor defines, counted on its bytes.
//!
//! A definition takes two bytes at least, and some hundreds once it is decoded: what others made is counted first.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint};

use super::SchemaError;
use super::error::shortened;

/// How many messages, fields, values, methods and options all files of a schema may define.
const MAX_DEFINITIONS: usize = 200_000;
/// How many numbers and names these may be made of.
const MAX_PARTS: usize = 2_000_000;
/// How deep messages may be nested in each other; `protoc` allows 32.
const MAX_NESTING: usize = 40;

/// How deep brackets may be nested in the value of an option, which is read once for each level.
const MAX_BRACKETS: usize = 50;
/// The number of `aggregate_value` in an `UninterpretedOption`: a text.
const AGGREGATE: u32 = 8;

/// What may still be defined.
#[derive(Debug)]
pub(super) struct Allowance {
    definitions: usize,
    parts: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { definitions: MAX_DEFINITIONS, parts: MAX_PARTS }
    }
}

/// What a part of a file's descriptor is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Message,
    Field,
    Oneof,
    Enum,
    Value,
    Service,
    Method,
    /// Something whose own parts are counted and nothing more.
    Small,
    /// An option that is not interpreted yet.
    Option,
}

impl Kind {
    /// What the field of a number holds, if it is a part that has parts.
    fn part(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::File, 4) | (Self::Message, 3) => Self::Message,
            (Self::File, 5) | (Self::Message, 4) => Self::Enum,
            (Self::File, 6) => Self::Service,
            (Self::File, 7) | (Self::Message, 2 | 6) => Self::Field,
            (Self::Message, 8) => Self::Oneof,
            (Self::Enum, 2) => Self::Value,
            (Self::Service, 2) => Self::Method,
            // Options, ranges, and options that are not interpreted.
            (Self::File | Self::Field, 8)
            | (Self::Message, 5 | 7 | 9)
            | (Self::Enum, 3 | 4)
            | (Self::Value | Self::Service, 3)
            | (Self::Method, 4)
            | (Self::Oneof, 2) => Self::Small,
            (Self::Small, 999) => Self::Option,
            _ => return None,
        })
    }
}

impl Allowance {
    /// Counts what a file defines.
    pub(super) fn take(&mut self, name: &str, file: &[u8]) -> Result<(), SchemaError> {
        let mut left = vec![(Kind::File, file, 0)];
        while let Some((kind, bytes, depth)) = left.pop() {
            for part in Parts(bytes) {
                let part =
                    part.map_err(|reason| SchemaError::NotASet { reason: format!("`{}`: {reason}", shortened(name)) })?;
                self.parts = self.parts.checked_sub(1).ok_or_else(|| too_much("parts of definitions", MAX_PARTS))?;
                if let (Kind::Option, AGGREGATE, Some(text)) = (kind, part.number, part.content)
                    && depth_of(text) > MAX_BRACKETS
                {
                    return Err(too_much("brackets within each other in an option", MAX_BRACKETS));
                }
                if let (Some(inner), Some(content)) = (kind.part(part.number), part.content) {
                    let definitions = self.definitions.checked_sub(1);
                    self.definitions = definitions.ok_or_else(|| too_much("definitions", MAX_DEFINITIONS))?;
                    let depth = depth + usize::from(inner == Kind::Message);
                    if depth > MAX_NESTING {
                        return Err(too_much("messages nested in each other", MAX_NESTING));
                    }
                    left.push((inner, content, depth));
                }
            }
        }
        Ok(())
    }
}

/// How deep brackets are nested in a text, whatever else is in it.
fn depth_of(text: &[u8]) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in text {
        match byte {
            b'{' | b'<' | b'[' => depth += 1,
            b'}' | b'>' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn too_much(what: &str, limit: usize) -> SchemaError {
    SchemaError::TooMuch { what: what.to_owned(), limit }
}

/// One field on the wire.
pub(super) struct Part<'a> {
    pub(super) number: u32,
    /// What it holds, where that has a length.
    pub(super) content: Option<&'a [u8]>,
    /// All of it.
    whole: &'a [u8],
}

/// The fields of a message, one after the other.
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.read();
        if part.is_err() {
            self.0 = &[];
        }
        Some(part)
    }
}

impl<'a> Parts<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn read(&mut self) -> Result<Part<'a>, String> {
        let start = self.0;
        let (number, wire) = decode_key(&mut self.0).map_err(|error| error.to_string())?;
        let mut content = None;
        let length = match wire {
            WireType::Varint => decode_varint(&mut self.0).map(|_| 0).map_err(|error| error.to_string())?,
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.0).map_err(|error| error.to_string())?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                content = self.0.get(..length);
                length
            }
            WireType::StartGroup | WireType::EndGroup => return Err("a group, where there are none".to_owned()),
        };
        if self.0.len() < length {
            return Err("it ends before it is complete".to_owned());
        }
        self.0.advance(length);
        Ok(Part { number, content, whole: &start[..start.len() - self.0.len()] })
    }
}

/// A message without a field.
pub(super) fn without(message: &[u8], number: u32) -> Bytes {
    let mut kept = BytesMut::new();
    // What cannot be read is refused by `Allowance::take`.
    for part in Parts(message).map_while(Result::ok).filter(|part| part.number != number) {
        kept.put_slice(part.whole);
    }
    kept.freeze()
}
