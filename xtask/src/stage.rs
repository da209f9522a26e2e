//! Stages of a chore: each has a heading, is timed, and on failure says how to repeat it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::workspace::{call, show};

/// What ran so far, and what had to be left out.
#[derive(Default)]
pub struct Stages {
    times: Vec<(String, Duration)>,
    left_out: Vec<String>,
}

impl Stages {
    /// Runs one command as a stage.
    pub fn command(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let words = show(command);
        self.stage(name, &words, |_| {
            println!("    $ {words}");
            call(command)
        })
    }

    /// Runs a function as a stage. `repeat` is the command that does this stage alone.
    pub fn stage<T>(
        &mut self,
        name: &str,
        repeat: &str,
        work: impl FnOnce(&mut Vec<String>) -> Result<T>,
    ) -> Result<T> {
        println!("\n=== {name}");
        let start = Instant::now();
        let done = work(&mut self.left_out);
        let took = start.elapsed();
        self.times.push((name.to_owned(), took));
        let done = done.with_context(|| {
            format!("stage `{name}` failed after {}\n  hint: repeat it with `{repeat}`\n  cause", clock(took))
        })?;
        println!("--- {name}: {}", clock(took));
        Ok(done)
    }

    /// The closing table and everything that was left out.
    pub fn finish(&self) -> String {
        let width = self.times.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(5);
        let total: Duration = self.times.iter().map(|(_, took)| *took).sum();
        let mut lines = vec![String::new()];
        let times = self.times.iter().map(|(name, took)| (name.as_str(), *took));
        for (name, took) in times.chain([("total", total)]) {
            lines.push(format!("{name:width$}  {:>9}", clock(took)));
        }
        for what in &self.left_out {
            lines.push(format!("\n*** LEFT OUT: {what}"));
        }
        lines.join("\n")
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1}s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_stage_says_which_it_was_and_how_to_repeat_it() {
        let mut stages = Stages::default();
        let error = stages.stage("docs", "cargo doc", |_| -> Result<()> { anyhow::bail!("broken link") }).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("stage `docs`") && text.contains("`cargo doc`"), "{text}");
        assert!(text.contains("broken link"), "{text}");
    }

    #[test]
    fn what_was_left_out_is_said_at_the_end() {
        let mut stages = Stages::default();
        stages
            .stage("licences", "cargo deny check", |left_out| {
                left_out.push("advisories: no network".to_owned());
                Ok(())
            })
            .unwrap();
        assert!(stages.finish().contains("*** LEFT OUT: advisories: no network"));
    }

    #[test]
    fn long_times_are_in_minutes() {
        assert_eq!(clock(Duration::from_millis(1_540)), "1.5s");
        assert_eq!(clock(Duration::from_secs(61)), "1m 01s");
    }
}
