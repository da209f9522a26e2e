//! Servers that do their worst on a WebSocket: each must come to a named error, in time, with little memory. The tests print
//! the rows of the table in `docs/websocket.md`.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Talked, talk_with, ws};
use crate::support::{Act, Hostile, exit, say};

/// What a step may take that nothing delays, in milliseconds: far more than it does, on the busiest of machines.
const SOON: f64 = 10_000.0;
/// How much more memory a run against a hostile server may take than one against a good one, in KiB.
const MORE_MEMORY: u64 = 24 << 10;
const OPEN: Act = Act::Upgrade("");

/// A hostile server and what is done on a socket to it.
struct Trial {
    name: &'static str,
    acts: Vec<Act>,
    connect: Value,
    steps: Vec<Value>,
    flags: &'static str,
}

/// What came of it: the last step, and how long all of it took.
struct Outcome {
    name: &'static str,
    talked: Talked,
    took: f64,
}

impl Trial {
    /// The last step is one receive.
    fn new(name: &'static str, acts: impl Into<Vec<Act>>) -> Self {
        let steps = vec![json!({ "receive": null })];
        Self { name, acts: acts.into(), connect: json!({ "timeout_ms": 1000 }), steps, flags: "" }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.connect[key] = value.into();
        self
    }

    fn steps(mut self, steps: Value) -> Self {
        let Value::Array(steps) = steps else { panic!("steps are a list") };
        self.steps = steps;
        self
    }

    fn flags(mut self, flags: &'static str) -> Self {
        self.flags = flags;
        self
    }

    #[track_caller]
    fn run(self) -> Outcome {
        let outcome = self.run_anyhow();
        if let (Some(peak), Some(good)) = (outcome.talked.run.peak, memory_of_a_good_run()) {
            assert!(peak < good + MORE_MEMORY, "{peak} KiB, where a good one costs {good} KiB\n{}", outcome.talked.run);
        }
        outcome
    }

    #[track_caller]
    fn run_anyhow(mut self) -> Outcome {
        let server = Hostile::script(self.acts);
        self.connect["connect"] = json!(ws(&server.url(), "/"));
        let mut steps = vec![self.connect];
        steps.extend(self.steps);
        let mut talked = talk_with(&json!(steps), self.flags);
        talked.run = talked.run.expect(exit::PASSED);
        assert_eq!(talked.run.summary().count("ws_sessions"), 1, "{}", talked.run);
        let took = talked.answers.iter().filter_map(|answer| answer["took"].as_f64()).sum();
        Outcome { name: self.name, talked, took }
    }
}

impl Outcome {
    /// Asserts that no socket was opened, for this reason.
    #[track_caller]
    fn refused(self, why: &str, code: &str) -> Self {
        let said = self.talked.says(0, "error").to_owned();
        assert!(said.contains(why), "`{said}` does not say `{why}`\n{}", self.talked.run);
        assert_eq!(self.talked.tags("ws_sessions")[0]["error_code"], code, "{}", self.talked.run);
        assert_eq!(self.talked.samples("ws_connecting") + self.talked.samples("ws_session_duration"), 0);
        self.row(&said)
    }

    /// Asserts that the last step came to this, and that the session was recorded as over.
    #[track_caller]
    fn ends(self, key: &str, why: &str) -> Self {
        let last = self.talked.answers.last().unwrap();
        let said = last[key].as_str().map_or_else(|| last[key].to_string(), str::to_owned);
        assert!(said.contains(why), "`{said}` does not say `{why}`\n{}", self.talked.run);
        assert_eq!(self.talked.samples("ws_session_duration"), 1, "{}", self.talked.run);
        let said = if key == "closed" { format!("closed with code {said}") } else { said };
        self.row(&said)
    }

    /// Asserts that it took about so long, in milliseconds.
    #[track_caller]
    fn after(self, time: f64) -> Self {
        assert!((time * 0.99..time + SOON).contains(&self.took), "{} ms\n{}", self.took, self.talked.run);
        self
    }

    /// Asserts that nothing was waited for.
    #[track_caller]
    fn soon(self) -> Self {
        assert!(self.took < SOON, "{} ms\n{}", self.took, self.talked.run);
        self
    }

    fn row(self, outcome: &str) -> Self {
        let peak =
            self.talked.run.peak.map_or_else(|| "-".to_owned(), |peak| format!("{:.1} MiB", peak as f64 / 1024.0));
        println!("\n| {} | {outcome} | {:.0} ms | {peak} |", self.name, self.took);
        self
    }
}

/// The most memory that one socket to a good server takes, in KiB.
fn memory_of_a_good_run() -> Option<u64> {
    static MEMORY: OnceLock<Option<u64>> = OnceLock::new();
    *MEMORY.get_or_init(|| {
        let good = || Trial::new("a good server, to compare", [OPEN, say(b"\x81\x02hi\x88\x02\x03\xe8"), Act::Hold]);
        // The first run may compile the journey, which takes more.
        good().run_anyhow();
        good().run_anyhow().talked.run.peak
    })
}

/// A header of a frame of binary data with a length of 64 bits.
fn promises(length: u64) -> Act {
    say([&[0x82, 127][..], &length.to_be_bytes()].concat())
}

#[test]
fn an_upgrade_that_is_refused_names_the_status() {
    let says = |name, answer: &str| Trial::new(name, [Act::Head, say(answer)]).run();
    says("an upgrade refused with 403", "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        .refused("the upgrade was refused with status 403", "1403")
        .soon();
    says("an upgrade answered with 200", "HTTP/1.1 200 OK\r\n\r\n").refused("refused with status 200", "1000").soon();
    says("a redirect", "HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n").refused("refused with status 302", "1000").soon();
}

#[test]
fn an_upgrade_that_is_not_what_was_asked_for_is_refused() {
    let says = |name, answer: &str| Trial::new(name, [Act::Head, say(answer), Act::Hold]).run();
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n";
    says("a wrong accept key", &format!("{head}sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"))
        .refused("`sec-websocket-accept` is not the answer to the key", "1000")
        .soon();
    says("no accept key", &format!("{head}\r\n")).refused("without `sec-websocket-accept`", "1000").soon();
    says("101 to another protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: Upgrade\r\n\r\n")
        .refused("status 101 without `upgrade: websocket`", "1000")
        .soon();
    let lines = |name, lines| Trial::new(name, [Act::Upgrade(lines), Act::Hold]).run();
    lines("an extension that was not offered", "sec-websocket-extensions: permessage-deflate\r\n")
        .refused("extension `permessage-deflate` was not offered", "1000")
        .soon();
    lines("a subprotocol that was not offered", "sec-websocket-protocol: other\r\n")
        .refused("subprotocol `other` was not offered", "1000")
        .soon();
}

#[test]
fn a_server_that_does_not_speak_http_is_named() {
    Trial::new("not HTTP at all", [Act::Head, say("SSH-2.0-OpenSSH_9.2\r\n"), Act::Hold])
        .run()
        .refused("the answer is not HTTP", "1000")
        .soon();
    let endless = [Act::Head, say("HTTP/1.1 101 OK\r\na: "), Act::Forever(vec![b'x'; 16 << 10])];
    Trial::new("an endless head", endless)
        .with("timeout_ms", 20_000)
        .run()
        .refused("larger than 262144 bytes", "1000")
        .soon();
    let endless = [Act::Head, Act::Forever(b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40))];
    Trial::new("`103 Early Hints` for ever", endless)
        .with("timeout_ms", 20_000)
        .run()
        .refused("larger than 262144 bytes", "1000")
        .soon();
}

#[test]
fn an_upgrade_that_never_comes_ends_at_the_timeout() {
    let timeout = "nothing came within the timeout";
    Trial::new("an upgrade that is never answered, timeout 1 s", [Act::Head, Act::Hold])
        .run()
        .refused(timeout, "1050")
        .after(1000.0);
    let trickle = Act::Trickle(b"HTTP/1.1 101 Switching Protocols\r\n".to_vec(), Duration::from_millis(200));
    Trial::new("an answer byte by byte, timeout 1 s", [Act::Head, trickle, Act::Hold])
        .run()
        .refused(timeout, "1050")
        .after(1000.0);
}

#[test]
fn a_close_in_every_phase_is_named() {
    let one = |name, acts: Vec<Act>| Trial::new(name, acts).run();
    one("closed before the upgrade's answer", vec![Act::Head])
        .refused("the socket ended: connection reset", "1220")
        .soon();
    one("closed in the middle of the answer", vec![Act::Head, say("HTTP/1.1 101 Swi")])
        .refused("connection reset", "1220")
        .soon();
    one("reset in place of an answer", vec![Act::Head, Act::Reset]).refused("connection reset", "1220").soon();
    one("closed without a close frame", vec![OPEN]).ends("failed", "ended without a close frame").soon();
    one("closed in the middle of a header", vec![OPEN, say(b"\x82")]).ends("failed", "in the middle of a frame").soon();
    one("closed in the middle of a frame", vec![OPEN, say(b"\x82\x0aabc")])
        .ends("failed", "in the middle of a frame")
        .soon();
    one("closed between two fragments", vec![OPEN, say(b"\x02\x03abc")])
        .ends("failed", "in the middle of a fragmented message")
        .soon();
    one("a reset", vec![OPEN, Act::Pause(Duration::from_millis(100)), Act::Reset])
        .ends("failed", "the connection was reset")
        .soon();
    one("a close frame with a code and a reason", vec![OPEN, say(b"\x88\x06\x0f\xa0full"), Act::Hold])
        .ends("closed", "4000")
        .soon();
    one("a close frame between two fragments", vec![OPEN, say(b"\x02\x03abc\x88\x00"), Act::Hold])
        .ends("closed", "1005")
        .soon();
}

#[test]
fn frames_that_may_not_be_are_named() {
    for (name, bytes, why) in [
        ("text that is not UTF-8", &b"\x81\x02\xc3\x28"[..], "a text that is not UTF-8"),
        ("reserved bits", b"\xc1\x00", "reserved bits"),
        ("an unknown opcode", b"\x83\x00", "opcode"),
        ("a masked frame", b"\x81\x82abcdef", "a masked frame"),
        ("a ping of 126 bytes", b"\x89\x7e\x00\x7e", "a control frame of more than 125 bytes"),
        ("a fragmented ping", b"\x09\x00", "a fragmented control frame"),
        ("a continuation of nothing", b"\x80\x00", "continues nothing"),
        ("a message inside a message", b"\x01\x01a\x01\x01b", "a message inside a fragmented message"),
        ("a close frame with code 1006", b"\x88\x02\x03\xee", "code 1006"),
        ("a close frame of one byte", b"\x88\x01\x03", "a close frame of one byte"),
    ] {
        Trial::new(name, [OPEN, say(bytes), Act::Hold]).run().ends("failed", why).soon();
    }
}

#[test]
fn bombs_cost_no_memory() {
    let cap = |trial: Trial| trial.with("max_message", 1_000_000).run();
    cap(Trial::new("a header that promises 2^63 bytes", [OPEN, promises(1 << 63), Act::Hold]))
        .ends("failed", "larger than 1000000 bytes")
        .soon();
    cap(Trial::new("a message over the cap, in one frame", [OPEN, promises(1_000_001), Act::Hold]))
        .ends("failed", "larger than 1000000 bytes")
        .soon();
    let fragment = [&[0x00, 126, 0x40, 0][..], &[b'x'; 16 << 10]].concat();
    cap(Trial::new("endless continuation frames", [OPEN, say(b"\x02\x00"), Act::Forever(fragment)]))
        .ends("failed", "larger than 1000000 bytes")
        .soon();
    cap(Trial::new("endless empty continuation frames", [OPEN, say(b"\x02\x00"), Act::Forever([0, 0].repeat(1000))]))
        .ends("failed", "more than 1000 empty fragments")
        .soon();
    Trial::new("a promise of 100 MB that is not kept, waited for 1 s", [OPEN, promises(100_000_000), Act::Hold])
        .steps(json!([{ "receive": 1000 }]))
        .run()
        .ends("nothing", "true")
        .after(1000.0);
}

#[test]
fn floods_cost_no_memory() {
    let message = [&[0x82, 126, 0x40, 0][..], &[b'x'; 16 << 10]].concat();
    let outcome = Trial::new("messages for ever, nobody receives for 2 s", [OPEN, Act::Forever(message)])
        .steps(json!([{ "sleep_ms": 2000 }, { "facts": true }]))
        .run()
        .ends("phase", "Open");
    let held = outcome.talked.answers.last().unwrap()["held"].as_u64();
    assert!((Some(200_000)..Some(600_000)).contains(&held), "{held:?}");
    Trial::new("empty messages for ever, nobody receives for 2 s", [OPEN, Act::Forever([0x82, 0].repeat(1000))])
        .steps(json!([{ "sleep_ms": 2000 }, { "facts": true }]))
        .run()
        .ends("phase", "Open");
    Trial::new("pings for ever, and no pong is read", [OPEN, Act::Forever(b"\x89\x04ping".repeat(1000))])
        .steps(json!([{ "receive": 2000 }]))
        .run()
        .ends("nothing", "true")
        .after(2000.0);
    Trial::new("pongs for ever that answer nothing", [OPEN, Act::Forever(b"\x8a\x04ping".repeat(1000))])
        .steps(json!([{ "receive": 1000 }]))
        .run()
        .ends("nothing", "true")
        .after(1000.0);
}

#[test]
fn a_server_that_never_reads_ends_at_the_deadline() {
    Trial::new("a server that never reads, timeout 1 s", [OPEN, Act::Hold])
        .steps(json!([{ "send_size": 500_000, "repeat": 40, "quiet": true }, { "receive": 100 }]))
        .flags("--request-timeout 1s")
        .run()
        .ends("failed", "nothing came within the timeout")
        .after(1000.0);
}

#[test]
fn a_close_frame_that_nobody_answers_ends_the_socket() {
    Trial::new("a close frame that is never answered", [OPEN, Act::Hold])
        .steps(json!([{ "close": 1000 }, { "receive": 15_000 }]))
        .run()
        .ends("failed", "the close frame was not answered within 10 s")
        .after(10_000.0);
}
