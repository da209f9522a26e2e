//! One open socket: what it reads, what it writes, and what it holds until somebody asks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead as _, ReadBuf};

use super::frames::{Incoming, Kind, Piece, closing};
use super::upgrade::Upgraded;
use super::wakes::Bell;
use super::write::Unsent;
use super::{Content, Problem};
use crate::protocol::Error;
use crate::protocol::http::{Response, Target};
use crate::protocol::places::Place;
use crate::protocol::stream::Stream;

/// The most that is held of what came and nobody took, in bytes; then the other side has to wait.
const ROOM: usize = 256 << 10;
/// What an event costs beside its payload.
const PER_EVENT: usize = size_of::<Arrived>();
/// How much is read at once, in bytes: of what may be many small messages, and of one that is long. Many small ones take
/// far more room than their bytes.
const AT_ONCE: usize = 16 << 10;
const AT_ONCE_OF_LONG: usize = 64 << 10;
/// How often a socket reads before the others have their turn.
const MOST_READS: u32 = 8;
/// The most pings whose pong has not come.
const MOST_PINGS: usize = 100;

thread_local! {
    /// What is being read now, on this thread.
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; AT_ONCE_OF_LONG]);
}

/// Is told what happens on a socket when it happens, to record it.
pub trait Watch {
    /// A message was sent.
    fn sent(&self);
    /// A message came.
    fn received(&self);
    /// The pong of a ping came.
    fn pinged(&self, took: Duration);
    /// Bytes were written and read.
    fn bytes(&self, sent: u64, received: u64);
    /// The session is over. Told once.
    fn ended(&self);
}

/// How far a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Messages go both ways.
    Open,
    /// We said that it is to be closed.
    Closing,
    /// It has ended.
    Closed,
}

/// Facts about a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far it is.
    pub phase: Phase,
    /// What the server chose.
    pub subprotocol: String,
    /// Bytes of events that nobody took.
    pub held: usize,
    /// Messages sent.
    pub sent: u32,
    /// Messages that came.
    pub received: u32,
    /// From asking for the socket to having it.
    pub connecting: Duration,
}

/// One open socket.
pub(super) struct Socket {
    pub(super) stream: Option<(Stream, Place)>,
    bell: Arc<Bell>,
    waker: Waker,
    incoming: Incoming,
    pub(super) unsent: Unsent,
    pings: VecDeque<(Vec<u8>, Instant)>,
    inbox: VecDeque<Arrived>,
    held: usize,
    /// Whether it would be read if there were room.
    is_full: bool,
    pub(super) phase: Phase,
    sent: u32,
    received: u32,
    target: Arc<Target>,
    answer: Response,
    subprotocol: String,
    connecting: Duration,
    pub(super) watch: Box<dyn Watch>,
}

/// What came, in its place among all that came on any socket.
pub(super) struct Arrived {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) content: Content,
}

impl Socket {
    pub(super) fn new(upgraded: Upgraded, bell: Arc<Bell>, most: usize, watch: Box<dyn Watch>) -> Self {
        let waker = Waker::from(Arc::clone(&bell));
        Self {
            stream: Some((upgraded.stream, upgraded.place)),
            bell,
            waker,
            incoming: Incoming::new(most),
            unsent: Unsent::default(),
            pings: VecDeque::new(),
            inbox: VecDeque::new(),
            held: 0,
            is_full: false,
            phase: Phase::Open,
            sent: 0,
            received: 0,
            target: upgraded.target,
            answer: upgraded.answer,
            subprotocol: upgraded.subprotocol,
            connecting: upgraded.connecting,
            watch,
        }
    }

    /// Whether anything can still come.
    pub(super) fn is_live(&self) -> bool {
        self.phase != Phase::Closed
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            phase: self.phase,
            subprotocol: self.subprotocol.clone(),
            held: self.held,
            sent: self.sent,
            received: self.received,
            connecting: self.connecting,
        }
    }

    pub(super) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub(super) fn answer(&self) -> &Response {
        &self.answer
    }

    /// Bytes that it holds: of events, and of a message that is not whole.
    pub(super) fn bytes(&self) -> usize {
        self.held + self.incoming.held()
    }

    /// The number of what came first.
    pub(super) fn first(&self) -> Option<u64> {
        self.inbox.front().map(|arrived| arrived.number)
    }

    /// Takes out what came first.
    pub(super) fn take(&mut self) -> Option<Arrived> {
        let arrived = self.inbox.pop_front()?;
        self.held -= cost(&arrived.content);
        if self.inbox.is_empty() && self.inbox.capacity() > 16 {
            self.inbox = VecDeque::new();
        }
        if self.is_full && self.held <= ROOM / 2 {
            self.is_full = false;
            self.bell.queue();
        }
        Some(arrived)
    }

    /// Takes in what came together with the answer to the upgrade.
    pub(super) fn begin(&mut self, early: &[u8], numbers: &mut u64) {
        self.digest(early, Instant::now(), numbers);
        self.bell.queue();
    }

    /// Writes and reads on, as far as it goes now.
    pub(super) fn go_on(&mut self, numbers: &mut u64) {
        self.bell.answered();
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(Err(error)) = self.poll_write(&mut context) {
            self.fail_after_reading(&mut context, error, numbers);
            return;
        }
        for _ in 0..MOST_READS {
            if !self.is_live() {
                return;
            }
            if self.held >= ROOM {
                self.is_full = true;
                return;
            }
            if self.poll_read(&mut context, numbers).is_pending() {
                // Pongs that the reading gave rise to.
                if let Poll::Ready(Err(error)) = self.poll_write(&mut context) {
                    self.fail(broken(error), numbers);
                }
                return;
            }
        }
        self.bell.queue();
    }

    /// Writes a frame, or begins to.
    pub(super) fn send(&mut self, kind: Kind, payload: &[u8], numbers: &mut u64) -> Result<(), Problem> {
        match self.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Closed => return Err(Problem::Closed),
        }
        let is_message = matches!(kind, Kind::Text | Kind::Binary);
        if kind == Kind::Ping {
            if self.pings.len() >= MOST_PINGS {
                let message = format!("{MOST_PINGS} pings have no pong yet, and no more may be");
                return Err(Error::InvalidRequest(message).into());
            }
            self.pings.push_back((payload.to_vec(), Instant::now()));
        }
        let waker = self.waker.clone();
        let begun = self.begin_write(kind, payload, &mut Context::from_waker(&waker));
        if let Err(error) = begun {
            self.fail_after_reading(&mut Context::from_waker(&waker), error.clone(), numbers);
            return Err(error.into());
        }
        if is_message {
            self.sent = self.sent.saturating_add(1);
            self.watch.sent();
        }
        Ok(())
    }

    /// Says that it is to be closed.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str, numbers: &mut u64) -> Result<(), Problem> {
        self.send(Kind::Close, &closing(code, reason), numbers)?;
        self.phase = Phase::Closing;
        Ok(())
    }

    /// Whether all was written.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Ends with an event that says why.
    pub(super) fn fail(&mut self, problem: Problem, numbers: &mut u64) {
        if self.is_live() {
            self.end();
            self.arrived(Content::Failed(problem), Instant::now(), numbers);
        }
    }

    /// The other side may have said why before it hung up.
    fn fail_after_reading(&mut self, context: &mut Context<'_>, error: Error, numbers: &mut u64) {
        while self.is_live() && self.held < ROOM {
            if self.poll_read(context, numbers).is_pending() {
                break;
            }
        }
        self.fail(broken(error), numbers);
    }

    /// Reads once. Ready when there may be more.
    fn poll_read(&mut self, context: &mut Context<'_>, numbers: &mut u64) -> Poll<()> {
        INCOMING.with_borrow_mut(|incoming| {
            let most = if self.incoming.left() > AT_ONCE { AT_ONCE_OF_LONG } else { AT_ONCE };
            let mut buffer = ReadBuf::new(&mut incoming[..most]);
            let Some((stream, _)) = &mut self.stream else { return Poll::Pending };
            let read = Pin::new(stream).poll_read(context, &mut buffer);
            match (read, buffer.filled()) {
                (Poll::Pending, _) => return Poll::Pending,
                (Poll::Ready(Err(error)), _) => self.fail(broken(Error::from_io(&error)), numbers),
                (Poll::Ready(Ok(())), []) => self.fail(Problem::Ended(self.incoming.cut()), numbers),
                (Poll::Ready(Ok(())), bytes) => {
                    self.watch.bytes(0, bytes.len() as u64);
                    self.digest(bytes, Instant::now(), numbers);
                }
            }
            Poll::Ready(())
        })
    }

    /// Takes bytes in.
    fn digest(&mut self, mut bytes: &[u8], now: Instant, numbers: &mut u64) {
        while self.is_live() {
            match self.incoming.feed(&mut bytes) {
                Ok(None) => return,
                Ok(Some(piece)) => self.came(piece, now, numbers),
                Err(error) => {
                    // Whoever breaks the rules is told so, if that can be done at once (RFC 6455, 7.1.7).
                    let code = match &error {
                        Error::TooLarge(_) => 1009,
                        Error::Protocol(text) if text.contains("UTF-8") => 1007,
                        _ => 1002,
                    };
                    self.leave(code);
                    self.arrived(Content::Failed(error.into()), now, numbers);
                    return;
                }
            }
        }
    }

    fn came(&mut self, piece: Piece, now: Instant, numbers: &mut u64) {
        match piece {
            Piece::Text(text) => self.message(Content::Text(text), now, numbers),
            Piece::Binary(bytes) => self.message(Content::Binary(bytes), now, numbers),
            Piece::Ping(payload) => self.unsent.answer(payload),
            Piece::Pong(payload) => {
                // A pong that answers no ping says nothing.
                let Some(at) = self.pings.iter().position(|(ping, _)| *ping == payload) else { return };
                let took = now.saturating_duration_since(self.pings[at].1);
                // One that is answered later than a later one was left out.
                self.pings.drain(..=at);
                self.watch.pinged(took);
                self.arrived(Content::Pong(payload, took), now, numbers);
            }
            Piece::Close(code, reason) => {
                if self.phase == Phase::Open && self.unsent.is_empty() {
                    let answer = closing((code != 1005).then_some(code), "");
                    let mut context = Context::from_waker(Waker::noop());
                    let _ = self.begin_write(Kind::Close, &answer, &mut context);
                }
                self.end();
                self.arrived(Content::Closed(code, reason), now, numbers);
            }
        }
    }

    fn message(&mut self, content: Content, now: Instant, numbers: &mut u64) {
        self.received = self.received.saturating_add(1);
        self.watch.received();
        self.arrived(content, now, numbers);
    }

    fn arrived(&mut self, content: Content, at: Instant, numbers: &mut u64) {
        *numbers += 1;
        self.held += cost(&content);
        self.inbox.push_back(Arrived { number: *numbers, at, content });
    }

    /// Ends: gives back the connection and its place, and is recorded.
    pub(super) fn end(&mut self) {
        if self.is_live() {
            self.phase = Phase::Closed;
            self.stream = None;
            self.unsent = Unsent::default();
            self.incoming = Incoming::new(0);
            self.pings = VecDeque::new();
            self.watch.ended();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Socket").field("phase", &self.phase).field("held", &self.held).finish_non_exhaustive()
    }
}

/// Why a socket ended that was in use.
fn broken(error: Error) -> Problem {
    match error {
        Error::Reset | Error::BrokenPipe => Problem::Ended("the connection was reset"),
        other => other.into(),
    }
}

/// What an event costs as long as it is held.
fn cost(content: &Content) -> usize {
    PER_EVENT
        + match content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) | Content::Pong(bytes, _) => bytes.capacity(),
            Content::Closed(_, reason) => reason.capacity(),
            Content::Failed(_) => 0,
        }
}
