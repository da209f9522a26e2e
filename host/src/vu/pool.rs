//! What the VUs of one scenario share on one thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::tally::increment;
use super::{Context, Detail, Exhausted, Handle, JourneyError, Notice, NoticeLevel, Outcome, Seat, Tally, Worker};
use crate::metrics::{Recorder, SeriesId, Tags, builtin};

/// What the VUs of one scenario share on one thread.
pub struct Pool<W> {
    worker: Rc<W>,
    context: Arc<Context>,
    recorder: Recorder,
    /// The seat of the scenario's first VU; the others' differ in their number.
    seat: Seat,
    series: Series,
    min_iteration: Duration,
    /// Iterations that may break before the run ends.
    max_traps: Option<u64>,
    tally: Rc<Tally>,
}

/// Looked up once, because looking up costs more than recording.
struct Series {
    iterations: SeriesId,
    duration: SeriesId,
    failed: SeriesId,
    delay: SeriesId,
    total: SeriesId,
    dropped: SeriesId,
}

impl Series {
    fn new(recorder: &Recorder, tags: &Tags, iteration_tags: &Tags) -> Self {
        Self {
            iterations: recorder.series(builtin::ITERATIONS, iteration_tags),
            duration: recorder.series(builtin::ITERATION_DURATION, iteration_tags),
            failed: recorder.series(builtin::ITERATIONS_FAILED, iteration_tags),
            delay: recorder.series(builtin::ITERATION_DELAY, iteration_tags),
            total: recorder.series(builtin::ITERATION_TOTAL, iteration_tags),
            dropped: recorder.series(builtin::DROPPED_ITERATIONS, tags),
        }
    }
}

impl<W: Worker> Pool<W> {
    /// Makes a pool. `seat` is that of the scenario's first VU; `iteration_tags` go on the samples of iterations.
    #[must_use]
    pub fn new(
        worker: Rc<W>,
        context: Arc<Context>,
        recorder: Recorder,
        seat: Seat,
        iteration_tags: &Tags,
        min_iteration: Duration,
    ) -> Self {
        let series = Series::new(&recorder, &seat.tags, iteration_tags);
        Self { worker, context, recorder, seat, series, min_iteration, max_traps: None, tally: Rc::default() }
    }

    /// Ends the run when so many iterations on this machine trapped or timed out.
    #[must_use]
    pub fn with_max_traps(self, max_traps: Option<u64>) -> Self {
        Self { max_traps, ..self }
    }

    /// The counts.
    #[must_use]
    pub fn tally(&self) -> &Rc<Tally> {
        &self.tally
    }

    /// The least time between the beginnings of a VU's iterations.
    #[must_use]
    pub fn min_iteration(&self) -> Duration {
        self.min_iteration
    }

    /// Returns a VU's instance, which is made if there is none.
    pub(super) async fn instance<'a>(
        &self,
        handle: &Handle,
        instance: &'a mut Option<W::Instance>,
    ) -> Result<&'a mut W::Instance, JourneyError> {
        if instance.is_none() {
            let vu = self.seat.vu + handle.ordinal();
            let seat = Seat { vu, instance: handle.next_instance(), ..self.seat.clone() };
            *instance = Some(self.worker.instantiate(&seat).await?);
        }
        Ok(instance.as_mut().expect("it was just made"))
    }

    /// Counts iterations that will never start.
    pub fn drop_iterations(&self, count: u64) {
        if count > 0 {
            self.tally.dropped.set(self.tally.dropped.get() + count);
            self.recorder.add(self.series.dropped, count as f64);
        }
    }

    /// Tells the user something about the scenario, or about one of its VUs.
    pub fn notify(&self, level: NoticeLevel, handle: Option<&Handle>, message: String) {
        let vu = handle.map_or(0, |handle| self.seat.vu + handle.ordinal());
        let scenario = Arc::clone(&self.seat.scenario);
        self.context.notify(Notice { level, scenario, vu, message, from_host: true, detail: None });
    }

    /// Tells the user of an iteration that did not complete.
    fn tell_failure(&self, handle: &Handle, message: String, detail: Option<Detail>) {
        let (scenario, vu) = (Arc::clone(&self.seat.scenario), self.seat.vu + handle.ordinal());
        self.context.notify(Notice { level: NoticeLevel::Error, scenario, vu, message, from_host: true, detail });
    }

    /// Records an iteration that ended by itself.
    pub(super) fn record(
        &self,
        handle: &Handle,
        outcome: &Outcome,
        detail: Option<Detail>,
        took: Duration,
        delay: Option<Duration>,
    ) {
        let took = millis(took);
        self.recorder.add(self.series.duration, took);
        self.recorder.add(self.series.iterations, 1.0);
        self.recorder.add(self.series.failed, if *outcome == Outcome::Completed { 0.0 } else { 1.0 });
        if let Some(delay) = delay {
            let delay = millis(delay);
            self.recorder.add(self.series.delay, delay);
            self.recorder.add(self.series.total, delay + took);
        }
        let (what, message) = match outcome {
            Outcome::Completed => return,
            Outcome::Failed { message } => ("failed", message),
            Outcome::Trapped { message } => ("trapped", message),
            Outcome::TimedOut { message } => ("timed out", message),
        };
        increment(&self.tally.failed);
        self.tell_failure(handle, format!("iteration {what}: {message}"), detail);
        if !matches!(outcome, Outcome::Failed { .. }) {
            self.count_trap();
        }
    }

    fn count_trap(&self) {
        let traps = self.context.count_trap();
        if let Some(limit) = self.max_traps.filter(|limit| traps >= *limit) {
            self.context.control.exhaust(Exhausted::Traps { limit });
        }
    }

    /// Counts an iteration that could not even begin as a failed one, so that a run of such iterations is not green.
    pub(super) fn fail_without_instance(&self, handle: &Handle, error: &JourneyError) {
        increment(&self.tally.failed);
        self.recorder.add(self.series.iterations, 1.0);
        self.recorder.add(self.series.failed, 1.0);
        self.tell_failure(handle, error.to_string(), None);
        self.count_trap();
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
