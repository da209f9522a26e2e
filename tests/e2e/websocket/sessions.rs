//! Sessions with a server that behaves.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use squall::practice::{Server, Stats};

use super::{talk, talk_with, ws};
use crate::support::{Squall, exit, journey, practice};

/// What the target saw, once it knows that all sockets are closed.
fn seen(target: &Server) -> Stats {
    let begun = Instant::now();
    while target.stats().open_sockets > 0 && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(5));
    }
    target.stats()
}

#[test]
fn messages_go_both_ways_and_are_counted() {
    let target = practice();
    let url = ws(&target.url(), "/ws/echo");
    let talked = talk(&json!([
        { "connect": url, "subprotocols": ["chat", "talk"], "name": "echo", "tags": { "kind": "test" } },
        { "send": "häll\u{f6}" }, { "receive": 5000 },
        { "send_bytes": "bytes" }, { "receive": 5000 },
        { "send_size": 300_000 }, { "receive": 5000 },
        { "ping": "here?" }, { "receive": 5000 },
        { "facts": true }, { "headers": true },
        { "close": 1000, "reason": "done" }, { "receive": 5000 },
        { "receive": 10 }, { "send": "late" }, { "facts": true },
    ]));
    let stats = seen(&target);
    assert_eq!((stats.messages_received, stats.messages_sent, stats.open_sockets), (3, 3, 0), "{}", talked.run);
    assert_eq!(stats.by_status.get(&101), Some(&1));
    let at = |step: usize| &talked.answers[step];
    assert_eq!((&at(0)["subprotocol"], &at(2)["text"]), (&json!("chat"), &json!("hällö")), "{}", talked.run);
    assert_eq!((&at(4)["binary"], &at(6)["length"]), (&json!("bytes"), &json!(300_000)));
    assert_eq!(at(8)["pong"], "here?");
    assert_eq!((&at(9)["phase"], &at(9)["sent"], &at(9)["received"]), (&json!("Open"), &json!(3), &json!(3)));
    assert!(at(10)["headers"].to_string().contains("sec-websocket-accept"));
    assert_eq!((&at(12)["closed"], &at(12)["reason"]), (&json!(1000), &json!("done")), "{}", talked.run);
    assert_eq!((talked.says(13, "error"), talked.says(14, "error")), ("the socket is closed", "the socket is closed"));
    assert_eq!(at(15)["phase"], "Closed");

    let summary = talked.run.summary();
    let counts = ["ws_sessions", "ws_msgs_sent", "ws_msgs_received", "http_reqs"].map(|name| summary.count(name));
    assert_eq!(counts, [1, 3, 3, 0], "{}", talked.run);
    assert_eq!(
        [talked.samples("ws_ping"), talked.samples("ws_connecting"), talked.samples("ws_session_duration")],
        [1; 3]
    );
    assert!(summary.count("data_sent") > 300_000 && summary.count("data_received") > 300_000);
    let tags = json!({ "kind": "test", "name": "echo", "url": "echo", "status": "101", "subproto": "chat",
        "group": "", "scenario": "default" });
    for metric in ["ws_sessions", "ws_connecting", "ws_session_duration", "ws_msgs_sent", "ws_msgs_received", "ws_ping"]
    {
        assert_eq!(talked.tags(metric), std::slice::from_ref(&tags), "{metric}");
    }
}

#[test]
fn an_event_carries_when_it_came_and_not_when_it_was_asked_for() {
    let target = practice();
    let talked = talk(&json!([
        { "connect": ws(&target.url(), "/ws/ticks?every=50ms&count=3") },
        { "sleep_ms": 600 },
        { "receive": 0 }, { "receive": 0 }, { "receive": 0 }, { "receive": 1000 },
    ]));
    let arrived: Vec<f64> = talked.answers.iter().filter_map(|answer| answer["arrived"].as_f64()).collect();
    assert_eq!(arrived.len(), 4, "{}", talked.run);
    // Timers of a busy machine are late; two ticks may come close to each other, but never after the sleep.
    let asked = talked.answers[2]["now"].as_f64().unwrap();
    assert!(
        arrived[2] < asked - 200.0,
        "the last tick came {} ms before it was asked for\n{}",
        asked - arrived[2],
        talked.run
    );
    assert!(arrived[2] - arrived[0] > 50.0, "{arrived:?}");
    assert_eq!(talked.answers[5]["closed"], 1000);
}

#[test]
fn several_sockets_are_open_at_once_and_the_first_event_goes_first() {
    let target = practice();
    let tick = ws(&target.url(), "/ws/ticks?every=40ms&count=2&close=4000&reason=enough");
    let talked = talk(&json!([
        { "connect": ws(&target.url(), "/ws/echo?delay=400ms") }, { "send": "slow" },
        { "connect": tick },
        { "receive_any": 5000, "repeat": 4 }, { "close": 1001, "on": 0 }, { "receive_any": 5000 }, { "receive_any": 5000 },
    ]));
    assert_eq!(target.stats().max_open_sockets, 2);
    let from: Vec<_> =
        talked.answers.iter().filter(|answer| answer["step"] == 3).map(|answer| &answer["from"]).collect();
    assert_eq!(from, [1, 1, 1, 0], "{}", talked.run);
    let arrived: Vec<f64> = talked.answers.iter().filter_map(|answer| answer["arrived"].as_f64()).collect();
    assert!(arrived.is_sorted(), "{arrived:?}");
    let closed = talked.answers.iter().find(|answer| answer["closed"].is_number()).unwrap();
    assert_eq!((&closed["closed"], &closed["reason"]), (&json!(4000), &json!("enough")));
    assert_eq!(talked.says(6, "error"), "the socket is closed", "{}", talked.run);
}

#[test]
fn what_is_left_open_ends_with_its_iteration() {
    let target = practice();
    let steps = json!([{ "connect": ws(&target.url(), "/ws/echo") }, { "send": "a" }, { "receive": 5000 }]);
    let talked = talk_with(&steps, "--vus 2 --iterations 6");
    let stats = seen(&target);
    assert_eq!((stats.open_sockets, stats.messages_received, stats.connections), (0, 6, 6), "{}", talked.run);
    let summary = talked.run.summary();
    assert_eq!((summary.count("ws_sessions"), talked.samples("ws_session_duration")), (6, 6));
}

#[test]
fn what_came_is_held_until_it_is_received() {
    let target = practice();
    let talked = talk(&json!([
        { "connect": ws(&target.url(), "/ws/ticks?every=1ms&count=500") },
        { "sleep_ms": 300 }, { "facts": true }, { "count": true },
    ]));
    assert_eq!(
        (&talked.answers[3]["messages"], &talked.answers[3]["closed"]),
        (&json!(500), &json!(1000)),
        "{}",
        talked.run
    );
    assert!(talked.answers[2]["held"].as_u64() > Some(0), "{}", talked.run);
}

#[test]
fn cookies_headers_and_credentials_go_with_the_upgrade() {
    let target = practice();
    let url = target.url();
    let with_name = ws(&url, "/ws/echo").replacen("ws://", "ws://ada:pa%20ss@", 1);
    let talked = talk(&json!([
        { "get": url.clone() + "/cookies/set?a=1" },
        { "connect": with_name, "headers": { "x-own": "yes", "cookie": "b=2" } },
        { "connect": ws(&url, "/ws/echo"), "headers": { "upgrade": "h2c" } },
        { "connect": ws(&url, "/ws/echo"), "headers": { "sec-websocket-key": "x" } },
        { "connect": url, },
        { "connect": ws(&target.url(), "/status/403") },
    ]));
    let recorded = target.recorded();
    let upgrade = recorded.iter().find(|request| request.target == "/ws/echo").unwrap();
    let header = |wanted: &str| {
        let found = upgrade.headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        found.collect::<Vec<_>>().join("|")
    };
    assert_eq!((header("cookie"), header("x-own")), ("b=2; a=1".to_owned(), "yes".to_owned()), "{}", talked.run);
    assert_eq!((header("authorization"), header("upgrade")), ("Basic YWRhOnBhIHNz".to_owned(), "websocket".to_owned()));
    assert_eq!(header("sec-websocket-extensions"), "", "no extension is offered");
    for (step, why) in [(2, "`upgrade`"), (3, "`sec-websocket-key`"), (4, "`ws`, `wss`"), (5, "status 403")] {
        assert!(talked.says(step, "error").contains(why), "{}", talked.run);
    }
    let tags = talked.tags("ws_sessions");
    assert!(tags.iter().all(|tags| !tags.to_string().contains("pa%20ss")), "{tags:?}");
    let refused = tags.last().unwrap();
    assert_eq!((&refused["status"], &refused["error_code"]), (&json!("403"), &json!("1403")), "{refused}");
    assert_eq!(talked.samples("ws_connecting"), 1);
}

#[test]
fn arguments_that_cannot_be_are_refused_and_the_socket_goes_on() {
    let target = practice();
    let talked = talk(&json!([
        { "connect": ws(&target.url(), "/ws/echo") },
        { "ping": "x".repeat(126) }, { "close": 1005 }, { "close": 999 }, { "close": 1000, "reason": "x".repeat(124) },
        { "send": "still" }, { "receive": 5000 }, { "receive": 0 }, { "receive": 5000, "on": 7 },
        { "connect": ws(&target.url(), "/ws/echo"), "subprotocols": ["a b"] },
        { "drop": true, "on": 0 }, { "receive_any": 10 },
    ]));
    for (step, why) in
        [(1, "126 bytes"), (2, "code 1005"), (3, "code 999"), (4, "124 bytes"), (9, "`a b` is not a subprotocol")]
    {
        assert!(talked.says(step, "error").contains(why), "{}", talked.run);
    }
    assert_eq!((&talked.answers[6]["text"], &talked.answers[7]["nothing"]), (&json!("still"), &json!(true)));
    assert_eq!(talked.says(11, "error"), "the socket is closed");
}

#[test]
fn the_example_talks_and_its_checks_hold() {
    let target = practice();
    let run = Squall::run(journey("websocket")).grant("BASE_URL", ws(&target.url(), ""));
    let run = run.flags("--vus 3 --iterations 6").finish().expect(exit::PASSED);
    let stats = seen(&target);
    assert_eq!((stats.messages_received, stats.messages_sent, stats.open_sockets), (12, 12 + 18, 0), "{run}");
    for check in ["the answer is what was asked", "all news came", "the news end with code 1000"] {
        assert_eq!(run.summary().check(check), (6, 0), "{check}");
    }
    assert_eq!(run.summary().count("ws_sessions"), 12);
    run.prints(&["ws_connecting", "ws_msgs_received", "ws_ping"]);
}

#[test]
fn an_untrusted_journey_may_talk_where_it_is_allowed() {
    let target = practice();
    let echo = ws(&target.url(), "/ws/echo");
    let steps =
        json!([{ "connect": echo }, { "send": "a" }, { "receive": 5000 }, { "ping": "b" }, { "receive": 5000 }]);
    let allowed = ws(&target.url(), "");
    let talked = talk_with(&steps, &format!("--untrusted --allow-net {allowed}"));
    assert_eq!((target.stats().messages_received, &talked.answers[2]["text"]), (1, &json!("a")), "{}", talked.run);
    assert!(talked.answers[4]["arrived"].as_f64().unwrap().fract() == 0.0, "the clock is coarse\n{}", talked.run);
    assert_eq!(talked.run.summary().count("ws_msgs_received"), 1);

    let talked = talk_with(&steps, &format!("--untrusted --allow-net {}", target.url()));
    assert_eq!(target.stats().connections, 1, "{}", talked.run);
    assert!(talked.says(0, "error").contains("is not allowed"), "{}", talked.run);
    assert_eq!(talked.run.summary().count("policy_denied"), 1);
}
