//! The task that reads and writes a connection.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ::h2::client::Connection;
use bytes::Bytes;
use tokio::time::Sleep;

use super::State;
use super::counted::Counted;

/// How long a connection that nobody holds any more may take to say goodbye. A server that does not read must not keep
/// our socket open.
const GOODBYE: Duration = Duration::from_secs(1);

/// Those who know the state when nobody holds the connection: its driver, and the stream that counts.
const OURS: usize = 2;

/// Moves bytes until the connection ends, or nobody holds it any more.
pub(super) async fn drive(mut connection: Connection<Counted, Bytes>, state: Rc<State>) {
    let mut goodbye: Option<Pin<Box<Sleep>>> = None;
    let mut limit = connection.max_concurrent_send_streams();
    poll_fn(|context| {
        // What went wrong is told to the streams it concerns.
        if Pin::new(&mut connection).poll(context).is_ready() {
            return Poll::Ready(());
        }
        if Rc::strong_count(&state) == OURS {
            return goodbye.get_or_insert_with(|| Box::pin(tokio::time::sleep(GOODBYE))).as_mut().poll(context);
        }
        if state.waiting.get() > 0 {
            let now = connection.max_concurrent_send_streams();
            if now != limit {
                state.freed.notify_waiters();
            }
            limit = now;
        }
        Poll::Pending
    })
    .await;
    state.closed.set(true);
    state.freed.notify_waiters();
}
