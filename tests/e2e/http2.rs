//! HTTP/2 and how connections are used, against nginx and against a server that misbehaves by the frame.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::hostile_http2::{self, ENHANCE_YOUR_CALM, INTERNAL_ERROR, REFUSED_STREAM};
use crate::support::{Authority, Finished, HostileHttp2, Nginx, Scripted, Squall, exit, practice};

/// What all runs against HTTP/2 without TLS need.
const PRIOR_KNOWLEDGE: &str = "--http-version 2";

/// nginx with three servers: HTTP/2 over TLS, HTTP/2 by prior knowledge, HTTP/1.1.
#[track_caller]
fn nginx(folder: &std::path::Path, body: &str) -> Option<Nginx> {
    Authority::new().issue(&["localhost", "127.0.0.1"]).write(folder, "server");
    let tls = format!("ssl_certificate server.pem; ssl_certificate_key server.key; {body}");
    Nginx::start(folder, &[("ssl http2", &tls), ("http2", body), ("", body)])
}

fn over_tls(nginx: &Nginx, path: &str) -> String {
    format!("https://localhost:{}{path}", nginx.port(0))
}

fn batch(url: &str, size: usize) -> Value {
    json!([{ "batch": vec![json!({ "url": url }); size] }])
}

/// The different values of a field in what nginx saw.
fn different(seen: &[Value], field: &str) -> BTreeSet<String> {
    seen.iter().map(|line| line[field].to_string()).collect()
}

/// The statuses of all answers.
#[track_caller]
fn statuses(run: &Finished) -> Vec<u64> {
    run.answers().iter().map(|answer| answer["status"].as_u64().unwrap_or_default()).collect()
}

/// Runs these steps and returns the tags of the points of `http_reqs`, too.
#[track_caller]
fn with_tags(steps: &Value, flags: &str) -> (Finished, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = Squall::fetch(steps).flags(flags).arg(format!("--out=json={}", file.display())).finish();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let requests = points.filter(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
    (run, requests.map(|point| point["data"]["tags"].clone()).collect())
}

#[test]
fn tls_agrees_on_http_2_and_a_batch_travels_on_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nginx) = nginx(folder.path(), "return 200 hello;") else { return };
    let flags = "--insecure-skip-tls-verify --batch-per-host 20";
    let (run, tags) = with_tags(&batch(&over_tls(&nginx, "/"), 20), flags);
    let seen = nginx.seen(20);
    assert_eq!(different(&seen, "protocol"), ["\"HTTP/2.0\"".to_owned()].into(), "{run}");
    assert_eq!((seen.len(), different(&seen, "connection").len()), (20, 1), "{run}");
    assert_eq!(statuses(&run), [200; 20], "{run}");
    assert!(tags.iter().all(|tags| tags["proto"] == "HTTP/2.0" && tags["tls_version"].is_string()), "{tags:?}");
    assert_eq!(run.summary().count("http_req_retries"), 0);
}

#[test]
fn http_2_without_tls_is_spoken_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nginx) = nginx(folder.path(), "return 200 hello;") else { return };
    let url = format!("http://127.0.0.1:{}/a?b=c", nginx.port(1));
    let step = json!([{ "url": url, "show": ["body", "headers"], "headers": { "Cookie": "a=b", "Keep-Alive": "x" } }]);
    let run = Squall::fetch(&step).flags(PRIOR_KNOWLEDGE).finish().expect(exit::PASSED);
    let seen = nginx.seen(1);
    let host = format!("127.0.0.1:{}", nginx.port(1));
    assert_eq!((&seen[0]["protocol"], &seen[0]["uri"]), (&json!("HTTP/2.0"), &json!("/a?b=c")));
    let answer = &run.answers()[0];
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("hello")), "{run}");
    assert!(answer["headers"].to_string().contains("nginx"), "{run} {host}");
}

#[test]
fn http_1_can_be_forced() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nginx) = nginx(folder.path(), "return 200 hello;") else { return };
    let flags = "--insecure-skip-tls-verify --http-version 1.1";
    let run = Squall::fetch(&batch(&over_tls(&nginx, "/"), 6)).flags(flags).finish().expect(exit::PASSED);
    let seen = nginx.seen(6);
    assert_eq!(different(&seen, "protocol"), ["\"HTTP/1.1\"".to_owned()].into(), "{run}");
    assert!(different(&seen, "connection").len() > 1, "HTTP/1.1 does not multiplex");
}

#[test]
fn a_server_that_only_speaks_http_1_gets_http_1_unless_http_2_is_a_must() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().issue(&["localhost"]).write(folder.path(), "server");
    let tls = "ssl_certificate server.pem; ssl_certificate_key server.key; return 200 hello;";
    let Some(nginx) = Nginx::start(folder.path(), &[("ssl", tls)]) else { return };
    let steps = batch(&over_tls(&nginx, "/"), 6);
    let run = Squall::fetch(&steps).flags("--insecure-skip-tls-verify").finish().expect(exit::PASSED);
    assert_eq!(different(&nginx.seen(6), "protocol"), ["\"HTTP/1.1\"".to_owned()].into(), "{run}");
    let (run, tags) = with_tags(&steps, "--insecure-skip-tls-verify --http-version 2");
    assert!(run.answers().iter().all(|answer| answer["error"].is_string()), "{run}");
    assert_eq!((tags.len(), nginx.seen(6).len()), (6, 6), "{run}");
}

#[test]
fn vus_that_share_use_one_connection_per_thread() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nginx) = nginx(folder.path(), "return 200 hello;") else { return };
    let steps = json!([{ "url": over_tls(&nginx, "/{vu}") }]);
    let flags = "--insecure-skip-tls-verify --vus 64 --iterations 640 --threads 1";
    let shared = format!("{flags} --connections shared:64");
    let run = Squall::fetch(&steps).flags(&shared).finish().expect(exit::PASSED);
    let seen = nginx.seen(640);
    assert_eq!(different(&seen, "connection").len(), 1, "{run}");
    assert!(different(&seen, "uri").len() > 1, "several VUs took part");
    let halves = format!("{flags} --connections shared:32");
    Squall::fetch(&steps).flags(&halves).finish().expect(exit::PASSED);
    assert_eq!(different(&nginx.seen(1280)[640..], "connection").len(), 2);
    let run = Squall::fetch(&steps).flags(flags).finish().expect(exit::PASSED);
    let seen = &nginx.seen(1920)[1280..];
    assert_eq!(different(seen, "connection").len(), different(seen, "uri").len(), "one for each VU\n{run}");
}

#[test]
fn connections_last_as_long_as_they_are_meant_to() {
    let target = HostileHttp2::behaves(100);
    let steps = json!([{ "url": target.url() }, { "url": target.url() }]);
    for (policy, connections) in [("per-vu", 1), ("per-iteration", 3), ("per-request", 6)] {
        let before = target.connections();
        let flags = format!("{PRIOR_KNOWLEDGE} --vus 1 --iterations 3 --connections {policy}");
        let run = Squall::fetch(&steps).flags(&flags).finish().expect(exit::PASSED);
        assert_eq!(target.connections() - before, connections, "{policy}\n{run}");
        assert_eq!(statuses(&run), [200; 6], "{run}");
    }
}

#[test]
fn large_bodies_come_whole_or_are_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nginx) = nginx(folder.path(), "root .; location /gone { return 204; }") else { return };
    std::fs::write(folder.path().join("big"), vec![b'x'; 1 << 20]).unwrap();
    let url = |path: &str| json!({ "url": over_tls(&nginx, path), "show": ["body"] });
    let head = json!({ "url": over_tls(&nginx, "/big"), "method": "HEAD", "show": ["headers"] });
    let steps = json!([url("/big"), head, url("/gone"), url("/none")]);
    let run = Squall::fetch(&steps).flags("--insecure-skip-tls-verify").finish().expect(exit::PASSED);
    let lengths: Vec<_> = run.answers().iter().map(|answer| answer["body_len"].as_u64().unwrap()).collect();
    assert_eq!((statuses(&run), &lengths[..3]), (vec![200, 200, 204, 404], &[1 << 20, 0, 0][..]), "{run}");
    assert!(run.answers()[1]["headers"].to_string().contains("1048576"), "{run}");
    assert!(run.summary().value("data_received", "count") > f64::from(1 << 20));
    assert_eq!(different(&nginx.seen(4), "connection").len(), 1);
    let flags = "--insecure-skip-tls-verify --discard-response-bodies";
    let run = Squall::fetch(&json!([url("/big")])).flags(flags).finish().expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!((&answer["body_len"], &answer["body"]), (&json!(1 << 20), &json!("")), "{run}");
}

#[test]
fn a_large_request_arrives_whole() {
    let (folder, target) = (tempfile::tempdir().unwrap(), practice());
    let Some(nginx) = nginx(folder.path(), &format!("location / {{ proxy_pass {}; }}", target.url())) else { return };
    let steps = json!([{ "url": over_tls(&nginx, "/echo"), "method": "POST", "body": "x".repeat(100_000) }]);
    let run = Squall::fetch(&steps).flags("--insecure-skip-tls-verify").finish().expect(exit::PASSED);
    let request = target.recorded().remove(0);
    assert!(request.headers.contains(&("content-length".to_owned(), "100000".to_owned())), "{run}");
    assert!(run.answers()[0]["body_len"].as_u64() >= Some(100_000), "{run}");
    assert!(run.summary().value("data_sent", "count") > 100_000.0, "{run}");
}

#[test]
fn what_a_goodbye_left_unprocessed_goes_to_a_new_connection() {
    // The first connection takes three requests and processes one.
    let target = HostileHttp2::start(100, |turn| {
        if turn.connection > 1 {
            return turn.answer();
        }
        turn.number < 3
            || (turn.go_away(1, 0) && {
                turn.answer_others();
                true
            })
    });
    let steps =
        json!([{ "batch": vec![json!({ "url": target.url(), "method": "POST" }); 3] }, { "url": target.url() }]);
    let run = Squall::fetch(&steps).flags(PRIOR_KNOWLEDGE).finish().expect(exit::PASSED);
    assert_eq!((target.requests(), target.connections()), (6, 2), "{run}");
    assert_eq!(statuses(&run), [200; 4], "{run}");
    assert_eq!((run.summary().count("http_reqs"), run.summary().count("http_req_retries")), (4, 2), "{run}");
}

#[test]
fn a_goodbye_without_an_answer_has_the_code_of_k6() {
    let target = HostileHttp2::start(100, |turn| {
        turn.go_away(u32::MAX >> 2, ENHANCE_YOUR_CALM);
        false
    });
    let (run, tags) = with_tags(&json!([{ "url": target.url() }]), PRIOR_KNOWLEDGE);
    assert_eq!((target.requests(), target.connections()), (1, 1), "never on a fresh connection\n{run}");
    assert_eq!((&tags[0]["error_code"], &tags[0]["proto"]), (&json!("1622"), &json!("HTTP/2.0")), "{run}");
}

#[test]
fn a_reset_is_an_error_of_one_request_and_a_refusal_is_none() {
    let target = HostileHttp2::start(100, |turn| match turn.number {
        1 => turn.reset_mid_body(INTERNAL_ERROR),
        3 => turn.reset(REFUSED_STREAM),
        _ => turn.answer(),
    });
    let steps = json!([{ "url": target.url() }, { "url": target.url() }, { "url": target.url(), "method": "POST" }]);
    let (run, tags) = with_tags(&steps, PRIOR_KNOWLEDGE);
    assert_eq!((target.requests(), target.connections()), (4, 1), "{run}");
    assert_eq!((statuses(&run), &tags[0]["error_code"]), (vec![0, 200, 200], &json!("1633")), "{run}");
    assert_eq!(run.summary().count("http_req_retries"), 1, "{run}");
}

#[test]
fn a_reused_connection_that_was_closed_is_tried_again_only_where_that_is_safe() {
    let target = HostileHttp2::start(100, |turn| turn.number == 1 && turn.answer());
    let one = |method: &str| json!({ "url": target.url(), "method": method });
    let steps = json!([one("GET"), one("GET"), one("POST")]);
    let (run, tags) = with_tags(&steps, PRIOR_KNOWLEDGE);
    assert_eq!((target.requests(), target.connections()), (4, 2), "{run}");
    assert_eq!(statuses(&run), [200, 200, 0], "{run}");
    // Whether the end is met while writing or while reading is a matter of moments.
    assert!(["1201", "1220"].contains(&tags[2]["error_code"].as_str().unwrap()), "{run}");
    assert_eq!(run.summary().count("http_req_retries"), 1, "{run}");
}

#[test]
fn requests_wait_where_the_server_allows_one_at_a_time() {
    let target = HostileHttp2::start(1, |turn| {
        std::thread::sleep(Duration::from_millis(20));
        turn.answer()
    });
    let flags = format!("{PRIOR_KNOWLEDGE} --batch-per-host 20");
    let run = Squall::fetch(&batch(&target.url(), 20)).flags(&flags).finish().expect(exit::PASSED);
    assert_eq!((target.requests(), target.connections(), target.most_at_once()), (20, 1, 1), "{run}");
    assert_eq!(statuses(&run), [200; 20], "{run}");
    assert!(run.summary().value("http_req_blocked", "max") >= 300.0, "waiting for a stream is being blocked\n{run}");
    assert_eq!(run.summary().count("http_req_retries"), 0, "{run}");
}

#[test]
fn a_server_that_never_answers_is_left_at_the_deadline_and_its_connection_is_kept() {
    let target = HostileHttp2::start(100, |turn| turn.number < 2 || turn.answer());
    let late = json!({ "url": target.url(), "timeout_ms": 200 });
    let (run, tags) = with_tags(&json!([late, { "url": target.url() }]), PRIOR_KNOWLEDGE);
    assert_eq!((target.requests(), target.connections(), target.resets()), (2, 1, 1), "{run}");
    assert_eq!((statuses(&run), &tags[0]["error_code"]), (vec![0, 200], &json!("1050")), "{run}");
}

#[test]
fn bombs_and_floods_are_errors_within_bounded_time() {
    let step = |target: &HostileHttp2| json!([{ "url": target.url(), "timeout_ms": 3000 }]);
    for (what, code, target) in [
        ("a bomb", "1632", HostileHttp2::start(100, hostile_http2::header_bomb)),
        ("a head without end", "1662", HostileHttp2::start(100, hostile_http2::endless_head)),
        ("settings", "1220", HostileHttp2::start(100, |turn| turn.flood_settings(Duration::from_secs(1)))),
    ] {
        let (run, tags) = with_tags(&step(&target), PRIOR_KNOWLEDGE);
        let run = run.without_panic();
        assert!(run.answers()[0]["error"].is_string() && target.requests() == 1, "{what}\n{run}");
        assert_eq!(tags[0]["error_code"], code, "{what}\n{run}");
    }
}

#[test]
fn what_does_not_speak_http_2_is_an_error() {
    let target = crate::support::Hostile::garbage();
    let old = Scripted::answering("", "ok");
    for url in [target.url(), old.url()] {
        let (run, tags) = with_tags(&json!([{ "url": url, "timeout_ms": 3000 }]), PRIOR_KNOWLEDGE);
        let code: u16 = tags[0]["error_code"].as_str().unwrap().parse().unwrap();
        assert!((1600..1700).contains(&code) || [1050, 1201, 1220].contains(&code), "{code}\n{run}");
    }
}
