//! What cannot work: each with its message and its exit code.

use std::ffi::OsStr;
use std::path::Path;

use crate::support::{
    Behaviour, Finished, Guest, Hostile, Squall, build_component, exit, journey, practice, squall, write,
};

/// Runs a file as a journey.
#[track_caller]
fn run(path: &Path, flags: &str) -> Finished {
    Squall::run(path).flags(flags).finish().without_panic()
}

/// Runs a hand-made journey.
#[track_caller]
fn run_guest(guest: &Guest, flags: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    run(&guest.build(folder.path()), flags)
}

#[test]
fn a_missing_file_is_named() {
    let run = run(Path::new("/nowhere/checkout.wasm"), "");
    run.expect(exit::JOURNEY).says(&["error: ", "`/nowhere/checkout.wasm`"]);
}

#[test]
fn a_core_module_is_not_a_component() {
    let folder = tempfile::tempdir().unwrap();
    let path = build_component(folder.path(), "checkout.wasm", "(module (func (export \"iterate\")))");
    let run = run(&path, "").expect(exit::JOURNEY);
    run.says(&["checkout.wasm` is a core module, not a component", "hint: ", "wasm32-wasip2"]);
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(Guest::idle().build(folder.path())).unwrap();
    for length in [1, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        let path = write(folder.path(), "cut.wasm", &whole[..length]);
        run(&path, "").expect(exit::JOURNEY).says(&["cut.wasm"]);
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for contents in ["", "export default function () {}", "\u{7f}ELF and more of it"] {
        let path = write(folder.path(), "script.wasm", contents);
        run(&path, "").expect(exit::JOURNEY).says(&["script.wasm"]);
    }
}

#[test]
fn a_component_of_another_world_is_told_which_worlds_squall_runs() {
    let folder = tempfile::tempdir().unwrap();
    let empty = build_component(folder.path(), "empty.wasm", "(component)");
    run(&empty, "").expect(exit::JOURNEY).says(&["empty.wasm", "squall:journey/journey", "wasi:cli/command"]);

    let other = r#"(component
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $exports (export "run" (func $run)))
        (export "acme:tool/run@1.0.0" (instance $exports)))"#;
    let other = build_component(folder.path(), "tool.wasm", other);
    run(&other, "").expect(exit::JOURNEY).says(&["tool.wasm", "squall:journey/journey", "wasi:cli/command"]);
}

#[test]
fn an_unknown_import_is_named() {
    let guest = Guest::idle().imports(r#"(import "acme:telemetry/log@1.0.0" (instance (export "write" (func))))"#);
    run_guest(&guest, "").expect(exit::JOURNEY).says(&["acme:telemetry/log@1.0.0"]);
}

#[test]
fn options_of_a_wrong_type_name_the_option() {
    run_guest(&Guest::with_options(r#"{"vus": "many"}"#), "").expect(exit::CONFIGURATION).says(&["vus", "many"]);
    Squall::run(journey("bad-options")).finish().expect(exit::CONFIGURATION).says(&["vus", "many"]);
    let thresholds = r#"{"iterations": 1, "thresholds": {"http_reqs": 5}}"#;
    run_guest(&Guest::with_options(thresholds), "").expect(exit::CONFIGURATION).says(&["thresholds"]);
}

#[test]
fn options_that_are_not_json_are_refused() {
    for options in ["{", "[]", "vus: 3"] {
        run_guest(&Guest::with_options(options), "").expect(exit::CONFIGURATION).says(&["options"]);
    }
}

#[test]
fn an_unknown_option_is_an_error_with_a_suggestion() {
    run_guest(&Guest::with_options(r#"{"vuss": 3}"#), "").expect(exit::CONFIGURATION).says(&["`vuss`", "`vus`"]);
    let scenario = r#"{"scenarios": {"a": {"executor": "constant-vus", "vus": 1, "durration": "1s"}}}"#;
    let run = run_guest(&Guest::with_options(scenario), "");
    run.expect(exit::CONFIGURATION).says(&["`durration`", "`duration`"]);
    let executor = r#"{"scenarios": {"a": {"executor": "constant-vu", "vus": 1, "duration": "1s"}}}"#;
    run_guest(&Guest::with_options(executor), "")
        .expect(exit::CONFIGURATION)
        .says(&["`constant-vu`", "`constant-vus`"]);
}

#[test]
fn stages_that_take_no_time_are_refused() {
    let options = r#"{"stages": [{"duration": "0s", "target": 10}, {"duration": "0s", "target": 0}]}"#;
    run_guest(&Guest::with_options(options), "").expect(exit::CONFIGURATION).says(&["stages"]);
    run_guest(&Guest::idle(), "--stage 0s:10").expect(exit::CONFIGURATION).says(&["stage"]);
}

#[test]
fn fewer_vus_at_most_than_at_the_start_are_refused_with_both_numbers() {
    let options = r#"{"scenarios": {"browse": {"executor": "constant-arrival-rate", "rate": 5, "duration": "1s",
        "preAllocatedVUs": 10, "maxVUs": 5}}}"#;
    run_guest(&Guest::with_options(options), "").expect(exit::CONFIGURATION).says(&["`browse`", "10", "5", "hint: "]);
    run_guest(&Guest::idle(), "--rate 5 --duration 1s --vus 10 --max-vus 5")
        .expect(exit::CONFIGURATION)
        .says(&["10", "5"]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let options = r#"{"vuss": 3, "thresholds": {"http_req_durations": ["p(95)<5"]}}"#;
    let run = run_guest(&Guest::with_options(options), "--stage 0s:10");
    run.expect(exit::CONFIGURATION).says(&["`vuss`", "`http_req_durations`"]);
}

#[test]
fn fewer_shared_iterations_than_vus_are_refused() {
    let run = run_guest(&Guest::idle(), "--vus 5 --iterations 3").expect(exit::CONFIGURATION);
    run.says(&["5", "3"]);
}

#[test]
fn an_unreachable_target_fails_every_iteration() {
    let run = Squall::run(journey("quickstart")).grant("BASE_URL", Hostile::refuses()).flags("--vus 2 --iterations 10");
    let run = run.finish().expect(exit::JOURNEY).says(&["refused"]);
    let summary = run.summary();
    assert_eq!((summary.count("iterations"), summary.count("http_reqs")), (10, 10));
    assert_eq!(summary.value("http_req_failed", "value"), 1.0);
    assert_eq!(summary.value("iterations_failed", "value"), 1.0);
}

#[test]
fn a_target_that_closes_mid_body_fails_every_iteration() {
    let target = Hostile::closes_mid_body();
    let run = Squall::run(journey("quickstart")).grant("BASE_URL", target.url()).flags("--vus 2 --iterations 10");
    let run = run.finish().expect(exit::JOURNEY);
    assert_eq!(target.requests(), 10, "an answer that was begun is not asked for again");
    assert_eq!(run.summary().value("http_req_failed", "value"), 1.0);
}

#[test]
fn a_trap_in_setup_ends_the_run_before_it_starts() {
    let run = run_guest(&Guest::idle().setup(Behaviour::Traps), "--iterations 3").expect(exit::JOURNEY);
    let run = run.says(&["setup", "unreachable"]);
    assert!(!run.has_summary() || run.summary().count("iterations") == 0);
    Squall::run(journey("trap-setup")).finish().expect(exit::JOURNEY).says(&["setup", "setup is broken on purpose"]);
}

#[test]
fn an_error_of_setup_ends_the_run_before_it_starts() {
    let run = run_guest(&Guest::idle().setup(Behaviour::Fails), "--iterations 3");
    run.expect(exit::JOURNEY).says(&["setup", "on purpose"]);
}

#[test]
fn a_setup_that_never_ends_is_ended_at_its_deadline() {
    let guest = Guest::with_options(r#"{"iterations": 3, "setupTimeout": "1s"}"#).setup(Behaviour::Loops);
    run_guest(&guest, "").expect(exit::SETUP_TIMEOUT).says(&["setup"]);
}

#[test]
fn an_iteration_that_loops_for_ever_is_ended_at_its_deadline() {
    let guest = Guest::idle().iterate(Behaviour::Loops);
    let run = run_guest(&guest, "--vus 2 --iterations 4 --iteration-timeout 500ms").expect(exit::JOURNEY);
    assert_eq!(run.says(&["iteration-timeout"]).summary().count("iterations"), 4);
    let run = run_guest(&guest, "--vus 2 --iterations 4 --cpu-timeout 500ms").expect(exit::JOURNEY);
    assert_eq!(run.says(&["cpu-timeout"]).summary().count("iterations"), 4);
}

#[test]
fn a_loop_on_one_vu_leaves_the_others_alone() {
    let run = Squall::run(journey("spin")).grant("SPIN_VU", "1");
    let run = run.flags("--vus 3 --duration 4s --iteration-timeout 1s --max-failed-iterations 50%").finish();
    let summary = run.expect(exit::PASSED).summary();
    let failed = summary.value("iterations_failed", "passes");
    assert!((1.0..=5.0).contains(&failed), "{failed}");
    // Two VUs sleep 5 ms at a time for 4 s. On a busy machine that is fewer than 1,600 times, yet not a handful.
    assert!(summary.count("iterations") >= 100, "{}", summary.json());
}

// Such a request never waits, so it gave nobody else a turn; once it kept its thread for ever.
#[test]
fn repeating_a_request_that_fails_at_once_leaves_the_others_alone() {
    let run = Squall::run(journey("retry")).flags("--vus 3 --threads 1 --duration 3s --iteration-timeout 1s");
    let summary = run.flags("--max-failed-iterations 50%").finish().expect(exit::PASSED).summary();
    assert!(summary.value("iterations_failed", "passes") >= 1.0, "{}", summary.json());
    assert!(summary.count("iterations") >= 100, "{}", summary.json());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported_once_and_the_run_does_not_pass() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--iterations 200 --out json=/dev/full");
    let run = run.finish().expect(exit::OUTPUT).prints(&["http_req_duration"]);
    assert_eq!(target.stats().requests, 200, "the run goes on without its output");
    assert_eq!(run.stderr.matches("could not be written").count(), 1, "{run}");
    run.says(&["No space left"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_for_the_summary_is_reported_and_the_run_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::idle().build(folder.path());
    let run =
        squall([OsStr::new("run"), guest.as_os_str()]).flags("--summary-export /dev/full --allow-invalid").finish();
    let run = run.expect(exit::OUTPUT).says(&["/dev/full"]);
    assert_eq!(run.stderr.matches("could not be written").count(), 1, "{run}");
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_the_start() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--out json=/nowhere/points.json");
    run.finish().expect(exit::CONFIGURATION).says(&["`/nowhere/points.json`"]);
    let quickstart = journey("quickstart");
    let run = squall([OsStr::new("run"), quickstart.as_os_str()]).at(&target, "/");
    run.flags("--summary-export /nowhere/s.json").finish().expect(exit::CONFIGURATION).says(&["`/nowhere/s.json`"]);
    assert_eq!(target.stats().requests, 0);
}

#[test]
fn an_unknown_output_is_refused() {
    let run = run_guest(&Guest::idle(), "--out jsn=points.json");
    assert!(matches!(run.code, Some(exit::CONFIGURATION | exit::USAGE)), "{run}");
    run.says(&["jsn"]);
}
