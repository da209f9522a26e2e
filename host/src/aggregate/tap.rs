//! The way raw samples leave a worker, for outputs that keep them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use crate::metrics::Sample;

/// Takes raw samples to the outputs. Never waits: when they are behind, a batch is dropped and counted.
#[derive(Clone)]
pub struct Tap {
    sender: SyncSender<Vec<Sample>>,
    lost: Arc<AtomicU64>,
    now: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Tap {
    /// Makes a tap. `now` gives the nanoseconds since the start of the run: nothing in here looks at a clock itself.
    pub fn new(sender: SyncSender<Vec<Sample>>, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { sender, lost: Arc::default(), now: Arc::new(now) }
    }

    /// Nanoseconds since the start of the run.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.now)()
    }

    /// Passes a batch on. An empty one is not sent.
    pub fn send(&self, batch: Vec<Sample>) {
        if batch.is_empty() {
            return;
        }
        let samples = batch.len() as u64;
        if self.sender.try_send(batch).is_err() {
            self.lost.fetch_add(samples, Ordering::Relaxed);
        }
    }

    /// Samples that the outputs were too slow for.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("lost", &self.lost()).finish_non_exhaustive()
    }
}
