//! How the run is going, on standard error: a bar for each scenario on a terminal, a line now and then elsewhere.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Event, Output, OutputError, ScenarioSecond, Screen, Second};
use crate::plan::duration;

/// Where there is no terminal, a line comes no more often than this.
const PERIOD: Duration = Duration::from_secs(10);
/// The steps of a bar.
const STEPS: u64 = 1000;

/// Shows how the run is going.
#[derive(Debug)]
pub struct Progress {
    screen: Screen,
    script: String,
    quiet: bool,
    bars: Vec<ProgressBar>,
    printed: Duration,
}

impl Progress {
    /// Makes the output. `script` is the journey as the user called it. A quiet one shows nothing.
    #[must_use]
    pub fn new(screen: Screen, script: &str, quiet: bool) -> Self {
        Self { screen, script: script.to_owned(), quiet, bars: Vec::new(), printed: Duration::ZERO }
    }

    fn second(&mut self, second: &Second) {
        let Some(multi) = self.screen.bars() else {
            if second.at >= self.printed + PERIOD {
                self.printed = second.at;
                second.scenarios.iter().for_each(|scenario| self.screen.line(&line(scenario, second.at)));
            }
            return;
        };
        while self.bars.len() < second.scenarios.len() {
            let style = ProgressStyle::with_template("{prefix} [{bar:20}] {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(STEPS).with_style(style.progress_chars("=>-"));
            self.bars.push(multi.add(bar));
        }
        let widest = second.scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
        for (bar, scenario) in self.bars.iter().zip(&second.scenarios) {
            bar.set_prefix(format!("{:widest$}", scenario.name));
            bar.set_position((done(scenario, second.at) * STEPS as f64) as u64);
            bar.set_message(state(scenario, second.at));
        }
    }
}

impl Output for Progress {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        if self.quiet {
            return Ok(());
        }
        match event {
            Event::Started(banner) => {
                let mut banner = (*banner).clone();
                banner.script.clone_from(&self.script);
                self.screen.line(&format!("\n{banner}"));
            }
            Event::Second(second) => self.second(second),
            Event::Finished(_) => {
                // What the bars showed stays in the terminal's history.
                self.bars.drain(..).for_each(|bar| bar.abandon());
            }
            Event::Samples(_) | Event::Notice(..) => {}
        }
        Ok(())
    }

    fn name(&self) -> String {
        "progress".to_owned()
    }
}

fn line(scenario: &ScenarioSecond, at: Duration) -> String {
    format!("{} [{:3.0}%] {}", scenario.name, (done(scenario, at) * 100.0).floor(), state(scenario, at))
}

/// The share of its time, or of its iterations, that a scenario has behind it.
fn done(scenario: &ScenarioSecond, at: Duration) -> f64 {
    let ended = (scenario.completed + scenario.dropped) as f64;
    let by_budget = scenario.budget.map(|budget| ended / budget.max(1) as f64);
    let elapsed = at.saturating_sub(scenario.start).as_secs_f64();
    by_budget.unwrap_or(elapsed / scenario.length.as_secs_f64().max(0.001)).clamp(0.0, 1.0)
}

fn state(scenario: &ScenarioSecond, at: Duration) -> String {
    if at < scenario.start {
        return format!("starts in {}", whole_seconds(scenario.start.saturating_sub(at)));
    }
    let elapsed = at.saturating_sub(scenario.start).min(scenario.length);
    let mut text = format!(
        "{}/{}  {}/{} VUs  {:.1}/s",
        whole_seconds(elapsed),
        duration::format(scenario.length),
        scenario.active,
        scenario.initialised,
        scenario.rate,
    );
    if let Some(p95) = scenario.p95 {
        let _ = write!(text, "  p95 {p95:.1} ms");
    }
    let _ = write!(text, "  {} failed", scenario.failed);
    if scenario.dropped > 0 {
        let _ = write!(text, "  {} dropped", scenario.dropped);
    }
    text
}

/// A second of the run ends a little before or after one of the scenario, so the nearest is meant.
fn whole_seconds(span: Duration) -> String {
    duration::format(Duration::from_secs_f64(span.as_secs_f64().round()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: u64) -> Second {
        let scenario = ScenarioSecond {
            name: "browse".into(),
            start: Duration::from_secs(5),
            length: Duration::from_mins(1),
            active: 3,
            initialised: 10,
            failed: 1,
            rate: 12.34,
            p95: Some(45.67),
            ..ScenarioSecond::default()
        };
        Second { at: Duration::from_secs(at), scenarios: vec![scenario], ..Second::default() }
    }

    fn lines(quiet: bool) -> Vec<String> {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut progress = Progress::new(Screen::writer(Box::new(writer)), "j.wasm", quiet);
        for at in 1..=25 {
            progress.handle(&Event::Second(&second(at))).unwrap();
        }
        drop(progress);
        std::io::read_to_string(reader).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn on_a_pipe_there_is_a_line_every_ten_seconds() {
        let expected = [
            "browse [  8%] 5s/1m0s  3/10 VUs  12.3/s  p95 45.7 ms  1 failed",
            "browse [ 25%] 15s/1m0s  3/10 VUs  12.3/s  p95 45.7 ms  1 failed",
        ];
        assert_eq!(lines(false), expected);
    }

    #[test]
    fn a_quiet_run_says_nothing() {
        assert_eq!(lines(true), Vec::<String>::new());
    }

    #[test]
    fn a_scenario_that_waits_says_when_it_starts() {
        assert_eq!(state(&second(2).scenarios[0], Duration::from_secs(2)), "starts in 3s");
    }

    #[test]
    fn a_second_that_ends_a_little_early_counts() {
        let text = state(&second(6).scenarios[0], Duration::from_millis(5970));
        assert!(text.starts_with("1s/1m0s"), "{text}");
    }

    #[test]
    fn iterations_measure_progress_where_they_are_counted() {
        let scenario = ScenarioSecond { budget: Some(200), completed: 40, dropped: 10, ..ScenarioSecond::default() };
        assert!((done(&scenario, Duration::ZERO) - 0.25).abs() < 1e-9);
    }
}
