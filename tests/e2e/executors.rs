//! The executors, held against what the target saw.

use std::time::Duration;

use squall::practice::{Server, Stats};

use crate::support::{Finished, Squall, exit, journey, practice, write};

/// Runs a journey under a `squall.toml`.
#[track_caller]
fn run_config(target: &Server, name: &str, path: &str, toml: &str, flags: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", toml);
    Squall::run(journey(name)).at(target, path).arg("--config").arg(config).flags(flags).finish()
}

#[track_caller]
fn run(target: &Server, path: &str, flags: &str) -> Finished {
    Squall::run(journey("quickstart")).at(target, path).flags(flags).finish()
}

/// When requests for a path arrived, in their order.
fn arrivals(target: &Server, path: &str) -> Vec<Duration> {
    target.recorded().into_iter().filter(|request| request.target == path).map(|request| request.at).collect()
}

#[test]
fn shared_iterations_are_as_many_as_asked_for() {
    let target = practice();
    let run = run(&target, "/", "--vus 3 --iterations 31").expect(exit::PASSED);
    assert_eq!((target.stats().requests, run.summary().count("iterations")), (31, 31));
    assert!(target.stats().max_in_flight <= 3);
}

#[test]
fn per_vu_iterations_are_as_many_for_each() {
    let target = practice();
    let toml = "[scenarios.each]\nexecutor = \"per-vu-iterations\"\nvus = 3\niterations = 7\n";
    let run = run_config(&target, "quickstart", "/", toml, "").expect(exit::PASSED);
    assert_eq!((target.stats().requests, target.stats().connections), (21, 3));
    assert_eq!(run.summary().value("vus_max", "value"), 3.0);
}

#[test]
fn constant_vus_are_never_more_than_asked_for() {
    let target = practice();
    let run = run(&target, "/delay/20", "--vus 4 --duration 2s").expect(exit::PASSED);
    let Stats { requests, max_in_flight, connections, .. } = target.stats();
    assert!(requests >= 8, "{requests}");
    assert_eq!((max_in_flight, connections), (4, 4));
    assert_eq!(run.summary().count("iterations"), requests);
    assert!(run.took >= Duration::from_secs(2));
}

#[test]
fn stages_ramp_virtual_users_up_and_down() {
    let target = practice();
    let run = run(&target, "/delay/20", "--stage 1s:4 --stage 1s:4 --stage 1s:0").expect(exit::PASSED);
    let Stats { requests, max_in_flight, .. } = target.stats();
    assert_eq!((max_in_flight, run.summary().count("iterations")), (4, requests));
    assert_eq!(run.summary().value("vus_max", "value"), 4.0);
    assert!(run.took >= Duration::from_secs(3));
}

#[test]
fn a_vu_that_is_taken_away_is_interrupted_after_its_graceful_period() {
    let target = practice();
    let toml = r#"
        [scenarios.down]
        executor = "ramping-vus"
        startVUs = 1
        stages = [{ duration = "1s", target = 1 }, { duration = "0s", target = 0 }, { duration = "1s", target = 0 }]
        gracefulRampDown = "0s"
    "#;
    let run = run_config(&target, "quickstart", "/delay/60000", toml, "").expect(exit::PASSED);
    assert_eq!((target.stats().requests, run.summary().count("iterations")), (1, 0));
}

#[test]
fn a_constant_arrival_rate_is_exact() {
    let target = practice();
    let run = run(&target, "/", "--rate 20 --duration 2s --vus 40").expect(exit::PASSED);
    assert_eq!(target.stats().requests, 40);
    assert_eq!((run.summary().count("iterations"), run.summary().count("dropped_iterations")), (40, 0));
    // The last of 40 is due 1.95 s after the first; the first may be late, but no other is early.
    let arrivals = arrivals(&target, "/");
    assert!(arrivals[39] >= arrivals[0] + Duration::from_millis(1450), "{arrivals:?}");
    assert!(run.summary().metric("iteration_delay")["p(95)"].is_number());
}

#[test]
fn arrivals_do_not_wait_for_a_slow_target() {
    let target = practice();
    let run = run(&target, "/delay/1000", "--rate 10 --duration 2s --vus 25").expect(exit::PASSED);
    assert_eq!((target.stats().requests, run.summary().count("dropped_iterations")), (20, 0));
    assert!(target.stats().max_in_flight >= 5);
}

#[test]
fn an_arrival_with_no_free_vu_is_dropped_and_counted() {
    let target = practice();
    let run = run(&target, "/delay/500", "--rate 20 --duration 2s --vus 1").expect(exit::PASSED);
    let (seen, dropped) = (target.stats().requests, run.summary().count("dropped_iterations"));
    assert_eq!(seen + dropped, 40);
    assert!(dropped >= 30 && seen >= 1, "{seen} seen, {dropped} dropped");
    assert_eq!((target.stats().max_in_flight, run.summary().count("iterations")), (1, seen));
    run.says(&["were dropped in `default`", "`max-vus`"]);
}

#[test]
fn more_vus_are_made_up_to_the_maximum() {
    let target = practice();
    let run = run(&target, "/delay/500", "--rate 20 --duration 2s --vus 1 --max-vus 5").expect(exit::PASSED);
    let (seen, dropped) = (target.stats().requests, run.summary().count("dropped_iterations"));
    assert_eq!(seen + dropped, 40);
    assert!((2..=5).contains(&target.stats().max_in_flight), "{:?}", target.stats());
}

#[test]
fn a_ramping_arrival_rate_follows_its_integral() {
    let target = practice();
    let toml = r#"
        [scenarios.ramp]
        executor = "ramping-arrival-rate"
        startRate = 0
        preAllocatedVUs = 40
        stages = [{ duration = "2s", target = 20 }, { duration = "1s", target = 20 }]
    "#;
    run_config(&target, "quickstart", "/", toml, "").expect(exit::PASSED);
    // 20 on the slope and 20 after it; whether the one due at the very end is in is a matter of taste.
    assert!((39..=41).contains(&target.stats().requests), "{:?}", target.stats());
}

#[test]
fn a_time_unit_scales_the_rate() {
    let target = practice();
    let toml = "[scenarios.slow]\nexecutor = \"constant-arrival-rate\"\nrate = 300\ntimeUnit = \"1m\"\n\
                duration = \"2s\"\npreAllocatedVUs = 10\n";
    run_config(&target, "quickstart", "/", toml, "").expect(exit::PASSED);
    assert_eq!(target.stats().requests, 10);
}

#[test]
fn a_scenario_starts_at_its_start_time_with_its_own_environment() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        r#"
        [scenarios.first]
        executor = "shared-iterations"
        iterations = 3
        env = {{ BASE_URL = "{0}/status/200" }}
        [scenarios.second]
        executor = "shared-iterations"
        iterations = 2
        startTime = "1s"
        env = {{ BASE_URL = "{0}/status/201" }}
        "#,
        target.url()
    );
    let config = write(folder.path(), "squall.toml", toml);
    Squall::run(journey("quickstart")).arg("--config").arg(config).finish().expect(exit::PASSED);
    let (first, second) = (arrivals(&target, "/status/200"), arrivals(&target, "/status/201"));
    assert_eq!((first.len(), second.len()), (3, 2));
    // The first scenario may itself have started late; half the distance is more than any order by chance.
    assert!(second[0] >= first[0] + Duration::from_millis(500), "{first:?} {second:?}");
}

const TWO_FUNCTIONS: &str = "[scenarios.browsing]\nexecutor = \"shared-iterations\"\nexec = \"browse\"\niterations = 3\n\
                             [scenarios.searching]\nexecutor = \"shared-iterations\"\nexec = \"search\"\niterations = 5\n";

// The example's thresholds are on times, so what follows asserts on what the target saw alone.

#[test]
fn scenarios_run_the_function_they_name() {
    let target = practice();
    run_config(&target, "arrival-rate", "", TWO_FUNCTIONS, "");
    assert_eq!((target.stats().by_route["/health"], target.stats().by_route["/search"]), (3, 5));
}

#[test]
fn one_scenario_can_be_chosen_by_name() {
    let target = practice();
    run_config(&target, "arrival-rate", "", TWO_FUNCTIONS, "--scenario browsing");
    assert_eq!(target.stats().by_route.keys().collect::<Vec<_>>(), ["/health"]);

    let unknown = run_config(&target, "arrival-rate", "", TWO_FUNCTIONS, "--scenario browsin");
    unknown.expect(exit::CONFIGURATION).says(&["`browsin`", "`browsing`"]);
}

#[test]
fn a_function_that_the_journey_does_not_have_fails_the_run() {
    let target = practice();
    let toml = "[scenarios.a]\nexecutor = \"shared-iterations\"\nexec = \"brows\"\niterations = 3\n";
    run_config(&target, "quickstart", "", toml, "").expect(exit::JOURNEY).says(&["brows"]);
    assert_eq!(target.stats().requests, 0);
}

#[test]
fn a_running_iteration_may_end_within_the_graceful_stop() {
    let target = practice();
    let run = run(&target, "/delay/2500", "--vus 1 --duration 1s").expect(exit::PASSED);
    assert_eq!((target.stats().by_status[&200], run.summary().count("iterations")), (1, 1));
}

#[test]
fn an_iteration_is_interrupted_at_the_end_of_the_graceful_stop() {
    let target = practice();
    let toml = "[scenarios.cut]\nexecutor = \"constant-vus\"\nvus = 2\nduration = \"1s\"\ngracefulStop = \"500ms\"\n";
    let run = run_config(&target, "quickstart", "/delay/60000", toml, "").expect(exit::PASSED);
    assert_eq!((target.stats().requests, run.summary().count("iterations")), (2, 0));
    assert!(run.took < Duration::from_mins(1), "an interrupted iteration is not waited for");
}

#[test]
fn iterations_left_over_at_max_duration_are_dropped() {
    let target = practice();
    let toml = "[scenarios.long]\nexecutor = \"shared-iterations\"\nvus = 1\niterations = 1000\nmaxDuration = \"1s\"\n";
    let run = run_config(&target, "quickstart", "/delay/100", toml, "").expect(exit::PASSED);
    let (seen, dropped) = (target.stats().requests, run.summary().count("dropped_iterations"));
    assert!(seen >= 1);
    assert_eq!(seen + dropped, 1000);
}
