//! What a thread tells the collector, once a second.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::aggregate::{Tap, WindowRecorder};
use crate::collector::{FromWorker, ScenarioState, WorkerSender};
use crate::metrics::Recorder;
use crate::plan::Plan;
use crate::platform;
use crate::vu::{Context, Tally};

/// How long a thread's last window is offered to a collector that does not take it.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(5);

/// What makes a thread's reporter.
pub(super) struct Desk {
    /// The thread's number.
    pub(super) worker: usize,
    pub(super) plan: Arc<Plan>,
    pub(super) context: Arc<Context>,
    pub(super) sender: WorkerSender,
    pub(super) tap: Option<Tap>,
}

/// Takes a thread's windows out of its record and sends them.
pub(super) struct Reporter {
    desk: Desk,
    record: Rc<WindowRecorder>,
    tallies: RefCell<Vec<(u32, Rc<Tally>)>>,
    sent: RefCell<Sent>,
}

/// How far the reports got.
struct Sent {
    until: Duration,
    cpu: Duration,
    /// What the collector did not take.
    kept: Option<FromWorker>,
}

impl Reporter {
    pub(super) fn new(mut desk: Desk) -> Self {
        let record = WindowRecorder::new(Arc::clone(&desk.context.registry), desk.plan.limits.series, desk.tap.take());
        let until = Duration::from_secs(desk.context.started.elapsed().as_secs());
        let sent = Sent { until, cpu: platform::thread_cpu_time(), kept: None };
        Self { desk, record: Rc::new(record), tallies: RefCell::default(), sent: RefCell::new(sent) }
    }

    pub(super) fn recorder(&self) -> Recorder {
        Recorder::new(Rc::clone(&self.record) as _)
    }

    /// Reports these counts from now on.
    pub(super) fn watch(&self, tallies: Vec<(u32, Rc<Tally>)>) {
        self.tallies.replace(tallies);
    }

    /// Reports at every whole second of the run, for ever.
    pub(super) async fn tick(self: Rc<Self>) {
        let started = Instant::from_std(self.desk.context.started);
        loop {
            let due = self.sent.borrow().until + Duration::from_secs(1);
            sleep_until(started + due).await;
            // A thread that was held up reports the seconds it missed in one window.
            self.report(Duration::from_secs(started.elapsed().as_secs()).max(due), false);
        }
    }

    /// Reports what is left. No more must be recorded.
    pub(super) async fn finish(&self) {
        let now = self.desk.context.started.elapsed();
        self.report(now, true);
        let patience = Instant::now() + PATIENCE;
        while self.sent.borrow().kept.is_some() && Instant::now() < patience {
            sleep(RETRY).await;
            self.offer();
        }
    }

    fn report(&self, until: Duration, last: bool) {
        let mut sent = self.sent.borrow_mut();
        let cpu = platform::thread_cpu_time();
        let new = FromWorker {
            worker: self.desk.worker,
            window: self.record.take(sent.until, until.saturating_sub(sent.until)),
            cpu: cpu.saturating_sub(sent.cpu),
            states: self.states(),
            last,
        };
        (sent.until, sent.cpu) = (until, cpu);
        sent.kept = Some(match sent.kept.take() {
            Some(mut kept) => {
                kept.window.merge(new.window);
                FromWorker { window: kept.window, cpu: kept.cpu + new.cpu, ..new }
            }
            None => new,
        });
        drop(sent);
        self.offer();
    }

    fn offer(&self) {
        let mut sent = self.sent.borrow_mut();
        sent.kept = sent.kept.take().and_then(|kept| self.desk.sender.send(kept).err());
    }

    fn states(&self) -> Vec<ScenarioState> {
        let mut states = vec![ScenarioState::default(); self.desk.plan.scenarios.len()];
        for (number, tally) in &*self.tallies.borrow() {
            states[*number as usize] = state(tally);
        }
        states
    }
}

fn state(tally: &Tally) -> ScenarioState {
    let started = tally.started.get();
    ScenarioState {
        active: tally.active.get(),
        initialised: tally.initialised.get(),
        started,
        completed: tally.completed.get(),
        failed: tally.failed.get(),
        interrupted: tally.interrupted.get(),
        dropped: tally.dropped.get(),
        planned: tally.planned.get().max(started),
    }
}
