//! Requests of guests that know `wasi:http` and nothing of squall: they go out and are recorded as those of
//! `squall:journey`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Act, Finished, Guest, Hostile, Received, Scripted, Squall, exit, journey, practice, say, write};

/// The journey does these steps through the client `waki`.
fn waki(steps: &Value) -> Squall {
    Squall::run(journey("waki")).grant("STEPS", steps.to_string())
}

#[track_caller]
fn answers(steps: &Value) -> (Finished, Vec<Value>) {
    let run = waki(steps).finish().expect(exit::PASSED);
    let answers = run.answers();
    (run, answers)
}

/// Answers with the method, the path and how much came.
fn tells() -> Scripted {
    Scripted::start(|request, stream| {
        let body = format!("{} {} {}", request.method, request.path, request.body.len());
        let status = if request.path == "/missing" { "404 Not Found" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nx-from: here\r\ncontent-length: {}\r\n\r\n", body.len());
        let body = if request.method == "HEAD" { "" } else { &body };
        stream.write_all([&head, body].concat().as_bytes()).is_ok()
    })
}

/// Which metrics a run recorded, with which tags.
fn recorded(run: Squall) -> (Finished, BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    let run = run.arg("--out").arg(format!("json={}", points.display())).finish().expect(exit::PASSED);
    let text = std::fs::read_to_string(points).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let requests =
        lines.filter(|line| line["type"] == "Point" && line["metric"].as_str().unwrap().starts_with("http_"));
    let recorded = requests.map(|line| format!("{} {}", line["metric"], line["data"]["tags"])).collect();
    (run, recorded)
}

#[test]
fn a_request_goes_out_and_is_recorded_as_one_of_a_journey() {
    let heads = |seen: Vec<Received>| -> Vec<_> {
        seen.into_iter().map(|request| (request.method, request.path, request.headers, request.body)).collect()
    };
    let target = tells();
    let steps = json!([
        { "url": target.url() + "/one?a=b", "headers": { "x-own": "mine" }, "repeat": 3 },
        { "url": target.url() + "/missing" },
        { "url": target.url() + "/gone", "method": "DELETE" },
        { "url": target.url() + "/head", "method": "HEAD" },
        { "url": target.url() + "/empty", "method": "POST" },
    ]);
    let (ours, by_journey) = recorded(Squall::fetch(&steps));
    let seen_of_journey = heads(target.seen());
    let (theirs, by_program) = recorded(waki(&steps));
    let seen = heads(target.seen()).split_off(seen_of_journey.len());
    assert_eq!((seen.len(), &seen), (7, &seen_of_journey));
    assert_eq!(by_program, by_journey, "{theirs}");
    assert_eq!(target.connections(), 2, "a connection is kept and used again\n{theirs}");
    for metric in ["http_reqs", "data_sent", "data_received"] {
        assert_eq!(theirs.summary().count(metric), ours.summary().count(metric), "{metric}\n{theirs}");
    }
    let answer = &theirs.answers()[0];
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("GET /one?a=b 0")));
    assert_eq!(answer["headers"]["x-from"], "here");
}

#[test]
fn the_runs_settings_hold() {
    let target = tells();
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "userAgent = \"me/1\"\nrps = 20\nexpectedStatuses = \"404\"\n");
    let run = waki(&json!([{ "url": target.url() + "/missing", "repeat": 5 }])).arg("--config").arg(config);
    let run = run.finish().expect(exit::PASSED);
    assert!(target.seen().iter().all(|request| request.header("user-agent") == "me/1"), "{run}");
    assert_eq!(run.summary().value("http_req_failed", "value"), 0.0, "{run}");
    assert!(run.summary().value("iteration_duration", "min") >= 190.0, "five requests are 200 ms apart\n{run}");
}

#[test]
fn bodies_are_sent_piece_by_piece_and_are_not_kept() {
    let target = tells();
    let size = 48 << 20;
    let post = |body: Value| {
        let mut step = json!({ "url": target.url() + "/up", "method": "POST" });
        step.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        step
    };
    let steps = json!([
        post(json!({ "body": "by the client" })),
        { "at_once": [post(json!({ "pieces": ["two ", "pieces"] }))] },
        { "at_once": [post(json!({ "pieces": ["announced"], "length": 9 }))] },
        { "at_once": [post(json!({ "pieces": [size], "length": size }))] },
        { "at_once": [post(json!({ "pieces": [] }))] },
    ]);
    let (run, answers) = answers(&steps);
    let seen = target.seen();
    let bodies: Vec<_> = seen.iter().map(|request| request.body.len()).collect();
    assert_eq!(bodies, [13, 10, 9, size, 0], "{run}");
    let lengths: Vec<_> = seen.iter().map(|request| request.header("content-length").to_owned()).collect();
    assert_eq!(lengths, ["", "", "9", &size.to_string(), "0"], "{run}");
    assert_eq!(seen[1].body, b"two pieces");
    assert_eq!(answers[3]["body"], format!("POST /up {size}"));
    assert_eq!(target.connections(), 1, "{run}");
    let sent = run.summary().count("data_sent") as usize;
    assert!((size..size + 10_000).contains(&sent), "{sent}");
    let Some(peak) = run.peak else { return };
    assert!(peak < 120 << 10, "{peak} KiB\n{run}");
}

#[test]
fn a_large_answer_is_read_as_it_comes() {
    let size: u64 = 200 << 20;
    let target = Scripted::start(move |_, stream| {
        let piece = vec![b'y'; 1 << 20];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).is_ok() && (0..200).all(|_| stream.write_all(&piece).is_ok())
    });
    let (run, answers) = answers(&json!([{ "at_once": [{ "url": target.url() + "/" }] }]));
    assert_eq!((&answers[0]["length"], &answers[0]["body_error"]), (&json!(size), &Value::Null), "{run}");
    assert!(run.summary().count("data_received") > size, "{run}");
    let Some(peak) = run.peak else { return };
    assert!(peak < 120 << 10, "{peak} KiB\n{run}");
}

#[test]
fn several_requests_go_out_at_once() {
    let target = practice();
    let delayed: Vec<_> = (0..6).map(|_| json!({ "url": target.url() + "/delay/400" })).collect();
    let (run, answers) = answers(&json!([{ "at_once": delayed }]));
    assert_eq!(target.stats().requests, 6);
    assert_eq!(answers.iter().filter(|answer| answer["status"] == 200).count(), 6, "{run}");
    // One after the other they would take 2.4 s.
    assert!(run.summary().value("iteration_duration", "max") < 2300.0, "{run}");
    assert!(run.summary().value("http_req_waiting", "min") >= 399.0, "{run}");
}

#[test]
fn a_request_without_an_answer_has_the_error_that_fits() {
    let (silent, resets, garbage, cut) =
        (Hostile::never_answers(), Hostile::resets(), Hostile::garbage(), Hostile::closes_mid_body());
    let stalls =
        Hostile::script([Act::Head, say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes."), Act::Hold]);
    let target = tells();
    let one = |step: Value| json!({ "at_once": [step] });
    let steps = json!([
        one(json!({ "url": Hostile::refuses() })),
        one(json!({ "url": silent.url(), "first_byte_ms": 200 })),
        one(json!({ "url": resets.url() })),
        one(json!({ "url": garbage.url() })),
        one(json!({ "url": cut.url() })),
        one(json!({ "url": stalls.url(), "between_bytes_ms": 200 })),
        { "url": "http://host.invalid/" },
        one(json!({ "url": target.url(), "method": "POST", "pieces": ["x"], "headers": { "te": "trailers" } })),
    ]);
    let (run, answers) = answers(&steps);
    let error = |at: usize| answers[at]["error"].as_str().or(answers[at]["body_error"].as_str()).unwrap_or_default();
    for (at, named) in [
        (0, "ConnectionRefused"),
        (1, "ConnectionReadTimeout"),
        (2, "ConnectionTerminated"),
        (3, "HttpProtocolError"),
        (4, "incomplete HTTP response"),
        (5, "connection read timeout"),
        (6, "DnsError"),
        (7, "header `te` is set by squall"),
    ] {
        assert!(error(at).contains(named), "{at}: {} is not {named}\n{run}", error(at));
    }
    assert_eq!((&answers[4]["status"], &answers[4]["length"]), (&json!(200), &json!(10)), "{run}");
    assert_eq!((silent.connections(), stalls.requests()), (1, 1));
    let summary = run.summary();
    assert_eq!((summary.count("http_reqs"), summary.value("http_req_failed", "value")), (8, 1.0), "{run}");
}

#[test]
fn the_runs_timeout_holds_where_the_guest_has_none() {
    let silent = Hostile::never_answers();
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "requestTimeout = \"300ms\"\n");
    let run = waki(&json!([{ "url": silent.url() }])).arg("--config").arg(config).finish().expect(exit::PASSED);
    assert!(run.answers()[0]["error"].as_str().unwrap().contains("ConnectionReadTimeout"), "{run}");
    assert!(run.summary().value("iteration_duration", "max") >= 299.0, "{run}");
}

#[test]
fn an_answer_without_end_is_cut_at_the_limit() {
    let endless = Hostile::script([
        Act::Head,
        say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
        Act::Forever(vec![b'z'; 64 << 10]),
    ]);
    let steps = json!([{ "at_once": [{ "url": endless.url() }] }]);
    let run = waki(&steps).flags("--response-bytes 8MiB").finish().expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert!(
        answer["body_error"].as_str().unwrap().contains("HTTP response body size exceeds limit: 8388608 bytes"),
        "{run}"
    );
    assert!(answer["length"].as_u64().unwrap() <= 8 << 20, "{run}");
    assert_eq!(run.summary().value("http_req_failed", "value"), 1.0);
    let Some(peak) = run.peak else { return };
    assert!(peak < 120 << 10, "{peak} KiB\n{run}");
}

#[test]
fn what_an_iteration_leaves_open_ends_with_it() {
    let slow = Scripted::start(|request, stream| {
        if request.path == "/body" {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n0123456789");
        }
        thread::sleep(Duration::from_secs(20));
        false
    });
    let steps = json!([{ "at_once": [
        { "url": slow.url() + "/answer", "leave": "answer" },
        { "url": slow.url() + "/body", "leave": "body", "read": 10 },
        { "url": slow.url() + "/upload", "method": "POST", "pieces": ["some"], "length": 100, "leave": "upload" },
    ] }]);
    let (run, requests) = recorded(waki(&steps).flags("--iterations 3"));
    assert!(run.took < Duration::from_secs(19), "{run}");
    assert_eq!((run.summary().count("http_reqs"), run.summary().count("iterations")), (9, 3), "{run}");
    let of = |path: &str| {
        let all = requests.iter().filter(|one| one.starts_with("\"http_reqs\"") && one.contains(path));
        all.cloned().collect::<Vec<_>>().join("\n")
    };
    assert!(of("/answer").contains("the request was not finished"), "{run}");
    assert!(of("/upload").contains("the request was not finished"), "{run}");
    assert!(of("/body").contains("\"status\":\"200\""), "{run}");
}

#[test]
fn limits_are_those_of_a_journey() {
    let target = tells();
    let steps = json!([
        { "at_once": [
            { "url": target.url() + "/1", "leave": "answer" },
            { "url": target.url() + "/2", "leave": "answer" },
            { "url": target.url() + "/3" },
        ] },
        { "at_once": [{ "url": target.url() + "/4", "method": "POST", "pieces": [3_000_000], "length": 3_000_000 }] },
    ]);
    let run = waki(&steps).flags("--requests-in-flight 2 --request-bytes 1MiB").finish().expect(exit::PASSED);
    let answers = run.answers();
    let error = |at: usize| answers[at]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(0).contains("2 requests are under way, and no more may be (`limits.requestsInFlight`)"), "{run}");
    assert!(target.seen().iter().all(|request| !["/3", "/4"].contains(&&*request.path)), "{run}");
    assert_eq!(run.summary().count("http_reqs"), 4, "{run}");

    let steps = json!([
        { "at_once": [{ "url": target.url() + "/5", "method": "POST", "pieces": [3_000_000], "length": 3_000_000 }] },
        { "at_once": [{ "url": target.url() + "/6", "method": "POST", "pieces": [3_000_000] }] },
    ]);
    let run = waki(&steps).flags("--request-bytes 1MiB").finish().expect(exit::PASSED);
    for answer in run.answers() {
        assert!(answer["error"].as_str().unwrap().contains("limits.requestBytes"), "{run}");
    }
    assert!(target.seen().iter().all(|request| !["/5", "/6"].contains(&&*request.path)), "{run}");
}

#[test]
fn whom_the_policy_keeps_out_is_not_reached() {
    let (allowed, other) = (tells(), tells());
    let steps = json!([{ "url": allowed.url() }, { "at_once": [{ "url": other.url() }] }]);
    let run = waki(&steps).args(["--allow-net", &allowed.url()]).finish().expect(exit::PASSED);
    assert_eq!((allowed.seen().len(), other.connections()), (1, 0));
    assert!(run.answers()[1]["error"].as_str().unwrap().contains("DestinationIpProhibited"), "{run}");
    assert_eq!(run.summary().count("policy_denied"), 1, "{run}");
}

#[test]
fn an_untrusted_guest_has_it_where_it_is_granted() {
    let target = tells();
    let untrusted = || waki(&json!([{ "url": target.url() }])).args(["--untrusted", "--allow-net", &target.url()]);
    untrusted().finish().expect(exit::REFUSED).says(&["imports `wasi:http/", "--allow-import wasi:http/"]);
    assert_eq!(target.connections(), 0);
    let run = untrusted().args(["--allow-import", "wasi:http/*"]).finish().expect(exit::PASSED);
    assert_eq!((target.seen().len(), run.answers()[0]["status"].as_u64()), (1, Some(200)), "{run}");
}

#[test]
fn secrets_are_filled_in_and_not_shown() {
    let echo = Scripted::start(|request, stream| {
        let body = [request.header("authorization").as_bytes(), b" ", &request.body].concat();
        let head = format!(
            "HTTP/1.1 200 OK\r\nx-back: {}\r\ncontent-length: {}\r\n\r\n",
            request.header("authorization"),
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_ok()
    });
    let other = tells();
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("[secrets.key]\nfrom = \"env:KEY\"\nhosts = [\"{}\"]\n", echo.url());
    let config = write(folder.path(), "squall.toml", toml);
    let with = json!({ "authorization": "Bearer {{secret:key}}" });
    let steps = json!([
        { "url": echo.url(), "method": "POST", "headers": with, "body": "key={{secret:key}}!" },
        { "url": other.url(), "headers": with },
        { "at_once": [{ "url": echo.url() + "/?{{secret:key}}" }] },
        { "at_once": [{ "url": echo.url(), "method": "POST", "pieces": [100_000, "{{secret:key}}"] }] },
    ]);
    let run =
        waki(&steps).arg("--config").arg(config).env("KEY", "hunter2-hunter2").flags("--http-debug=full").finish();
    let run = run.expect(exit::PASSED);
    let seen = &echo.seen()[0];
    assert_eq!((seen.header("authorization"), &*seen.body), ("Bearer hunter2-hunter2", &b"key=hunter2-hunter2!"[..]));
    assert_eq!(seen.header("content-length"), "20", "{run}");
    assert_eq!((other.seen().len(), echo.seen().len()), (0, 1), "{run}");
    let answers = run.answers();
    assert_eq!(answers[0]["status"], 200);
    for answer in &answers[1..4] {
        assert!(answer["error"].is_string(), "{answer}\n{run}");
    }
    assert!(![&run.stdout, &run.stderr].iter().any(|text| text.contains("hunter2")), "{run}");
}

#[test]
fn having_no_answer_fails_the_iteration_where_that_is_wanted() {
    let steps = json!([{ "url": Hostile::refuses() }]);
    let run = waki(&steps).flags("--throw").finish().expect(exit::JOURNEY);
    assert_eq!(run.summary().value("iterations_failed", "value"), 1.0, "{run}");
}

#[test]
fn another_wasi_is_refused_by_the_name_of_its_import() {
    let folder = tempfile::tempdir().unwrap();
    let import = r#"(import "wasi:http/types@0.3.0" (instance))"#;
    let component = Guest::idle().imports(import).build(folder.path());
    let run = Squall::run(component).finish();
    assert!(run.stderr.contains("imports `wasi:http/types@0.3.0`, and squall provides WASI 0.2"), "{run}");
    assert!(run.stderr.contains("hint: build it for WASI 0.2"), "{run}");
}
