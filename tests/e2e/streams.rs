//! Answers read as they come, and bodies sent piece by piece.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Finished, Hostile, Nginx, Scripted, Squall, exit, write};

/// The pause between two pieces.
const PAUSE: Duration = Duration::from_millis(60);

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    stream.write_all(&chunk).is_ok()
}

/// Sends the head at once, then five pieces with a pause before each.
fn five_pieces() -> Scripted {
    Scripted::start(|request, stream| {
        if request.path == "/from" {
            return stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /to\r\ncontent-length: 4\r\n\r\ngone").is_ok();
        }
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_ok();
        for number in 0..5 {
            thread::sleep(PAUSE);
            sent = sent && chunk(stream, format!("piece {number};").as_bytes());
        }
        sent && chunk(stream, b"")
    })
}

#[track_caller]
fn fetch(steps: &Value) -> Finished {
    Squall::fetch(steps).finish()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn pieces_reach_the_journey_as_they_come() {
    let target = five_pieces();
    let run = fetch(&json!([{ "url": target.url(), "stream": true }, { "url": target.url() + "/again" }]));
    let run = run.expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!((&answer["status"], &answer["pieces"]), (&json!(200), &json!([8, 8, 8, 8, 8])), "{run}");
    assert_eq!(answer["text"], "piece 0;piece 1;piece 2;piece 3;piece 4;", "{run}");
    let arrived = numbers(&answer["arrived"]);
    let pause = PAUSE.as_secs_f64() * 1e3;
    for (number, arrived) in arrived.iter().enumerate() {
        // Timers of a busy machine are late, never early; 2 ms are for the two clocks.
        assert!(*arrived >= pause * (number + 1) as f64 - 2.0, "piece {number} came too early: {arrived}\n{run}");
    }
    assert!(answer["head"].as_f64() < Some(arrived[0]), "the head did not wait for the body\n{run}");
    let timings = &answer["timings"];
    assert!(timings["receiving"].as_f64() >= Some(5.0 * pause - 5.0), "{run}");
    assert!(timings["waiting"].as_f64() < Some(pause), "{run}");
    assert_eq!((target.connections(), run.summary().count("http_reqs")), (1, 2), "{run}");
    assert!(run.summary().value("http_req_receiving", "max") >= 5.0 * pause - 5.0, "{run}");
}

#[test]
fn a_stream_follows_redirects_on_its_connection() {
    let target = five_pieces();
    let run = fetch(&json!([{ "url": target.url() + "/from", "stream": true }])).expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!((&answer["length"], &answer["url"]), (&json!(40), &json!(target.url() + "/to")), "{run}");
    assert_eq!((target.connections(), target.seen().len()), (1, 2));
    assert_eq!(run.summary().count("http_reqs"), 2);
}

#[test]
fn a_stream_that_is_given_up_counts_with_its_status_and_closes_its_connection() {
    let target = five_pieces();
    let closed =
        json!([{ "url": target.url(), "stream": 2 }, { "url": target.url(), "stream": 2, "leave_open": true }]);
    let run = fetch(&closed).expect(exit::PASSED);
    assert_eq!(run.answers()[0]["text"], "piece 0;piece 1;", "{run}");
    let summary = run.summary();
    assert_eq!((summary.count("http_reqs"), summary.value("http_req_failed", "value")), (2, 0.0), "{run}");
    assert_eq!(target.connections(), 2, "the first one's connection was not used again");
}

#[test]
fn a_stream_that_breaks_off_is_a_failed_request() {
    let target = Hostile::closes_mid_body();
    let run = fetch(&json!([{ "url": target.url(), "stream": true }]));
    let answer = &run.answers()[0];
    assert_eq!((&answer["status"], &answer["text"]), (&json!(200), &json!("0123456789")), "{run}");
    assert!(answer["problem"].is_string(), "{run}");
    assert_eq!(run.summary().value("http_req_failed", "passes"), 1.0, "{run}");
}

#[test]
fn a_stream_ends_at_its_timeout() {
    let target = Hostile::slow_body(1000);
    let run = fetch(&json!([{ "url": target.url(), "stream": true, "timeout_ms": 400 }]));
    let answer = &run.answers()[0];
    assert!(answer["length"].as_u64() > Some(0) && answer["problem"].is_string(), "{run}");
    assert!(run.took < Duration::from_secs(30));
    assert_eq!(run.summary().value("http_req_failed", "passes"), 1.0, "{run}");
}

#[test]
fn an_encoded_stream_is_decoded_as_it_comes() {
    let target = Scripted::start(|_, stream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head).is_ok();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        for number in 0..3 {
            encoder.write_all(format!("piece {number};").as_bytes()).unwrap();
            encoder.flush().unwrap();
            sent = sent && chunk(stream, &std::mem::take(encoder.get_mut()));
            thread::sleep(PAUSE);
        }
        sent && chunk(stream, &encoder.finish().unwrap()) && chunk(stream, b"")
    });
    let run = fetch(&json!([{ "url": target.url(), "stream": true }])).expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!((&answer["text"], &answer["pieces"]), (&json!("piece 0;piece 1;piece 2;"), &json!([8, 8, 8])), "{run}");
    let arrived = numbers(&answer["arrived"]);
    assert!(arrived[2] - arrived[0] >= 2.0 * PAUSE.as_secs_f64() * 1e3 - 5.0, "{run}");
}

#[test]
fn a_large_answer_is_streamed_whole() {
    let body: Vec<u8> = (0..5_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let sum = body.iter().fold(0x811c_9dc5_u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let target = Scripted::answering("", body);
    let run = fetch(&json!([{ "url": target.url(), "stream": true }])).expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!((&answer["length"], &answer["sum"]), (&json!(5_000_000), &json!(sum)), "{run}");
}

#[test]
fn an_upload_is_sent_in_chunks_as_it_is_written() {
    let target = Scripted::answering("", "thanks");
    let pieces = json!(["one ", "two ", "three"]);
    let chunked = json!({ "url": target.url(), "method": "POST", "upload": pieces, "pause_ms": 50, "show": ["body"] });
    let known = json!({ "url": target.url(), "method": "PUT", "upload": pieces, "upload_length": 13 });
    let run = fetch(&json!([chunked, known])).expect(exit::PASSED);
    let seen = target.seen();
    assert_eq!(run.answers()[0]["body"], "thanks", "{run}");
    assert_eq!((seen[0].body.as_slice(), seen[1].body.as_slice()), (&b"one two three"[..], &b"one two three"[..]));
    assert_eq!(seen[0].chunks.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [4, 4, 5]);
    assert!(seen[0].chunks[2].1 - seen[0].chunks[0].1 >= Duration::from_millis(95), "they were sent as they came");
    assert_eq!((seen[0].method.as_str(), seen[0].header("content-length")), ("POST", ""));
    assert_eq!((seen[1].header("content-length"), seen[1].chunks.len()), ("13", 0));
    assert_eq!((target.connections(), run.summary().count("http_reqs")), (1, 2), "{run}");
    assert!(run.summary().value("http_req_sending", "max") >= 145.0, "{run}");
}

#[test]
fn an_upload_that_breaks_its_word_is_refused() {
    let target = Scripted::answering("", "thanks");
    let step =
        |length: u32| json!({ "url": target.url(), "method": "PUT", "upload": ["12345"], "upload_length": length });
    let run = fetch(&json!([step(4)]));
    assert!(run.answers()[0]["error"].as_str().is_some_and(|error| error.contains("5 bytes where only 4")), "{run}");
    let run = fetch(&json!([step(6)]));
    assert!(run.answers()[0]["error"].as_str().is_some_and(|error| error.contains("1 bytes")), "{run}");
    assert_eq!(run.summary().value("http_req_failed", "passes"), 1.0, "{run}");
}

#[test]
fn streams_and_uploads_travel_by_http_2_too() {
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..600_000_u32).map(|at| (at % 251) as u8).collect();
    write(folder.path(), "large.bin", &body);
    let sum = body.iter().fold(0x811c_9dc5_u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let back = Scripted::answering("", "thanks");
    let server = format!(
        "root {}; location /up {{ proxy_request_buffering off; proxy_http_version 1.1; proxy_pass {}; }}",
        folder.path().display(),
        back.url()
    );
    let Some(nginx) = Nginx::start(folder.path(), &[("http2", &server)]) else { return };
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", nginx.port(0));
    let config = write(folder.path(), "squall.toml", "httpVersion = \"2\"\n");
    let up = json!({ "url": url("/up"), "method": "POST", "upload": ["one ", "two"], "show": ["body", "details"] });
    let steps = json!([{ "url": url("/large.bin"), "stream": true }, { "url": url("/large.bin"), "stream": 1 }, up]);
    let run = Squall::fetch(&steps).arg("--config").arg(config).finish().expect(exit::PASSED);
    let answers = run.answers();
    assert_eq!((&answers[0]["length"], &answers[0]["sum"]), (&json!(600_000), &json!(sum)), "{run}");
    assert_eq!(
        (&answers[2]["body"], &answers[2]["details"]["protocol"]),
        (&json!("thanks"), &json!("HTTP/2.0")),
        "{run}"
    );
    assert_eq!(back.seen()[0].body, b"one two");
    let connections: std::collections::BTreeSet<_> =
        nginx.seen(3).iter().map(|request| request["connection"].as_u64()).collect();
    assert_eq!(connections.len(), 1, "a stream that is given up resets itself and nothing else\n{run}");
    assert_eq!((run.summary().count("http_reqs"), run.summary().value("http_req_failed", "value")), (3, 0.0), "{run}");
}
