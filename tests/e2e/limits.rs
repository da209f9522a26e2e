//! What a journey may use: each limit of a run, held against a journey that wants more, and what its neighbours notice.

use std::time::Duration;

use squall::practice::Server;

use crate::support::{Behaviour, Finished, Guest, Squall, exit, journey, practice, write};

/// Runs a hand-made journey.
#[track_caller]
fn run_guest(guest: &Guest, flags: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = guest.build(folder.path());
    Squall::run(path).flags(flags).finish()
}

#[test]
fn the_vus_of_a_run_share_its_memory() {
    // A hand-made journey has two pages of memory.
    let run = run_guest(&Guest::idle(), "--vus 50 --iterations 200 --run-memory 6400KiB").expect(exit::PASSED);
    assert_eq!(run.summary().count("iterations"), 200);
    let run = run_guest(&Guest::idle(), "--vus 51 --iterations 200 --run-memory 6400KiB").expect(exit::JOURNEY);
    run.says(&[
        "the memory of all virtual users would be 6528KiB with 128KiB more, over the limit of 6400KiB (`run-memory`)",
    ]);
}

#[test]
fn a_journey_that_wants_the_memory_of_the_run_is_told_no_and_the_run_goes_on() {
    let run = Squall::run(journey("grow")).flags("--vus 8 --iterations 16 --run-memory 80MiB");
    let run = run.finish().expect(exit::JOURNEY).says(&["after it was refused to grow", "(`run-memory`)"]);
    assert_eq!(run.summary().value("iterations_failed", "passes"), 16.0);
    if let Some(peak) = run.peak {
        assert!(peak < 400 << 10, "80 MiB of memory took {peak} KiB");
    }
}

#[test]
fn a_storm_of_traps_costs_little_and_ends_the_run_at_its_limit() {
    let guest = Guest::idle().iterate(Behaviour::Traps);
    let run = run_guest(&guest, "--vus 4 --duration 5m --max-traps 60").expect(exit::JOURNEY);
    let run = run.says(&["60 iterations trapped or timed out", "`limits.maxTraps`", "--max-traps"]);
    // Those that run when the limit is reached end as well.
    let iterations = run.summary().count("iterations");
    assert!((60..=64).contains(&iterations), "{iterations}");
    assert!(run.has_summary());
    let run = run_guest(&guest, "--vus 4 --duration 4s").expect(exit::JOURNEY);
    // About ten in the first second, then one a second.
    let iterations = run.summary().count("iterations");
    assert!((20..=60).contains(&iterations), "{iterations}");
}

#[test]
fn iterations_that_time_out_count_as_traps() {
    let guest = Guest::idle().iterate(Behaviour::Loops);
    let run = run_guest(&guest, "--vus 2 --duration 5m --cpu-timeout 50ms --max-traps 6").expect(exit::JOURNEY);
    run.says(&["6 iterations trapped or timed out"]);
}

#[test]
fn an_iteration_has_so_much_computing_time_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[scenarios.s]\nexecutor = \"shared-iterations\"\niterations = 3\nexec = \"calls\"\n";
    let config = write(folder.path(), "squall.toml", toml);
    let run = Squall::run(journey("spin")).arg("--config").arg(config).flags("--iteration-cpu 200ms").finish();
    let run =
        run.expect(exit::JOURNEY).says(&["timed out: the guest computed for more than 200ms in all (`iteration-cpu`)"]);
    assert_eq!(run.summary().value("iterations_failed", "passes"), 3.0);
}

#[test]
fn a_run_that_used_up_its_computing_time_ends_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[scenarios.s]\nexecutor = \"constant-vus\"\nvus = 4\nduration = \"5m\"\nexec = \"EXEC\"\n";
    for (exec, flags) in [("compute", "--run-cpu 500ms"), ("default", "--run-cpu 500ms --threads 1")] {
        let config = write(folder.path(), "squall.toml", toml.replace("EXEC", exec));
        let run = Squall::run(journey("spin")).arg("--config").arg(&config).flags(flags).finish();
        let run = run.expect(exit::QUOTA).says(&["the run's computing time of 500ms (`limits.runCpu`)", "--run-cpu"]);
        assert!(run.has_summary());
        assert!(run.took < Duration::from_mins(1), "{:?}", run.took);
    }
}

#[test]
fn the_stack_is_as_large_as_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (stack, code) in [("64KiB", exit::JOURNEY), ("16MiB", exit::PASSED)] {
        let text = Guest::idle().text().replace(
            "(func (export \"setup\")",
            "(func $deep (param i32) (result i32)
               (if (result i32) (local.get 0)
                 (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                 (else (i32.const 0))))
             (func $start_deep (drop (call $deep (i32.const 60000))))
             (start $start_deep)
             (func (export \"setup\")",
        );
        let path = crate::support::build_component(folder.path(), "deep.wasm", &text);
        let run = Squall::run(path).flags("--iterations 2 --stack").arg(stack).finish().expect(code);
        if code == exit::JOURNEY {
            run.says(&["stack exhausted"]);
        }
    }
}

#[test]
fn options_setup_and_teardown_have_the_limits_of_iterations() {
    let guest = Guest::idle().setup(Behaviour::Loops);
    run_guest(&guest, "--cpu-timeout 200ms").expect(exit::JOURNEY).says(&["`setup` trapped", "`cpu-timeout`"]);
    let guest = Guest::idle().teardown(Behaviour::Loops);
    run_guest(&guest, "--cpu-timeout 200ms").expect(exit::JOURNEY).says(&["`teardown` trapped", "`cpu-timeout`"]);
    let guest = Guest::idle().setup(Behaviour::Loops);
    let run = run_guest(&guest, "--cpu-timeout 1m --iteration-cpu 200ms").expect(exit::JOURNEY);
    run.says(&["`setup` trapped", "`iteration-cpu`"]);
    // A file decides before the journey is asked for its options.
    let run = run_guest(&Guest::idle(), "--memory 64KiB").expect(exit::JOURNEY);
    run.says(&["did not give its options", "128KiB more, over the limit of 64KiB (`memory`)"]);
}

/// The p99 of 198 VUs that visit the target, and how many requests they made.
fn visit(target: &Server, loopers: u32) -> (f64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut toml =
        "[scenarios.visitors]\nexecutor = \"constant-vus\"\nvus = 198\nduration = \"5s\"\nexec = \"visit\"\n"
            .to_owned();
    if loopers > 0 {
        toml += "[scenarios.loopers]\nexecutor = \"constant-vus\"\nduration = \"5s\"\ngracefulStop = \"0s\"\nvus = ";
        toml += &loopers.to_string();
    }
    let config = write(folder.path(), "squall.toml", &toml);
    let run = Squall::run(journey("spin")).at(target, "/delay/20").grant("SLEEP", "0.4").arg("--config").arg(config);
    let run = run.flags("--cpu-timeout 1m --summary-trend-stats p(99)").finish().expect(exit::PASSED);
    assert_eq!(run.summary().count("iterations"), run.summary().count("http_reqs"), "a looper never ends an iteration");
    (run.summary().value("http_req_duration", "p(99)"), run.summary().count("http_reqs"))
}

/// Two of 200 VUs compute for ever, at least one on each of two threads. Other tests keep the machine busy meanwhile, so
/// several pairs of measurements are made until one shows that the loopers are not what one notices.
#[test]
fn two_vus_that_loop_for_ever_are_not_noticed_by_the_others() {
    let target = practice();
    let mut seen = Vec::new();
    for _ in 0..6 {
        let ((alone, all), (beside, reached)) = (visit(&target, 0), visit(&target, 2));
        if beside <= alone * 1.1 && reached as f64 >= all as f64 * 0.95 {
            return;
        }
        seen.push(format!("p99 {alone:.1} ms and {all} requests alone, {beside:.1} ms and {reached} beside loopers"));
    }
    panic!("{seen:#?}");
}
