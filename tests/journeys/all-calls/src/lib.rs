//! Calls every function of the contract and compares what it gives with what the contract says.
//!
//! Each mismatch is a line in the log, and fails the iteration. Needs the practice server at `BASE_URL`.

mod run;
mod web;

use std::sync::LazyLock;

use serde_json::{Value, json};
use squall_sdk::{Error, Options, env, env_all, env_or, log, vu};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

/// What did not agree with the contract.
#[derive(Default)]
struct Findings {
    mismatches: u32,
}

impl Findings {
    /// Logs a line when `ok` is false.
    fn expect(&mut self, ok: bool, what: &str) {
        if !ok {
            self.mismatches += 1;
            log::error(&format!("mismatch: {what}"));
        }
    }

    fn verdict(self) -> Result<(), Error> {
        match self.mismatches {
            0 => Ok(()),
            count => Err(Error::new(format!("{count} mismatches, see the log"))),
        }
    }
}

fn url(path: &str) -> String {
    format!("{}{path}", *BASE_URL)
}

fn options() -> Options {
    log::debug("all-calls: options");
    let iterations = env("ITERATIONS").and_then(|text| text.parse().ok()).unwrap_or(3);
    Options::new().vus(1).iterations(iterations).tag("journey", "all-calls")
}

/// Data that shows whether it arrives as it was sent.
fn data() -> Value {
    json!({ "text": "grüße \u{1f32c}\u{0}", "list": [1, 2.5, null, true], "empty": {} })
}

fn setup() -> Result<Value, Error> {
    let mut findings = Findings::default();
    outside_an_iteration(&mut findings, "setup");
    findings.expect(env("BASE_URL").is_some(), "`BASE_URL` is granted");
    findings.expect(env("NO_SUCH_VARIABLE").is_none(), "a variable that is not granted is none");
    let granted = env_all();
    findings.expect(
        granted.iter().any(|(name, value)| name == "BASE_URL" && *value == *BASE_URL),
        "all variables hold `BASE_URL`",
    );
    findings.expect(std::env::var_os("PATH").is_none(), "the process environment is invisible");
    findings.verdict()?;
    Ok(data())
}

fn outside_an_iteration(findings: &mut Findings, place: &str) {
    findings.expect(vu::id() == 0, &format!("the VU is 0 in {place}"));
    findings.expect(vu::scenario().is_empty(), &format!("the scenario is empty in {place}"));
}

fn iterate(received: &Value) -> Result<(), Error> {
    let mut findings = Findings::default();
    findings.expect(*received == data(), "the data of setup arrives as it was sent");
    run::identity(&mut findings);
    run::time(&mut findings);
    run::random_numbers(&mut findings);
    run::checks_and_groups(&mut findings);
    run::metrics(&mut findings);
    run::messages();
    web::kept_from_before(&mut findings);
    web::look_ups(&mut findings)?;
    web::readings(&mut findings)?;
    web::methods_and_bodies(&mut findings)?;
    web::redirects(&mut findings)?;
    web::sessions(&mut findings)?;
    web::failures(&mut findings)?;
    web::errors(&mut findings);
    web::batches(&mut findings)?;
    run::ends(env("END").as_deref());
    findings.verdict()
}

fn teardown(received: &Value) -> Result<(), Error> {
    let mut findings = Findings::default();
    outside_an_iteration(&mut findings, "teardown");
    findings.expect(*received == data(), "the data of setup arrives in teardown");
    findings.verdict()
}

fn summary(json: &str) -> Vec<(String, String)> {
    let mut findings = Findings::default();
    outside_an_iteration(&mut findings, "handle-summary");
    findings.expect(serde_json::from_str::<Value>(json).is_ok_and(|json| json.is_object()), "the summary is JSON");
    let line = format!("all-calls: {} mismatches in handle-summary\n", findings.mismatches);
    vec![("stdout".to_owned(), line)]
}

squall_sdk::journey! {
    options: options,
    setup: setup,
    scenarios: { default: iterate, "all-calls": iterate },
    teardown: teardown,
    handle_summary: summary,
}
