//! A worker thread: its runtime, its VUs, its part of the load.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::{io, thread};

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::RunError;
use super::reporter::{Desk, Reporter};
use crate::plan::Plan;
use crate::platform::{self, Timer};
use crate::scheduler::{Level, Scheduler, Setup, Stop, Warnings};
use crate::vu::{Journey, JourneyError};

/// How far the run is. Workers follow; when the sender is gone, they end.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Before or during `setup`.
    Waiting,
    /// VUs are made, with the data that `setup` returned.
    Preparing(Arc<[u8]>),
    /// The load has started at this moment.
    Running(Instant),
}

/// What a worker tells the one who conducts.
pub(super) enum Event {
    /// Its VUs are made.
    Ready,
    /// It has ended.
    Ended(Result<(), WorkerError>),
}

/// Why a worker ended too early.
pub(super) enum WorkerError {
    Journey(JourneyError),
    Run(RunError),
}

/// Everything a worker thread is given.
pub(super) struct Assignment<J> {
    pub(super) part: Plan,
    pub(super) journey: Arc<J>,
    pub(super) desk: Desk,
    pub(super) warnings: Arc<Warnings>,
    pub(super) phases: watch::Receiver<Phase>,
    pub(super) stop: Stop,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

/// Runs a future on a runtime for this thread alone.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let output = LocalSet::new().block_on(&runtime, future);
    // The system's resolver cannot be stopped, and may take longer than the run: nobody waits for what nobody wants.
    runtime.shutdown_background();
    Ok(output)
}

impl<J: Journey> Assignment<J> {
    pub(super) fn spawn(self) -> io::Result<thread::JoinHandle<()>> {
        let name = format!("squall-worker-{}", self.desk.worker);
        thread::Builder::new().name(name).spawn(move || {
            let events = self.events.clone();
            let result = catch_unwind(AssertUnwindSafe(|| self.run()));
            let result = result.unwrap_or_else(|panic| Err(WorkerError::Run(RunError::panicked(&*panic))));
            // If nobody conducts any more, nobody needs to know.
            let _ = events.send(Event::Ended(result));
        })
    }

    fn run(self) -> Result<(), WorkerError> {
        platform::precise_timers();
        let ran = block_on(async {
            let Self { part, journey, desk, warnings, mut phases, mut stop, events } = self;
            let context = Arc::clone(&desk.context);
            let reporter = Rc::new(Reporter::new(desk));
            let recorder = reporter.recorder();
            let worker = Rc::new(journey.worker(&context, &recorder));
            let ticking = tokio::task::spawn_local(Rc::clone(&reporter).tick());
            let work = async || {
                let Some(data) = next(&mut phases, &mut stop, preparing).await else { return Ok(()) };
                let setup = Setup { worker, context, recorder, data, warnings, timer: Timer::precise };
                let mut scheduler = Scheduler::new(&part, &setup);
                reporter.watch(scheduler.tallies());
                tokio::select! {
                    biased;
                    () = stop.reached(Level::Graceful) => return Ok(()),
                    result = scheduler.prepare() => result?,
                }
                let _ = events.send(Event::Ready);
                let Some(start) = next(&mut phases, &mut stop, running).await else { return Ok(()) };
                scheduler.run(start, stop).await;
                Ok(())
            };
            let result = work().await;
            ticking.abort();
            reporter.finish().await;
            result.map_err(WorkerError::Journey)
        });
        ran.map_err(|source| WorkerError::Run(source.into()))?
    }
}

/// Waits for a phase; `None` if the run ends before it.
async fn next<T>(phases: &mut watch::Receiver<Phase>, stop: &mut Stop, wanted: fn(&Phase) -> Option<T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.reached(Level::Graceful) => None,
        phase = phases.wait_for(|phase| wanted(phase).is_some()) => wanted(&*phase.ok()?),
    }
}

fn preparing(phase: &Phase) -> Option<Arc<[u8]>> {
    if let Phase::Preparing(data) = phase { Some(Arc::clone(data)) } else { None }
}

fn running(phase: &Phase) -> Option<Instant> {
    if let Phase::Running(start) = phase { Some(*start) } else { None }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_thread_that_cannot_be_stopped_keeps_nobody_waiting() {
        let started = Instant::now();
        let asked = async {
            let asked = tokio::task::spawn_blocking(|| thread::sleep(Duration::from_secs(20)));
            tokio::time::timeout(Duration::from_millis(50), asked).await
        };
        assert!(block_on(asked).unwrap().is_err());
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
