//! The task that reads and writes a connection.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::h2::client::Connection;
use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::State;
use super::counted::Counted;

/// How long a connection that nobody holds any more may take to say goodbye. A server that does not read must not keep
/// our socket open.
const GOODBYE: Duration = Duration::from_secs(1);

/// Those who know the state when nobody holds the connection: its driver, and the stream that counts.
const OURS: usize = 2;

/// Moves bytes until the connection ends, or nobody holds it any more. A future written by hand: the compiler's would hold
/// the connection, which is large, twice.
pub(super) struct Driver {
    connection: Connection<Counted, Bytes>,
    state: Rc<State>,
    /// How many streams the server allowed when that last mattered.
    limit: usize,
    goodbye: Option<Pin<Box<Sleep>>>,
}

impl Driver {
    pub(super) fn new(connection: Connection<Counted, Bytes>, state: Rc<State>) -> Self {
        Self { limit: connection.max_concurrent_send_streams(), connection, state, goodbye: None }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // What went wrong is told to the streams it concerns.
        if Pin::new(&mut self.connection).poll(context).is_ready() {
            return Poll::Ready(());
        }
        if Rc::strong_count(&self.state) == OURS {
            return self.goodbye.get_or_insert_with(|| Box::pin(sleep(GOODBYE))).as_mut().poll(context);
        }
        if self.state.waiting.get() > 0 {
            let now = self.connection.max_concurrent_send_streams();
            if now != self.limit {
                self.state.freed.notify_waiters();
            }
            self.limit = now;
        }
        Poll::Pending
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_end(context));
        self.state.closed.set(true);
        self.state.freed.notify_waiters();
        Poll::Ready(())
    }
}
