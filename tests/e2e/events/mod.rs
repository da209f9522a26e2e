//! Streams of events: what came, and when, against the server's own clock.

mod hostile;
mod reconnect;
mod tokens;

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Finished, Scripted, Squall, exit, journey, practice, write};

/// The pause between two parts of a scripted answer.
const PAUSE: Duration = Duration::from_millis(60);
/// What two clocks may differ by, in milliseconds: ours begins when the request is written, theirs when it is read, and
/// either may have to wait for the processor in between.
const CLOCKS: f64 = 20.0;

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/// Prepares one iteration of the journey `events`.
fn open(steps: &Value) -> Squall {
    Squall::run(journey("events")).grant("STEPS", steps.to_string())
}

#[track_caller]
fn follow(steps: &Value) -> Finished {
    open(steps).finish().expect(exit::PASSED).without_panic()
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    stream.write_all(&chunk).is_ok()
}

/// Begins an answer in chunks.
fn begin(stream: &mut TcpStream, headers: &str) -> bool {
    let head = format!("{SSE}{headers}transfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).is_ok()
}

/// Says all of an answer whose end is the connection's.
fn whole(stream: &mut TcpStream, body: &[u8]) -> bool {
    let _ = stream.write_all(format!("{SSE}connection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
    false
}

/// A server that sends these parts with a pause before each, and says when it sent each, in milliseconds since it had read
/// the request.
fn paused(parts: Vec<Vec<u8>>) -> (Scripted, Arc<Mutex<Vec<f64>>>) {
    let times = Arc::new(Mutex::new(Vec::new()));
    let sent = Arc::clone(&times);
    let server = Scripted::start(move |_, stream| {
        let began = Instant::now();
        let mut is_open = begin(stream, "");
        for part in &parts {
            thread::sleep(PAUSE);
            sent.lock().unwrap().push(began.elapsed().as_secs_f64() * 1e3);
            is_open = is_open && chunk(stream, part);
        }
        is_open && chunk(stream, b"")
    });
    (server, times)
}

fn numbers(values: &[Value], key: &str) -> Vec<f64> {
    values.iter().map(|value| value[key].as_f64().unwrap()).collect()
}

fn texts<'v>(answer: &'v Value, key: &str) -> Vec<&'v str> {
    answer["events"].as_array().unwrap().iter().map(|event| event[key].as_str().unwrap()).collect()
}

/// The samples of a run by their metric.
fn samples(text: &str, metric: &str) -> Vec<Value> {
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    points.filter(|point| point["type"] == "Point" && point["metric"] == metric).map(|mut p| p["data"].take()).collect()
}

#[test]
fn events_arrive_when_the_server_sends_what_completes_them() {
    // The second is in two parts, and so is the end of the third; the first part of an event does not count.
    let parts = ["id: 1\ndata: a\n\n", "event: x\nda", "ta: b\n\ndata: c\n", "\n: comment\n"];
    let (server, sent) = paused(parts.iter().map(|part| part.as_bytes().to_vec()).collect());
    let run = follow(&json!([{ "url": server.url() }]));
    let answer = &run.answers()[0];
    assert_eq!((texts(answer, "data"), texts(answer, "kind")), (vec!["a", "b", "c"], vec!["message", "x", "message"]));
    assert_eq!((texts(answer, "id"), &answer["end"]), (vec!["1", "1", "1"], &json!("end")), "{run}");
    let (arrived, sent) = (numbers(answer["events"].as_array().unwrap(), "arrived"), sent.lock().unwrap().clone());
    for (arrived, sent) in arrived.iter().zip([sent[0], sent[2], sent[3]]) {
        assert!(*arrived >= sent - CLOCKS, "{arrived} before it was sent, {sent}\n{run}");
        println!("on its way for {:.3} ms", arrived - sent);
    }
    assert_eq!(answer["summary"]["first_event"], json!(arrived[0]), "{run}");
    let summary = run.summary();
    assert_eq!((summary.count("stream_events"), summary.count("http_reqs")), (3, 1), "{run}");
    assert!((summary.value("stream_time_to_first_event", "avg") - arrived[0]).abs() < 0.01, "{run}");
    // The request lasts as long as its stream.
    assert!(summary.value("http_req_receiving", "avg") >= 3.0 * PAUSE.as_secs_f64() * 1e3, "{run}");
    assert_eq!(server.seen()[0].header("accept"), "text/event-stream");
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_the_same_stream() {
    let text = "\u{FEFF}: hi\r\nid: ä\r\ndata: 1\r\ndata: 2\r\n\r\nevent: e\rdata: €\r\r";
    let server = Scripted::start(move |_, stream| {
        let sent = begin(stream, "") && text.as_bytes().iter().all(|byte| chunk(stream, &[*byte]));
        sent && chunk(stream, b"")
    });
    let run = follow(&json!([{ "url": server.url() }]));
    let answer = &run.answers()[0];
    assert_eq!((texts(answer, "data"), texts(answer, "id")), (vec!["1\n2", "€"], vec!["ä", "ä"]), "{run}");
}

#[test]
fn lines_of_json_are_events_too() {
    let server = practice();
    let url = server.url() + "/jsonl?count=3&every=20";
    let run = follow(&json!([{ "url": url, "format": "jsonl" }]));
    let answer = &run.answers()[0];
    let numbers: Vec<Value> = texts(answer, "data")
        .iter()
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["number"].take())
        .collect();
    assert_eq!((numbers, &answer["end"]), (vec![json!(1), json!(2), json!(3)], &json!("end")), "{run}");
    assert_eq!(server.recorded()[0].headers.iter().filter(|(_, value)| value.contains("ndjson")).count(), 1);
}

#[test]
fn an_event_that_does_not_come_in_time_leaves_the_stream_as_it_is() {
    let (server, _) = paused(vec![b"data: a\n\n".to_vec(), b"data: b".to_vec(), b"\n\n".to_vec()]);
    let run = follow(&json!([{ "url": server.url(), "within_ms": 5 }]));
    let answer = &run.answers()[0];
    assert_eq!((texts(answer, "data"), &answer["end"]), (vec!["a", "b"], &json!("end")), "{run}");
    assert!(answer["nothing"].as_u64() >= Some(5), "{run}");
}

#[test]
fn an_answer_that_is_no_stream_can_be_read() {
    let server = Scripted::start(|request, stream| {
        let status = if request.path == "/none" { "204 No Content" } else { "503 Service Unavailable" };
        let length = if request.path == "/none" { "" } else { "content-length: 4\r\n" };
        let body = if request.path == "/none" { "" } else { "busy" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\n{length}\r\n{body}");
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let steps = json!([{ "url": server.url() }, { "url": server.url() + "/none", "reconnects": 5 }]);
    let run = follow(&steps);
    let answers = run.answers();
    assert_eq!((&answers[0]["status"], &answers[0]["body"]), (&json!(503), &json!("busy")), "{run}");
    assert_eq!((&answers[0]["streams"], &answers[0]["end"]), (&json!(false), &json!("end")), "{run}");
    assert_eq!((&answers[1]["status"], &answers[1]["streams"]), (&json!(204), &json!(false)), "{run}");
    assert_eq!((server.seen().len(), server.connections()), (2, 1), "the connection is used again\n{run}");
    assert_eq!(run.summary().value("http_req_failed", "value"), 0.5, "{run}");
}

#[test]
fn another_content_type_is_named_unless_it_is_wanted() {
    let server = Scripted::answering("content-type: text/html; charset=utf-8\r\n", "data: a\n\n");
    let without = Scripted::answering("", "data: a\n\n");
    let steps = json!([
        { "url": server.url() }, { "url": without.url() }, { "url": server.url(), "any_content_type": true },
    ]);
    let run = follow(&steps);
    let answers = run.answers();
    assert_eq!(answers[0]["error"], r#"ContentType("text/html; charset=utf-8")"#, "{run}");
    assert!(answers[1]["message"].as_str().unwrap().contains("the answer has none"), "{run}");
    assert_eq!(texts(&answers[2], "data"), ["a"], "{run}");
    assert_eq!(run.summary().count("http_reqs"), 3, "each is a request\n{run}");
}

#[test]
fn a_stream_in_gzip_and_one_over_http_2_are_streams_like_any_other() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"data: a\n\ndata: b\n\n").unwrap();
    let body = encoder.finish().unwrap();
    let gzip = Scripted::start(move |_, stream| {
        let sent = begin(stream, "content-encoding: gzip\r\n") && body.chunks(3).all(|piece| chunk(stream, piece));
        sent && chunk(stream, b"")
    });
    let run = follow(&json!([{ "url": gzip.url() }]));
    assert_eq!(texts(&run.answers()[0], "data"), ["a", "b"], "{run}");

    let server = practice();
    let steps = json!([{ "url": server.url() + "/sse?count=3&every=10" }]);
    let run = open(&steps).flags("--http-version 2").finish().expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!((texts(answer, "id"), &answer["end"]), (vec!["1", "2", "3"], &json!("end")), "{run}");
}

#[test]
fn samples_carry_the_tags_of_the_request_and_the_format() {
    let server = practice();
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    let steps = json!([{ "url": server.url() + "/sse?count=2", "name": "feed", "tags": { "team": "a" } }]);
    let run = open(&steps).arg("--out").arg(format!("json={}", points.display())).finish().expect(exit::PASSED);
    let text = std::fs::read_to_string(&points).unwrap();
    for metric in ["stream_events", "stream_time_to_first_event"] {
        let tags = &samples(&text, metric)[0]["tags"];
        for (name, value) in [
            ("name", "feed"),
            ("url", "feed"),
            ("method", "GET"),
            ("status", "200"),
            ("proto", "HTTP/1.1"),
            ("format", "sse"),
            ("team", "a"),
            ("scenario", "default"),
        ] {
            assert_eq!(tags[name], value, "{metric}, {name}: {tags}\n{run}");
        }
    }
}

#[test]
fn a_stream_that_an_iteration_leaves_open_is_measured_at_its_end() {
    let server = practice();
    let url = server.url() + "/sse?count=1000&every=10&first=0";
    let run = follow(&json!([{ "url": url, "leave": true, "most": 2 }]));
    let summary = run.summary();
    assert_eq!((summary.count("http_reqs"), summary.count("stream_events")), (1, 2), "{run}");
    assert!(run.took < Duration::from_secs(8), "{run}");
}

#[test]
fn a_secret_reaches_the_server_and_what_comes_back_of_it_is_masked() {
    let server = Scripted::start(|request, stream| {
        let secret = request.header("x-secret").to_owned();
        let (one, two) = secret.split_at(3);
        // In two chunks, so that no piece holds it whole.
        begin(stream, "")
            && chunk(stream, format!("id: {{{{secret:key}}}}\ndata: <{one}").as_bytes())
            && {
                thread::sleep(PAUSE);
                chunk(stream, format!("{two}>\n\n").as_bytes())
            }
            && chunk(stream, b"")
    });
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "key.txt", "hunter2-hunter2");
    let toml = format!("[secrets.key]\nfrom = \"file:key.txt\"\nhosts = [\"{}\"]\n", &server.url()[7..]);
    let config = write(folder.path(), "squall.toml", toml);
    let steps = json!([{ "url": server.url(), "secret": "key", "reconnects": 1, "retry_ms": 0 }]);
    let run = open(&steps).arg("--config").arg(config).finish().expect(exit::PASSED);
    assert_eq!(server.seen()[0].header("x-secret"), "hunter2-hunter2");
    let answer = &run.answers()[0];
    assert_eq!(texts(answer, "data"), ["<***>"], "{run}");
    // A server that names its event like a secret does not get it.
    assert_eq!(server.seen().len(), 1, "{run}");
    assert!(answer["end"].as_str().unwrap().contains("names a secret"), "{run}");
}

#[test]
fn an_untrusted_journey_may_read_streams_where_it_may_go() {
    let server = practice();
    let steps = json!([{ "url": server.url() + "/sse?count=2" }, { "url": "http://10.1.2.3/sse" }]);
    let flags = format!("--untrusted --allow-net {}", &server.url()[7..]);
    let run = open(&steps).flags(&flags).finish().expect(exit::PASSED).without_panic();
    let answers = run.answers();
    assert_eq!(texts(&answers[0], "id"), ["1", "2"], "{run}");
    assert!(answers[1]["error"].as_str().unwrap().starts_with("Denied"), "{run}");
}
