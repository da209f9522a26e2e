use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use super::*;
use crate::aggregate::WindowRecorder;
use crate::metrics::{MetricId, Record, Tags, builtin};
use crate::output::{Event, OutputError};
use crate::plan::{Curve, Load, Scenario};
use crate::verdict::{GeneratorVerdict, Threshold};
use crate::vu::{Context, Notice, NoticeLevel};

/// Writes down what it is told, and fails when it is told to.
struct Listener {
    heard: Arc<Mutex<Vec<String>>>,
    wants_samples: bool,
    fails: bool,
    is_replaced: bool,
}

impl Output for Listener {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let text = match event {
            Event::Started(_) => "started".to_owned(),
            Event::Second(second) => {
                let scenario = &second.scenarios[0];
                format!(
                    "second {} {} VUs {:.0}/s p95 {:?}",
                    second.at.as_secs(),
                    scenario.active,
                    scenario.rate,
                    scenario.p95
                )
            }
            Event::Samples(samples) => format!("{} samples", samples.len()),
            Event::Notice(notice, repeated) => format!("{}+{repeated}", notice.message),
            Event::Finished(_) => "finished".to_owned(),
        };
        self.heard.lock().unwrap().push(text);
        if self.fails && !matches!(event, Event::Started(_)) {
            return Err(OutputError::Write { name: "x".into(), source: io::ErrorKind::StorageFull.into() });
        }
        Ok(())
    }

    fn wants_samples(&self) -> bool {
        self.wants_samples
    }

    fn is_replaced_by_journey(&self) -> bool {
        self.is_replaced
    }

    fn name(&self) -> String {
        "listener".to_owned()
    }
}

struct Bench {
    collector: Collector,
    context: Arc<Context>,
    notices: Arc<Context>,
    recorder: WindowRecorder,
    heard: Arc<Mutex<Vec<String>>>,
    aborts: Arc<AtomicUsize>,
}

type Heard = Arc<Mutex<Vec<String>>>;

fn listener(heard: &Heard, wants_samples: bool, fails: bool) -> Box<dyn Output> {
    Box::new(Listener { heard: Arc::clone(heard), wants_samples, fails, is_replaced: false })
}

/// A collector of an open model with 10 iterations a second and 5 VUs.
fn bench(thresholds: &[&str], workers: usize, outputs: impl FnOnce(&Heard) -> Vec<Box<dyn Output>>) -> Bench {
    let curve = Curve::constant(10.0, Duration::from_mins(1)).unwrap();
    let scenario = Scenario::new("s", Load::Arrivals { curve, pre_allocated: 5, max: 5 }).unwrap();
    let mut plan = Plan::new(vec![scenario]);
    plan.thresholds = thresholds.iter().map(|text| text.parse::<Threshold>().unwrap()).collect();
    plan.thresholds.iter_mut().for_each(|threshold| threshold.abort_on_fail = true);
    let registry = Arc::new(Registry::default());
    let (sender, notices): (SyncSender<Notice>, _) = sync_channel(100);
    let context = Arc::new(Context::new(1, Arc::clone(&registry), sender));
    let heard = Heard::default();
    let aborts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&aborts);
    let collector = start(Setup {
        plan: Arc::new(plan),
        registry: Arc::clone(&registry),
        context: Arc::clone(&context),
        notices,
        outputs: outputs(&heard),
        workers,
        on_abort: Box::new(move |message| {
            assert!(message.starts_with("thresholds on metrics `"), "{message}");
            counter.fetch_add(1, Ordering::Relaxed);
        }),
    });
    let recorder = WindowRecorder::new(registry, 100, collector.tap());
    Bench { collector, notices: Arc::clone(&context), context, recorder, heard, aborts }
}

impl Bench {
    fn record(&self, metric: MetricId, value: f64) {
        self.recorder.add(self.recorder.series(metric, &Tags::default()), value);
    }

    fn send(&self, worker: usize, second: u32, state: ScenarioState, last: bool) {
        let length = Duration::from_secs(1);
        let window = self.recorder.take(length * (second - 1), length);
        let from = FromWorker { worker, window, cpu: length / 4, states: vec![state], last };
        self.collector.sender().send(from).unwrap();
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn state(vus: u32, iterations: u64) -> ScenarioState {
    ScenarioState {
        active: vus,
        initialised: vus,
        started: iterations,
        completed: iterations,
        planned: iterations,
        ..ScenarioState::default()
    }
}

#[test]
fn windows_of_all_workers_become_seconds_and_a_report() {
    let bench = bench(&[], 2, |heard| vec![listener(heard, false, false)]);
    for (second, iterations) in [(1, 10), (2, 20)] {
        for worker in 0..2 {
            bench.record(builtin::ITERATIONS, 10.0);
            bench.record(builtin::ITERATION_DURATION, 50.0);
            bench.send(worker, second, state(2, iterations), false);
        }
    }
    let ended = ScenarioState { active: 0, initialised: 0, dropped: 2, planned: 22, ..state(0, 20) };
    (0..2).for_each(|worker| bench.send(worker, 3, ended, true));
    let heard = Arc::clone(&bench.heard);
    let report = bench.collector.finish(Ending::Completed).complete(Vec::new());
    let scenario = &report.scenarios[0];
    assert_eq!((scenario.planned, scenario.completed, scenario.dropped), (44, 40, 4));
    assert_eq!((report.max_vus, report.duration), (4, Duration::from_secs(3)));
    assert_eq!(report.warnings[0].message, "4 of 44 iterations were dropped in `s`: all 5 VUs were busy");
    assert_eq!(report.warnings[0].hint.as_deref(), Some("raise `max-vus`, or the target cannot keep up with 10/s"));
    assert!(matches!(&report.generator, GeneratorVerdict::Invalid { reasons } if reasons[0].value.contains("4 of 44")));
    let heard = heard.lock().unwrap().clone();
    assert_eq!(
        heard[..4],
        [
            "started",
            "second 1 4 VUs 20/s p95 Some(50.0)",
            "second 2 4 VUs 20/s p95 Some(50.0)",
            "second 3 0 VUs 0/s p95 None",
        ]
    );
    assert!(heard[4].starts_with("collector: cpu "), "{}", heard[4]);
    assert_eq!(heard[5], "finished");
    let vus = report.metrics.iter().find(|metric| metric.selector.metric == "vus").unwrap();
    assert!(format!("{:?}", vus.value).contains("last: 4.0, min: 4.0, max: 4.0"), "{:?}", vus.value);
}

#[test]
fn a_crossed_threshold_that_aborts_asks_once_for_the_end() {
    let bench = bench(&["http_req_duration: max<10", "checks: rate>0.5"], 1, |_| Vec::new());
    for second in 1..=6 {
        bench.record(builtin::HTTP_REQ_DURATION, 20.0);
        bench.send(0, second, state(1, 1), second == 6);
    }
    let aborts = Arc::clone(&bench.aborts);
    let report = bench.collector.finish(Ending::ThresholdAborted).complete(Vec::new());
    assert_eq!(aborts.load(Ordering::Relaxed), 1);
    assert_eq!(report.crossed(), ["checks", "http_req_duration"]);
    assert_eq!(report.thresholds[1].value, None, "no data ends no run, but fails it");
}

#[test]
fn samples_go_to_a_thread_of_their_own_and_a_failing_output_is_told_of_once() {
    let bench = bench(&[], 1, |heard| vec![listener(heard, true, true), listener(heard, false, false)]);
    for second in 1..=3 {
        bench.record(builtin::HTTP_REQS, 1.0);
        bench.send(0, second, state(1, 1), second == 3);
    }
    let heard = Arc::clone(&bench.heard);
    let report = bench.collector.finish(Ending::Completed).complete(Vec::new());
    let heard = heard.lock().unwrap();
    assert_eq!(heard.iter().filter(|line| line.ends_with(" samples")).count(), 1, "it failed at the first");
    assert_eq!(report.output_errors.len(), 1, "{:?}", report.output_errors);
    assert!(report.output_errors[0].contains("`x` could not be written to the end"));
    assert_eq!(heard.iter().filter(|line| *line == "finished").count(), 1);
}

#[test]
fn failures_of_iterations_are_folded_and_counted_at_the_end() {
    let bench = bench(&[], 1, |heard| vec![listener(heard, false, false)]);
    for vu in 0..50 {
        let message = "refused".to_owned();
        bench.notices.notify(Notice {
            level: NoticeLevel::Error,
            scenario: "s".into(),
            vu,
            message,
            from_host: true,
            detail: None,
        });
    }
    bench.send(0, 1, state(1, 50), true);
    bench.context.control.fail("not good enough");
    let heard = Arc::clone(&bench.heard);
    let report = bench.collector.finish(Ending::Completed).complete(Vec::new());
    let heard = heard.lock().unwrap();
    let told: Vec<&String> = heard.iter().filter(|line| line.starts_with("refused")).collect();
    assert_eq!(told, ["refused+0", "refused+49"]);
    assert_eq!(report.journey_failed.as_deref(), Some("not good enough"));
}

#[test]
fn a_summary_of_the_journeys_own_replaces_ours() {
    let bench = bench(&[], 1, |heard| {
        let ours = Listener { heard: Arc::clone(heard), wants_samples: false, fails: false, is_replaced: true };
        vec![Box::new(ours), listener(heard, false, false)]
    });
    let heard = Arc::clone(&bench.heard);
    bench.send(0, 1, ScenarioState::default(), true);
    let finished = bench.collector.finish(Ending::Completed);
    heard.lock().unwrap().clear();
    let report = finished.complete(vec![("../escape".to_owned(), "text".to_owned())]);
    assert!(report.output_errors.iter().any(|error| error.contains("`../escape`")), "{:?}", report.output_errors);
    assert_eq!(heard.lock().unwrap().iter().filter(|line| *line == "finished").count(), 1);
}

#[test]
fn a_worker_that_never_ends_is_not_waited_for_long() {
    let bench = bench(&[], 2, |heard| vec![listener(heard, false, false)]);
    bench.record(builtin::ITERATIONS, 1.0);
    bench.send(0, 1, state(1, 1), true);
    let _ = bench.heard();
    let since = std::time::Instant::now();
    let report = bench.collector.finish(Ending::Interrupted).complete(Vec::new());
    assert!(since.elapsed() < Duration::from_secs(10));
    assert!(report.metrics.iter().any(|metric| metric.selector.metric == "iterations"));
}

#[test]
fn a_threshold_on_a_metric_that_nobody_declared_is_a_config_error() {
    let bench = bench(&["orders: count>1"], 1, |_| Vec::new());
    bench.send(0, 1, state(1, 1), true);
    let report = bench.collector.finish(Ending::Completed).complete(Vec::new());
    assert_eq!(report.config_errors[0].message, "threshold `orders: count>1`: there is no metric `orders`");
}
