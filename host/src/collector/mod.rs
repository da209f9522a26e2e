//! Once a second takes the workers' windows, merges, judges, feeds outputs.
//!
//! The collector has a thread of its own. Workers never wait for it: a window that it has no room for stays with the
//! worker, which merges its next one into it. Outputs of raw samples have another thread and their own bounded queue.

mod audience;
mod denied;
mod duty;
mod evidence;
mod finished;
mod relay;
mod seconds;
mod sink;
mod warnings;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use finished::{Finished, harmless};
pub use relay::Relay;

use crate::aggregate::{Tap, Window};
use crate::metrics::Registry;
use crate::output::{Banner, Event, Output};
use crate::plan::Plan;
use crate::verdict::{Ending, Report};
use crate::vu;
use audience::Audience;
use duty::Duty;
use sink::Sink;

/// Windows that may wait for each worker.
const ROOM: usize = 4;

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
    /// Where events go, in this order.
    pub outputs: Vec<Box<dyn Output>>,
    /// How many workers send windows, numbered from 0.
    pub workers: usize,
    /// Called once when a threshold with `abortOnFail` was crossed, with what to tell the user.
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

impl ScenarioState {
    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        self.active += other.active;
        self.initialised += other.initialised;
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.interrupted += other.interrupted;
        self.dropped += other.dropped;
        self.planned += other.planned;
    }
}

/// What the collector's thread is sent.
enum Message {
    Window(Box<FromWorker>),
    Finish(Box<Ending>),
}

/// A running collector.
pub struct Collector {
    sender: SyncSender<Message>,
    thread: JoinHandle<(Report, Audience, Receiver<vu::Notice>)>,
    sink: Option<Sink>,
    context: Arc<vu::Context>,
}

/// The workers' way to the collector.
#[derive(Clone)]
pub struct WorkerSender(SyncSender<Message>);

/// Starts a collector.
///
/// # Panics
///
/// Panics if the system gives no thread.
#[must_use]
pub fn start(setup: Setup) -> Collector {
    let (sender, receiver) = sync_channel(ROOM * (setup.workers + 1));
    let context = Arc::clone(&setup.context);
    let (of_samples, others): (Vec<_>, Vec<_>) =
        setup.outputs.into_iter().enumerate().partition(|(_, output)| output.wants_samples());
    let names = of_samples.iter().map(|(_, output)| output.name()).collect();
    let banner = Banner::new(&setup.plan, context.started_at, names);
    let sink =
        (!of_samples.is_empty()).then(|| Sink::start(Audience::new(of_samples), banner.clone(), context.started));
    let duty = Duty::new(duty::Orders {
        plan: setup.plan,
        registry: setup.registry,
        context: Arc::clone(&context),
        notices: setup.notices,
        audience: Audience::new(others),
        banner,
        workers: setup.workers,
        on_abort: setup.on_abort,
        tap: sink.as_ref().map(Sink::tap),
        lost_outputs: sink.as_ref().map(Sink::failures),
    });
    let thread = thread::Builder::new().name("squall-collector".to_owned()).spawn(move || duty.perform(&receiver));
    let thread = thread.expect("a process that is about to make worker threads can make this one");
    Collector { sender, thread, sink, context }
}

impl Collector {
    /// The workers' way to it.
    #[must_use]
    pub fn sender(&self) -> WorkerSender {
        WorkerSender(self.sender.clone())
    }

    /// The way of raw samples, if an output wants them.
    #[must_use]
    pub fn tap(&self) -> Option<Tap> {
        self.sink.as_ref().map(Sink::tap)
    }

    /// Waits for what is still on its way, and for the outputs of samples to have written theirs. The workers have
    /// ended, or will within two seconds.
    ///
    /// # Panics
    ///
    /// Panics if the collector's thread did.
    #[must_use]
    pub fn finish(self, ending: Ending) -> Finished {
        let Self { sender, thread, sink, context } = self;
        let ending = ending.map_words(|words| context.redacted(words));
        // If the thread is gone, joining it says why.
        let _ = sender.send(Message::Finish(Box::new(ending)));
        let (report, mut audience, notices) = match thread.join() {
            Ok(left) => left,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if let Some(sink) = sink {
            let (failures, writers) = (sink.failures(), sink.finish());
            // What went wrong after the collector's thread last looked.
            for error in sink::take(&failures) {
                audience.tell(&Event::Notice(&audience::failure(&error), 0));
            }
            audience.join(writers);
        }
        Finished::new(report, audience, notices, context)
    }
}

impl WorkerSender {
    /// Passes a window on. Never waits, but for a worker's last window: that worker has nothing else to do.
    ///
    /// A window that there is no room for comes back. The worker keeps it and merges its next one into it.
    #[expect(clippy::result_large_err, reason = "what comes back is what was given, and rarely does")]
    pub fn send(&self, from: FromWorker) -> Result<(), FromWorker> {
        let wait = from.last;
        let message = Message::Window(Box::new(from));
        let refused = if wait {
            self.0.send(message).err().map(|error| error.0)
        } else {
            self.0.try_send(message).err().map(|error| match error {
                TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
            })
        };
        match refused {
            Some(Message::Window(from)) => Err(*from),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WorkerSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkerSender")
    }
}

#[cfg(test)]
mod tests;
