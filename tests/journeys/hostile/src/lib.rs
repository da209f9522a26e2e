//! Does the worst that the variable `ATTACK` names; beside it, the scenario `control` behaves.
//!
//! An attack that comes to an end says so in the log, `result NAME: …`. `tests/e2e/hostile_guests` runs them all and says
//! what must become of each.

mod compute;
mod flood;
mod names;
mod net;
mod reach;

use std::time::Duration;

use squall_sdk::http::Request;
use squall_sdk::{Error, check, env, env_or, log};

/// What an attack came to.
type Attempt = Result<String, Error>;

fn set_up() -> Result<String, Error> {
    match env("SETUP_ATTACK") {
        Some(name) => attack(&name),
        None => Ok(String::new()),
    }
}

fn run(_: &String) -> Result<(), Error> {
    let name = env_or("ATTACK", "nothing");
    let result = attack(&name)?;
    log::info(&format!("result {name}: {result}"));
    Ok(())
}

fn attack(name: &str) -> Attempt {
    let known = [compute::attack, flood::attack, names::attack, net::attack, reach::attack];
    match known.iter().find_map(|attack| attack(name)) {
        Some(result) => result,
        None => Err(Error::new(format!("there is no attack `{name}`"))),
    }
}

/// A user that behaves.
fn control(_: &String) -> Result<(), Error> {
    let url = format!("{}/delay/10?control", env_or("CONTROL_URL", &target()));
    let answer = Request::get(url).name("control").timeout(Duration::from_secs(30)).send()?;
    check!("control: status is 200", answer.status() == 200);
    Ok(())
}

/// Where requests go.
fn target() -> String {
    env_or("BASE_URL", "http://127.0.0.1:1")
}

fn said<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("allowed: {value:?}"),
        Err(error) => format!("refused: {error}"),
    }
}

fn summary(_: &str) -> Vec<(String, String)> {
    match env("SUMMARY_ATTACK").as_deref() {
        Some("outside") => [("../outside", "x"), ("/tmp/squall-outside", "x"), ("a\0b", "x"), ("", "x")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .to_vec(),
        Some("flood") => (0..100_000).map(|number| (format!("f{number}"), String::new())).collect(),
        Some("terminal") => vec![("stdout".to_owned(), "\x1b[2J\x1b]0;owned\x07 hello\n".to_owned())],
        _ => Vec::new(),
    }
}

fn tear_down(_: &String) -> Result<(), Error> {
    env("TEARDOWN_ATTACK").map_or(Ok(()), |name| attack(&name).map(|_| ()))
}

squall_sdk::journey! {
    setup: set_up,
    scenarios: { default: run, control: control },
    teardown: tear_down,
    handle_summary: summary,
}
