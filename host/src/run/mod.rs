//! Owns the life of a run: `setup`, the load on one thread per core, `teardown`, the summary.
//!
//! [`start`] returns at once; what it started belongs to the [`RunHandle`]. A thread of its own (`control`) conducts
//! the run, worker threads (`worker`) each run their split of the plan, and every thread reports once a second
//! (`reporter`) to the collector.

mod control;
mod reporter;
mod worker;

use std::any::Any;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use crate::metrics::Registry;
use crate::output::Output;
use crate::plan::Plan;
use crate::redact::Redactor;
use crate::scheduler::{Level, Stop, StopSender};
use crate::verdict::{Report, SummaryOptions};
use crate::vu::{Exhausted, Journey};
use crate::{collector, platform};

/// How to run, apart from what the plan says.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// How many worker threads; one per core where nothing is said.
    pub threads: Option<usize>,
    /// How the summary is to look that the journey is given.
    pub summary: SummaryOptions,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The plan is empty.
    #[error("there is no scenario to run")]
    NoScenario,
    /// A thread or its runtime could not be made.
    #[error("a thread could not be started")]
    Thread {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// A bug.
    #[error("a thread panicked: {message}")]
    Panicked {
        /// The panic's words.
        message: String,
    },
}

/// A run under way. Dropping it stops the run at once.
#[derive(Debug)]
pub struct RunHandle {
    control: Option<JoinHandle<Result<Report, RunError>>>,
    stopper: Stopper,
}

/// Ends a run early. The report comes either way.
#[derive(Debug, Clone)]
pub struct Stopper {
    sender: StopSender,
    cause: Arc<OnceLock<Cause>>,
}

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    User,
    Threshold,
    Journey(String),
    Exhausted(Exhausted),
}

/// Starts a run.
pub fn start<J: Journey>(
    plan: Plan,
    journey: Arc<J>,
    registry: Arc<Registry>,
    outputs: Vec<Box<dyn Output>>,
    options: RunOptions,
) -> Result<RunHandle, RunError> {
    if plan.scenarios.is_empty() {
        return Err(RunError::NoScenario);
    }
    // Too low a limit shows when a connection cannot be opened, with a message of its own.
    let _ = platform::raise_file_limit();
    let (sender, stop) = Stop::channel();
    let stopper = Stopper { sender, cause: Arc::default() };
    let threads = options.threads.unwrap_or_else(platform::cores).max(1);
    let (plan, summary) = (Arc::new(plan), options.summary);
    let run = control::Run { plan, journey, registry, threads, summary, stopper: stopper.clone(), stop };
    let control = thread::Builder::new().name("squall-control".to_owned()).spawn(move || run.conduct(outputs))?;
    Ok(RunHandle { control: Some(control), stopper })
}

impl RunHandle {
    /// What ends the run early.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the end of the run.
    pub fn wait(mut self) -> Result<Report, RunError> {
        match self.control.take().map(JoinHandle::join) {
            Some(joined) => joined.unwrap_or_else(|panic| Err(RunError::panicked(&*panic))),
            None => unreachable!("only `wait` and `drop` take it, and both are the last"),
        }
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            self.stopper.stop_now();
            // Nobody is left to hear how it ended.
            let _ = control.join();
        }
    }
}

impl Stopper {
    /// Lets running iterations end within their scenario's graceful period, and starts no new ones.
    pub fn stop(&self) {
        self.stop_for(Cause::User);
    }

    /// Interrupts running iterations, `setup` and `teardown`.
    pub fn stop_now(&self) {
        self.stop_for(Cause::User);
        self.sender.ask(Level::Now);
    }

    /// Stops gracefully. The first cause is kept.
    fn stop_for(&self, cause: Cause) {
        self.cause.get_or_init(|| cause);
        self.sender.ask(Level::Graceful);
    }
}

impl RunError {
    fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked { message: message.unwrap_or_else(|| "without a word".to_owned()) }
    }

    /// The same without the run's secrets.
    fn redacted(self, redactor: Option<&Redactor>) -> Self {
        match (self, redactor) {
            (Self::Panicked { message }, Some(redactor)) => Self::Panicked { message: redactor.owned(message) },
            (other, _) => other,
        }
    }
}

#[cfg(test)]
mod tests;
