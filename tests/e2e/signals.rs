//! Ctrl-C: graceful at first, then at once; the report is printed either way.

use std::thread;
use std::time::Duration;

use squall::practice::Server;

use crate::support::{Behaviour, Guest, Running, Squall, exit, journey, practice};

fn start(target: &Server, name: &str, path: &str) -> Running {
    let mut run = Squall::run(journey(name)).at(target, path).flags("--vus 2 --duration 10m").start();
    let busy = if path.is_empty() { 4 } else { 2 };
    run.wait_until("both VUs are at work", |_| target.stats().requests >= busy);
    run
}

#[test]
fn the_first_ctrl_c_lets_iterations_end_and_reports() {
    let target = practice();
    let run = start(&target, "quickstart", "/delay/1500");
    run.signal("INT");
    let run = run.finish().expect(exit::INTERRUPTED).prints(&["http_req_duration", "iterations"]);
    let stats = target.stats();
    assert_eq!(stats.by_status[&200], stats.requests, "every request that was sent was waited for");
    assert_eq!(run.summary().count("iterations"), stats.requests);
}

#[test]
fn the_first_ctrl_c_runs_teardown() {
    let target = practice();
    let run = start(&target, "login-flow", "");
    assert_eq!(target.stats().by_route.get("/auth/profile"), None);
    run.signal("INT");
    run.finish().expect(exit::INTERRUPTED);
    assert_eq!(target.stats().by_route["/auth/profile"], 1);
}

#[test]
fn the_second_ctrl_c_ends_at_once_and_still_reports() {
    let target = practice();
    let run = start(&target, "quickstart", "/delay/600000");
    run.signal("INT");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(target.stats().in_flight, 2, "the first one interrupts nothing");
    run.signal("INT");
    let run = run.finish().expect(exit::INTERRUPTED).prints(&["vus_max"]);
    assert_eq!(run.summary().count("iterations"), 0);
}

#[test]
fn sigterm_is_like_ctrl_c() {
    let target = practice();
    let run = start(&target, "quickstart", "/delay/200");
    run.signal("TERM");
    let run = run.finish().expect(exit::INTERRUPTED);
    assert!(run.has_summary());
}

#[test]
fn a_second_signal_right_after_the_first_is_not_lost() {
    let target = practice();
    let run = start(&target, "quickstart", "/delay/600000");
    // Two of one kind could become one on their way.
    run.signal("INT");
    run.signal("TERM");
    let run = run.finish().expect(exit::INTERRUPTED);
    assert_eq!(run.summary().count("iterations"), 0);
}

/// Starts a hand-made journey and waits until it is about to be set up.
fn start_guest(guest: &Guest) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Squall::run(guest.build(folder.path())).flags("--iterations 1 --cpu-timeout 10m").start();
    run.wait_until("the run has begun", |run| run.has_said("scenarios: "));
    run
}

#[test]
fn ctrl_c_ends_a_setup_that_hangs_and_nothing_runs() {
    let options = r#"{"setupTimeout": "10m"}"#;
    let run = start_guest(&Guest::with_options(options).setup(Behaviour::Loops));
    thread::sleep(Duration::from_millis(300));
    run.signal("INT");
    let run = run.finish().expect(exit::INTERRUPTED);
    assert_eq!(run.summary().count("iterations"), 0);
}

#[test]
fn the_second_ctrl_c_ends_a_teardown_that_hangs_and_still_reports() {
    let options = r#"{"teardownTimeout": "10m"}"#;
    let run = start_guest(&Guest::with_options(options).teardown(Behaviour::Loops));
    thread::sleep(Duration::from_secs(1));
    run.signal("INT");
    thread::sleep(Duration::from_millis(300));
    run.signal("INT");
    let run = run.finish().expect(exit::INTERRUPTED);
    assert_eq!(run.summary().count("iterations"), 1);
}
