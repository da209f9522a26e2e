//! A limit to how long nothing may arrive while an answer is awaited.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::protocol::Error;

/// The limit, and how much of it is left.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: Box::pin(sleep(limit)) }
    }

    /// Something arrived.
    pub(super) fn restart(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.limit);
    }

    /// Nothing is there; an error if that is so for too long.
    pub(super) fn check(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        match self.timer.as_mut().poll(context) {
            Poll::Ready(()) => Err(Error::Timeout),
            Poll::Pending => Ok(()),
        }
    }
}
