//! Servers of HTTP/3 that do what none should: named errors, deadlines that hold, memory that is bounded.
//!
//! Every test prints lines of the table in `docs/http.md`:
//! `cargo test -p squall --test e2e http3::hostile -- --nocapture --test-threads 1`.

use std::net::UdpSocket;

use serde_json::{Value, json};

use super::{trusting, with_tags};
use crate::support::hostile_http3::{
    EARLY, GOAWAY, INTERNAL_ERROR, NO_ERROR, REQUEST_REJECTED, SETTINGS, Turn, UNKNOWN, begun, frame,
};
use crate::support::{Finished, HostileHttp3, Squall, write};

/// One request to a server that misbehaves, and what came of it.
struct Outcome {
    server: HostileHttp3,
    run: Finished,
    tags: Vec<Value>,
}

#[track_caller]
fn met(server: HostileHttp3, mut step: Value, flags: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "authority.pem", server.certificate());
    step["url"] = json!(server.url());
    let squall = trusting(Squall::fetch(&json!([step])), folder.path());
    let (run, tags) = with_tags(squall.flags("--http-version 3").flags(flags));
    Outcome { server, run: run.without_panic(), tags }
}

impl Outcome {
    /// Asserts the last request's error; prints a row of the table in `docs/http.md`.
    #[track_caller]
    fn fails_with(self, name: &str, code: u16, text: &str) -> Self {
        let Self { run, tags, .. } = &self;
        let tags = tags.last().unwrap_or_else(|| panic!("no request\n{run}"));
        assert_eq!(tags["error_code"], code.to_string(), "{tags}\n{run}");
        let error = tags["error"].as_str().unwrap_or_default();
        assert!(error.contains(text), "`{error}` does not say `{text}`\n{run}");
        let took = run.summary().value("iteration_duration", "max");
        let peak = run.peak.map_or_else(|| "-".to_owned(), |peak| format!("{:.1} MiB", peak as f64 / 1024.0));
        println!("\n| {name} | {code}: {error} | {took:.0} ms | {peak} |");
        assert!(took < 20_000.0, "{took} ms\n{run}");
        // A good run takes some 70 MiB in a build without optimisation.
        assert!(run.peak.is_none_or(|peak| peak < 160 << 10), "{peak}\n{run}");
        self
    }
}

/// Writes this again and again, as long as somebody takes it.
async fn for_ever(mut turn: Turn, bytes: Vec<u8>) {
    while turn.write(&bytes).await {}
}

#[test]
fn what_never_comes_ends_at_the_timeout() {
    let timeout = || json!({ "timeout_ms": 500 });
    let silent = HostileHttp3::start(Turn::wait);
    met(silent, timeout(), "").fails_with("no answer at all, timeout 500 ms", 1050, "request timeout");
    let drip = HostileHttp3::start(|mut turn| async move {
        turn.head().await;
        while turn.data(b"x").await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    met(drip, timeout(), "").fails_with("a byte of the body every 50 ms, timeout 500 ms", 1050, "request timeout");
    let half = || {
        HostileHttp3::start(|mut turn| async move {
            turn.head_of(10).await;
            turn.data(b"half").await;
            turn.wait().await;
        })
    };
    met(half(), timeout(), "").fails_with("an answer that stops half way, timeout 500 ms", 1050, "request timeout");
    let name = "an answer that stops half way, read timeout 300 ms";
    met(half(), json!({}), "--read-timeout 300ms").fails_with(name, 1050, "request timeout");
    let name = "a server that does not read a body of 8 MB, timeout 500 ms";
    let step = json!({ "timeout_ms": 500, "method": "POST", "body_size": 8_000_000 });
    met(HostileHttp3::start(Turn::wait), step, "").fails_with(name, 1050, "request timeout");
}

#[test]
fn nobody_at_the_other_side() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    let run = |port: u16| {
        let step = json!([{ "url": format!("https://127.0.0.1:{port}/") }]);
        with_tags(Squall::fetch(&step).flags("--http-version 3 --connect-timeout 500ms")).1.remove(0)
    };
    let tags = run(closed.port());
    // Only connected sockets on Linux are told at once.
    let code = if cfg!(target_os = "linux") { "1212" } else { "1211" };
    assert_eq!(tags["error_code"], code, "{tags}");
    let tags = run(hole.local_addr().unwrap().port());
    assert_eq!((&tags["error_code"], &tags["error"]), (&json!("1211"), &json!("dial timeout")), "{tags}");
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_protocol_is_told() {
    let answering = || HostileHttp3::start(|turn| turn.answer(b"ok"));
    let server = answering();
    let step = json!([{ "url": server.url() }]);
    let (run, tags) = with_tags(Squall::fetch(&step).flags("--http-version 3"));
    assert_eq!(tags[0]["error_code"], "1310", "{tags:?}\n{run}");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "authority.pem", server.certificate());
    let flags = "--http-version 3 --host other.test=127.0.0.1";
    let step = json!([{ "url": server.url().replace("127.0.0.1", "other.test") }]);
    let (run, tags) = with_tags(trusting(Squall::fetch(&step), folder.path()).flags(flags));
    assert_eq!(tags[0]["error_code"], "1311", "{tags:?}\n{run}");
    let run = met(answering(), json!({ "show": ["body"] }), "--insecure-skip-tls-verify").run;
    assert_eq!(run.answers()[0]["body"], "ok", "{run}");
    let other = HostileHttp3::start_as("other", None, |turn| turn.answer(b"ok"));
    met(other, json!({}), "").fails_with("a server of QUIC that speaks no HTTP/3", 1801, "does not speak HTTP/3");
    let name = "`tlsVersion` 1.2";
    met(answering(), json!({}), "--tls-version tls1.2").fails_with(name, 1300, "HTTP/3 needs TLS 1.3");
}

#[test]
fn an_answer_that_is_broken_off_is_an_error_and_the_next_request_is_well() {
    let server = HostileHttp3::start(|mut turn| async move {
        if turn.number == 2 {
            return turn.answer(b"well").await;
        }
        turn.head().await;
        turn.data(b"half").await;
        let _ = turn.send.reset(INTERNAL_ERROR.into());
    });
    let outcome = met(server, json!({ "repeat": 2, "show": ["body"] }), "");
    assert_eq!(outcome.tags[0]["error_code"], "1823", "{:?}\n{}", outcome.tags, outcome.run);
    assert_eq!((outcome.run.answers()[1]["body"].clone(), outcome.server.connections()), (json!("well"), 1));

    let stops = HostileHttp3::start(|mut turn| async move {
        let _ = turn.recv.stop(NO_ERROR.into());
        turn.answer(b"enough").await;
    });
    let step = json!({ "method": "POST", "body_size": 8_000_000, "show": ["body"] });
    let run = met(stops, step, "").run;
    assert_eq!(run.answers()[0]["body"], "enough", "{run}");

    let reset = HostileHttp3::start(|mut turn| async move {
        turn.head().await;
        let _ = turn.send.reset(INTERNAL_ERROR.into());
    });
    let name = "RESET_STREAM inside an answer";
    met(reset, json!({}), "").fails_with(name, 1823, "the server ended the stream with INTERNAL_ERROR");
    let close = HostileHttp3::start(|mut turn| async move {
        turn.head().await;
        turn.quic.close(INTERNAL_ERROR.into(), b"");
    });
    let name = "CONNECTION_CLOSE inside an answer";
    met(close, json!({}), "").fails_with(name, 1853, "the server closed the connection with INTERNAL_ERROR");
    let short = HostileHttp3::start(|mut turn| async move {
        turn.head_of(10).await;
        turn.data(b"half").await;
        turn.end().await;
    });
    let name = "a body shorter than announced";
    met(short, json!({}), "").fails_with(name, 1895, "the body has 4 bytes, and 10 were announced");
}

#[test]
fn what_a_server_has_not_processed_is_sent_again() {
    let server = HostileHttp3::start(|mut turn| async move {
        if turn.connection > 1 {
            return turn.answer(b"later").await;
        }
        let _ = turn.control.lock().await.write_all(&frame(GOAWAY, &[0])).await;
        let _ = turn.send.reset(REQUEST_REJECTED.into());
        turn.wait().await;
    });
    let outcome = met(server, json!({ "method": "POST", "body": "x", "show": ["body"] }), "");
    assert_eq!(outcome.run.answers()[0]["body"], "later", "{}", outcome.run);
    assert_eq!((outcome.server.connections(), outcome.run.summary().count("http_req_retries")), (2, 1));
}

#[test]
fn a_server_that_forgot_the_connection_is_asked_anew_where_that_is_safe() {
    let forgetful = || HostileHttp3::start_as("h3", Some(1), |turn| turn.answer(b"ok"));
    let outcome = met_with_pause(forgetful(), "GET");
    assert_eq!(outcome.run.answers()[1]["status"], 200, "{}", outcome.run);
    assert_eq!(outcome.server.connections(), 2, "{}", outcome.run);
    let outcome = met_with_pause(forgetful(), "POST");
    outcome.fails_with("a stateless reset", 1812, "the server does not know the connection");
}

/// Two requests on one connection, with time between them to forget it.
#[track_caller]
fn met_with_pause(server: HostileHttp3, method: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "authority.pem", server.certificate());
    let step = json!({ "url": server.url(), "method": method });
    let steps = json!([step, { "sleep_ms": 500 }, step]);
    let (run, tags) = with_tags(trusting(Squall::fetch(&steps), folder.path()).flags("--http-version 3"));
    Outcome { server, run, tags }
}

#[test]
fn floods_are_refused_and_memory_is_bounded() {
    let forever = |bytes: Vec<u8>| HostileHttp3::start(move |turn| for_ever(turn, bytes.clone()));
    let head = HostileHttp3::start(|mut turn| async move {
        turn.write(&begun(1, 1 << 30)).await;
        for_ever(turn, vec![0; 64 << 10]).await;
    });
    met(head, json!({}), "").fails_with("a head without end", 1000, "the head is larger than");
    // `:method` GET is in the table, and costs a byte where it counts 42.
    let bomb = [&[0, 0, 0xd9][..], &vec![0xd1; 200_000]].concat();
    let bomb = forever(frame(1, &bomb));
    met(bomb, json!({}), "").fails_with("a head of 200 kB that unpacks to 8 MB", 1000, "the head is larger than");
    let unknown = forever(frame(UNKNOWN, &[0; 1000]));
    met(unknown, json!({}), "").fails_with("frames that nobody knows, for ever", 1000, "the head is larger than");
    let early = forever(frame(1, EARLY));
    met(early, json!({}), "").fails_with("`103 Early Hints` for ever", 1000, "more than 100 interim answers");
    let body = HostileHttp3::start(|mut turn| async move {
        turn.head().await;
        for_ever(turn, frame(0, &[b'x'; 16 << 10])).await;
    });
    let config = tempfile::tempdir().unwrap();
    let name = "a body without end, `limits.responseBytes` 1 MiB";
    let limits = write(config.path(), "limits.toml", "[limits]\nresponseBytes = \"1MiB\"\n");
    met(body, json!({}), &format!("--config {}", limits.display())).fails_with(name, 1000, "response body larger than");
    let control = HostileHttp3::start(|turn| async move {
        let mut control = turn.control.lock().await;
        let _ = control.write_all(&begun(UNKNOWN, 1 << 30)).await;
        while control.write_all(&[0; 8 << 10]).await.is_ok() {}
        drop(control);
        turn.wait().await;
    });
    met(control, json!({}), "").fails_with("a frame of 1 GiB on the control stream", 1885, "");
}

#[test]
fn what_is_no_http_3_is_refused() {
    let first = |bytes: Vec<u8>| {
        HostileHttp3::start(move |mut turn| {
            let bytes = bytes.clone();
            async move {
                turn.write(&bytes).await;
                turn.wait().await;
            }
        })
    };
    let ours = |name: &str, bytes: Vec<u8>, code: u16, text: &str| {
        met(first(bytes), json!({}), "").fails_with(name, code, text);
    };
    ours("a body before its head", frame(0, b"x"), 1886, "FRAME_UNEXPECTED");
    ours("settings where an answer should be", frame(SETTINGS, &[]), 1886, "FRAME_UNEXPECTED");
    ours("a head that cannot be unpacked", frame(1, &[0xff; 20]), 1898, "QPACK_DECOMPRESSION_FAILED");
    ours("a head without a status", frame(1, &[0, 0]), 1895, "MESSAGE_ERROR");
    let nothing = HostileHttp3::start(Turn::end);
    met(nothing, json!({}), "").fails_with("a stream that ends without a head", 1886, "FRAME_UNEXPECTED");
    let bidi = HostileHttp3::start(|turn| async move {
        // Waits for ever for what the client does not allow.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), turn.quic.open_bi()).await;
        turn.answer(b"ok").await;
    });
    let run = met(bidi, json!({ "show": ["body"] }), "").run;
    assert_eq!(run.answers()[0]["body"], "ok", "{run}");
    let second = HostileHttp3::start(|turn| async move {
        let _ = turn.control.lock().await.write_all(&frame(SETTINGS, &[])).await;
        turn.wait().await;
    });
    met(second, json!({}), "").fails_with("settings twice", 1886, "FRAME_UNEXPECTED");
    let rising = HostileHttp3::start(|turn| async move {
        let _ = turn.control.lock().await.write_all(&[frame(GOAWAY, &[0]), frame(GOAWAY, &[4])].concat()).await;
        turn.wait().await;
    });
    met(rising, json!({}), "").fails_with("GOAWAY that takes back what it said", 1889, "ID_ERROR");
    let ended = HostileHttp3::start(|turn| async move {
        let _ = turn.control.lock().await.finish();
        turn.wait().await;
    });
    met(ended, json!({}), "").fails_with("a control stream that ends", 1885, "CLOSED_CRITICAL_STREAM");
}
