//! One hostile server, one request to it, and what came of it.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::{Act, Finished, Hostile, Squall, exit, say};

/// What a request may take that nothing delays, in milliseconds: far more than it does, on the busiest of machines.
const SOON: f64 = 10_000.0;
/// How much more memory a run against a hostile server may take than one against a good one, in KiB.
const MORE_MEMORY: u64 = 24 << 10;

/// A hostile server and a request.
pub struct Trial {
    name: &'static str,
    acts: Vec<Act>,
    step: Value,
    more_memory: u64,
    flags: &'static str,
}

/// What came of it.
pub struct Outcome {
    name: &'static str,
    server: Hostile,
    run: Finished,
    tags: Value,
    answer: Value,
    milliseconds: f64,
}

impl Trial {
    /// A server that does this with every connection.
    pub fn new(name: &'static str, acts: impl Into<Vec<Act>>) -> Self {
        Self { name, acts: acts.into(), step: json!({ "show": ["body"] }), more_memory: MORE_MEMORY, flags: "" }
    }

    /// A server that reads a request, says this and closes.
    pub fn says(name: &'static str, answer: impl AsRef<[u8]>) -> Self {
        Self::new(name, [Act::Head, say(answer)])
    }

    /// A server that reads a request, says this and leaves the connection open.
    pub fn says_and_holds(name: &'static str, answer: impl AsRef<[u8]>) -> Self {
        Self::new(name, [Act::Head, say(answer), Act::Hold])
    }

    /// Sets something of the request.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.step[key] = value.into();
        self
    }

    /// Starts squall with these flags.
    pub fn flags(mut self, flags: &'static str) -> Self {
        self.flags = flags;
        self
    }

    /// Posts a body of so many bytes. The guest has it, the host has it, and it is written from a third place.
    pub fn posts(mut self, bytes: u64) -> Self {
        self.more_memory += 3 * bytes / 1024;
        self.with("method", "POST").with("body_size", bytes)
    }

    /// Sends the request once.
    #[track_caller]
    pub fn run(self) -> Outcome {
        let (good, more) = (memory_of_a_good_run(), self.more_memory);
        let outcome = self.run_anyhow();
        if let (Some(peak), Some(good)) = (outcome.run.peak, good) {
            assert!(peak < good + more, "{peak} KiB, where a good server costs {good} KiB\n{}", outcome.run);
        }
        outcome
    }

    #[track_caller]
    fn run_anyhow(mut self) -> Outcome {
        let server = Hostile::script(self.acts);
        let folder = tempfile::tempdir().unwrap();
        let points = folder.path().join("points.json");
        self.step["url"] = json!(server.url());
        let run = Squall::fetch(&json!([self.step])).arg("--out").arg(format!("json={}", points.display()));
        let run = run.flags(self.flags).finish().expect(exit::PASSED).without_panic();
        let text = std::fs::read_to_string(&points).unwrap();
        let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut points = points.filter(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
        let tags = points.next_back().unwrap_or_else(|| panic!("no request\n{run}"))["data"]["tags"].clone();
        let mut answers = run.answers();
        answers.dedup();
        assert_eq!(answers.len(), 1, "not the same each time\n{run}");
        let answer = answers.remove(0);
        let milliseconds = run.summary().value("iteration_duration", "max");
        Outcome { name: self.name, server, run, tags, answer, milliseconds }
    }
}

impl Outcome {
    /// Asserts that the answer has this status and this body.
    #[track_caller]
    pub fn is(self, status: u16, body: &str) -> Self {
        assert_eq!(self.answer["status"], status, "{}", self.run);
        assert_eq!(self.answer["body"], body, "{}", self.run);
        let size = if body.is_empty() { String::new() } else { format!(", {} bytes", body.len()) };
        self.row(&format!("{status}{size}"))
    }

    /// Asserts that there is no answer, but an error with this code and this in its text.
    #[track_caller]
    pub fn fails_with(self, code: u16, text: &str) -> Self {
        assert_eq!(self.tags["error_code"], code.to_string(), "{}\n{}", self.tags, self.run);
        let error = self.tags["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(text), "`{error}` does not say `{text}`\n{}", self.run);
        assert_eq!(self.tags["status"], "0", "{}", self.run);
        assert!(self.answer["error"].is_string(), "{}", self.run);
        self.row(&format!("{code}: {error}"))
    }

    /// Asserts that it took about as long as the timeout, in milliseconds.
    #[track_caller]
    pub fn after(self, timeout: f64) -> Self {
        let took = self.milliseconds;
        assert!((timeout * 0.99..timeout + SOON).contains(&took), "{took} ms\n{}", self.run);
        self
    }

    /// Asserts that nothing was waited for.
    #[track_caller]
    pub fn soon(self) -> Self {
        assert!(self.milliseconds < SOON, "{} ms\n{}", self.milliseconds, self.run);
        self
    }

    /// The server, which is still there.
    pub fn server(&self) -> &Hostile {
        &self.server
    }

    fn row(self, outcome: &str) -> Self {
        let peak = self.run.peak.map_or_else(|| "-".to_owned(), |peak| format!("{:.1} MiB", peak as f64 / 1024.0));
        println!("\n| {} | {outcome} | {:.0} ms | {peak} |", self.name, self.milliseconds);
        self
    }
}

/// The most memory that one request to a good server takes, in KiB.
fn memory_of_a_good_run() -> Option<u64> {
    static MEMORY: OnceLock<Option<u64>> = OnceLock::new();
    *MEMORY.get_or_init(|| {
        let good = || Trial::says("a good server, to compare", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        // The first run may compile the journey, which takes more.
        good().run_anyhow();
        good().run_anyhow().is(200, "ok").run.peak
    })
}
