//! `cargo xtask examples`: every example against a practice server of its own, short and bounded.
//!
//! An example passes if squall ends with 0, at least one check was made (but by a program) and all held, and the server saw
//! what it was to see. How an example is run stands in its own `Cargo.toml` ([`recipe`]), so that a new one needs no line here.

mod recipe;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::child::{Beside, get};
use crate::workspace::{call, journey, show, target};
use crate::{demo, journeys};
use recipe::{Places, Recipe};

/// The longest that one example may take.
const LONGEST: Duration = Duration::from_mins(2);

/// What came of one example.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    checks: u64,
    /// What the server saw, by the name in its statistics.
    saw: Vec<(String, u64)>,
    took: Duration,
    /// Why it did not pass.
    wrong: Vec<String>,
}

/// Builds squall and the journeys, then runs the examples named, or all of them.
pub fn run(names: &[String]) -> Result<()> {
    let squall = demo::dev_squall(call)?;
    journeys::build()?;
    run_with(&squall, names)
}

/// The same with what is built.
fn run_with(squall: &Path, names: &[String]) -> Result<()> {
    let recipes = recipe::all()?;
    if let Some(unknown) = names.iter().find(|name| recipes.iter().all(|recipe| recipe.name != **name)) {
        bail!("there is no example `{unknown}`\n  hint: the examples are the folders in `examples/`");
    }
    let wanted = recipes.iter().filter(|recipe| names.is_empty() || names.contains(&recipe.name));
    let mut table = Vec::new();
    for recipe in wanted {
        let outcome = one(squall, recipe).with_context(|| format!("the example `{}` could not be run", recipe.name))?;
        println!("{}", row(&recipe.name, &outcome));
        table.push((recipe.name.as_str(), outcome));
    }
    let failed: Vec<_> = table.iter().filter(|(_, outcome)| !outcome.wrong.is_empty()).collect();
    if failed.is_empty() {
        println!("{} examples passed", table.len());
        return Ok(());
    }
    let reasons = failed.iter().map(|(name, outcome)| format!("`{name}`: {}", outcome.wrong.join("; ")));
    bail!("{} of {} examples failed\n  {}", failed.len(), table.len(), reasons.collect::<Vec<_>>().join("\n  "))
}

/// Runs one example against a server of its own.
fn one(squall: &Path, recipe: &Recipe) -> Result<Outcome> {
    let folder = target().join("examples").join(&recipe.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let mut places = Places::default();
    let mut command = Command::new(squall);
    command.arg("target");
    if !recipe.target.iter().any(|argument| argument == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    for argument in &recipe.target {
        command.arg(places.fill(argument)?);
    }
    let (_server, url) = Beside::server(&mut command)?;
    places.know(&url);
    let (summary, output) = (folder.join("summary.json"), folder.join("output.txt"));
    // That of an earlier run must not stand in for one that was not written.
    let _ = fs::remove_file(&summary);
    let mut command = Command::new(squall);
    command.arg("run").arg(journey(&recipe.name)).arg("--summary-export").arg(&summary);
    // Whether this machine has time for a fair measurement is not what is asked here.
    command.arg("--allow-invalid");
    for argument in &recipe.run {
        command.arg(places.fill(argument)?);
    }
    for (name, value) in &recipe.env {
        command.arg("--env").arg(format!("{name}={}", places.fill(value)?));
    }
    if !recipe.arguments.is_empty() {
        command.arg("--");
    }
    for argument in &recipe.arguments {
        command.arg(places.fill(argument)?);
    }
    let began = Instant::now();
    let mut outcome = Outcome::default();
    match bounded(&mut command, &output)? {
        Some(0) => {}
        code => {
            let code =
                code.map_or_else(|| format!("it took longer than {LONGEST:?}"), |code| format!("exit code {code}"));
            println!("    $ {}\n{}", show(&command), fs::read_to_string(&output).unwrap_or_default());
            outcome.wrong.push(code);
        }
    }
    outcome.took = began.elapsed();
    judge_checks(recipe, &read_json(&summary).unwrap_or_default(), &mut outcome);
    judge_seen(recipe, &statistics(&url)?, &mut outcome);
    Ok(outcome)
}

/// Runs a command with its output in a file; its exit code, or none if it had to be ended.
fn bounded(command: &mut Command, output: &Path) -> Result<Option<i32>> {
    let file = File::create(output).with_context(|| format!("cannot create `{}`", output.display()))?;
    let mut child = Beside::start(command.stdout(file.try_clone()?).stderr(file))?;
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        if let Some(code) = child.code()? {
            return Ok(Some(code));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

fn judge_checks(recipe: &Recipe, summary: &Value, outcome: &mut Outcome) {
    let count = |name: &str| summary.pointer(&format!("/metrics/checks/{name}")).and_then(Value::as_u64).unwrap_or(0);
    outcome.checks = count("passes");
    if count("fails") > 0 {
        outcome.wrong.push(format!("{} checks failed", count("fails")));
    } else if outcome.checks == 0 && recipe.arguments.is_empty() {
        // A program, which alone has arguments, knows of none; how it exits says as much.
        outcome.wrong.push("no check was made".to_owned());
    }
}

fn judge_seen(recipe: &Recipe, statistics: &Value, outcome: &mut Outcome) {
    for name in &recipe.saw {
        // A route that nobody asked for is not in the statistics.
        let seen = statistics.pointer(name).and_then(Value::as_u64).unwrap_or(0);
        if seen == 0 {
            outcome.wrong.push(format!("the server saw nothing in `{name}` of its statistics"));
        }
        outcome.saw.push((name.clone(), seen));
    }
}

fn read_json(path: &PathBuf) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// What the server says that it saw.
fn statistics(url: &str) -> Result<Value> {
    let address = url.trim_start_matches("http://");
    let text = get(address, "/__stats").context("the practice server did not say what it saw")?;
    serde_json::from_str(&text).context("the practice server's statistics are not JSON")
}

fn row(name: &str, outcome: &Outcome) -> String {
    let verdict = if outcome.wrong.is_empty() { "passed".to_owned() } else { outcome.wrong.join("; ") };
    let saw: Vec<_> = outcome.saw.iter().map(|(name, seen)| format!("{seen} {}", route_of(name))).collect();
    let took = outcome.took.as_secs_f64();
    format!("{name:20} {took:5.1} s  {:>6} checks  {:24} {verdict}", outcome.checks, saw.join(", "))
}

/// A pointer into the statistics as a person writes it: `requests`, `/sse`.
fn route_of(pointer: &str) -> String {
    let name = pointer.trim_start_matches('/');
    name.strip_prefix("by_route/").unwrap_or(name).replace("~1", "/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_example_without_a_check_or_with_one_that_failed_does_not_pass() {
        for (summary, wrong) in [
            (json!({}), "no check was made"),
            (json!({"metrics": {"checks": {"passes": 3, "fails": 1}}}), "1 checks failed"),
        ] {
            let mut outcome = Outcome::default();
            judge_checks(&Recipe::default(), &summary, &mut outcome);
            assert_eq!(outcome.wrong, [wrong]);
        }
        let mut outcome = Outcome::default();
        judge_checks(&Recipe::default(), &json!({"metrics": {"checks": {"passes": 3, "fails": 0}}}), &mut outcome);
        assert_eq!(outcome, Outcome { checks: 3, ..Outcome::default() });
    }

    #[test]
    fn an_example_that_its_server_never_saw_does_not_pass() {
        let recipe = Recipe { saw: vec!["/requests".to_owned(), "/by_route/~1sse".to_owned()], ..Recipe::default() };
        let mut outcome = Outcome::default();
        judge_seen(&recipe, &json!({"requests": 4, "by_route": {}}), &mut outcome);
        assert_eq!(outcome.wrong, ["the server saw nothing in `/by_route/~1sse` of its statistics"]);
    }
}
