//! Bytes into messages, and messages into frames.

use std::cell::Cell;
use std::io::Cursor;

use tokio_tungstenite::tungstenite::Error as Wrong;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::protocol::Error;

/// The longest header of a frame.
const LONGEST_HEADER: usize = 14;
/// The most bytes of a ping, a pong or a close frame (RFC 6455, 5.5).
pub(super) const MOST_OF_CONTROL: usize = 125;
/// Room that is made for a message before it is there, in bytes.
const MOST_RESERVED: usize = 64 << 10;
/// How many of a message's fragments may be empty. They cost the other side next to nothing.
const MOST_EMPTY: u16 = 1_000;
/// The code of a close frame that has none.
const NO_CODE: u16 = 1005;

/// What came, once it is whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// Puts messages together, however they are cut.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What of a frame's header is here.
    header: [u8; LONGEST_HEADER],
    header_length: usize,
    /// The frame whose payload comes now.
    frame: Option<Frame>,
    /// What the message is whose fragments come now.
    kind: Option<Data>,
    message: Vec<u8>,
    control: Vec<u8>,
    empty: u16,
    /// The most bytes of a message.
    most: usize,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    left: usize,
}

impl Incoming {
    pub(super) fn new(most: usize) -> Self {
        Self {
            header: [0; LONGEST_HEADER],
            header_length: 0,
            frame: None,
            kind: None,
            message: Vec::new(),
            control: Vec::new(),
            empty: 0,
            most,
        }
    }

    /// Bytes of the frame's payload that are still to come.
    pub(super) fn left(&self) -> usize {
        self.frame.map_or(0, |frame| frame.left)
    }

    /// Bytes held of a message that is not whole.
    pub(super) fn held(&self) -> usize {
        self.message.capacity()
    }

    /// How a connection ends that ends now.
    pub(super) fn cut(&self) -> &'static str {
        if self.frame.is_some() || self.header_length > 0 {
            "the connection ended in the middle of a frame"
        } else if self.kind.is_some() {
            "the connection ended in the middle of a fragmented message"
        } else {
            "the connection ended without a close frame"
        }
    }

    /// Takes bytes in, up to the end of what is whole first.
    pub(super) fn feed(&mut self, bytes: &mut &[u8]) -> Result<Option<Piece>, Error> {
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.begin(bytes)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let (here, rest) = bytes.split_at(frame.left.min(bytes.len()));
            *bytes = rest;
            let into = if is_control(frame.opcode) { &mut self.control } else { &mut self.message };
            into.extend_from_slice(here);
            let left = frame.left - here.len();
            if left > 0 {
                self.frame = Some(Frame { left, ..frame });
                return Ok(None);
            }
            self.frame = None;
            if let Some(piece) = self.end(frame)? {
                return Ok(Some(piece));
            }
        }
    }

    /// Takes the header of a frame in; `None` where it is not whole.
    fn begin(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let had = self.header_length;
        // Most headers come whole, and are read where they lie.
        let (parsed, length) = if had == 0 {
            parse(bytes)?
        } else {
            let more = bytes.len().min(LONGEST_HEADER - had);
            self.header[had..had + more].copy_from_slice(&bytes[..more]);
            parse(&self.header[..had + more])?
        };
        let Some((header, payload)) = parsed else {
            // A header that is not whole is shorter than the longest.
            self.header[had..had + bytes.len()].copy_from_slice(bytes);
            self.header_length += bytes.len();
            *bytes = &[];
            return Ok(None);
        };
        self.header_length = 0;
        *bytes = &bytes[length - had..];
        let frame = self.check(&header, payload)?;
        self.frame = Some(frame);
        Ok(Some(frame))
    }

    /// Refuses what may not be.
    fn check(&mut self, header: &FrameHeader, payload: u64) -> Result<Frame, Error> {
        let refuse = |why: &str| Err(Error::Protocol(why.to_owned()));
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return refuse("a frame with reserved bits, where no extension was agreed on");
        }
        if header.mask.is_some() {
            return refuse("a masked frame, which a server may not send");
        }
        if is_control(header.opcode) {
            if !header.is_final {
                return refuse("a fragmented control frame");
            }
            if payload > MOST_OF_CONTROL as u64 {
                return refuse("a control frame of more than 125 bytes");
            }
            self.control.clear();
        } else {
            match (header.opcode, self.kind) {
                (OpCode::Data(Data::Continue), None) => return refuse("a continuation frame that continues nothing"),
                (OpCode::Data(kind), None) => (self.kind, self.empty) = (Some(kind), 0),
                (OpCode::Data(kind), Some(_)) if kind != Data::Continue => {
                    return refuse("a message inside a fragmented message");
                }
                _ => {}
            }
            let room = self.most - self.message.len();
            if payload > room as u64 {
                return Err(Error::TooLarge(self.most as u64));
            }
            self.empty += u16::from(payload == 0);
            if self.empty > MOST_EMPTY {
                return refuse("a message of more than 1000 empty fragments");
            }
            if self.message.is_empty() {
                self.message.reserve_exact((payload as usize).min(MOST_RESERVED));
            }
        }
        // It is no longer than a message may be.
        Ok(Frame { opcode: header.opcode, is_final: header.is_final, left: payload as usize })
    }

    /// Ends a frame; returns what is whole with it.
    fn end(&mut self, frame: Frame) -> Result<Option<Piece>, Error> {
        let whole = match frame.opcode {
            OpCode::Control(control) => return self.control(control).map(Some),
            OpCode::Data(_) if !frame.is_final => return Ok(None),
            OpCode::Data(_) => std::mem::take(&mut self.message),
        };
        match self.kind.take() {
            Some(Data::Text) => {
                let text = String::from_utf8(whole).map_err(|_| Error::Protocol("a text that is not UTF-8".to_owned()));
                text.map(|text| Some(Piece::Text(text)))
            }
            _ => Ok(Some(Piece::Binary(whole))),
        }
    }

    fn control(&mut self, control: Control) -> Result<Piece, Error> {
        let payload = std::mem::take(&mut self.control);
        Ok(match control {
            Control::Ping => Piece::Ping(payload),
            Control::Pong => Piece::Pong(payload),
            _ => {
                let Some((code, reason)) = payload.split_first_chunk::<2>() else {
                    return match payload.as_slice() {
                        [] => Ok(Piece::Close(NO_CODE, String::new())),
                        _ => Err(Error::Protocol("a close frame of one byte".to_owned())),
                    };
                };
                let code = u16::from_be_bytes(*code);
                if !CloseCode::from(code).is_allowed() {
                    return Err(Error::Protocol(format!("a close frame with code {code}, which may not be sent")));
                }
                let reason = std::str::from_utf8(reason);
                let reason =
                    reason.map_err(|_| Error::Protocol("a reason for closing that is not UTF-8".to_owned()))?;
                Piece::Close(code, reason.to_owned())
            }
        })
    }
}

fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Control(_))
}

type Parsed = (Option<(FrameHeader, u64)>, usize);

/// A header and the length of its payload, and how many bytes it took.
fn parse(bytes: &[u8]) -> Result<Parsed, Error> {
    let mut cursor = Cursor::new(bytes);
    let parsed = FrameHeader::parse(&mut cursor).map_err(|error| match error {
        Wrong::Protocol(wrong) => Error::Protocol(wrong.to_string().to_lowercase()),
        other => Error::Protocol(other.to_string()),
    })?;
    Ok((parsed, cursor.position() as usize))
}

/// Whether a guest may close a socket with this code.
pub(super) fn is_sendable(code: u16) -> bool {
    // 1002, 1010 and 1015 are the library's, the server's and nobody's to say.
    CloseCode::from(code).is_allowed() && !matches!(code, 1002 | 1010)
}

/// Appends a frame as a client sends it: masked (RFC 6455, 5.3).
pub(super) fn put(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    let opcode = match kind {
        Kind::Text => OpCode::Data(Data::Text),
        Kind::Binary => OpCode::Data(Data::Binary),
        Kind::Ping => OpCode::Control(Control::Ping),
        Kind::Pong => OpCode::Control(Control::Pong),
        Kind::Close => OpCode::Control(Control::Close),
    };
    let mask = mask();
    let header = FrameHeader { is_final: true, opcode, mask: Some(mask.to_ne_bytes()), ..FrameHeader::default() };
    out.reserve(LONGEST_HEADER + payload.len());
    header.format(payload.len() as u64, out).expect("a vector takes all that is written to it");
    let begin = out.len();
    out.extend_from_slice(payload);
    let (words, rest) = out[begin..].as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ mask).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// The payload of a close frame.
pub(super) fn closing(code: Option<u16>, reason: &str) -> Vec<u8> {
    let code = code.map(u16::to_be_bytes);
    code.map_or_else(Vec::new, |code| [&code, reason.as_bytes()].concat())
}

/// A mask that nobody can foretell who does not see the others (SplitMix64 with a seed of the system's).
fn mask() -> u32 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(seed());
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as u32
}

/// A seed from the system, where it gives one: masks guard proxies of browsers, not the run.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(incoming: &mut Incoming, mut bytes: &[u8]) -> Result<Vec<Piece>, Error> {
        let mut pieces = Vec::new();
        while let Some(piece) = incoming.feed(&mut bytes)? {
            pieces.push(piece);
        }
        assert!(bytes.is_empty());
        Ok(pieces)
    }

    fn wrong(bytes: &[u8]) -> String {
        all(&mut Incoming::new(1000), bytes).unwrap_err().to_string()
    }

    /// Everything that may come, in the order of the pieces.
    fn stream() -> (Vec<u8>, Vec<Piece>) {
        let long = "ä".repeat(40_000);
        let mut bytes =
            vec![0x81, 2, b'h', b'i', 0x89, 1, b'p', 0x02, 2, 1, 2, 0x00, 0, 0x8a, 0, 0x80, 1, 3, 0x81, 127];
        bytes.extend_from_slice(&80_000_u64.to_be_bytes());
        bytes.extend_from_slice(long.as_bytes());
        bytes.extend_from_slice(&[0x82, 126, 1, 0]);
        bytes.extend_from_slice(&[7; 256]);
        bytes.extend_from_slice(&[0x88, 5, 0x03, 0xe8, b'b', b'y', b'e', 0x88, 0]);
        let pieces = vec![
            Piece::Text("hi".to_owned()),
            Piece::Ping(b"p".to_vec()),
            Piece::Pong(Vec::new()),
            Piece::Binary(vec![1, 2, 3]),
            Piece::Text(long),
            Piece::Binary(vec![7; 256]),
            Piece::Close(1000, "bye".to_owned()),
            Piece::Close(1005, String::new()),
        ];
        (bytes, pieces)
    }

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let (bytes, expected) = stream();
        for size in [1, 2, 3, 5, 7, 100, 70_000, bytes.len()] {
            let mut incoming = Incoming::new(100_000);
            let pieces = bytes.chunks(size).flat_map(|chunk| all(&mut incoming, chunk).unwrap()).collect::<Vec<_>>();
            assert_eq!(pieces, expected, "in pieces of {size}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1_usize..200) {
            let mut incoming = Incoming::new(100);
            for chunk in bytes.chunks(cut) {
                if all(&mut incoming, chunk).is_err() {
                    break;
                }
            }
        }

        #[test]
        fn what_is_put_is_masked_and_can_be_read(payload in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let mut out = Vec::new();
            put(Kind::Binary, &payload, &mut out);
            let (header, length) = parse(&out).unwrap();
            let (header, payload_length) = header.unwrap();
            prop_assert_eq!((header.opcode, payload_length), (OpCode::Data(Data::Binary), payload.len() as u64));
            let mask = header.mask.unwrap();
            let unmasked: Vec<u8> = out[length..].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            prop_assert_eq!(unmasked, payload);
        }
    }

    #[test]
    fn what_may_not_come_is_named() {
        for (bytes, why) in [
            (&[0xc1, 0][..], "reserved bits"),
            (&[0x81, 0x80, 1, 2, 3, 4], "masked"),
            (&[0x83, 0], "opcode"),
            (&[0x09, 0], "fragmented control frame"),
            (&[0x89, 126, 0, 126], "more than 125 bytes"),
            (&[0x80, 0], "continues nothing"),
            (&[0x01, 0, 0x01, 0], "a message inside"),
            (&[0x81, 1, 0xff], "not UTF-8"),
            (&[0x88, 1, 0], "a close frame of one byte"),
            (&[0x88, 2, 0x03, 0xed], "code 1005"),
            (&[0x88, 3, 0x03, 0xe8, 0xff], "not UTF-8"),
            (&[0x82, 126, 0x03, 0xe9], "larger than 1000 bytes"),
            (&[0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "larger than 1000 bytes"),
            (&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "larger than 1000 bytes"),
        ] {
            let said = wrong(bytes);
            assert!(said.contains(why), "`{said}` does not say `{why}`");
        }
        let many = [&[0x02, 1, 0][..], &[0x00, 1, 0].repeat(1000)].concat();
        assert!(wrong(&many).contains("larger than 1000 bytes"));
        assert!(wrong(&[&[0x02, 0][..], &[0x00, 0].repeat(1000)].concat()).contains("empty fragments"));
    }

    #[test]
    fn a_promise_reserves_little() {
        let mut incoming = Incoming::new(usize::MAX);
        assert_eq!(all(&mut incoming, &[0x82, 127, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap(), []);
        assert!(incoming.held() <= MOST_RESERVED);
    }
}
