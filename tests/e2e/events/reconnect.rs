//! Streams that end and are taken up again.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use super::{begin, chunk, follow, numbers, open, texts, whole};
use crate::support::{Scripted, exit, practice};

#[test]
fn a_stream_goes_on_after_the_last_event_until_there_is_no_more() {
    let server = practice();
    let url = server.url() + "/sse?count=10&drop=4&retry=30";
    let run = follow(&json!([{ "url": url, "reconnects": 10 }]));
    let answer = &run.answers()[0];
    let ids: Vec<String> = (1..=10).map(|id| id.to_string()).collect();
    assert_eq!(
        (texts(answer, "id"), &answer["end"]),
        (ids.iter().map(String::as_str).collect(), &json!("end")),
        "{run}"
    );
    let connections = numbers(answer["events"].as_array().unwrap(), "connection");
    assert_eq!(connections, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0], "{run}");
    let seen = server.recorded();
    let last = |at: usize| seen[at].headers.iter().find(|(name, _)| name == "last-event-id").map(|(_, id)| &**id);
    // The fourth is answered with 204.
    assert_eq!((seen.len(), last(0), last(1), last(2), last(3)), (4, None, Some("4"), Some("8"), Some("10")), "{run}");
    for pair in seen.windows(2) {
        assert!(pair[1].at.saturating_sub(pair[0].at).as_millis() >= 30, "the server asked for 30 ms\n{run}");
    }
    let summary = run.summary();
    assert_eq!((summary.count("stream_reconnects"), summary.count("http_reqs")), (3, 4), "{run}");
    assert_eq!(answer["summary"]["reconnects"], 3, "{run}");
    // Times go on from the first request.
    let arrived = numbers(answer["events"].as_array().unwrap(), "arrived");
    assert!(arrived[4] >= arrived[3] + 29.0 && arrived.is_sorted(), "{arrived:?}\n{run}");
}

#[test]
fn a_stream_that_may_not_come_back_ends_with_what_ended_it() {
    let server = practice();
    let url = server.url();
    let steps = json!([{ "url": url.clone() + "/sse?count=4&drop=2" }, { "url": url + "/sse?count=2" }]);
    let run = follow(&steps);
    let answers = run.answers();
    assert_eq!((texts(&answers[0], "id"), &answers[0]["end"]), (vec!["1", "2"], &json!("Reset")), "{run}");
    assert_eq!((texts(&answers[1], "id"), &answers[1]["end"]), (vec!["1", "2"], &json!("end")), "{run}");
    assert_eq!((server.recorded().len(), run.summary().count("stream_reconnects")), (2, 0), "{run}");
}

#[test]
fn an_author_says_where_to_begin_and_a_server_may_ask_for_no_wait() {
    let server = Scripted::start(|request, stream| {
        let id: u32 = request.header("last-event-id").parse().unwrap_or(0) + 1;
        whole(stream, format!("retry: 0\nid: {id}\ndata: x\n\n").as_bytes())
    });
    let run = follow(&json!([{ "url": server.url(), "last_event_id": "41", "reconnects": 20, "retry_ms": 60_000 }]));
    let answer = &run.answers()[0];
    let ids: Vec<String> = (42..=62).map(|id| id.to_string()).collect();
    assert_eq!(texts(answer, "id"), ids, "{run}");
    assert_eq!(
        (&answer["end"], server.seen().len()),
        (&json!("end"), 21),
        "as often as it may, and not once more\n{run}"
    );
}

#[test]
fn a_status_or_a_content_type_ends_a_stream_that_comes_back() {
    for (second, end) in [
        ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "NotResumed(500)"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n", "ContentType(\"text/html\")"),
        ("nonsense\r\n\r\n", "Protocol("),
    ] {
        let server = Scripted::start(move |request, stream| {
            if request.header("last-event-id").is_empty() {
                return whole(stream, b"id: 1\ndata: x\n\n");
            }
            let _ = stream.write_all(second.as_bytes());
            false
        });
        let run = follow(&json!([{ "url": server.url(), "reconnects": 2, "retry_ms": 1 }]));
        let told = run.answers()[0]["end"].as_str().unwrap().to_owned();
        assert!(told.starts_with(end), "{told}, not {end}\n{run}");
        let expected = if end.starts_with("Protocol") { 3 } else { 2 };
        assert_eq!(server.seen().len(), expected, "a broken connection is tried again, an answer is not\n{run}");
    }
}

#[test]
fn a_deadline_holds_across_reconnects() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let server = Scripted::start(move |_, stream| {
        seen.lock().unwrap().push(Instant::now());
        whole(stream, b"retry: 40\ndata: x\n\n")
    });
    let run = follow(&json!([{ "url": server.url(), "reconnects": 1000, "timeout_ms": 500 }]));
    let answer: &Value = &run.answers()[0];
    assert_eq!(answer["end"], "Timeout", "{run}");
    let times = times.lock().unwrap();
    let lasted = times[times.len() - 1] - times[0];
    assert!(times.len() <= 13 && lasted.as_millis() < 600, "{} connections in {lasted:?}\n{run}", times.len());
}

#[test]
fn a_redirect_is_followed_each_time() {
    let server = Scripted::start(|request, stream| {
        if request.path == "/from" {
            let head = "HTTP/1.1 307 Go\r\nlocation: /to\r\ncontent-length: 0\r\n\r\n";
            return stream.write_all(head.as_bytes()).is_ok();
        }
        begin(stream, "") && chunk(stream, b"id: 7\ndata: x\n\n") && chunk(stream, b"")
    });
    let run = follow(&json!([{ "url": server.url() + "/from", "reconnects": 1, "retry_ms": 1 }]));
    let seen: Vec<_> = server.seen().iter().map(|r| (r.path.clone(), r.header("last-event-id").to_owned())).collect();
    let expected = [("/from", ""), ("/to", ""), ("/from", "7"), ("/to", "7")];
    assert_eq!(seen, expected.map(|(path, id)| (path.to_owned(), id.to_owned())), "{run}");
}

#[test]
fn lost_events_of_a_run_that_reconnects_do_not_fail_its_iteration() {
    let server = practice();
    let steps = json!([{ "url": server.url() + "/sse?count=4&drop=2&retry=1", "reconnects": 5 }]);
    let run = open(&steps).flags("--throw").finish().expect(exit::PASSED);
    assert_eq!(run.summary().value("iterations_failed", "value"), 0.0, "{run}");
}
