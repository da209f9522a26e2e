//! One hostile peer, one call to it, and what came of it.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{connect, grpc};
use crate::support::hostile_http2::{DATA, END_STREAM, Turn};
use crate::support::{Finished, HostileHttp2, exit};

/// What a call may take that nothing delays, in milliseconds: far more than it does, on the busiest of machines.
const SOON: f64 = 10_000.0;
/// How much more memory a run against a hostile peer may take than one against a good one, in KiB.
const MORE_MEMORY: u64 = 24 << 10;

/// What came of a call.
pub struct Outcome {
    name: &'static str,
    server: HostileHttp2,
    run: Finished,
    answer: Value,
    milliseconds: f64,
}

/// Makes a call of a server that does this with every call.
#[track_caller]
pub fn trial(name: &'static str, behave: impl Fn(&mut Turn<'_>) -> bool + Send + Sync + 'static) -> Outcome {
    trial_with(name, &json!({ "call": "a.B/C", "hex": "", "timeout_ms": 8000 }), "", behave)
}

/// Does this step with a server that does this with every call, with these flags.
#[track_caller]
pub fn trial_with(
    name: &'static str,
    step: &Value,
    flags: &str,
    behave: impl Fn(&mut Turn<'_>) -> bool + Send + Sync + 'static,
) -> Outcome {
    let good = memory_of_a_good_run();
    let outcome = run(name, step, flags, behave);
    if let (Some(peak), Some(good)) = (outcome.run.peak, good) {
        assert!(peak < good + MORE_MEMORY, "{peak} KiB, where a good peer costs {good} KiB\n{}", outcome.run);
    }
    outcome
}

#[track_caller]
fn run(
    name: &'static str,
    step: &Value,
    flags: &str,
    behave: impl Fn(&mut Turn<'_>) -> bool + Send + Sync + 'static,
) -> Outcome {
    let server = HostileHttp2::start(100, behave);
    let steps = json!([connect(&server.url()), step]);
    let run = grpc(&steps).flags(flags).finish().expect(exit::PASSED).without_panic();
    let answers = run.answers();
    let answer = answers.get(1).unwrap_or_else(|| panic!("no answer\n{run}")).clone();
    let milliseconds = run.summary().value("iteration_duration", "max");
    Outcome { name, server, run, answer, milliseconds }
}

impl Outcome {
    /// Asserts that the call ended with this status, and that what happened says this.
    #[track_caller]
    pub fn ends_with(self, code: u64, text: &str) -> Self {
        assert_eq!(self.answer["status"], code, "{}", self.run);
        let said = self.answer["failure"].as_str().or(self.answer["message"].as_str()).unwrap_or_default().to_owned();
        assert!(said.contains(text), "`{said}` does not say `{text}`\n{}", self.run);
        let peak = self.run.peak.map_or_else(|| "-".to_owned(), |peak| format!("{:.1} MiB", peak as f64 / 1024.0));
        let short: String = said.chars().take(80).collect();
        println!("\n| {} | {code}: {short} | {:.0} ms | {peak} |", self.name, self.milliseconds);
        self
    }

    /// Asserts that it took about as long as the timeout, in milliseconds.
    #[track_caller]
    pub fn after(self, timeout: f64) -> Self {
        let took = self.milliseconds;
        assert!((timeout * 0.99..timeout + SOON).contains(&took), "{took} ms\n{}", self.run);
        self
    }

    /// Asserts that the server was told that nobody wants the answer any more.
    #[track_caller]
    pub fn cancelled(self) -> Self {
        assert!(self.server.resets() > 0, "no stream was reset\n{}", self.run);
        self
    }

    /// Calls that the server saw.
    pub fn seen(&self) -> u64 {
        self.server.requests()
    }

    /// What the journey said of it.
    pub fn answer(&self) -> &Value {
        &self.answer
    }
}

/// The head of an answer that is gRPC.
pub fn head(turn: &mut Turn<'_>, more: &[(&str, &str)]) -> bool {
    let headers = [&[(":status", "200"), ("content-type", "application/grpc")], more].concat();
    turn.headers(0, &headers)
}

/// The end of an answer.
pub fn trailers(turn: &mut Turn<'_>, trailers: &[(&str, &str)]) -> bool {
    turn.headers(END_STREAM, trailers)
}

/// Answers as it should, with an empty message.
pub fn answer(turn: &mut Turn<'_>) -> bool {
    head(turn, &[]) && turn.frame(DATA, 0, &[0; 5]) && trailers(turn, &[("grpc-status", "0")])
}

/// The most memory that one call of a good server takes, in KiB.
fn memory_of_a_good_run() -> Option<u64> {
    static MEMORY: OnceLock<Option<u64>> = OnceLock::new();
    *MEMORY.get_or_init(|| {
        let step = json!({ "call": "a.B/C", "hex": "" });
        // The first run may compile the journey, which takes more.
        run("a good server, to compare", &step, "", answer);
        run("a good server, to compare", &step, "", answer).ends_with(0, "").run.peak
    })
}
