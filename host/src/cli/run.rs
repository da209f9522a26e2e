//! `squall run`: from flags to a run, its outputs, and an exit code.

use std::io::IsTerminal as _;
use std::sync::Arc;

use squall::config::{self, Lowered, Presentation, Problem};
use squall::isolate::{IsolateError, Isolated};
use squall::metrics::Registry;
use squall::output::{self, Notices, Output, OutputError, Progress, Screen, Summary, SummaryExport, plain};
use squall::plan::{Kind, Plan, duration};
use squall::protocol::Network;
use squall::run::{self, RunOptions};
use squall::sandbox::{Component, Inspection};
use squall::verdict::{Ending, GeneratorVerdict, Report, SummaryOptions};

use super::component::{self, Failure, Loaded, Place};
use super::exit;
use super::message::{Style, redact_panics, say};
use super::run_args::RunArgs;
use super::signals::Signals;

/// Runs a journey and returns the exit code.
pub fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let style = Style::detect(args.no_color);
    let Loaded { component, lowered, .. } = match component::load(args, style) {
        Ok(loaded) => loaded,
        Err(failure) => return Ok(failure.report(style)),
    };
    redact_panics(lowered.plan.redactor());
    if args.explain {
        let (plan, Inspection { kind, memory_mode: memory, .. }) = (config::explain(&lowered), component.inspect());
        let kind = if kind == Kind::Program { "program" } else { "journey" };
        say(&plain::page(&format!("{plan}\n{kind}\n  memory of each VU             {memory}\n")));
        return Ok(exit::PASSED);
    }
    let style = Style::detect(lowered.presentation.no_color);
    if let Err(error) = Network::check(&lowered.plan.http) {
        let problem = Problem { message: error.to_string(), place: None, hint: None };
        return Ok(Failure::configuration(vec![problem]).report(style));
    }
    let registry = Arc::new(Registry::default());
    let outputs = match open_outputs(args, &lowered, &registry, style) {
        Ok(outputs) => outputs,
        Err(failure) => return Ok(failure.report(style)),
    };
    let (max_failed, allow_invalid) = (lowered.plan.max_failed_iterations, lowered.plan.allow_invalid);
    let options = RunOptions { threads: lowered.threads, summary: summary_options(&lowered.presentation) };
    let ran = match component {
        Place::Here(component) => run_here(&component, lowered.plan, registry, outputs, options)?,
        Place::Walled(isolated, _) => run_walled(*isolated, lowered.plan, registry, outputs, options)?,
    };
    let report = match ran {
        Ok(report) => report,
        Err(failed) => return Ok(failed(&args.journey).report(style)),
    };
    conclude(&report, max_failed, allow_invalid, style);
    Ok(exit::of(&report, max_failed, allow_invalid))
}

/// A report, or, given the journey's name, why there is none.
type Ran = Result<Report, Box<dyn FnOnce(&str) -> Failure>>;

/// Runs in this process.
fn run_here(
    component: &Component,
    plan: Plan,
    registry: Arc<Registry>,
    outputs: Vec<Box<dyn Output>>,
    options: RunOptions,
) -> anyhow::Result<Ran> {
    let journey = match component.journey(&plan) {
        Ok(journey) => Arc::new(journey),
        Err(error) => return Ok(Err(Box::new(move |name| Failure::load(&name, &error)))),
    };
    let signals = Signals::watch();
    let handle = run::start(plan, journey, registry, outputs, options)?;
    let stopper = handle.stopper();
    signals.obey(move |first| if first { stopper.stop() } else { stopper.stop_now() });
    Ok(Ok(handle.wait()?))
}

/// Runs in a process with a wall around it.
fn run_walled(
    isolated: Isolated,
    plan: Plan,
    registry: Arc<Registry>,
    outputs: Vec<Box<dyn Output>>,
    options: RunOptions,
) -> anyhow::Result<Ran> {
    let signals = Signals::watch();
    let ran = isolated.start(plan, registry, outputs, options).and_then(|handle| {
        let stopper = handle.stopper();
        signals.obey(move |first| if first { stopper.stop() } else { stopper.stop_now() });
        handle.wait()
    });
    match ran {
        Err(error @ IsolateError::Run { .. }) => Err(error.into()),
        Err(error) => Ok(Err(Box::new(move |name| Failure::isolated(name, &error)))),
        Ok(report) => Ok(Ok(report)),
    }
}

fn open_outputs(
    args: &RunArgs,
    lowered: &Lowered,
    registry: &Arc<Registry>,
    style: Style,
) -> Result<Vec<Box<dyn Output>>, Failure> {
    let shown = &lowered.presentation;
    let refused = |error: OutputError| {
        let problem = Problem { message: error.full(), place: None, hint: error.hint().map(str::to_owned) };
        Failure::configuration(vec![problem])
    };
    let summary = summary_options(shown);
    let screen = Screen::stderr();
    let mut outputs: Vec<Box<dyn Output>> = vec![
        Box::new(Progress::new(screen.clone(), &args.journey, shown.quiet)),
        Box::new(Notices::new(screen, shown.verbose, style.color)),
    ];
    for spec in &shown.out {
        outputs.push(output::open(spec, registry, &lowered.plan.thresholds).map_err(refused)?);
    }
    if let Some(path) = &shown.summary_export {
        outputs.push(Box::new(SummaryExport::create(path, summary.trend_stats.clone()).map_err(refused)?));
    }
    outputs.push(Box::new(Summary::stdout(summary)));
    Ok(outputs)
}

fn summary_options(shown: &Presentation) -> SummaryOptions {
    let stdout = std::io::stdout().is_terminal();
    SummaryOptions {
        trend_stats: shown.trend_stats.clone(),
        time_unit: shown.time_unit,
        color: stdout && !shown.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        stdout_is_terminal: stdout,
        stderr_is_terminal: std::io::stderr().is_terminal(),
    }
}

/// Says in words what the exit code says in a number.
fn conclude(report: &Report, max_failed: f64, allow_invalid: bool, style: Style) {
    for warning in &report.warnings {
        style.warning(&warning.message, None, warning.hint.as_deref());
    }
    for problem in &report.config_errors {
        style.error(&problem.message, None, problem.hint.as_deref());
    }
    let error = |message: &str, hint: Option<&str>| style.error(message, None, hint);
    match &report.ending {
        Ending::Completed => {}
        Ending::ThresholdAborted => error("a threshold with `abortOnFail` was crossed, so the run was stopped", None),
        Ending::Interrupted => error("the run was interrupted", None),
        Ending::JourneyAborted { reason } => error(&format!("the journey stopped the run: {reason}"), None),
        Ending::CpuUsedUp { limit } => error(
            &format!(
                "the iterations used up the run's computing time of {} (`limits.runCpu`)",
                duration::format(*limit)
            ),
            Some("raise `--run-cpu`, or let the journey compute less"),
        ),
        Ending::TooManyTraps { limit } => error(
            &format!("{limit} iterations trapped or timed out, which ended the run (`limits.maxTraps`)"),
            Some("mend the journey: the messages above say what happened; or raise `--max-traps`"),
        ),
        Ending::SetupFailed { message } => error(message, Some("nothing was run")),
        Ending::SetupTimedOut => error("`setup` took too long", Some("raise `setupTimeout`")),
        Ending::TeardownFailed { message } | Ending::JourneyFailed { message } => error(message, None),
        Ending::TeardownTimedOut => error("`teardown` took too long", Some("raise `teardownTimeout`")),
    }
    if report.failed_share > max_failed {
        let (share, limit) = (report.failed_share * 100.0, max_failed * 100.0);
        let message = format!("{share:.2}% of the iterations failed, and at most {limit}% may");
        error(&message, Some("mend the journey, or raise `--max-failed-iterations`"));
    }
    let crossed = report.crossed();
    if !crossed.is_empty() {
        let blind = report.thresholds.iter().find(|result| !result.passed && result.value.is_none());
        let hint = blind.map(|result| format!("`{}` saw no data; if that may be, set `allowNoData`", result.threshold));
        error(&format!("thresholds on metrics '{}' have been crossed", crossed.join(", ")), hint.as_deref());
    }
    if let Some(reason) = &report.journey_failed {
        error(&format!("the journey marked the run as failed: {reason}"), None);
    }
    if !allow_invalid && !matches!(report.generator, GeneratorVerdict::Valid) {
        error(
            "the generator was not valid, so the figures cannot be trusted",
            Some("see `generator:` in the summary, or pass `--allow-invalid`"),
        );
    }
}
