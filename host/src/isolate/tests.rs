//! A parent and load processes that mean harm. Those are this test binary, started again for it; its environment is
//! empty, so the name of the test says what it is to do.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, exit};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::message::{Down, Up};
use super::wire::{LARGEST_UP, Reader, Writer};
use super::*;
use crate::aggregate::{Series, Value, Window};
use crate::metrics::{Contains, Kind, Metric, MetricId, Registry, builtin};
use crate::output::{Event, Output, OutputError, ScenarioSecond, Second};
use crate::plan::{Curve, Limits, Load, Plan, Policy, Scenario};
use crate::run::RunOptions;
use crate::sandbox::{Inspection, Manifest, MemoryMode};
use crate::verdict::{Ending, Report};
use crate::vu::{Notice, NoticeLevel};

/// The other end, in a process that was started for it.
struct Child {
    reader: Reader,
    writer: Writer,
}

impl Child {
    /// Answers until the run starts; `None` in the process that runs the tests.
    fn enter() -> Option<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
        stream.peer_addr().ok()?;
        let reader = Reader::trusting(stream.try_clone().unwrap());
        let mut child = Self { reader, writer: Writer::new(stream, LARGEST_UP) };
        child.expect(|down| matches!(down, Down::Walls(_)));
        child.say(&Up::Confined(Confinement { landlock: None }));
        Some(child)
    }

    fn until_the_run() -> Option<Self> {
        let mut child = Self::enter()?;
        child.take_component();
        child.say(&Up::Loaded(Box::new(inspection())));
        child.expect(|down| matches!(down, Down::Run(_)));
        child.say(&Up::Started(Duration::from_secs(1)));
        Some(child)
    }

    fn take_component(&mut self) {
        let Down::Component(length, ..) = self.reader.next().unwrap() else { panic!("no component") };
        self.reader.bytes(length as usize).unwrap();
    }

    #[track_caller]
    fn expect(&mut self, is_it: fn(&Down) -> bool) {
        assert!(is_it(&self.reader.next().unwrap()));
    }

    /// Says something, or ends where nobody listens any more.
    fn say(&mut self, up: &Up) {
        if self.writer.send(up).is_err() {
            exit(0);
        }
    }

    /// Stays until it is killed.
    fn stay(self) -> ! {
        sleep(Duration::from_mins(1));
        drop(self);
        exit(0)
    }
}

fn inspection() -> Inspection {
    Inspection {
        kind: crate::plan::Kind::Journey,
        world: "w".to_owned(),
        digest: "d".to_owned(),
        size: 1,
        data: 1,
        memory_mode: MemoryMode::Dense,
        imports: Vec::new(),
        manifest: Manifest::default(),
        exports: Vec::new(),
    }
}

/// A second in which a counter went up in this many series.
fn second(at: u64, series: usize) -> Second {
    let of = |number: usize| {
        let tags = [("n", format!("{at}.{number}"))].into_iter().collect();
        (Arc::new(Series { metric: builtin::HTTP_REQS, tags }), Value::Counter(1.0))
    };
    let window = Window { series: (0..series).map(of).collect(), ..Window::default() };
    let scenario = ScenarioSecond { name: "forged".into(), started: 5, completed: 4, ..ScenarioSecond::default() };
    Second { at: Duration::from_secs(at), window, scenarios: vec![scenario] }
}

/// Hears which scenarios there are and what is said of them.
struct Listener(std::sync::mpsc::Sender<String>);

impl Output for Listener {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let heard = match event {
            Event::Second(second) => format!("second of {}", second.scenarios[0].name),
            Event::Notice(notice, _) => format!("{}: {}", notice.scenario, notice.message),
            Event::Finished(report) => format!("finished with {}", report.metrics.len()),
            _ => return Ok(()),
        };
        self.0.send(heard).unwrap();
        Ok(())
    }

    fn name(&self) -> String {
        "listener".to_owned()
    }
}

fn spawn(name: &str) -> Result<Isolated, IsolateError> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("isolate::tests::{name}"), "--nocapture", "--test-threads=1"]);
    Isolated::spawn(command, Settings { landlock: false, compile_time: Duration::from_secs(2), ..Settings::default() })
}

fn load(isolated: &mut Isolated) -> Result<Inspection, IsolateError> {
    isolated.load(b"component", "c.wasm", &Limits::untrusted(), &Policy::default())
}

/// Runs against a child, and returns what came of it and what the outputs heard.
fn run_against(name: &str) -> (Result<Report, IsolateError>, Vec<String>) {
    let load_of =
        Load::Vus { curve: Curve::constant(1.0, Duration::from_secs(9)).unwrap(), graceful_ramp_down: Duration::ZERO };
    let mut plan = Plan::new(vec![Scenario::new("real", load_of).unwrap()]);
    plan.limits = Limits::untrusted();
    let mut isolated = spawn(name).unwrap();
    load(&mut isolated).unwrap();
    let (sender, heard) = std::sync::mpsc::channel();
    let outputs: Vec<Box<dyn Output>> = vec![Box::new(Listener(sender))];
    let options = RunOptions { threads: Some(1), ..RunOptions::default() };
    let handle = isolated.start(plan, Arc::new(Registry::default()), outputs, options).unwrap();
    let report = handle.wait();
    (report, heard.try_iter().collect())
}

/// Asserts that the child was found out, and what it had said before was reported.
#[track_caller]
fn expect_found_out(name: &str, what: &str) {
    let (report, heard) = run_against(name);
    let report = report.unwrap();
    let Ending::JourneyFailed { message } = &report.ending else { panic!("{:?}", report.ending) };
    assert!(message.contains("broke the rules") && message.contains(what), "{message}");
    assert!(heard.last().is_some_and(|last| last.starts_with("finished")), "{heard:?}");
}

// What children do.

#[test]
fn child_says_nothing_to_a_component() {
    let Some(mut child) = Child::enter() else { return };
    child.take_component();
    child.stay();
}

#[test]
fn child_ends_at_a_component() {
    let Some(mut child) = Child::enter() else { return };
    child.take_component();
    eprintln!("last \x1b[2J words");
    exit(3);
}

#[test]
fn child_answers_what_was_not_asked() {
    let Some(mut child) = Child::enter() else { return };
    child.take_component();
    child.say(&Up::Options(Ok(String::new())));
    child.stay();
}

#[test]
fn child_declares_a_metric_that_cannot_be() {
    let Some(mut child) = Child::until_the_run() else { return };
    let metric = Metric { id: MetricId(7), name: "a-b".into(), kind: Kind::Counter, contains: Contains::Default };
    child.say(&Up::Metrics(vec![metric]));
    child.stay();
}

#[test]
fn child_invents_series_without_end() {
    let Some(mut child) = Child::until_the_run() else { return };
    (1..1000).for_each(|at| child.say(&Up::Second(Box::new(second(at, 5000)))));
    child.stay();
}

#[test]
fn child_tells_of_a_second_beyond_all_time() {
    let Some(mut child) = Child::until_the_run() else { return };
    child.say(&Up::Second(Box::new(second(1, 2))));
    child.say(&Up::Second(Box::new(Second { at: Duration::MAX, ..second(2, 1) })));
    child.stay();
}

#[test]
fn child_floods() {
    let Some(mut child) = Child::until_the_run() else { return };
    let message = "\x1b[31m".repeat(1000);
    let notice =
        Notice { level: NoticeLevel::Error, scenario: "forged".into(), vu: 1, message, detail: None, from_host: false };
    loop {
        child.say(&Up::Notice(notice.clone(), 0));
    }
}

#[test]
fn child_says_too_much_at_once() {
    let Some(mut child) = Child::until_the_run() else { return };
    let _ = child.writer.raw(&u32::MAX.to_be_bytes());
    child.stay();
}

#[test]
fn child_ends_without_a_report() {
    let Some(mut child) = Child::until_the_run() else { return };
    child.say(&Up::Ended(None));
    child.stay();
}

#[test]
fn child_writes_files() {
    let Some(mut child) = Child::until_the_run() else { return };
    child.say(&Up::Second(Box::new(second(1, 2))));
    let mut report = crate::verdict::tests::hand_made();
    report.thresholds.clear();
    report.metrics.retain(|metric| !metric.is_custom);
    report.scenarios = vec![crate::verdict::ScenarioTotals { name: "forged".into(), ..Default::default() }];
    child.say(&Up::Finished(Box::new(report)));
    child.say(&Up::Texts(vec![("squall-test-of-a-forged-file".to_owned(), "x".to_owned())]));
    child.say(&Up::Ended(None));
    exit(0);
}

// What comes of it.

#[test]
fn a_child_that_does_not_answer_is_ended() {
    let mut isolated = spawn("child_says_nothing_to_a_component").unwrap();
    let since = Instant::now();
    let error = load(&mut isolated).unwrap_err();
    assert_eq!(error.to_string(), "the load process took longer than 2s to compile the component");
    assert!(error.hint().is_some() && since.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_end_of_a_child_is_told_with_its_last_words() {
    let mut isolated = spawn("child_ends_at_a_component").unwrap();
    let error = load(&mut isolated).unwrap_err().to_string();
    assert!(error.starts_with("the load process ended too soon, with exit status: 3\n"), "{error}");
    assert!(error.contains("words"), "{error}");
    let mut isolated = spawn("child_answers_what_was_not_asked").unwrap();
    let error = load(&mut isolated).unwrap_err().to_string();
    assert!(error.contains("an answer to a question that was not asked"), "{error}");
}

#[test]
fn a_program_that_serves_nothing_is_no_load_process() {
    let error = Isolated::spawn(Command::new("true"), Settings::default()).unwrap_err();
    assert!(matches!(error, IsolateError::Ended { .. }), "{error}");
    let error = Isolated::spawn(Command::new("/no/such/program"), Settings::default()).unwrap_err();
    assert!(matches!(error, IsolateError::Spawn { .. }), "{error}");
}

#[test]
fn children_that_break_the_rules_are_found_out() {
    expect_found_out("child_declares_a_metric_that_cannot_be", "a metric that cannot be");
    expect_found_out("child_tells_of_a_second_beyond_all_time", "a second that cannot be");
    expect_found_out("child_invents_series_without_end", "more series than the limit");
    expect_found_out("child_says_too_much_at_once", "a message of 4294967295 bytes");
    expect_found_out("child_floods", "more messages in a second");
}

#[test]
fn messages_of_a_flood_are_bounded_and_forged_names_are_not_shown() {
    let (_, heard) = run_against("child_floods");
    let said: usize = heard.iter().map(String::len).sum();
    assert!(said < 10 << 20 && heard.iter().all(|line| !line.contains("forged")), "{said}");
}

#[test]
fn a_run_without_a_report_is_a_bug() {
    let (report, _) = run_against("child_ends_without_a_report");
    assert!(matches!(report, Err(IsolateError::Run { .. })), "{report:?}");
}

#[test]
fn a_report_is_the_plans_and_no_file_is_written() {
    let (report, heard) = run_against("child_writes_files");
    let report = report.unwrap();
    assert_eq!(&*report.scenarios[0].name, "real");
    assert_eq!(heard[0], "second of real");
    assert!(
        report.warnings.iter().any(|warning| warning.message.contains("were not written")),
        "{:?}",
        report.warnings
    );
    assert!(!std::path::Path::new("squall-test-of-a-forged-file").exists());
}
