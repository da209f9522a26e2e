//! What the collector's thread does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::audience::{Audience, failure};
use super::denied::Denied;
use super::evidence::{self, Machine};
use super::finished::{host_notice, tell_notices};
use super::seconds::{Closed, Seconds};
use super::sink::{self, Failures};
use super::warnings::{self, Lost};
use super::{FromWorker, Message, ScenarioState};
use crate::aggregate::{Gauge, Series, Tap, Totals, Trend, Value, Window};
use crate::metrics::{Contains, Excesses, MetricId, Registry, Sample, builtin};
use crate::output::{Banner, Event, Folder, ScenarioSecond, Second};
use crate::plan::{Budget, Load, Plan, Scenario};
use crate::platform;
use crate::verdict::{
    Ending, Evidence, MetricTotals, Report, ScenarioTotals, SummaryOptions, Warning, check_declared, judge,
};
use crate::vu::{Context, Notice, NoticeLevel};

/// How long a message of the journey may wait to be shown.
const PERIOD: Duration = Duration::from_millis(100);
/// Thresholds are judged every so many seconds, as k6 does.
const JUDGE_EVERY: u64 = 2;
/// How long the last windows are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the duty needs.
pub(super) struct Orders {
    pub(super) plan: Arc<Plan>,
    pub(super) registry: Arc<Registry>,
    pub(super) context: Arc<Context>,
    pub(super) notices: Receiver<Notice>,
    pub(super) audience: Audience,
    pub(super) banner: Banner,
    pub(super) workers: usize,
    pub(super) on_abort: Box<dyn Fn(String) + Send>,
    pub(super) tap: Option<Tap>,
    pub(super) lost_outputs: Option<Failures>,
}

/// The collector at work.
pub(super) struct Duty {
    orders: Orders,
    seconds: Seconds,
    workers: Vec<Vec<ScenarioState>>,
    /// Which workers have sent their last window.
    ended: Vec<bool>,
    totals: Totals,
    evidence: Evidence,
    machine: Machine,
    folder: Folder,
    /// The counts at the end of the second before.
    before: (u64, Vec<ScenarioState>),
    max_vus: u32,
    /// When the last worker that had a VU ended, since the start of the run.
    load_ended: Duration,
    lost_series: u64,
    excesses: Excesses,
    denied: Denied,
    has_aborted: bool,
}

impl Duty {
    pub(super) fn new(orders: Orders) -> Self {
        let selectors = orders.plan.thresholds.iter().map(|threshold| threshold.selector.clone()).collect();
        let scenarios = vec![ScenarioState::default(); orders.plan.scenarios.len()];
        Self {
            seconds: Seconds::new(orders.workers),
            workers: vec![scenarios.clone(); orders.workers],
            ended: vec![false; orders.workers],
            totals: Totals::new(Arc::clone(&orders.registry), selectors),
            evidence: Evidence::default(),
            machine: Machine::default(),
            folder: Folder::default(),
            before: (0, scenarios),
            max_vus: 0,
            load_ended: Duration::ZERO,
            lost_series: 0,
            excesses: Excesses::default(),
            denied: Denied::default(),
            has_aborted: false,
            orders,
        }
    }

    /// Works until it is told to finish and the last windows are there.
    pub(super) fn perform(mut self, messages: &Receiver<Message>) -> (Report, Audience, Receiver<Notice>) {
        let banner = self.orders.banner.clone();
        self.orders.audience.tell(&Event::Started(&banner));
        self.machine.busy();
        let mut ending: Option<(Ending, Instant)> = None;
        loop {
            match messages.recv_timeout(PERIOD) {
                Ok(Message::Window(from)) => self.take_in(*from),
                Ok(Message::Finish(how)) => ending = Some((*how, Instant::now())),
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody is left who could send more, or wait for a report.
                Err(RecvTimeoutError::Disconnected) => {
                    return self.finish(ending.map_or(Ending::Interrupted, |(how, _)| how));
                }
            }
            while let Some(closed) = self.seconds.next(self.orders.context.started.elapsed()) {
                self.close(closed);
            }
            self.tell_messages();
            if let Some((how, since)) = ending.take() {
                if self.seconds.all_ended() || since.elapsed() >= PATIENCE {
                    return self.finish(how);
                }
                ending = Some((how, since));
            }
        }
    }

    fn take_in(&mut self, from: FromWorker) {
        let has_vus = from.states.iter().any(|state| state.initialised > 0 || state.started > 0);
        if has_vus {
            self.load_ended = self.load_ended.max(from.window.end());
        }
        if let Some(states) = self.workers.get_mut(from.worker) {
            states.clone_from(&from.states);
            self.ended[from.worker] |= from.last;
        }
        self.seconds.take_in(from);
    }

    /// The counts of all workers together, by scenario.
    fn states(&self) -> Vec<ScenarioState> {
        let mut all = vec![ScenarioState::default(); self.orders.plan.scenarios.len()];
        for states in &self.workers {
            all.iter_mut().zip(states).for_each(|(sum, state)| sum.add(state));
        }
        all
    }

    /// Whether a worker that has VUs is still at work.
    fn is_loaded(&self) -> bool {
        let mut workers = self.workers.iter().zip(&self.ended);
        workers.any(|(states, ended)| !ended && states.iter().any(|state| state.initialised > 0))
    }

    fn close(&mut self, closed: Closed) {
        let Closed { end, mut window, busiest } = closed;
        let states = self.states();
        let machine = self.machine.busy();
        self.lost_series += window.overflowed;
        self.excesses.add(&window.excesses);
        if self.is_loaded() {
            self.record_vus(&states, Duration::from_secs(end), &mut window);
            self.evidence.second(busiest, machine);
        }
        self.totals.add(&window);
        self.denied.add(&window);
        let scenarios = self.scenario_seconds(&states, end, &window);
        let second = Second { at: Duration::from_secs(end), window, scenarios };
        self.orders.audience.tell(&Event::Second(&second));
        for (notice, repeated) in self.folder.meanwhile() {
            self.orders.audience.tell(&Event::Notice(&notice, repeated));
        }
        self.before = (end, states);
        if end.is_multiple_of(JUDGE_EVERY) {
            self.judge(Duration::from_secs(end));
        }
    }

    /// Records the gauges of VUs, which no single worker knows.
    fn record_vus(&mut self, states: &[ScenarioState], at: Duration, window: &mut Window) {
        let active = states.iter().map(|state| state.active).sum();
        let initialised = states.iter().map(|state| state.initialised).sum();
        self.max_vus = self.max_vus.max(initialised);
        let at_nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let tags = &self.orders.plan.tags;
        let gauge = |metric: MetricId, value: u32, window: &mut Window| {
            let series = Arc::new(Series { metric, tags: tags.clone() });
            window.add(series, Value::Gauge(Gauge::of(f64::from(value), at_nanos)));
            Sample { metric, tags: tags.clone(), at_nanos, value: f64::from(value) }
        };
        let samples = vec![gauge(builtin::VUS, active, window), gauge(builtin::VUS_MAX, initialised, window)];
        if let Some(tap) = &self.orders.tap {
            tap.send(samples);
        }
    }

    fn scenario_seconds(&self, states: &[ScenarioState], end: u64, window: &Window) -> Vec<ScenarioSecond> {
        let (before, previous) = &self.before;
        let seconds = end.saturating_sub(*before).max(1) as f64;
        let scenarios = self.orders.plan.scenarios.iter().zip(states.iter().zip(previous));
        let is_only = self.orders.plan.scenarios.len() == 1;
        scenarios
            .map(|(scenario, (state, previous))| ScenarioSecond {
                name: Arc::clone(&scenario.name),
                start: self.load_start() + scenario.start,
                length: scenario.load.length(),
                budget: budget(scenario),
                active: state.active,
                initialised: state.initialised,
                started: state.started,
                completed: state.completed,
                failed: state.failed,
                dropped: state.dropped,
                rate: state.completed.saturating_sub(previous.completed) as f64 / seconds,
                p95: p95(window, (!is_only).then_some(&scenario.name)),
            })
            .collect()
    }

    /// When the load started, since the start of the run.
    fn load_start(&self) -> Duration {
        let context = &self.orders.context;
        context.load_started.get().map_or(Duration::ZERO, |load| load.saturating_duration_since(context.started))
    }

    /// Judges what has come so far, and ends the run if a threshold with `abortOnFail` is crossed. One that has seen no
    /// data yet may still see some.
    fn judge(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.load_start());
        let thresholds = &self.orders.plan.thresholds;
        if self.has_aborted || !thresholds.iter().any(|threshold| threshold.abort_on_fail) {
            return;
        }
        let results = judge(thresholds, &self.totals, elapsed);
        let mut crossed = results.iter().filter(|result| !result.passed && result.value.is_some()).peekable();
        let aborts = |result: &&crate::verdict::ThresholdResult| {
            result.threshold.abort_on_fail && elapsed >= result.threshold.delay_abort
        };
        if !crossed.clone().any(|result| aborts(&result)) || crossed.peek().is_none() {
            return;
        }
        let mut names: Vec<String> = crossed.map(|result| result.threshold.selector.to_string()).collect();
        names.dedup();
        let names = names.join(", ");
        let message = format!(
            "thresholds on metrics `{names}` were crossed; at least one has `abortOnFail` enabled, stopping test prematurely"
        );
        self.has_aborted = true;
        self.orders.audience.tell(&Event::Notice(&host_notice(NoticeLevel::Error, message.clone()), 0));
        (self.orders.on_abort)(message);
    }

    fn tell_messages(&mut self) {
        let Orders { audience, notices, lost_outputs, .. } = &mut self.orders;
        tell_notices(audience, notices, &mut self.folder);
        for error in lost_outputs.as_ref().map(sink::take).unwrap_or_default() {
            audience.tell(&Event::Notice(&failure(&error), 0));
        }
    }

    fn finish(mut self, ending: Ending) -> (Report, Audience, Receiver<Notice>) {
        if let Some(rest) = self.seconds.rest() {
            self.close(rest);
        }
        let states = self.states();
        if self.max_vus == 0 && states.iter().any(|state| state.started > 0) {
            self.record_vus_of_a_moment();
        }
        let end = if self.load_ended.is_zero() { self.orders.context.started.elapsed() } else { self.load_ended };
        let duration = end.saturating_sub(self.load_start());
        let report = self.report(ending, duration, &states);
        for (notice, repeated) in self.folder.drain() {
            self.orders.audience.tell(&Event::Notice(&notice, repeated));
        }
        let (cpu, run) = (platform::thread_cpu_time(), self.orders.context.started.elapsed());
        let used = format!("collector: cpu {:.1} ms over {:.1} s", cpu.as_secs_f64() * 1000.0, run.as_secs_f64());
        self.orders.audience.tell(&Event::Notice(&host_notice(NoticeLevel::Debug, used), 0));
        (report, self.orders.audience, self.orders.notices)
    }

    /// Records the VUs of a load that was over before the first second was: the plan's, since nobody counted.
    fn record_vus_of_a_moment(&mut self) {
        let vus = self.orders.plan.scenarios.iter().map(|scenario| scenario.load.initial_vus()).sum();
        let state = ScenarioState { active: vus, initialised: vus, ..ScenarioState::default() };
        let mut window = Window::default();
        self.record_vus(&[state], self.load_ended, &mut window);
        self.totals.add(&window);
    }

    fn report(&self, ending: Ending, duration: Duration, states: &[ScenarioState]) -> Report {
        let Orders { plan, registry, context, tap, .. } = &self.orders;
        let thresholds = judge(&plan.thresholds, &self.totals, duration);
        let evidence = evidence::complete(self.evidence.clone(), plan, states, &self.totals);
        let has_run = states.iter().any(|state| state.started > 0);
        let samples = tap.as_ref().map_or(0, Tap::lost);
        let lost = Lost { series: self.lost_series, excesses: self.excesses, samples };
        let failed_share = match self.totals.metric(builtin::ITERATIONS_FAILED) {
            Some(Value::Rate { passes, total }) if *total > 0 => *passes as f64 / *total as f64,
            _ => 0.0,
        };
        // A journey that never ran declared nothing, which says nothing about its thresholds.
        let undeclared = if has_run { check_declared(&plan.thresholds, registry) } else { Vec::new() };
        let as_warning =
            |error: crate::verdict::ThresholdError| Warning { message: error.to_string(), hint: error.hint() };
        Report {
            ending,
            started_at: context.started_at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default(),
            duration,
            seed: plan.seed,
            metrics: MetricTotals::of(&self.totals, registry, &thresholds),
            thresholds,
            generator: evidence.judge(),
            root_group: self.totals.root_group().clone(),
            scenarios: plan.scenarios.iter().zip(states).map(|(scenario, state)| totals_of(scenario, state)).collect(),
            max_vus: self.max_vus,
            warnings: warnings::of(plan, states, lost)
                .into_iter()
                .chain(self.denied.warning(&plan.policy.net))
                .collect(),
            config_errors: undeclared.into_iter().map(as_warning).collect(),
            output_errors: Vec::new(),
            journey_failed: context.control.failed(),
            failed_share,
            summary: SummaryOptions::default(),
        }
    }
}

fn totals_of(scenario: &Scenario, state: &ScenarioState) -> ScenarioTotals {
    ScenarioTotals {
        name: Arc::clone(&scenario.name),
        planned: state.planned,
        started: state.started,
        completed: state.completed,
        failed: state.failed,
        interrupted: state.interrupted,
        dropped: state.dropped,
    }
}

fn budget(scenario: &Scenario) -> Option<u64> {
    match scenario.load {
        Load::Iterations { budget: Budget::Shared(iterations), .. } => Some(iterations),
        Load::Iterations { budget: Budget::PerVu(iterations), vus, .. } => Some(iterations * u64::from(vus)),
        Load::Vus { .. } | Load::Arrivals { .. } => None,
    }
}

/// The 95th percentile of a scenario's requests in a window, or of its iterations where there are no requests.
fn p95(window: &Window, scenario: Option<&Arc<str>>) -> Option<f64> {
    [builtin::HTTP_REQ_DURATION, builtin::ITERATION_DURATION].into_iter().find_map(|metric| {
        let is_in = |series: &Series| {
            series.metric == metric && scenario.is_none_or(|name| series.tags.get("scenario") == Some(&**name))
        };
        let mut all = Trend::new(Contains::Time);
        for (_, value) in window.series.iter().filter(|(series, _)| is_in(series)) {
            if let Value::Trend(trend) = value {
                all.merge(trend);
            }
        }
        (all.count() > 0).then(|| all.percentile(95.0))
    })
}
