//! The seam between the scheduler and what it drives. The sandbox implements it; tests implement it with closures.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::Detail;
use super::log_rate::LogRate;
use crate::metrics::{Recorder, Registry, Tags};
use crate::redact::Redactor;

/// A user's script, ready to be run by every worker.
pub trait Journey: Send + Sync + 'static {
    /// What one worker thread keeps.
    type Worker: Worker;

    /// Makes a worker's part. Called once on each worker's thread.
    fn worker(&self, context: &Arc<Context>, recorder: &Recorder) -> Self::Worker;
}

/// One worker thread's part of a journey.
pub trait Worker: Lifecycle + 'static {
    /// What one VU runs.
    type Instance: Instance;

    /// Makes an instance for a VU.
    fn instantiate(&self, seat: &Seat) -> impl Future<Output = Result<Self::Instance, JourneyError>>;
}

/// What happens once in a run, in an instance of its own.
pub trait Lifecycle {
    /// Runs `setup` and returns its data.
    fn setup(&self) -> impl Future<Output = Result<Vec<u8>, JourneyError>>;

    /// Runs `teardown`.
    fn teardown(&self, data: &Arc<[u8]>) -> impl Future<Output = Result<(), JourneyError>>;

    /// Gives the journey the summary as JSON and returns its named texts.
    fn handle_summary(&self, summary: &str) -> impl Future<Output = Result<Vec<(String, String)>, JourneyError>>;
}

/// One sandboxed copy of a journey, owned by one VU.
pub trait Instance: 'static {
    /// Runs one iteration. Dropping the future interrupts it; the instance must then be dropped as well.
    fn iterate(&mut self, iteration: &Iteration) -> impl Future<Output = Outcome>;

    /// More about the last iteration, which failed or broke the instance.
    fn detail(&mut self) -> Option<Detail> {
        None
    }
}

/// Where a VU sits.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The VU's number, from 1, unique in the run.
    pub vu: u32,
    /// Which instance of this VU, from 1.
    pub instance: u32,
    /// The scenario's name.
    pub scenario: Arc<str>,
    /// The entry of the journey to run.
    pub exec: Arc<str>,
    /// Tags of the scenario's samples: the run's, the scenario's, and `scenario`.
    pub tags: Tags,
    /// Variables granted: the run's and the scenario's.
    pub env: Arc<BTreeMap<String, String>>,
    /// What `setup` returned.
    pub data: Arc<[u8]>,
}

/// Which iteration this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iteration {
    /// Iterations this VU has finished before, from 0.
    pub number: u32,
    /// The number of this iteration in its scenario, from 0, unique over all VUs and machines.
    pub index: u64,
    /// Chooses the random sequence together with the run's seed: the same for the same iteration of the same scenario,
    /// whatever thread or machine runs it.
    pub stream: u64,
}

/// How an iteration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
    Completed,
    /// It returned an error.
    Failed {
        /// The journey's words.
        message: String,
    },
    /// It trapped; the instance is gone.
    Trapped {
        /// The trap, and the guest's stack.
        message: String,
    },
    /// It ran past a limit; the instance is gone.
    TimedOut {
        /// Which limit, and its value.
        message: String,
    },
}

/// Why a journey could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JourneyError {
    /// An instance could not be made.
    #[error("the journey could not be instantiated: {message}")]
    Instantiate {
        /// What went wrong.
        message: String,
    },
    /// One of the functions that run once returned an error.
    #[error("`{function}` failed: {message}")]
    Failed {
        /// Which function.
        function: &'static str,
        /// The journey's words.
        message: String,
    },
    /// One of the functions that run once trapped.
    #[error("`{function}` trapped: {message}")]
    Trapped {
        /// Which function.
        function: &'static str,
        /// The trap, and the guest's stack.
        message: String,
    },
    /// One of the functions that run once took too long.
    #[error("`{function}` took longer than {limit:?}")]
    TimedOut {
        /// Which function.
        function: &'static str,
        /// The limit.
        limit: Duration,
    },
}

/// What all VUs of a run on this machine share.
#[derive(Debug)]
pub struct Context {
    /// When the run's clock started: before `setup`, as k6 counts. Windows and samples are on this clock.
    pub started: Instant,
    /// When the load started, which scenarios' start times count from; empty until then.
    pub load_started: OnceLock<Instant>,
    /// The same moment in wall time.
    pub started_at: SystemTime,
    /// Seeds every random choice.
    pub seed: u64,
    /// The metrics of the run.
    pub registry: Arc<Registry>,
    /// How a journey ends or fails the run.
    pub control: Control,
    /// Where messages for the user go.
    notices: SyncSender<Notice>,
    lost_notices: AtomicU64,
    log_rate: LogRate,
    /// Iterations that trapped, timed out, or had no instance.
    traps: AtomicU64,
    /// What takes the run's secrets out of texts.
    redactor: Option<Arc<Redactor>>,
}

impl Context {
    /// Makes a context whose clock starts now.
    #[must_use]
    pub fn new(seed: u64, registry: Arc<Registry>, notices: SyncSender<Notice>) -> Self {
        Self {
            // The same as the standard library's, unless a test has paused tokio's clock.
            started: tokio::time::Instant::now().into_std(),
            load_started: OnceLock::new(),
            started_at: SystemTime::now(),
            seed,
            registry,
            control: Control::default(),
            notices,
            lost_notices: AtomicU64::new(0),
            log_rate: LogRate::new(None),
            traps: AtomicU64::new(0),
            redactor: None,
        }
    }

    /// Has the run's secrets taken out of what is said from now on.
    #[must_use]
    pub fn redacting(self, redactor: Option<Arc<Redactor>>) -> Self {
        Self { redactor, ..self }
    }

    /// A text without the run's secrets. Whatever a journey, a trap or a server may have put into a text goes through
    /// here before it is shown, kept or reported.
    #[must_use]
    pub fn redacted(&self, text: String) -> String {
        match &self.redactor {
            None => text,
            Some(redactor) => redactor.owned(text),
        }
    }

    /// Ends the run by the journey's will.
    pub fn abort(&self, reason: &str) {
        self.control.abort(&self.redacted(reason.to_owned()));
    }

    /// Marks the run as failed by the journey's will.
    pub fn fail(&self, reason: &str) {
        self.control.fail(&self.redacted(reason.to_owned()));
    }

    /// Passes on only so many bytes per second of what the journey says itself.
    #[must_use]
    pub fn log_at_most(self, bytes_per_second: u64) -> Self {
        Self { log_rate: LogRate::new(Some(bytes_per_second)), ..self }
    }

    /// Passes a message on. Never waits: when the reader is behind, the message is counted as lost, and when the journey
    /// says more than it may, as dropped.
    pub fn notify(&self, mut notice: Notice) {
        if !notice.from_host && !self.log_rate.admits(notice.message.len(), self.started.elapsed()) {
            return;
        }
        notice.message = self.redacted(notice.message);
        notice.detail = notice.detail.map(|detail| match self.redactor.clone() {
            None => detail,
            Some(redactor) => Detail::new(move || redactor.owned(detail.text())),
        });
        if let Err(TrySendError::Full(_)) = self.notices.try_send(notice) {
            self.lost_notices.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an iteration that broke, and returns how many did.
    pub(super) fn count_trap(&self) -> u64 {
        self.traps.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Messages that the reader was too slow for.
    #[must_use]
    pub fn lost_notices(&self) -> u64 {
        self.lost_notices.load(Ordering::Relaxed)
    }

    /// Messages of the journey beyond what it may say.
    #[must_use]
    pub fn dropped_logs(&self) -> u64 {
        self.log_rate.dropped()
    }
}

/// A message for the person who runs the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How grave.
    pub level: NoticeLevel,
    /// Which scenario; empty for the run itself.
    pub scenario: Arc<str>,
    /// Which VU; 0 for none.
    pub vu: u32,
    /// The text; control characters are for the printer to escape.
    pub message: String,
    /// Whether the host speaks of the journey (a failed iteration), rather than the journey for itself (a log line).
    pub from_host: bool,
    /// What is shown in place of the message, where there is more to say than makes it like others.
    pub detail: Option<Detail>,
}

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoticeLevel {
    /// For the journey's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// How a journey ends or fails the run: `test.abort` and `test.fail`.
#[derive(Debug, Default)]
pub struct Control {
    wishes: Mutex<Wishes>,
    changed: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct Wishes {
    abort: Option<String>,
    exhausted: Option<Exhausted>,
    fail: Option<String>,
}

/// What a run has used up, which ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// Its computing time.
    Cpu {
        /// How much it had.
        limit: Duration,
    },
    /// The iterations that may end in a trap or a missed deadline.
    Traps {
        /// How many it had.
        limit: u64,
    },
}

/// Why the run is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The journey asked for it.
    Aborted(String),
    /// It used up what it had.
    Exhausted(Exhausted),
}

impl Control {
    /// Asks for the end of the run. The first reason is kept.
    pub fn abort(&self, reason: &str) {
        self.wishes().abort.get_or_insert_with(|| reason.to_owned());
        self.changed.notify_one();
    }

    /// Ends the run because it used something up. The first is kept.
    pub fn exhaust(&self, what: Exhausted) {
        self.wishes().exhausted.get_or_insert(what);
        self.changed.notify_one();
    }

    /// Marks the run as failed. The first reason is kept.
    pub fn fail(&self, reason: &str) {
        self.wishes().fail.get_or_insert_with(|| reason.to_owned());
    }

    /// Why the run was marked as failed, if it was.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.wishes().fail.clone()
    }

    /// Waits until the run is to end. Only one task may wait.
    pub async fn wait_for_end(&self) -> End {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            self.changed.notified().await;
        }
    }

    /// Why the run is to end, if it is.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        let wishes = self.wishes();
        let exhausted = wishes.exhausted.map(End::Exhausted);
        exhausted.or_else(|| wishes.abort.clone().map(End::Aborted))
    }

    // Both fields are whole at every moment, so a panic of another thread leaves nothing half-done.
    fn wishes(&self) -> std::sync::MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
