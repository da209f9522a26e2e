//! The two stages of a stop.

use std::sync::Arc;

use tokio::sync::watch;

/// How urgently the load is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is not.
    None,
    /// No new iterations; running ones have their scenario's graceful period.
    Graceful,
    /// Running iterations are interrupted.
    Now,
}

/// Asks all threads of a run to stop.
#[derive(Debug, Clone)]
pub struct StopSender(Arc<watch::Sender<Level>>);

/// Hears of a stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Level>);

impl Stop {
    /// Makes both ends.
    #[must_use]
    pub fn channel() -> (StopSender, Self) {
        let (sender, receiver) = watch::channel(Level::None);
        (StopSender(Arc::new(sender)), Self(receiver))
    }

    /// How urgent it is now.
    #[must_use]
    pub fn level(&self) -> Level {
        *self.0.borrow()
    }

    /// Waits until it is at least this urgent.
    pub async fn reached(&mut self, level: Level) {
        if self.0.wait_for(|current| *current >= level).await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

impl StopSender {
    /// Asks for a stop; a less urgent wish than before changes nothing.
    pub fn ask(&self, level: Level) {
        self.0.send_if_modified(|current| {
            let is_more = level > *current;
            *current = level.max(*current);
            is_more
        });
    }
}
