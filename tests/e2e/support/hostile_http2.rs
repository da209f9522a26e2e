//! A server that speaks HTTP/2 by the frame, without TLS, and misbehaves as told.
//!
//! A library would not let it: its frames are written by hand (RFC 9113).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a thread looks whether it should end.
const TICK: Duration = Duration::from_millis(20);

/// Kinds of frames.
pub const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
/// The flag of a frame that nothing follows.
pub const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113, 7).
pub const NO_ERROR: u32 = 0;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// The server. It ends when it is dropped.
pub struct HostileHttp2 {
    addr: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// What it saw, and whether it should go on.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
    resets: AtomicU64,
    most_at_once: AtomicU64,
    stop: AtomicBool,
}

/// A request, and the means to answer it.
pub struct Turn<'a> {
    /// Which connection it came on, from 1.
    pub connection: u64,
    /// Which request of this connection it is, from 1.
    pub number: u64,
    stream: u32,
    peer: &'a mut Peer,
}

struct Peer {
    stream: TcpStream,
    /// Streams without an answer.
    open: Vec<u32>,
}

impl HostileHttp2 {
    /// Starts a server that allows this many streams at once and does this with every request. A connection ends when it
    /// returns `false`.
    pub fn start(streams: u32, behave: impl Fn(&mut Turn<'_>) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (shared, behave) = (Arc::clone(&seen), Arc::new(behave));
        let thread = thread::spawn(move || {
            let mut peers = Vec::new();
            while !shared.stopped() {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
                let (seen, behave) = (Arc::clone(&shared), Arc::clone(&behave));
                peers.push(thread::spawn(move || {
                    let mut peer = Peer { stream, open: Vec::new() };
                    // When the client goes away, there is nobody left to annoy.
                    let _ = peer.serve(number, streams, &seen, &*behave);
                }));
            }
            for peer in peers {
                let _ = peer.join();
            }
        });
        Self { addr, seen, thread: Some(thread) }
    }

    /// A server that answers as it should.
    pub fn behaves(streams: u32) -> Self {
        Self::start(streams, answer)
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Connections it accepted.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Requests it read.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// Streams that the client reset.
    pub fn resets(&self) -> u64 {
        self.seen.resets.load(Ordering::Relaxed)
    }

    /// The most requests that waited for an answer on one connection.
    pub fn most_at_once(&self) -> u64 {
        self.seen.most_at_once.load(Ordering::Relaxed)
    }
}

impl Drop for HostileHttp2 {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Turn<'_> {
    /// Answers 200 with the body `ok`.
    pub fn answer(&mut self) -> bool {
        self.answer_others();
        self.answer_stream(self.stream)
    }

    /// Answers all requests of the connection but this one.
    pub fn answer_others(&mut self) {
        let others: Vec<u32> = self.peer.open.iter().copied().filter(|&stream| stream != self.stream).collect();
        for stream in others {
            self.answer_stream(stream);
        }
    }

    /// Sends a head and half a body, then resets the stream.
    pub fn reset_mid_body(&mut self, code: u32) -> bool {
        let stream = self.stream;
        self.peer.write(HEADERS, END_HEADERS, stream, &[0x88]).is_ok()
            && self.peer.write(DATA, 0, stream, b"half").is_ok()
            && self.reset(code)
    }

    /// Resets the stream.
    pub fn reset(&mut self, code: u32) -> bool {
        self.peer.open.retain(|&open| open != self.stream);
        self.peer.write(RST_STREAM, 0, self.stream, &code.to_be_bytes()).is_ok()
    }

    /// Says goodbye: only the first so many streams of the connection were processed.
    pub fn go_away(&mut self, processed: u32, code: u32) -> bool {
        let last = if processed == 0 { 0 } else { processed * 2 - 1 };
        self.peer.open.retain(|&open| open <= last);
        self.peer.write(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).is_ok()
    }

    /// Sends settings for so long, and reads nothing.
    pub fn flood_settings(&mut self, time: Duration) -> bool {
        let end = std::time::Instant::now() + time;
        let mut sent = true;
        while sent && std::time::Instant::now() < end {
            sent = self.peer.write(SETTINGS, 0, 0, &[]).is_ok();
        }
        false
    }

    /// Sends a frame on its stream.
    pub fn frame(&mut self, kind: u8, flags: u8, payload: &[u8]) -> bool {
        self.peer.write(kind, flags, self.stream, payload).is_ok()
    }

    /// Sends headers on its stream: names and values, all of them literally (RFC 7541, 6.2.2).
    pub fn headers(&mut self, flags: u8, headers: &[(&str, &str)]) -> bool {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(0);
            for text in [name, value] {
                length(text.len(), &mut block);
                block.extend_from_slice(text.as_bytes());
            }
        }
        let mut parts = block.chunks(16 << 10).peekable();
        let mut kind = HEADERS;
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() { END_HEADERS } else { 0 };
            if !self.frame(kind, last | if kind == HEADERS { flags } else { 0 }, part) {
                return false;
            }
            kind = CONTINUATION;
        }
        true
    }

    fn answer_stream(&mut self, stream: u32) -> bool {
        self.peer.open.retain(|&open| open != stream);
        // 0x88 stands for `:status: 200` (RFC 7541, appendix A).
        self.peer.write(HEADERS, END_HEADERS, stream, &[0x88]).is_ok()
            && self.peer.write(DATA, END_STREAM, stream, b"ok").is_ok()
    }
}

/// Writes the length of a text: 7 bits, and what is left in groups of 7 (RFC 7541, 5.1).
fn length(of: usize, block: &mut Vec<u8>) {
    if of < 127 {
        return block.push(of as u8);
    }
    block.push(127);
    let mut rest = of - 127;
    while rest >= 128 {
        block.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    block.push(rest as u8);
}

/// Answers as it should.
pub fn answer(turn: &mut Turn<'_>) -> bool {
    turn.answer()
}

/// Sends a head of 1 MiB that compresses to next to nothing on the wire.
pub fn header_bomb(turn: &mut Turn<'_>) -> bool {
    // A header of 4,000 bytes goes to the dynamic table once; each further byte of the block repeats it.
    let (name, value) = (b"x-bomb", [b'x'; 3900]);
    let mut block = vec![0x88, 0x40, name.len() as u8];
    block.extend_from_slice(name);
    // 127, then what is left in groups of 7 bits (RFC 7541, 5.1).
    let rest = value.len() - 127;
    block.extend_from_slice(&[127, (rest & 127) as u8 | 128, (rest >> 7) as u8]);
    block.extend_from_slice(&value);
    block.extend_from_slice(&[0xbe; 260]);
    turn.peer.write(HEADERS, END_HEADERS | END_STREAM, turn.stream, &block).is_ok()
}

/// Sends a head that never ends.
pub fn endless_head(turn: &mut Turn<'_>) -> bool {
    let field = [&[0x00, 1, b'a', 100][..], &[b'x'; 100]].concat();
    let mut sent = turn.peer.write(HEADERS, END_STREAM, turn.stream, &[0x88]).is_ok();
    while sent {
        sent = turn.peer.write(CONTINUATION, 0, turn.stream, &field.repeat(100)).is_ok();
    }
    false
}

impl Peer {
    fn serve(
        &mut self,
        connection: u64,
        streams: u32,
        seen: &Seen,
        behave: &dyn Fn(&mut Turn<'_>) -> bool,
    ) -> std::io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(TICK))?;
        self.stream.set_write_timeout(Some(TICK * 50))?;
        self.read(&mut [0; 24], seen)?;
        self.write(SETTINGS, 0, 0, &[&[0, 3][..], &streams.to_be_bytes()].concat())?;
        let mut number = 0;
        loop {
            let mut head = [0; 9];
            self.read(&mut head, seen)?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.read(&mut payload, seen)?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                SETTINGS if head[4] & ACK == 0 => self.write(SETTINGS, ACK, 0, &[])?,
                PING if head[4] & ACK == 0 => self.write(PING, ACK, 0, &payload)?,
                RST_STREAM => {
                    self.open.retain(|&open| open != stream);
                    seen.resets.fetch_add(1, Ordering::Relaxed);
                }
                HEADERS => {
                    number += 1;
                    seen.requests.fetch_add(1, Ordering::Relaxed);
                    self.open.push(stream);
                    seen.most_at_once.fetch_max(self.open.len() as u64, Ordering::Relaxed);
                    if !behave(&mut Turn { connection, number, stream, peer: self }) {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads as many bytes, or fails when the client or the test has ended.
    fn read(&mut self, mut bytes: &mut [u8], seen: &Seen) -> std::io::Result<()> {
        use std::io::ErrorKind::{TimedOut, UnexpectedEof, WouldBlock};
        while !bytes.is_empty() {
            match self.stream.read(bytes) {
                Ok(0) => return Err(UnexpectedEof.into()),
                Ok(length) => bytes = &mut std::mem::take(&mut bytes)[length..],
                Err(error) if matches!(error.kind(), WouldBlock | TimedOut) && !seen.stopped() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame)
    }
}
