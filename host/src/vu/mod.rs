//! One virtual user: identity, iterate, outcome into samples, replace a trapped instance.
//!
//! A [`Vu`] belongs to the task that iterates it; whoever decides about it keeps its [`Handle`]. What the VUs of a
//! scenario share on one thread is their [`Pool`]. Everything here stays on one thread: no locks, no atomics.

mod detail;
#[cfg(test)]
pub(crate) mod fake;
mod handle;
mod journey;
mod log_rate;
mod pool;
mod tally;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

pub use detail::Detail;
pub use handle::{Handle, Wish};
pub use journey::{
    Context, Control, End, Exhausted, Instance, Iteration, Journey, JourneyError, Lifecycle, Notice, NoticeLevel,
    Outcome, Seat, Worker,
};
pub use pool::Pool;
pub use tally::{Active, Tally};

use tally::Running;
use tokio::time::Instant;

/// How long a VU that got no instance waits at least before it goes on.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a VU waits at most that breaks again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One virtual user.
pub struct Vu<W: Worker> {
    pool: Rc<Pool<W>>,
    handle: Rc<Handle>,
    instance: Option<W::Instance>,
    /// How many iterations in a row broke their instance, or had none.
    broken: u32,
}

/// Which iteration is to be run, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The number of the iteration in its scenario.
    pub index: u64,
    /// Chooses its random sequence.
    pub stream: u64,
    /// When it was due, in an open model.
    pub due: Option<Instant>,
}

impl<W: Worker> Vu<W> {
    /// Makes a VU that has no instance yet.
    #[must_use]
    pub fn new(pool: Rc<Pool<W>>, handle: Rc<Handle>) -> Self {
        Self { pool, handle, instance: None, broken: 0 }
    }

    /// What decides about it.
    #[must_use]
    pub fn handle(&self) -> &Rc<Handle> {
        &self.handle
    }

    /// What it shares with the others.
    #[must_use]
    pub fn pool(&self) -> &Rc<Pool<W>> {
        &self.pool
    }

    /// Makes an instance if there is none, because the VU is new or its last instance is gone.
    pub async fn prepare(&mut self) -> Result<(), JourneyError> {
        self.pool.instance(&self.handle, &mut self.instance).await.map(|_| ())
    }

    /// Runs one iteration and records it. Dropping the future interrupts the iteration; the VU must be dropped too.
    ///
    /// A closed model's VU gives way to other tasks at least once, so that a journey that never waits does not starve
    /// its neighbours. In an open model the wait for the next arrival does that. A VU whose iterations break again and
    /// again waits longer and longer before the next, so that a storm of traps takes little of the machine: in an open
    /// model it has no time for arrivals meanwhile, which are then dropped and counted.
    pub async fn iterate(&mut self, turn: Turn) {
        let number = self.handle.next_iteration();
        let running = Running::new(self.pool.tally(), &self.handle);
        let instance = match self.pool.instance(&self.handle, &mut self.instance).await {
            Ok(instance) => instance,
            Err(error) => {
                running.finish();
                self.pool.fail_without_instance(&self.handle, &error);
                let pause = PAUSE.max(self.breaks());
                self.idle_until(Instant::now() + pause).await;
                return;
            }
        };
        let iteration = Iteration { number, index: turn.index, stream: turn.stream };
        let begin = Instant::now();
        let (outcome, waited) = watch(instance.iterate(&iteration)).await;
        let took = begin.elapsed();
        running.finish();
        let mut detail = None;
        let pause = match &outcome {
            Outcome::Completed => {
                self.broken = 0;
                Duration::ZERO
            }
            Outcome::Failed { .. } => {
                self.broken = 0;
                detail = self.instance.as_mut().and_then(Instance::detail);
                Duration::ZERO
            }
            // A trapped instance may hold half-finished state, so it is never reused.
            Outcome::Trapped { .. } => {
                detail = self.instance.take().and_then(|mut instance| instance.detail());
                took + self.breaks()
            }
            // It took its time already.
            Outcome::TimedOut { .. } => {
                detail = self.instance.take().and_then(|mut instance| instance.detail());
                self.breaks()
            }
        };
        let delay = turn.due.map(|due| begin.saturating_duration_since(due));
        self.pool.record(&self.handle, &outcome, detail, took, delay);
        let least = self.pool.min_iteration().max(pause);
        if took < least {
            self.idle_until(begin + least).await;
        } else if !waited && turn.due.is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Counts an iteration that broke, and returns how long to wait: nothing after the first, then 2 ms, 4 ms and so on.
    fn breaks(&mut self) -> Duration {
        let pause = Duration::from_millis(1 << self.broken.min(10));
        self.broken = self.broken.saturating_add(1);
        if self.broken == 1 { Duration::ZERO } else { pause.min(LONGEST_PAUSE) }
    }

    /// Waits until a moment, or until something else than running is asked of the VU.
    pub async fn idle_until(&self, moment: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(moment) => {}
            () = self.handle.until(|| (self.handle.wish() != Wish::Run).then_some(())) => {}
        }
    }
}

/// Returns what a future comes to, and whether it ever had to wait.
async fn watch<F: Future>(future: F) -> (F::Output, bool) {
    let mut future = pin!(future);
    let mut waited = false;
    let output = poll_fn(|context| {
        let poll = future.as_mut().poll(context);
        waited |= poll.is_pending();
        poll
    });
    let output = output.await;
    (output, waited)
}
