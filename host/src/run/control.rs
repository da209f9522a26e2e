//! Conducts a run: what happens once, and when the workers may go on.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::reporter::{Desk, Reporter};
use super::worker::{Assignment, Event, Phase, WorkerError, block_on};
use super::{Cause, RunError, Stopper, collector};
use crate::collector::{Collector, Finished};
use crate::metrics::Registry;
use crate::output::Output;
use crate::plan::Plan;
use crate::scheduler::{Level, Stop, StopSender, Warnings};
use crate::verdict::{Ending, Report, SummaryOptions, Warning};
use crate::vu::{Context, End, Exhausted, Journey, JourneyError, Lifecycle, Notice};

/// Messages that may wait for the collector.
const NOTICES: usize = 1024;

/// A run to be conducted.
pub(super) struct Run<J> {
    pub(super) plan: Arc<Plan>,
    pub(super) journey: Arc<J>,
    pub(super) registry: Arc<Registry>,
    pub(super) threads: usize,
    pub(super) summary: SummaryOptions,
    pub(super) stopper: Stopper,
    /// What the user, a threshold or the journey asks for.
    pub(super) stop: Stop,
}

/// The worker threads. Dropping it stops and joins them.
struct Workers {
    threads: Vec<JoinHandle<()>>,
    brake: StopSender,
    phases: watch::Sender<Phase>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Workers that have not ended.
    left: usize,
}

impl<J: Journey> Run<J> {
    pub(super) fn conduct(self, outputs: Vec<Box<dyn Output>>) -> Result<Report, RunError> {
        let redactor = self.plan.redactor();
        let result = block_on(self.run(outputs))?;
        result.map_err(|error| error.redacted(redactor.as_ref()))
    }

    async fn run(self, outputs: Vec<Box<dyn Output>>) -> Result<Report, RunError> {
        let (sender, notices) = sync_channel(NOTICES);
        let context = Context::new(self.plan.seed, Arc::clone(&self.registry), sender);
        let context = context.redacting(self.plan.redactor().map(Arc::new)).log_at_most(self.plan.limits.log_bytes);
        let context = Arc::new(context);
        let parts = self.plan.workers(self.threads).into_iter();
        let parts: Vec<_> = parts.filter(|part| !part.scenarios.is_empty()).collect();
        let collector = self.start_collector(&context, notices, outputs, parts.len() + 1);
        let desk = |worker| Desk {
            worker,
            plan: Arc::clone(&self.plan),
            context: Arc::clone(&context),
            sender: collector.sender(),
            tap: collector.tap(),
        };

        // This thread reports as well: `setup` and `teardown` run here.
        let reporter = Rc::new(Reporter::new(desk(parts.len())));
        let once = self.journey.worker(&context, &reporter.recorder());
        let mut helpers = tokio::task::JoinSet::new();
        helpers.spawn_local(Rc::clone(&reporter).tick());
        let mut workers = Workers::spawn(parts, &self.journey, &self.plan, desk)?;
        let brake = workers.brake.clone();
        helpers.spawn_local(stop_when_it_must_end(Arc::clone(&context), self.stopper.clone(), brake));
        helpers.spawn_local(forward(self.stop.clone(), workers.brake.clone()));

        let result = self.perform(&once, &context, &mut workers).await;
        drop(workers);
        helpers.shutdown().await;
        reporter.finish().await;
        // After a panic the numbers are not to be trusted, so no summary is shown.
        let (ending, broken) = match result {
            Ok(ending) => (ending, None),
            Err(error) => (Ending::Interrupted, Some(error)),
        };
        let finished = collector.finish(ending);
        match broken {
            Some(error) => Err(error),
            None => Ok(self.summarise(&once, finished).await),
        }
    }

    fn start_collector(
        &self,
        context: &Arc<Context>,
        notices: Receiver<Notice>,
        outputs: Vec<Box<dyn Output>>,
        workers: usize,
    ) -> Collector {
        let stopper = self.stopper.clone();
        collector::start(collector::Setup {
            plan: Arc::clone(&self.plan),
            registry: Arc::clone(&self.registry),
            context: Arc::clone(context),
            notices,
            outputs,
            workers,
            on_abort: Box::new(move |_| stopper.stop_for(Cause::Threshold)),
        })
    }

    /// `setup`, the load, `teardown`.
    async fn perform<W: Lifecycle>(
        &self,
        once: &W,
        context: &Context,
        workers: &mut Workers,
    ) -> Result<Ending, RunError> {
        let data = match self.set_up(once).await {
            Ok(data) => data,
            Err(ending) => return Ok(ending),
        };
        let result = workers.run(Arc::clone(&data), context, &self.stop).await;
        let after = self.tear_down(once, &data).await;
        let by_itself = match result {
            Ok(()) => after.err().unwrap_or(Ending::Completed),
            Err(WorkerError::Journey(error)) => Ending::JourneyFailed { message: error.to_string() },
            Err(WorkerError::Run(error)) => return Err(error),
        };
        Ok(self.ended_early().unwrap_or(by_itself))
    }

    /// Runs `setup`, or says how the run ends without a load.
    async fn set_up<W: Lifecycle>(&self, once: &W) -> Result<Arc<[u8]>, Ending> {
        let Some(limit) = self.plan.setup_timeout else { return Ok(Arc::default()) };
        let mut stop = self.stop.clone();
        let result = tokio::select! {
            biased;
            result = timeout(limit, once.setup()) => result,
            () = stop.reached(Level::Graceful) => return Err(self.ended_early().unwrap_or(Ending::Interrupted)),
        };
        // A journey that asks for the end may fail because of that.
        let or = |ending| self.ended_early().unwrap_or(ending);
        match result {
            Ok(Ok(data)) => Ok(data.into()),
            Ok(Err(JourneyError::TimedOut { .. })) | Err(_) => Err(or(Ending::SetupTimedOut)),
            Ok(Err(error)) => Err(or(Ending::SetupFailed { message: error.to_string() })),
        }
    }

    /// Runs `teardown`. A second stop interrupts it, or leaves it out: the user wants the end at once.
    async fn tear_down<W: Lifecycle>(&self, once: &W, data: &Arc<[u8]>) -> Result<(), Ending> {
        let Some(limit) = self.plan.teardown_timeout else { return Ok(()) };
        let mut stop = self.stop.clone();
        let result = tokio::select! {
            biased;
            () = stop.reached(Level::Now) => return Ok(()),
            result = timeout(limit, once.teardown(data)) => result,
        };
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(JourneyError::TimedOut { .. })) | Err(_) => Err(Ending::TeardownTimedOut),
            Ok(Err(error)) => Err(Ending::TeardownFailed { message: error.to_string() }),
        }
    }

    /// How the run ended if somebody asked for its end.
    fn ended_early(&self) -> Option<Ending> {
        Some(match self.stopper.cause.get()? {
            Cause::User => Ending::Interrupted,
            Cause::Threshold => Ending::ThresholdAborted,
            Cause::Journey(reason) => Ending::JourneyAborted { reason: reason.clone() },
            Cause::Exhausted(Exhausted::Cpu { limit }) => Ending::CpuUsedUp { limit: *limit },
            Cause::Exhausted(Exhausted::Traps { limit }) => Ending::TooManyTraps { limit: *limit },
        })
    }

    /// Lets the journey make its summary, unless the user is in a hurry or the journey cannot run at all.
    async fn summarise<W: Lifecycle>(&self, once: &W, mut finished: Finished) -> Report {
        let is_broken = matches!(finished.report.ending, Ending::JourneyFailed { .. });
        if is_broken || self.stop.level() == Level::Now {
            return finished.complete(Vec::new());
        }
        finished.report.summary = self.summary.clone();
        let json = finished.report.to_k6_summary_json();
        let limit = self.plan.summary_timeout;
        let result = timeout(limit, once.handle_summary(&json)).await;
        let late = |_| Err(JourneyError::TimedOut { function: "handle-summary", limit });
        let texts = result.unwrap_or_else(late).unwrap_or_else(|error| {
            let hint = "the built-in summary is shown instead".to_owned();
            finished.report.warnings.push(Warning { message: error.to_string(), hint: Some(hint) });
            Vec::new()
        });
        let texts =
            if self.plan.policy.untrusted { collector::harmless(texts, &mut finished.report.warnings) } else { texts };
        finished.complete(texts)
    }
}

impl Workers {
    fn spawn<J: Journey>(
        parts: Vec<Plan>,
        journey: &Arc<J>,
        plan: &Plan,
        desk: impl Fn(usize) -> Desk,
    ) -> io::Result<Self> {
        let (brake, stop) = Stop::channel();
        let (phases, phase) = watch::channel(Phase::Waiting);
        let (sender, events) = mpsc::unbounded_channel();
        let warnings = Arc::new(Warnings::new(plan));
        let mut workers = Self { threads: Vec::with_capacity(parts.len()), brake, phases, events, left: 0 };
        for (number, part) in parts.into_iter().enumerate() {
            let assignment = Assignment {
                part,
                journey: Arc::clone(journey),
                desk: desk(number),
                warnings: Arc::clone(&warnings),
                phases: phase.clone(),
                stop: stop.clone(),
                events: sender.clone(),
            };
            workers.threads.push(assignment.spawn()?);
            workers.left += 1;
        }
        Ok(workers)
    }

    /// Lets the workers make their VUs and run their load, to the end. The first error stops all.
    async fn run(&mut self, data: Arc<[u8]>, context: &Context, stop: &Stop) -> Result<(), WorkerError> {
        let mut result = Ok(());
        let mut unready = self.threads.len();
        if stop.level() == Level::None {
            self.phases.send_replace(Phase::Preparing(data));
        } else {
            self.brake.ask(Level::Graceful);
        }
        while self.left > 0 {
            match self.events.recv().await {
                Some(Event::Ready) => unready -= 1,
                Some(Event::Ended(ended)) => {
                    self.left -= 1;
                    if ended.is_err() {
                        self.brake.ask(Level::Now);
                        result = result.and(ended);
                    }
                    continue;
                }
                None => break,
            }
            if unready == 0 {
                let start = Instant::now();
                context.load_started.get_or_init(|| start.into_std());
                self.phases.send_replace(Phase::Running(start));
            }
        }
        result
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.brake.ask(Level::Now);
        for thread in self.threads.drain(..) {
            // A panic was caught and reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// Passes on to the workers what is asked of the run.
async fn forward(mut stop: Stop, brake: StopSender) {
    for level in [Level::Graceful, Level::Now] {
        stop.reached(level).await;
        brake.ask(level);
    }
}

/// Stops the run when the journey wishes so, or has used up what it had.
async fn stop_when_it_must_end(context: Arc<Context>, stopper: Stopper, brake: StopSender) {
    match context.control.wait_for_end().await {
        End::Aborted(reason) => stopper.stop_for(Cause::Journey(reason)),
        End::Exhausted(what) => {
            stopper.stop_for(Cause::Exhausted(what));
            if let Exhausted::Cpu { .. } = what {
                // What still runs would spend what there is not; `teardown` has time of its own.
                brake.ask(Level::Now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_journey_that_is_not_trusted_is_text_and_no_file() {
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let mut warnings = Vec::new();
        let texts = vec![text("stdout", "a\x1b[2J\nb"), text(".bashrc", "evil"), text("a.json", "")];
        assert_eq!(collector::harmless(texts, &mut warnings), [text("stdout", "a\\u{1b}[2J\nb")]);
        assert_eq!(warnings[0].message, "2 files of the journey's summary were not written, first `.bashrc`");
    }
}
