//! Calls of the practice server: what it saw, what was measured, and what may not be.

use serde_json::{Value, json};

use super::{address, connect, grpc};
use crate::support::{Finished, Squall, exit, practice, write};

const SAY: &str = "squall.practice.v1.Echo/Say";
const CHAT: &str = "squall.practice.v1.Echo/Chat";

fn reflected(url: &str) -> Value {
    json!({ "connect": { "address": address(url), "plaintext": true, "reflect": true } })
}

/// Runs these steps and returns the tags of the points of a metric, too.
#[track_caller]
fn with_tags(squall: Squall, metric: &str) -> (Finished, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = squall.arg(format!("--out=json={}", file.display())).finish();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points = points.filter(|point| point["type"] == "Point" && point["metric"] == metric);
    (run, points.map(|point| point["data"]["tags"].clone()).collect())
}

#[test]
fn a_unary_call_is_measured_under_its_method_and_status() {
    let server = practice();
    let steps = json!([
        reflected(&server.url()),
        { "call": SAY, "json": { "text": "hello" }, "metadata": { "x-who": "ada" }, "tags": { "kind": "greeting" }, "show": ["x-who"] },
        { "call": SAY, "json": { "ending": { "code": 5, "message": "no such thing" } }, "name": "said" },
        { "call": SAY, "json": { "delay_ms": 5000 }, "timeout_ms": 200 }
    ]);
    let (run, tags) = with_tags(grpc(&steps), "grpc_req_duration");
    let answers = run.answers();
    assert_eq!((&answers[1]["status"], &answers[1]["json"]["text"]), (&json!(0), &json!("hello")), "{run}");
    assert_eq!(answers[1]["trailers"]["x-who"], "ada", "{run}");
    assert_eq!((&answers[2]["status"], &answers[2]["message"]), (&json!(5), &json!("no such thing")), "{run}");
    assert_eq!((&answers[3]["status"], &answers[3]["failure"]), (&json!(4), &json!("the request timed out")), "{run}");
    let [good, bad, late] = &tags[..] else { panic!("{tags:?}\n{run}") };
    let expected = json!({
        "url": format!("{}/{SAY}", address(&server.url())), "name": format!("/{SAY}"), "service": "squall.practice.v1.Echo",
        "method": "Say", "status": "0", "kind": "greeting", "scenario": "default", "group": ""
    });
    assert_eq!(good, &expected, "{run}");
    assert_eq!((&bad["status"], &bad["name"], &bad["error_code"]), (&json!("5"), &json!("said"), &Value::Null));
    assert_eq!((&late["status"], &late["error_code"]), (&json!("4"), &json!("1050")));
    assert!(run.summary().count("data_sent") > 0 && run.summary().count("data_received") > 0, "{run}");
}

#[test]
fn a_stream_counts_its_messages_and_says_when_they_came() {
    let server = practice();
    let steps = json!([
        reflected(&server.url()),
        { "stream": CHAT, "send": [{ "text": "a" }, { "text": "b" }, { "text": "c" }], "pause_ms": 60 }
    ]);
    let run = grpc(&steps).finish().expect(exit::PASSED);
    let answer = &run.answers()[1];
    assert_eq!((&answer["status"], &answer["count"]), (&json!(0), &json!(3)), "{run}");
    let arrived: Vec<f64> = answer["arrived"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    // They were taken at once, after all had been sent. The head came with the first.
    assert!(arrived[1..].windows(2).all(|pair| pair[1] - pair[0] > 30.0), "{arrived:?}\n{run}");
    let summary = run.summary();
    let counts =
        ["grpc_streams", "grpc_streams_msgs_sent", "grpc_streams_msgs_received"].map(|name| summary.count(name));
    assert_eq!(counts, [1, 3, 3], "{run}");
}

#[test]
fn a_virtual_user_keeps_its_connection_and_several_share_one() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[scenarios.each]\nexecutor = \"per-vu-iterations\"\nvus = 4\niterations = 3\n";
    let config = write(folder.path(), "squall.toml", toml);
    for (how, connections) in [("per-vu", 4), ("shared:4", 1), ("per-iteration", 12), ("per-request", 24)] {
        let server = crate::support::hostile_http2::HostileHttp2::start(100, super::trial::answer);
        let steps = json!([connect(&server.url()), { "call": "a.B/C", "hex": "", "repeat": 2 }]);
        let run = grpc(&steps).args(["--threads", "1", "--connections", how]).arg("--config").arg(&config).finish();
        let statuses: Vec<_> = run.answers().iter().filter_map(|answer| answer["status"].as_u64()).collect();
        assert_eq!((statuses.len(), statuses.iter().sum::<u64>()), (24, 0), "{run}");
        assert_eq!(server.connections(), connections, "{how}\n{run}");
    }
}

#[test]
fn the_policy_and_its_schemes_hold_for_calls() {
    let server = practice();
    let there = address(&server.url()).to_owned();
    let steps = json!([connect(&server.url())]);
    let allowed = |rule: String| grpc(&steps).args(["--untrusted", "--allow-net", &rule]).finish();
    let run = allowed(format!("grpc://{there}"));
    assert_eq!(run.answers()[0]["error"], Value::Null, "{run}");
    let run = allowed(format!("http://{there}"));
    let error = run.answers()[0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains(&format!("`grpc://{there}` is not allowed")), "{error}\n{run}");
    assert_eq!(run.summary().count("policy_denied"), 1, "{run}");
}

#[test]
fn secrets_go_where_they_may_and_nobody_sees_them() {
    const KEY: &str = "s3cr3t \"k\\ey";
    let server = practice();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "key.txt", format!("{KEY}\n"));
    let host = format!("grpc://{}", address(&server.url()));
    for (hosts, is_allowed) in [(host.as_str(), true), ("grpc://a.test", false)] {
        let toml = format!("[secrets.key]\nfrom = \"file:key.txt\"\nhosts = [{hosts:?}]\n");
        let config = write(folder.path(), "squall.toml", toml);
        let steps = json!([
            reflected(&server.url()),
            { "call": SAY, "json": { "text": "{{secret:key}}" }, "metadata": { "x-key": "{{secret:key}}" }, "show": ["x-key"] },
            { "call": SAY, "hex": "0a0e7b7b7365637265743a6b65797d7d", "raw_answer": true }
        ]);
        let run = grpc(&steps).arg("--config").arg(config).finish().expect(exit::PASSED);
        let answers = run.answers();
        let everything = [run.stdout.as_str(), &run.stderr, run.exported()].concat();
        assert!(!everything.contains("s3cr3t"), "{run}");
        if is_allowed {
            assert_eq!(answers[1]["status"], 0, "{run}");
            let text = answers[1]["json"]["text"].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains("secret:"), "{text}\n{run}");
        } else {
            let error = answers[1]["error"].as_str().unwrap_or_default();
            assert!(error.contains("secret `key` may not go to"), "{error}\n{run}");
        }
        let error = answers[2]["error"].as_str().unwrap_or_default();
        assert!(error.contains("cannot name a secret"), "{error}\n{run}");
    }
}

#[test]
fn what_the_journey_does_wrong_is_named() {
    let server = practice();
    let steps = json!([
        reflected(&server.url()),
        { "call": "squall.practice.v1.Echo/Sey", "json": {} },
        { "call": SAY, "json": { "tekst": "a" } },
        { "call": CHAT, "json": {} },
        { "call": "no method", "hex": "" },
        { "call": SAY, "json": {}, "metadata": { "grpc-timeout": "1s" } },
        { "call": SAY, "json": {}, "timeout_ms": 0 },
        { "connect": { "address": "http://a.test", "plaintext": true } },
        { "load": ["missing.proto"] },
        { "load_set": "missing.pb" }
    ]);
    let run = grpc(&steps).finish().expect(exit::PASSED).without_panic();
    let answers = run.answers();
    for (at, text) in [
        (1, "`squall.practice.v1.Echo/Say`"),
        (2, "tekst"),
        (3, "streams"),
        (4, "`no method` is no `package.Service/Method`"),
        (5, "gRPC's own"),
        (6, "a timeout of 0 ms"),
        (7, "it has a scheme"),
        (8, "`missing.proto`"),
        (9, "`missing.pb` is not granted"),
    ] {
        let error = answers[at]["error"].as_str().unwrap_or_default();
        assert!(error.contains(text), "step {at}: `{error}` does not say `{text}`\n{run}");
    }
    assert_eq!(run.summary().count("grpc_streams"), 0);
}
