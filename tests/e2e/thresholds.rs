//! Thresholds decide the verdict.

use std::time::Duration;

use crate::support::{Finished, Guest, Squall, exit, journey, practice};

/// Runs a hand-made journey that does nothing.
#[track_caller]
fn idle(options: &str, flags: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    Squall::run(Guest::with_options(options).build(folder.path())).args(flags).finish()
}

#[test]
fn thresholds_that_hold_pass_and_are_shown() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--iterations 5");
    let run = run.args(["--threshold", "http_req_failed: rate<0.01", "--threshold", "checks: rate==1"]).finish();
    let run = run.expect(exit::PASSED).prints(&["THRESHOLDS", "✓ 'rate<0.01'", "✓ 'rate==1'"]);
    // In k6's legacy summary, true means failed.
    assert_eq!(run.summary().metric("http_req_failed")["thresholds"]["rate<0.01"], false);
}

#[test]
fn a_threshold_that_does_not_hold_fails_the_run() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/status/500").flags("--iterations 5");
    let run = run.args(["--threshold", "http_req_failed: rate<0.01"]).finish();
    let run = run.expect(exit::THRESHOLDS).prints(&["✗ 'rate<0.01'"]).says(&["thresholds", "http_req_failed"]);
    assert_eq!(run.summary().metric("http_req_failed")["thresholds"]["rate<0.01"], true);
}

#[test]
fn a_check_fails_the_run_only_through_a_threshold() {
    let target = practice();
    let run = |flags: &[&str]| {
        Squall::run(journey("quickstart")).at(&target, "/status/500").flags("--iterations 4").args(flags).finish()
    };
    let without = run(&[]).expect(exit::PASSED);
    assert_eq!(without.summary().check("status is 200"), (0, 4));
    run(&["--threshold", "checks: rate>0.9"]).expect(exit::THRESHOLDS);
}

#[test]
fn a_selector_judges_only_what_it_names() {
    let target = practice();
    let run = |path: &str| {
        let run = Squall::run(journey("quickstart")).at(&target, path).flags("--iterations 3");
        run.args(["--threshold", "http_req_duration{expected_response:true}: max<60000"]).finish()
    };
    run("/").expect(exit::PASSED);
    // Answers that were not expected are no data for it.
    run("/status/500").expect(exit::THRESHOLDS).says(&["no data"]);
}

#[test]
fn a_threshold_that_saw_no_data_fails_unless_it_may() {
    let options = r#"{"iterations": 3, "thresholds": {"http_req_duration": ["p(95)<500"]}}"#;
    idle(options, &[]).expect(exit::THRESHOLDS).says(&["no data", "http_req_duration"]);
    let options = r#"{"iterations": 3, "thresholds":
        {"http_req_duration": [{"threshold": "p(95)<500", "allowNoData": true}]}}"#;
    idle(options, &[]).expect(exit::PASSED);
}

#[test]
fn abort_on_fail_ends_the_run_early() {
    let options = r#"{"vus": 1, "duration": "10m", "minIterationDuration": "100ms",
        "thresholds": {"iterations": [{"threshold": "count<2", "abortOnFail": true}]}}"#;
    let run = idle(options, &[]).expect(exit::THRESHOLDS).says(&["iterations"]);
    assert!(run.has_summary());
    assert!(run.took < Duration::from_mins(5));
}

#[test]
fn an_abort_can_be_put_off() {
    let options = r#"{"vus": 1, "duration": "10m", "minIterationDuration": "100ms", "thresholds":
        {"iterations": [{"threshold": "count<1", "abortOnFail": true, "delayAbortEval": "4s"}]}}"#;
    let run = idle(options, &[]).expect(exit::THRESHOLDS);
    assert!(run.took >= Duration::from_secs(4));
}

#[test]
fn an_unknown_metric_is_an_error_that_suggests_the_nearest() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/");
    let run = run.args(["--threshold", "http_req_durations: p(95)<500"]).finish().expect(exit::CONFIGURATION);
    run.says(&["`http_req_durations`", "`http_req_duration`"]);
    assert_eq!(target.stats().requests, 0, "what cannot be judged is not started");
}

#[test]
fn a_metric_that_the_journey_never_declared_is_an_error() {
    let run = idle(r#"{"iterations": 1}"#, &["--threshold", "orders: count>0"]);
    run.expect(exit::CONFIGURATION).says(&["`orders`"]);
}

#[test]
fn a_threshold_that_cannot_be_read_is_an_error_that_quotes_it() {
    for (threshold, quoted) in [
        ("http_req_duration: p(95)<", "`p(95)<`"),
        ("http_req_duration: p(101)<5", "`p(101)<5`"),
        ("http_reqs: avg<1", "`http_reqs: avg<1`"),
        ("http_reqs", "`http_reqs`"),
    ] {
        let run = idle(r#"{"iterations": 1}"#, &["--threshold", threshold]).expect(exit::CONFIGURATION);
        run.says(&["at the command line", quoted]);
    }
}

#[test]
fn the_journeys_own_metrics_can_be_judged() {
    let target = practice();
    let run = Squall::run(journey("custom-metrics")).at(&target, "").flags("--vus 1 --iterations 4");
    let run =
        run.args(["--threshold", "searches{term:load}: count==4", "--threshold", "search_bytes: count>0"]).finish();
    let run = run.expect(exit::PASSED);
    assert_eq!(run.summary().count("searches"), 8);
}
