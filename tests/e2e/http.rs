//! HTTP as the target sees it, and targets that are not quite HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use squall::practice::Options;

use crate::support::{Finished, Hostile, Squall, exit, journey, practice, practice_with, write};

/// Runs the quickstart against a URL.
#[track_caller]
fn run(url: &str, flags: &str) -> Finished {
    Squall::run(journey("quickstart")).grant("BASE_URL", url).flags(flags).finish()
}

/// Runs the quickstart against a URL and returns the tags of its first request.
#[track_caller]
fn tags(url: &str, flags: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = run(url, &format!("{flags} --out json={}", file.display()));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let mut points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let point = points.find(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
    point.unwrap_or_else(|| panic!("no point of `http_reqs`\n{run}"))["data"]["tags"].clone()
}

#[test]
fn every_hop_of_a_redirect_is_a_request() {
    let target = practice();
    let run = run(&(target.url() + "/redirect/3"), "--iterations 2").expect(exit::PASSED);
    assert_eq!((target.stats().requests, run.summary().count("http_reqs")), (8, 8));
    assert_eq!(run.summary().check("status is 200"), (2, 0));
}

#[test]
fn what_an_answer_holds_reaches_the_journey() {
    let target = practice();
    let step = json!({ "url": target.url() + "/redirect/1", "show": ["url", "body", "headers", "timings"] });
    let run = Squall::fetch(&json!([step, { "url": Hostile::refuses() }])).finish().expect(exit::PASSED);
    let [answer, refused] = &run.answers()[..] else { panic!("not two answers\n{run}") };
    assert_eq!((&answer["status"], &answer["url"]), (&json!(200), &json!(target.url() + "/redirect/0")), "{run}");
    assert_eq!(answer["body"].as_str().map(str::len), answer["body_len"].as_u64().map(|length| length as usize));
    assert!(answer["timings"]["waiting"].as_f64() > Some(0.0), "{run}");
    assert_eq!(refused["error"], "the connection was refused", "{run}");
}

#[test]
fn redirects_end_at_the_limit() {
    let target = practice();
    run(&(target.url() + "/redirect/50"), "--iterations 1");
    // Ten are followed: the first request, and ten more.
    assert_eq!(target.stats().requests, 11);
}

#[test]
fn a_vu_keeps_its_connection() {
    let target = practice();
    run(&target.url(), "--vus 1 --iterations 20").expect(exit::PASSED);
    assert_eq!((target.stats().requests, target.stats().connections), (20, 1));
}

#[test]
fn connections_can_be_opened_for_each_request() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "iterations = 5\nnoConnectionReuse = true\n");
    let run = Squall::run(journey("quickstart")).at(&target, "/").arg("--config").arg(config);
    run.finish().expect(exit::PASSED);
    assert_eq!((target.stats().requests, target.stats().connections), (5, 5));
}

#[test]
fn a_request_says_who_sends_it_and_where_to() {
    let target = practice();
    run(&(target.url() + "/echo?a=b%20c"), "--iterations 1").expect(exit::PASSED);
    let request = target.recorded().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/echo?a=b%20c"));
    let header = |wanted: &str| request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    assert_eq!(header("host"), Some(target.addr().to_string()));
    assert!(header("user-agent").is_some_and(|agent| agent.starts_with("squall/")));
}

#[test]
fn an_unexpected_status_is_a_failed_request_and_no_failed_iteration() {
    let target = practice();
    let run = run(&(target.url() + "/status/404"), "--iterations 3").expect(exit::PASSED);
    let summary = run.summary();
    assert_eq!((summary.value("http_req_failed", "value"), summary.value("iterations_failed", "value")), (1.0, 0.0));
    assert_eq!(summary.check("status is 200"), (0, 3));
    let tags = tags(&(target.url() + "/status/404"), "--iterations 1");
    assert_eq!((&tags["status"], &tags["error_code"]), (&Value::from("404"), &Value::from("1404")));
    assert_eq!(tags["expected_response"], "false");
}

#[test]
fn a_body_of_unknown_length_is_read_whole() {
    let target = practice();
    let run = run(&(target.url() + "/chunked/50000"), "--iterations 3").expect(exit::PASSED);
    assert!(run.summary().value("data_received", "count") >= 150_000.0);
    assert_eq!(run.summary().check("has a body"), (3, 0));
    assert_eq!(target.stats().connections, 1, "the connection is good for the next request");
}

#[test]
fn an_answer_without_a_body_leaves_the_connection_usable() {
    let target = practice();
    run(&(target.url() + "/status/204"), "--iterations 5").expect(exit::PASSED);
    assert_eq!((target.stats().by_status[&204], target.stats().connections), (5, 1));
}

#[test]
fn a_latency_of_the_target_is_time_spent_waiting() {
    let target = practice_with(Options { latency: "60ms".parse().ok(), ..Options::default() });
    let summary = run(&target.url(), "--iterations 5").expect(exit::PASSED).summary();
    assert!(summary.value("http_req_waiting", "min") >= 55.0);
    assert!(summary.value("http_req_duration", "min") >= summary.value("http_req_waiting", "min"));
    assert!(summary.value("iteration_duration", "min") >= 55.0);
}

#[test]
fn a_rate_limit_shows_as_failed_requests() {
    let target = practice();
    let run = run(&(target.url() + "/limited"), "--iterations 40").expect(exit::PASSED);
    let limited = target.stats().by_status.get(&429).copied().unwrap_or_default();
    assert_eq!(run.summary().value("http_req_failed", "passes"), limited as f64);
}

#[test]
fn errors_of_the_target_are_counted_as_it_sent_them() {
    let target = practice_with(Options { error_rate: 0.3, seed: 7, ..Options::default() });
    let summary = run(&target.url(), "--vus 2 --iterations 100").expect(exit::PASSED).summary();
    let errors = target.stats().by_status[&500];
    assert!(errors > 0 && errors < 100);
    assert_eq!(summary.value("http_req_failed", "passes"), errors as f64);
    assert_eq!(summary.check("status is 200"), (100 - errors, errors));
}

#[test]
fn a_refused_connection_has_no_status_and_the_code_of_k6() {
    let tags = tags(&Hostile::refuses(), "--iterations 1");
    assert_eq!((&tags["status"], &tags["error_code"]), (&Value::from("0"), &Value::from("1212")));
    assert!(tags["error"].as_str().is_some_and(|error| !error.is_empty()), "{tags}");
}

#[test]
fn a_host_that_does_not_exist_has_the_code_of_k6() {
    // `.invalid` is reserved: no resolver knows it.
    let tags = tags("http://squall.invalid/", "--iterations 1");
    let code = tags["error_code"].as_str().unwrap_or_default().to_owned();
    assert!(code == "1100" || code == "1101", "{tags}");
}

#[test]
fn what_is_not_http_is_an_error_and_not_a_hang() {
    let target = Hostile::garbage();
    let run = run(&target.url(), "--iterations 5").expect(exit::JOURNEY);
    assert_eq!((run.summary().count("http_reqs"), target.requests()), (5, 5));
}

#[test]
fn a_reset_is_an_error_and_not_a_hang() {
    let target = Hostile::resets();
    let summary = run(&target.url(), "--iterations 5").expect(exit::JOURNEY).summary();
    assert_eq!((summary.count("iterations"), summary.value("http_req_failed", "value")), (5, 1.0));
    assert!(target.requests() >= 5);
    let tags = tags(&target.url(), "--iterations 1");
    assert_eq!((&tags["status"], &tags["error_code"]), (&Value::from("0"), &Value::from("1220")));
}

#[test]
fn a_target_that_never_answers_is_left_at_the_iterations_deadline() {
    let target = Hostile::never_answers();
    let run = run(&target.url(), "--vus 2 --iterations 4 --iteration-timeout 500ms").expect(exit::JOURNEY);
    let run = run.says(&["iteration-timeout"]);
    assert_eq!((run.summary().count("iterations"), target.requests()), (4, 4));
    assert!(run.took >= Duration::from_secs(1));
}

#[test]
fn half_a_head_is_left_at_the_iterations_deadline() {
    let target = Hostile::half_header();
    let run = run(&target.url(), "--iterations 2 --iteration-timeout 500ms").expect(exit::JOURNEY);
    assert_eq!((run.summary().count("iterations"), target.requests()), (2, 2));
}

#[test]
fn a_body_that_trickles_is_left_at_the_iterations_deadline() {
    let target = Hostile::slow_body(1000);
    let run = run(&target.url(), "--iterations 2 --iteration-timeout 700ms").expect(exit::JOURNEY);
    assert_eq!((run.summary().count("iterations"), target.connections()), (2, 2));
}
