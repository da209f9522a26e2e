//! Journeys that break, end the run, or use all of the contract.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Behaviour, Guest, Squall, exit, journey, journey_if_built, left_out, practice, squall, target_folder,
};

#[test]
fn all_calls_agree_with_the_contract() {
    let target = practice();
    let run = Squall::run(journey("all-calls")).at(&target, "").finish().expect(exit::PASSED);
    assert!(!run.stderr.contains("mismatch"), "{run}");
    run.prints(&["all-calls: 0 mismatches in handle-summary"]);
}

#[test]
fn a_trapped_instance_is_replaced_by_a_new_one() {
    let run = || Squall::run(journey("trap-iterate")).grant("EVERY", "3").flags("--vus 1 --iterations 9");
    let broken = run().finish().expect(exit::JOURNEY).says(&["is broken on purpose"]);
    let summary = broken.summary();
    assert_eq!(summary.count("iterations"), 9);
    assert_eq!(summary.value("iterations_failed", "passes"), 3.0);
    assert_eq!(summary.check("memory is as old as the instance"), (9, 0));
    run().flags("--max-failed-iterations 50%").finish().expect(exit::PASSED);
}

#[test]
fn an_error_is_counted_and_repeated_ones_are_folded() {
    let run = Squall::run(journey("fail-iterate")).flags("--vus 2 --iterations 100").finish();
    let run = run.expect(exit::JOURNEY).says(&["failed on purpose"]);
    assert_eq!(run.summary().value("iterations_failed", "passes"), 100.0);
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().iterate(Behaviour::Fails).build(folder.path());
    let run = Squall::run(path).flags("--iterations 500").finish().expect(exit::JOURNEY);
    assert!(run.stderr.matches("on purpose").count() < 50, "one message said 500 times helps nobody\n{run}");
}

#[test]
fn a_journey_can_abort_the_run() {
    let run = Squall::run(journey("abort")).flags("--vus 2 --duration 10m").finish().expect(exit::ABORTED);
    let run = run.says(&["aborted on purpose"]);
    assert!(run.has_summary());
}

#[test]
fn a_journey_can_mark_the_run_as_failed_and_go_on() {
    let run = Squall::run(journey("abort")).grant("HOW", "fail").flags("--vus 2 --iterations 20").finish();
    let run = run.expect(exit::MARKED_FAILED).says(&["failed on purpose"]);
    assert_eq!(run.summary().count("iterations"), 20);
}

#[test]
fn a_journey_that_wants_all_memory_traps_at_its_limit() {
    let run = Squall::run(journey("grow")).flags("--vus 2 --iterations 4").finish().expect(exit::JOURNEY);
    assert_eq!(run.summary().value("iterations_failed", "passes"), 4.0);
}

#[test]
fn an_error_of_teardown_fails_the_run_after_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().teardown(Behaviour::Fails).build(folder.path());
    let run =
        Squall::run(path).flags("--iterations 3").finish().expect(exit::JOURNEY).says(&["teardown", "on purpose"]);
    assert_eq!(run.summary().count("iterations"), 3);
}

#[test]
fn bodies_cross_into_the_guest_whole() {
    let target = practice();
    let run =
        Squall::run(journey("big-body")).at(&target, "").grant("BYTES", "3000000").flags("--vus 2 --iterations 4");
    let run = run.finish().expect(exit::PASSED);
    assert_eq!(run.summary().value("checks", "fails"), 0.0);
    assert!(run.summary().value("data_received", "count") >= 12_000_000.0);
}

#[test]
fn a_parked_vu_costs_no_iterations() {
    let run = Squall::run(journey("sleeper")).grant("SLEEP", "0.5").flags("--vus 50 --duration 2s").finish();
    let iterations = run.expect(exit::PASSED).summary().count("iterations");
    assert!((50..=250).contains(&iterations), "{iterations}");
}

#[test]
fn guests_in_other_languages_keep_the_contract() {
    for language in ["c", "js", "python"] {
        let Some(path) = journey_if_built(language) else {
            left_out(&format!("the journey in `{language}` is not built: run `cargo xtask journeys --proof`"));
            continue;
        };
        let target = practice();
        let run = Squall::run(path).at(&target, "").finish().expect(exit::PASSED);
        assert_eq!(target.stats().by_route["/health"], 3);
        assert_eq!(run.summary().check("health answers 200"), (3, 0), "{language}");
        assert_eq!(run.summary().count(&format!("{language}_requests")), 3);
    }
}

/// Builds a crate of `squall new` as its user would, but out of what the journeys here were built of: the versions that
/// this repository has locked, and what is compiled already.
fn build(folder: &Path, name: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.args(["build", "--offline", "--profile", "journey", "--config", "profile.journey.inherits='release'"]);
    let built = cargo.current_dir(folder).env("CARGO_TARGET_DIR", target_folder()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target_folder().join("wasm32-wasip2/journey").join(format!("{name}.wasm"))
}

#[test]
fn a_new_journey_builds_and_runs() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/rust");
    for (name, sdk) in [("e2e_new_with_its_own_sdk", None), ("e2e_new_with_a_given_sdk", Some(sdk))] {
        let folder = tempfile::tempdir().unwrap();
        let mut new = squall(["new", name]).current_dir(folder.path());
        if let Some(sdk) = sdk {
            new = new.arg("--sdk").arg(sdk);
        }
        new.finish().expect(exit::PASSED).prints(&["cargo build --release", name]);
        let component = build(&folder.path().join(name), name);
        let target = practice();
        let run = Squall::run(component).at(&target, "/health").flags("--iterations 1").finish().expect(exit::PASSED);
        assert_eq!((target.stats().by_route["/health"], run.summary().check("status is 200")), (1, (1, 0)));
    }
}
