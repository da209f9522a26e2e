//! The tasks that QUIC's library starts for a connection. They run on the thread of its VU and end with it.

use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::task::spawn_local;
use tokio_util::task::AbortOnDropHandle;

/// The tasks of one connection. Dropping them aborts them.
#[derive(Default, Clone)]
pub(super) struct Tasks(Arc<Mutex<Vec<AbortOnDropHandle<()>>>>);

/// Starts tasks and knows them; it does not keep them alive, or they would keep each other.
struct Starter(std::sync::Weak<Mutex<Vec<AbortOnDropHandle<()>>>>);

impl Tasks {
    /// The runtime that QUIC's library uses. Must be used inside a `LocalSet`.
    pub(super) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(Starter(Arc::downgrade(&self.0)))
    }
}

impl Runtime for Starter {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        // Nobody is left who would join it.
        let Some(tasks) = self.0.upgrade() else { return };
        let task = AbortOnDropHandle::new(spawn_local(future));
        tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

impl fmt::Debug for Starter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Starter")
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tasks")
    }
}
