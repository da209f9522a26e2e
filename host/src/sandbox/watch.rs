//! Watches over what a guest does for how long: the wall time of an iteration, and the computing time of it and of the run.
//!
//! Computing time is what polls take: the guest's own computing and the host's work for it, without the time in which it
//! waits. A guest that computes gives way at every tick of the engine's clock, so that no poll is long, and this is looked
//! at after each.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::plan::Limits;
use crate::vu::{Context, Exhausted};

/// What a thread spends before it says so to the others.
const UNSAID: Duration = Duration::from_millis(1);

/// A guest ran past a limit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Overrun {
    /// Without a call of the host.
    #[error("the guest computed for {0:?} without calling the host (`cpu-timeout`)")]
    AtOnce(Duration),
    /// Calls of the host included.
    #[error("the guest computed for more than {0:?} in all (`iteration-cpu`)")]
    InAll(Duration),
    /// Waiting included.
    #[error("the iteration took longer than {0:?} (`iteration-timeout`)")]
    Took(Duration),
}

/// The computing time of a run, which all threads spend.
#[derive(Debug)]
pub(super) struct RunCpu {
    nanos: AtomicU64,
    most: Duration,
}

impl RunCpu {
    pub(super) fn new(most: Duration) -> Self {
        Self { nanos: AtomicU64::new(0), most }
    }

    /// Spends so much, and returns whether all is spent.
    fn spend(&self, nanos: u64) -> bool {
        let before = self.nanos.fetch_add(nanos, Ordering::Relaxed);
        Duration::from_nanos(before.saturating_add(nanos)) >= self.most
    }
}

/// One thread's limits of time for what a guest does in one go: an iteration, or a function that runs once.
pub(super) struct Watch {
    wall: Option<Duration>,
    cpu: Option<Duration>,
    run: Option<(Arc<RunCpu>, Arc<Context>)>,
    /// Nanoseconds that this thread spent and did not tell the run.
    unsaid: Cell<u64>,
}

impl Watch {
    /// That of iterations; `None` where there is nothing to watch, which then costs nothing.
    pub(super) fn of_iterations(
        limits: &Limits,
        run: Option<&Arc<RunCpu>>,
        context: &Arc<Context>,
    ) -> Option<Rc<Self>> {
        let run = run.map(|run| (Arc::clone(run), Arc::clone(context)));
        Self::some(limits.iteration_timeout, limits.iteration_cpu, run)
    }

    /// That of a function that runs once, whose wall time is somebody else's matter.
    pub(super) fn of_once(limits: &Limits) -> Option<Rc<Self>> {
        Self::some(None, limits.iteration_cpu, None)
    }

    fn some(
        wall: Option<Duration>,
        cpu: Option<Duration>,
        run: Option<(Arc<RunCpu>, Arc<Context>)>,
    ) -> Option<Rc<Self>> {
        let is_needed = wall.is_some() || cpu.is_some() || run.is_some();
        is_needed.then(|| Rc::new(Self { wall, cpu, run, unsaid: Cell::new(0) }))
    }

    /// Returns what the future comes to, unless it runs past a limit. Then it is dropped, and the store with which it
    /// worked must be dropped as well.
    pub(super) async fn over<T>(&self, future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        match self.wall {
            None => self.metered(future).await,
            Some(wall) => match tokio::time::timeout(wall, self.metered(future)).await {
                Ok(output) => output,
                Err(_) => Err(Overrun::Took(wall).into()),
            },
        }
    }

    async fn metered<T>(&self, future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        let mut future = pin!(future);
        if self.cpu.is_none() && self.run.is_none() {
            return future.await;
        }
        let mut spent = Duration::ZERO;
        poll_fn(|context| {
            let begin = Instant::now();
            let poll = future.as_mut().poll(context);
            let took = begin.elapsed();
            self.spend(took);
            spent += took;
            match self.cpu {
                Some(limit) if spent > limit => Poll::Ready(Err(Overrun::InAll(limit).into())),
                _ => poll,
            }
        })
        .await
    }

    fn spend(&self, took: Duration) {
        let Some((run, context)) = &self.run else { return };
        let unsaid = self.unsaid.get() + u64::try_from(took.as_nanos()).unwrap_or(u64::MAX >> 1);
        if Duration::from_nanos(unsaid) < UNSAID {
            self.unsaid.set(unsaid);
            return;
        }
        self.unsaid.set(0);
        if run.spend(unsaid) {
            context.control.exhaust(Exhausted::Cpu { limit: run.most });
        }
    }
}
