//! The parent's side of the run: what the load process tells goes to the outputs, and a report comes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::guard::{Guard, GuardSender};
use super::message::{Down, Order, Up};
use super::parent::{Isolated, ended, send};
use super::wire::{Reader, WireError, Writer};
use super::words::Words;
use super::{Confinement, IsolateError, clean};
use crate::aggregate::Totals;
use crate::collector::Relay;
use crate::metrics::{Registry, builtin};
use crate::output::{Event, Output, Second};
use crate::plan::Plan;
use crate::verdict::{
    Ending, GeneratorVerdict, MetricTotals, Reason, Report, ScenarioTotals, SummaryOptions, Warning, judge,
};
use crate::vu::{Notice, NoticeLevel};

/// How long a run may take beyond what its plan says: compiling again, starting up, writing reports.
const SLACK: Duration = Duration::from_mins(3);
/// How long a process may take to end that was told to end at once.
const HURRY: Duration = Duration::from_secs(30);
/// Memory that the process may hold beside the memories of its guests.
const OTHER_MEMORY: u64 = 2 << 30;
/// Bytes of messages per second that are shown beyond what the journey may log.
const OTHER_MESSAGES: u64 = 64 << 10;

/// A run in a load process. Dropping it ends the process.
#[derive(Debug)]
pub struct Handle {
    thread: Option<JoinHandle<Result<Report, IsolateError>>>,
    stopper: Stopper,
}

/// Ends a run early. The report comes either way.
#[derive(Debug, Clone)]
pub struct Stopper {
    writer: Arc<Mutex<Writer>>,
    guard: GuardSender,
    was_asked: Arc<AtomicBool>,
}

/// What the thread that feeds the outputs has.
pub(super) struct Feed {
    reader: Reader,
    guard: Guard,
    words: Words,
    plan: Plan,
    summary: SummaryOptions,
    registry: Arc<Registry>,
    wall: String,
    was_asked: Arc<AtomicBool>,
    /// Series that an honest process has at most.
    most_series: usize,
    outputs: Outputs,
    totals: Totals,
    last: Option<Second>,
    started_at: Duration,
    /// Bytes of messages that may still be shown in this second, and the messages that were not.
    messages: (Instant, u64),
    lost_messages: u64,
}

/// The outputs, before and after the run has told its start.
enum Outputs {
    Waiting(Vec<Box<dyn Output>>),
    Told(Relay),
}

impl Feed {
    pub(super) fn start(
        isolated: Isolated,
        order: Order,
        registry: Arc<Registry>,
        outputs: Vec<Box<dyn Output>>,
    ) -> Result<Handle, IsolateError> {
        let Isolated { reader, writer, guard, words, confinement, .. } = isolated;
        let Order { plan, threads, summary, .. } = order;
        let words = words.redacting(plan.redactor());
        let phases = [plan.setup_timeout, plan.teardown_timeout, Some(plan.summary_timeout)];
        let longest = phases.iter().flatten().fold(plan.max_length() + SLACK, |sum, limit| sum.saturating_add(*limit));
        guard.within(Some((longest, "run the plan")));
        if let Some(memory) = plan.limits.run_memory {
            guard.memory(memory.saturating_add(OTHER_MEMORY));
        }
        let was_asked = Arc::<AtomicBool>::default();
        let stopper = Stopper { writer, guard: guard.sender(), was_asked: Arc::clone(&was_asked) };
        let selectors = plan.thresholds.iter().map(|threshold| threshold.selector.clone()).collect();
        let feed = Self {
            reader,
            guard,
            words,
            summary,
            was_asked,
            wall: wall(confinement),
            // Each thread has its own, the collector and overflow some more.
            most_series: (plan.limits.series as usize).saturating_add(1000).saturating_mul(threads + 2),
            outputs: Outputs::Waiting(outputs),
            totals: Totals::new(Arc::clone(&registry), selectors),
            last: None,
            started_at: Duration::ZERO,
            messages: (Instant::now(), 0),
            lost_messages: 0,
            plan,
            registry,
        };
        let thread = thread::Builder::new().name("squall-feed".to_owned()).spawn(move || feed.perform())?;
        Ok(Handle { thread: Some(thread), stopper })
    }

    fn perform(mut self) -> Result<Report, IsolateError> {
        let (mut report, mut texts) = (None, Vec::new());
        let end = loop {
            let message = self.reader.next();
            self.tell_words();
            let message = match message {
                Ok(Up::Finished(finished)) => self.finished(*finished).map(|finished| report = Some(finished)),
                Ok(Up::Texts(given)) => {
                    texts = given;
                    Ok(())
                }
                Ok(Up::Refused(refusal)) => return Err(IsolateError::Refused(refusal)),
                Ok(Up::Ended(failed)) => break failed.map_or(Ok(()), Err),
                Ok(message) => self.take_in(message),
                Err(error) => Err(error),
            };
            if let Err(error) = message {
                return self.lost(&error);
            }
        };
        if let Err(message) = end {
            return Err(IsolateError::Run { message });
        }
        match (report, self.outputs) {
            (Some(mut report), Outputs::Told(relay)) => {
                if let lost @ 1.. = self.lost_messages {
                    let message = format!("{lost} messages were not shown: there were too many at once");
                    report.warnings.push(Warning { message, hint: None });
                }
                self.guard.end(true);
                Ok(relay.finish(report, texts))
            }
            _ => Err(IsolateError::Run { message: "the load process has ended without a report".to_owned() }),
        }
    }

    fn take_in(&mut self, message: Up) -> Result<(), WireError> {
        match (message, &mut self.outputs) {
            (Up::Metrics(new), _) => {
                for metric in new {
                    let id = self.registry.declare(&metric.name, metric.kind, metric.contains);
                    if id.ok() != Some(metric.id) {
                        return Err(foul("a metric that cannot be"));
                    }
                }
                Ok(())
            }
            (Up::Started(at), Outputs::Waiting(outputs)) => {
                let outputs = std::mem::take(outputs);
                self.started_at = at;
                self.outputs = Outputs::Told(Relay::start(outputs, &self.plan, at, Some(self.wall.clone())));
                Ok(())
            }
            (Up::Second(second), Outputs::Told(_)) => self.second(*second),
            (Up::Samples(batch), Outputs::Told(relay)) => {
                relay.samples(batch.samples());
                Ok(())
            }
            (Up::Notice(notice, repeated), Outputs::Told(_)) => {
                self.notice(notice, repeated);
                Ok(())
            }
            _ => Err(foul("what it may not send now")),
        }
    }

    fn second(&mut self, mut second: Second) -> Result<(), WireError> {
        if !clean::second(&mut second, &self.plan) {
            return Err(foul("a second that cannot be"));
        }
        self.totals.add(&second.window);
        if self.totals.series() > self.most_series {
            return Err(foul("more series than the limit"));
        }
        if let Outputs::Told(relay) = &mut self.outputs {
            relay.tell(&Event::Second(&second));
        }
        self.last = Some(second);
        Ok(())
    }

    fn notice(&mut self, notice: Notice, repeated: u64) {
        if self.messages.0.elapsed() >= Duration::from_secs(1) {
            self.messages = (Instant::now(), 0);
        }
        let detail = notice.detail.as_ref().map_or(0, |detail| detail.text().len());
        let bytes = (notice.message.len() + detail) as u64 + 64;
        if self.messages.1.saturating_add(bytes) > self.plan.limits.log_bytes.saturating_add(OTHER_MESSAGES) {
            self.lost_messages += 1;
            return;
        }
        self.messages.1 += bytes;
        let is_known = self.plan.scenarios.iter().any(|scenario| scenario.name == notice.scenario);
        let scenario = if is_known { notice.scenario } else { "".into() };
        if let Outputs::Told(relay) = &mut self.outputs {
            relay.tell(&Event::Notice(&Notice { scenario, ..notice }, repeated));
        }
    }

    /// Shows what the process wrote to standard error.
    fn tell_words(&mut self) {
        let Outputs::Told(relay) = &mut self.outputs else { return };
        for line in self.words.take() {
            let message = format!("load process: {line}");
            let (level, scenario) = (NoticeLevel::Warn, "".into());
            relay.tell(&Event::Notice(&Notice { level, scenario, vu: 0, message, detail: None, from_host: true }, 0));
        }
    }

    fn finished(&mut self, mut report: Report) -> Result<Report, WireError> {
        let measure = clean::Measure {
            plan: &self.plan,
            known: &self.registry.all(),
            most_series: self.most_series,
            summary: &self.summary,
        };
        if matches!(self.outputs, Outputs::Waiting(_)) || !clean::report(&mut report, &measure) {
            return Err(foul("a report that cannot be"));
        }
        Ok(report)
    }

    /// The process is gone. What it told until then is reported all the same.
    fn lost(mut self, error: &WireError) -> Result<Report, IsolateError> {
        let end = self.guard.end(matches!(error, WireError::Closed | WireError::Io(_)));
        self.tell_words();
        let gone = ended(error, end.as_ref(), &self.words.take());
        let outputs = std::mem::replace(&mut self.outputs, Outputs::Waiting(Vec::new()));
        let Outputs::Told(relay) = outputs else { return Err(gone) };
        // A signal to all processes of a terminal may have reached it before it could leave that to this one.
        let is_asked =
            self.was_asked.load(Ordering::Relaxed) && end.as_ref().is_some_and(super::guard::End::is_by_signal);
        let ending = if is_asked { Ending::Interrupted } else { Ending::JourneyFailed { message: gone.to_string() } };
        let report = self.partial(ending, gone.hint());
        Ok(relay.finish(report, Vec::new()))
    }

    /// What is known of a run whose process is gone.
    fn partial(&self, ending: Ending, hint: Option<&str>) -> Report {
        let duration = self.last.as_ref().map_or(Duration::ZERO, |second| second.at);
        let thresholds = judge(&self.plan.thresholds, &self.totals, duration);
        let states = self.last.iter().flat_map(|second| &second.scenarios);
        let scenarios: Vec<ScenarioTotals> = states
            .map(|state| ScenarioTotals {
                name: state.name.clone(),
                planned: state.started.saturating_add(state.dropped),
                started: state.started,
                completed: state.completed,
                failed: state.failed,
                interrupted: state.started.saturating_sub(state.completed),
                dropped: state.dropped,
            })
            .collect();
        let failed_share = match self.totals.metric(builtin::ITERATIONS_FAILED) {
            Some(crate::aggregate::Value::Rate { passes, total }) if *total > 0 => *passes as f64 / *total as f64,
            _ => 0.0,
        };
        let reason = Reason {
            value: "the load process ended before the run did".to_owned(),
            limit: "it ends with the run".to_owned(),
            hint: hint.unwrap_or("see what is said of its end").to_owned(),
        };
        Report {
            ending,
            started_at: self.started_at,
            duration,
            seed: self.plan.seed,
            metrics: MetricTotals::of(&self.totals, &self.registry, &thresholds),
            thresholds,
            generator: GeneratorVerdict::Invalid { reasons: vec![reason] },
            root_group: self.totals.root_group().clone(),
            scenarios,
            max_vus: self.plan.max_vus(),
            warnings: Vec::new(),
            config_errors: Vec::new(),
            output_errors: Vec::new(),
            journey_failed: None,
            failed_share,
            summary: self.summary.clone(),
        }
    }
}

impl Handle {
    /// What ends the run early.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the end of the run. A process that ended too soon has a report as well, of what it told until then.
    pub fn wait(mut self) -> Result<Report, IsolateError> {
        let joined = self.thread.take().map(JoinHandle::join);
        let panicked = || IsolateError::Run { message: "the thread that feeds the outputs panicked".to_owned() };
        joined.and_then(Result::ok).unwrap_or_else(|| Err(panicked()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stopper.guard.end();
            // Nobody is left to hear how it ended.
            let _ = thread.join();
        }
    }
}

impl Stopper {
    /// Lets running iterations end within their scenario's graceful period, and starts no new ones.
    pub fn stop(&self) {
        self.ask(&Down::Stop);
    }

    /// Interrupts running iterations, `setup` and `teardown`. A process that does not end then is ended.
    pub fn stop_now(&self) {
        self.guard.within(HURRY, "end when it was told to");
        self.ask(&Down::StopNow);
    }

    fn ask(&self, order: &Down) {
        self.was_asked.store(true, Ordering::Relaxed);
        // A process that is gone needs no telling.
        let _ = send(&self.writer, order, None);
    }
}

/// How the user is told what stands around the process.
fn wall(confinement: Confinement) -> String {
    format!("child process, {confinement}")
}

fn foul(what: &str) -> WireError {
    WireError::Foul(what.to_owned())
}
