//! Servers of streams that do their worst: named errors, deadlines that hold, memory that is bounded. Each test prints
//! its row of the table in `docs/streaming.md`.

use std::io::Write as _;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{SSE, begin, chunk, open, texts, whole};
use crate::support::{Finished, Hostile, Scripted, exit, practice, write};

/// What an event may have in these tests, in bytes.
const LIMIT: u64 = 1 << 20;
/// How much more memory a run against a hostile server may take than one against a good one, in KiB: pieces on their way, an
/// event of the largest size on the host and in the guest, and what is measured.
const MORE_MEMORY: u64 = 24 << 10;

fn run(steps: &Value) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", format!("limits.responseBytes = {LIMIT}\n"));
    open(steps).arg("--config").arg(config).finish().expect(exit::PASSED).without_panic()
}

fn memory_of_a_good_run() -> Option<u64> {
    static PEAK: OnceLock<Option<u64>> = OnceLock::new();
    *PEAK.get_or_init(|| {
        let server = practice();
        let peak = run(&json!([{ "url": server.url() + "/sse?count=5" }])).peak;
        println!("a good server: {:.0} MiB", peak.unwrap_or_default() as f64 / 1024.0);
        peak
    })
}

/// Opens one stream, asserts on how it ended and on memory, and prints the row.
#[track_caller]
fn ends(name: &str, step: &Value, end: &str) -> Finished {
    let good = memory_of_a_good_run();
    let run = run(&json!([step]));
    let answer = &run.answers()[0];
    let told = answer["error"].as_str().or(answer["end"].as_str()).unwrap().to_owned();
    assert!(told.contains(end), "{name}: {told}, not {end}\n{run}");
    if let (Some(peak), Some(good)) = (run.peak, good) {
        assert!(peak < good + MORE_MEMORY, "{peak} KiB, where a good server costs {good} KiB\n{run}");
    }
    let (took, peak) = (run.summary().value("iteration_duration", "max"), run.peak.unwrap_or_default() as f64 / 1024.0);
    println!("| {name} | `{told}` | {took:.0} ms | {peak:.0} MiB |");
    run
}

/// Says this for ever.
fn endless(headers: &'static str, first: &'static [u8], again: Vec<u8>) -> Scripted {
    Scripted::start(move |_, stream| {
        let mut sent = begin(stream, headers) && (first.is_empty() || chunk(stream, first));
        while sent {
            sent = chunk(stream, &again);
        }
        false
    })
}

/// So many times these bytes, in gzip.
fn bomb(start: &[u8], bytes: &[u8], times: usize) -> Scripted {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(start).unwrap();
    for _ in 0..times {
        encoder.write_all(bytes).unwrap();
    }
    let body = encoder.finish().unwrap();
    Scripted::start(move |_, stream| {
        begin(stream, "content-encoding: gzip\r\n") && body.chunks(1 << 16).all(|piece| chunk(stream, piece))
    })
}

#[test]
fn a_server_that_never_answers_meets_the_timeout() {
    let server = Hostile::script([crate::support::Act::Head, crate::support::Act::Hold]);
    ends("never answers", &json!({ "url": server.url(), "timeout_ms": 300, "reconnects": 5 }), "Timeout");
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_stream_that_stalls_midway_meets_the_timeout() {
    let server = Scripted::start(|_, stream| {
        let sent = begin(stream, "") && chunk(stream, b"data: a\n\ndata: b");
        thread::sleep(Duration::from_secs(3));
        sent
    });
    let run = ends("stalls midway", &json!({ "url": server.url(), "timeout_ms": 300 }), "Timeout");
    assert_eq!(texts(&run.answers()[0], "data"), ["a"], "{run}");
    assert_eq!(run.summary().value("http_req_failed", "value"), 1.0, "{run}");
}

#[test]
fn an_endless_line_is_refused_at_the_limit() {
    let server = endless("", b"data: ", vec![b'x'; 10_000]);
    ends("a line without an end", &json!({ "url": server.url() }), "TooLarge(1048576)");
    let server = endless("", b"", b"data: 0123456789\n".repeat(100));
    ends("an event without an end", &json!({ "url": server.url() }), "TooLarge(1048576)");
    let server = endless("", b"{\"a\":\"", vec![b'x'; 10_000]);
    let step = json!({ "url": server.url(), "format": "jsonl", "any_content_type": true });
    ends("a line of JSON without an end", &step, "TooLarge(1048576)");
}

#[test]
fn a_stream_without_an_event_or_an_end_meets_the_timeout() {
    let server = endless("", b": ", vec![b'x'; 10_000]);
    ends("a comment without an end", &json!({ "url": server.url(), "timeout_ms": 500 }), "Timeout");
    let server = endless("", b"", b"id: 1\nretry: 1\n\n".repeat(100));
    ends("blocks without data", &json!({ "url": server.url(), "timeout_ms": 500 }), "Timeout");
}

#[test]
fn a_flood_of_events_ends_with_the_deadline() {
    let server = endless("", b"", b"data: x\n\n".repeat(1000));
    let step = json!({ "url": server.url(), "timeout_ms": 500, "leave": true, "most": 20_000 });
    let good = memory_of_a_good_run();
    let run = run(&json!([step]));
    if let (Some(peak), Some(good)) = (run.peak, good) {
        assert!(peak < good + MORE_MEMORY, "{peak} KiB, where a good server costs {good} KiB\n{run}");
    }
    assert!(run.summary().count("stream_events") > 0, "{run}");
}

#[test]
fn bombs_in_gzip_are_read_piece_by_piece() {
    let server = bomb(b"data: ", &vec![b'x'; 1 << 16], 4096);
    ends("256 MiB of one event in gzip", &json!({ "url": server.url() }), "TooLarge(1048576)");
    let server = bomb(b": ", &vec![b'x'; 1 << 16], 65_536);
    ends("4 GiB of comment in gzip", &json!({ "url": server.url(), "timeout_ms": 400 }), "Timeout");
}

#[test]
fn a_storm_of_reconnects_stops_where_the_journey_says() {
    let server = Scripted::start(|_, stream| whole(stream, b"retry: 0\n\n"));
    let step = json!({ "url": server.url(), "reconnects": 300 });
    let run = ends("closes at once, with `retry: 0`", &step, "end");
    assert_eq!((server.connections(), run.summary().count("stream_reconnects")), (301, 300), "{run}");
    let step = json!({ "url": server.url(), "reconnects": 4_000_000_000_u32, "timeout_ms": 400 });
    ends("the same, and the journey would never stop", &step, "Timeout");
}

#[test]
fn what_is_no_text_and_no_coding_is_said() {
    let server = Scripted::start(|_, stream| whole(stream, b"data: a\xFF\xC0\x80b\nid: \xE2\x82\n\n"));
    let run = ends("invalid UTF-8", &json!({ "url": server.url() }), "end");
    assert_eq!(texts(&run.answers()[0], "data"), ["a\u{FFFD}\u{FFFD}\u{FFFD}b"], "{run}");
    let server =
        Scripted::start(|_, stream| begin(stream, "content-encoding: gzip\r\n") && chunk(stream, b"data: a\n\n"));
    ends("gzip that is none", &json!({ "url": server.url() }), "Protocol");
    let server = Scripted::answering("content-type: text/html\r\n", "data: a\n\n");
    ends("another content type", &json!({ "url": server.url() }), "ContentType(\"text/html\")");
    let server = Scripted::start(|_, stream| begin(stream, "") && stream.write_all(b"xyz\r\n").is_ok());
    ends("a chunk size that is none", &json!({ "url": server.url() }), "Protocol");
}

#[test]
fn a_close_at_any_byte_gives_the_events_before_it() {
    let text: &[u8] = b"id: 1\r\ndata: a\r\n\r\n: c\n\nevent: e\ndata: b\ndata: c\n\nid: 2\n\ndata: lost";
    // Half of them in chunks that never end, half of them with the connection as their end.
    let server = Scripted::start(move |request, stream| {
        let at: usize = request.path[1..].parse().unwrap_or(0);
        let part = &text[..at / 2];
        if at.is_multiple_of(2) {
            return whole(stream, part);
        }
        let _ = begin(stream, "") && (part.is_empty() || chunk(stream, part));
        false
    });
    let steps: Vec<Value> =
        (0..=2 * text.len() + 1).map(|at| json!({ "url": format!("{}/{at}", server.url()) })).collect();
    let run = run(&json!(steps));
    let answers = run.answers();
    assert_eq!(answers.len(), steps.len(), "{run}");
    // An event is complete with the CR of its empty line.
    let complete =
        [b"id: 1\r\ndata: a\r\n\r".len(), b"id: 1\r\ndata: a\r\n\r\n: c\n\nevent: e\ndata: b\ndata: c\n\n".len()];
    for (at, answer) in answers.iter().enumerate() {
        let expected: Vec<&str> =
            complete.iter().zip(["a", "b\nc"]).filter(|(end, _)| at / 2 >= **end).map(|(_, data)| data).collect();
        assert_eq!(texts(answer, "data"), expected, "cut at {}\n{answer}", at / 2);
        let end = if at.is_multiple_of(2) { "end" } else { "Reset" };
        assert_eq!(answer["end"], end, "cut at {}\n{answer}", at / 2);
    }
}

#[test]
fn a_head_that_is_cut_off_or_a_reset_is_a_reset() {
    let server = Scripted::start(|_, stream| {
        let _ = stream.write_all(&SSE.as_bytes()[..20]);
        false
    });
    ends("closes within the head", &json!({ "url": server.url(), "reconnects": 3 }), "Reset");
    assert_eq!(server.connections(), 1, "a first connection that fails is not made again");
    let server = Hostile::resets();
    ends("resets", &json!({ "url": server.url() }), "Reset");
    let refused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    ends("refuses", &json!({ "url": refused }), "Refused");
}
