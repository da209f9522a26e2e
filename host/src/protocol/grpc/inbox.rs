//! What comes on a stream, and when.
//!
//! A unary call waits for its answer and takes it as it comes. A stream's messages come while the guest does something
//! else; a task of the thread takes them off the connection and notes when. What it holds is bounded by HTTP/2's window,
//! which opens only as the guest takes messages, and by merging small pieces.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::h2::client::ResponseFuture;
use ::h2::{FlowControl, RecvStream};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::response::Parts;
use tokio_util::task::AbortOnDropHandle;

/// A piece up to this size is copied behind the one before, so that a byte on its own does not hold on to the buffer it
/// was read into.
const SMALL: usize = 1 << 10;
/// Pieces that came within this time of each other came at once.
const AT_ONCE: Duration = Duration::from_micros(100);
/// So many pieces are kept apart, with a time each; then small ones are merged whenever they came.
const MOST: usize = 1 << 10;

/// Something of an answer.
#[derive(Debug)]
pub(super) enum Came {
    /// Its head, and whether nothing follows.
    Head(Box<Parts>, bool),
    Data(Bytes),
    /// Its end.
    End(Option<HeaderMap>),
    /// The stream broke.
    Broken(::h2::Error),
}

/// What comes on a stream, as it comes.
#[derive(Debug)]
pub(super) enum Source {
    Waiting(ResponseFuture),
    Reading(RecvStream),
    Over,
}

/// What comes on a stream, taken off by a task.
#[derive(Debug)]
pub(super) struct Inbox {
    shared: Rc<Shared>,
    /// Ended with the inbox.
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    pieces: RefCell<VecDeque<(Piece, Instant)>>,
    waiting: RefCell<Option<Waker>>,
}

#[derive(Debug)]
enum Piece {
    Small(BytesMut),
    Whole(Came),
}

impl Source {
    /// Waits for what comes next.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(Came, Option<FlowControl>)> {
        let came = match self {
            Self::Waiting(answer) => match std::task::ready!(Pin::new(answer).poll(context)) {
                Ok(answer) => {
                    let (head, mut body) = answer.into_parts();
                    let (is_end, flow) = (body.is_end_stream(), body.flow_control().clone());
                    *self = Self::Reading(body);
                    return Poll::Ready((Came::Head(Box::new(head), is_end), Some(flow)));
                }
                Err(error) => Came::Broken(error),
            },
            Self::Reading(body) => match std::task::ready!(body.poll_data(context)) {
                Some(Ok(bytes)) => return Poll::Ready((Came::Data(bytes), None)),
                Some(Err(error)) => Came::Broken(error),
                None => match std::task::ready!(body.poll_trailers(context)) {
                    Ok(trailers) => Came::End(trailers),
                    Err(error) => Came::Broken(error),
                },
            },
            Self::Over => return Poll::Pending,
        };
        *self = Self::Over;
        Poll::Ready((came, None))
    }
}

impl Inbox {
    /// Starts to take things off; returns how to open the window again, too, as soon as the head has come.
    pub(super) fn new(mut source: Source, flow: Rc<RefCell<Option<FlowControl>>>) -> Self {
        let shared = Rc::<Shared>::default();
        let filled = Rc::clone(&shared);
        let task = tokio::task::spawn_local(async move {
            loop {
                let (came, opens) = poll_fn(|context| source.poll_next(context)).await;
                if opens.is_some() {
                    *flow.borrow_mut() = opens;
                }
                let is_over = matches!(came, Came::End(_) | Came::Broken(_));
                filled.put(came, Instant::now());
                if is_over {
                    break;
                }
            }
        });
        Self { shared, _task: AbortOnDropHandle::new(task) }
    }

    /// Waits for what comes next; with it, when it came.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<(Came, Instant)> {
        match self.shared.pieces.borrow_mut().pop_front() {
            Some((Piece::Small(bytes), at)) => Poll::Ready((Came::Data(bytes.freeze()), at)),
            Some((Piece::Whole(came), at)) => Poll::Ready((came, at)),
            None => {
                *self.shared.waiting.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Shared {
    fn put(&self, came: Came, at: Instant) {
        let mut pieces = self.pieces.borrow_mut();
        match came {
            Came::Data(bytes) if bytes.len() <= SMALL => {
                let is_full = pieces.len() >= MOST;
                match pieces.back_mut() {
                    Some((Piece::Small(before), began)) if is_full || at.duration_since(*began) <= AT_ONCE => {
                        before.extend_from_slice(&bytes);
                    }
                    _ => pieces.push_back((Piece::Small(BytesMut::from(&bytes[..])), at)),
                }
            }
            other => pieces.push_back((Piece::Whole(other), at)),
        }
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(length: usize) -> Came {
        Came::Data(Bytes::from(vec![1; length]))
    }

    #[test]
    fn small_pieces_that_come_at_once_are_one_piece() {
        let (shared, now) = (Shared::default(), Instant::now());
        let later = now + Duration::from_millis(1);
        for (length, at) in [(1, now), (2, now), (SMALL + 1, now), (3, now), (4, later)] {
            shared.put(data(length), at);
        }
        assert_eq!(shared.pieces.borrow().len(), 4);
        for n in 0..10_000 {
            shared.put(data(1), later + Duration::from_millis(n));
        }
        assert!(shared.pieces.borrow().len() <= MOST, "{}", shared.pieces.borrow().len());
    }
}
