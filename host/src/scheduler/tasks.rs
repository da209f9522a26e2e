//! Tasks with an owner: whoever drops it ends them all.

use std::panic::resume_unwind;

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::{Level, Stop};

/// Tasks of this thread. A panic in one of them becomes a panic of the owner.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<()>);

impl Tasks {
    /// Starts a task.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        self.0.spawn_local(task)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until a task has ended; for ever if there is none.
    pub(super) async fn next(&mut self) {
        match self.0.join_next().await {
            Some(result) => pass_panic_on(result),
            None => std::future::pending().await,
        }
    }

    /// Waits until all tasks have ended.
    pub(super) async fn all(&mut self) {
        while let Some(result) = self.0.join_next().await {
            pass_panic_on(result);
        }
    }

    /// Waits until all tasks have ended by themselves, until a moment or a hard stop at most, and interrupts the rest.
    pub(super) async fn wind_down(mut self, until: Instant, stop: &mut Stop) {
        tokio::select! {
            biased;
            () = self.all() => return,
            () = stop.reached(Level::Now) => {}
            () = sleep_until(until) => {}
        }
        self.0.abort_all();
        self.all().await;
    }
}

fn pass_panic_on(result: Result<(), JoinError>) {
    if let Err(error) = result
        && error.is_panic()
    {
        resume_unwind(error.into_panic());
    }
}
