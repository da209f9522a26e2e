//! Watches over what a guest does for how long: the wall time of an iteration, and the computing time of it and of the run.
//!
//! Computing time is what polls take: the guest's own computing and the host's work for it, without the time in which it
//! waits. A guest that computes gives way at every tick of the engine's clock, so that no poll is long, and this is looked
//! at after each.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{Instant as Moment, Sleep, sleep_until};

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
    /// Timers that nobody uses.
    spare: RefCell<Vec<Timer>>,
}

type Timer = Pin<Box<Sleep>>;

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
        is_needed.then(|| Rc::new(Self { wall, cpu, run, unsaid: Cell::new(0), spare: RefCell::default() }))
    }

    /// Returns what the future comes to, unless it runs past a limit. Then the store with which it worked must be dropped,
    /// and the future before.
    pub(super) async fn over<T, F>(&self, mut future: Pin<&mut F>) -> wasmtime::Result<T>
    where
        F: Future<Output = wasmtime::Result<T>>,
    {
        let (mut spent, mut deadline, mut timer) = (Duration::ZERO, None, None);
        let output = poll_fn(|context| {
            let begin = Instant::now();
            let deadline = *deadline.get_or_insert_with(|| self.wall.map(|wall| (begin + wall, wall)));
            let poll = future.as_mut().poll(context);
            if self.cpu.is_some() || self.run.is_some() {
                let took = begin.elapsed();
                self.spend(took);
                spent += took;
            }
            if let Some(limit) = self.cpu.filter(|&limit| spent > limit) {
                return Poll::Ready(Err(Overrun::InAll(limit).into()));
            }
            let (Poll::Pending, Some((deadline, wall))) = (&poll, deadline) else { return poll };
            ready!(self.ring(&mut timer, deadline.into(), context));
            Poll::Ready(Err(Overrun::Took(wall).into()))
        })
        .await;
        // One that has rung is of no more use.
        self.spare.borrow_mut().extend(timer.filter(|timer| !timer.is_elapsed()));
        output
    }

    /// Waits for a moment, with a timer that may be set to an earlier one: nearly every iteration ends long before its
    /// deadline, and setting a timer anew for each of them would cost more than one that now and then rings too early.
    fn ring(&self, timer: &mut Option<Timer>, deadline: Moment, context: &mut task::Context<'_>) -> Poll<()> {
        let timer = timer.get_or_insert_with(|| {
            let spare = self.spare.borrow_mut().pop();
            spare.unwrap_or_else(|| Box::pin(sleep_until(deadline)))
        });
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
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
