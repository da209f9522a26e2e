//! The task that holds a connection together: it reads what concerns all streams, and closes the connection at its end.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use ::h3::client::Connection;
use ::h3::error::Code;
use bytes::Bytes;
use tokio::time::timeout;

use super::State;
use super::quic::{self, Carrier};
use super::socket::Refusal;
use super::tasks::Tasks;

/// How long a connection that is over may take to say goodbye. QUIC's rules would have it wait for what may still arrive,
/// which nobody needs who uses each port once.
const GOODBYE: Duration = Duration::from_millis(25);

/// Drives a connection until it fails or nobody holds it any more.
pub(super) struct Driver {
    pub(super) connection: Connection<Carrier, Bytes>,
    pub(super) quic: quinn::Connection,
    pub(super) endpoint: quinn::Endpoint,
    /// Aborted with the driver.
    pub(super) tasks: Tasks,
    pub(super) refusal: Refusal,
    pub(super) state: Rc<State>,
}

impl Driver {
    pub(super) async fn run(mut self) {
        tokio::select! {
            // What went wrong is told to the streams it concerns.
            _ = poll_fn(|context| self.connection.poll_close(context)) => {}
            () = self.refusal.met() => self.state.refused.set(true),
        }
        // Closing it would take the place of the reason.
        *self.state.reason.borrow_mut() = self.quic.close_reason();
        self.state.closed.set(true);
        self.state.freed.notify_waiters();
        quic::close(&self.quic, Code::H3_NO_ERROR, b"");
        // What is left then is closed all the same.
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
        drop(self.tasks);
    }
}
