//! The second wall: an untrusted load runs in a process of its own, which has given up what it does not need.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use squall::practice::Server;

use crate::support::{Behaviour, Guest, Running, Squall, exit, journey, practice, squall, write};

/// Prepares an untrusted run of a journey against the target.
fn untrusted(name: &str, target: &Server, path: &str) -> Squall {
    Squall::run(journey(name)).at(target, path).args(["--untrusted", "--allow-net", &target.url()])
}

/// The process that squall has started.
fn load_process(run: &Running) -> Option<u32> {
    let is_child = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(run.id())
    };
    let mut ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.find(is_child)
}

/// Starts a run of ten minutes and waits until the target has seen both VUs.
fn start(target: &Server, path: &str) -> Running {
    let mut run = untrusted("quickstart", target, path).flags("--vus 2 --duration 10m").start();
    run.wait_until("both VUs are at work", |_| target.stats().requests >= 2);
    run
}

#[test]
fn an_untrusted_run_has_numbers_outputs_and_a_verdict() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    let run = untrusted("quickstart", &target, "/")
        .flags("--vus 2 --iterations 10")
        .args(["--threshold", "http_reqs: count==10", "--out", &format!("json={}", points.display())])
        .finish();
    assert_eq!(target.stats().requests, 10);
    let run = run.expect(exit::PASSED).prints(&["http_req_duration", "p(99)=", "count==10"]);
    let summary = run.summary();
    assert_eq!((summary.count("http_reqs"), summary.check("status is 200")), (10, (10, 0)));
    let points = fs::read_to_string(points).unwrap();
    let requests = points.lines().filter(|line| line.contains(r#""metric":"http_reqs""#) && line.contains("Point"));
    assert_eq!(requests.count(), 10, "{points}");
    run.says(&["untrusted: child process, landlock ABI ", ", seccomp"]);
}

#[test]
fn a_run_can_do_without_the_wall() {
    let target = practice();
    let run = untrusted("quickstart", &target, "/").flags("--iterations 3 --no-wall").finish();
    assert_eq!(target.stats().requests, 3);
    run.expect(exit::PASSED).says(&["untrusted: this process, without a wall"]);
}

#[test]
fn the_exit_codes_are_those_of_a_run_without_it() {
    let target = practice();
    let crossed = untrusted("quickstart", &target, "/").args(["--threshold", "http_reqs: count>1000"]);
    crossed.finish().expect(exit::THRESHOLDS).says(&["'http_reqs' have been crossed"]);
    let aborted = untrusted("quickstart", &target, "/delay/50").flags("--duration 10m");
    let aborted = aborted.arg("--config").arg(write(
        &tempfile::tempdir().unwrap().keep(),
        "squall.toml",
        "[thresholds]\nhttp_reqs = { threshold = \"count<1\", abortOnFail = true }\n",
    ));
    aborted.finish().expect(exit::THRESHOLDS).says(&["`abortOnFail` was crossed"]);
    untrusted("abort", &target, "/").finish().expect(exit::ABORTED);
    untrusted("trap-setup", &target, "/").finish().expect(exit::JOURNEY).says(&["`setup` trapped"]);
}

#[test]
fn what_is_no_journey_is_told_apart_behind_the_wall_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let module = write(folder.path(), "module.wasm", b"\0asm\x01\0\0\0");
    let garbage = write(folder.path(), "garbage.wasm", "no WebAssembly");
    for (path, message) in [(module, "is a core module, not a component"), (garbage, "is not WebAssembly")] {
        let run = squall(["run", "--untrusted", "--no-color"]).arg(&path).finish();
        run.expect(exit::JOURNEY).says(&[&format!("`{}` {message}", path.display()), "hint: "]).without_panic();
    }
    let run = squall(["inspect", "--untrusted"]).arg(journey("quickstart")).finish();
    run.expect(exit::PASSED).prints(&["squall:journey/journey@", "options"]);
}

#[test]
fn metrics_groups_and_the_journeys_own_summary_cross_the_wall() {
    let target = practice();
    let run = untrusted("custom-metrics", &target, "").flags("--vus 1 --iterations 2").finish();
    let root = run.summary().json()["root_group"].clone();
    assert_eq!(root["groups"]["search"]["groups"]["refine"]["checks"]["search answers"]["passes"], 2, "{run}");

    // A journey that is not trusted writes no files, and the terminal gets its text.
    let folder = tempfile::tempdir().unwrap();
    let run = untrusted("summary", &target, "").current_dir(folder.path()).grant("SUMMARY", "own.json").finish();
    run.expect(exit::PASSED).prints(&["the journey saw "]).says(&["files of the journey's summary were not written"]);
    assert!(!folder.path().join("own.json").exists());
}

#[test]
fn names_are_resolved_behind_the_wall() {
    let target = practice();
    let url = target.url().replace("127.0.0.1", "localhost");
    let run = Squall::run(journey("quickstart")).flags("--untrusted --iterations 2 --allow-net").arg(&url);
    let run = run.grant("BASE_URL", url + "/").finish().expect(exit::PASSED);
    assert_eq!((target.stats().requests, run.summary().check("status is 200")), (2, (2, 0)));
}

#[test]
fn the_load_process_has_given_everything_up() {
    let target = practice();
    let run = start(&target, "/delay/100");
    let load = load_process(&run).expect("there should be a load process");
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{load}/task")).unwrap().map(Result::unwrap).collect();
    assert!(tasks.len() > 2, "workers, a collector, a clock");
    for task in tasks {
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Seccomp_filters:\t4"] {
            assert!(status.contains(line), "`{line}` is missing in {status}");
        }
    }
    let limits = fs::read_to_string(format!("/proc/{load}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{limits}");
    // What the user has in the environment stays with the user.
    let environment = fs::read(format!("/proc/{load}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("PATH=") && !environment.contains("HOME="), "{environment}");
    // Nothing it has open has a name but what swallows its output.
    for file in fs::read_dir(format!("/proc/{load}/fd")).unwrap().map(Result::unwrap) {
        let open = fs::read_link(file.path()).unwrap_or_default();
        let open = open.to_string_lossy();
        assert!(!open.starts_with('/') || open == "/dev/null" || open.starts_with("/memfd:"), "{open}");
    }
    run.signal("INT");
    run.finish().expect(exit::INTERRUPTED);
}

#[test]
fn two_signals_end_an_untrusted_run_like_any_other() {
    let target = practice();
    let run = start(&target, "/delay/1500");
    run.signal("INT");
    let run = run.finish().expect(exit::INTERRUPTED).prints(&["http_req_duration"]);
    assert_eq!(run.summary().count("iterations"), target.stats().requests, "every iteration could end");

    let target = practice();
    let run = start(&target, "/delay/600000");
    run.signal("INT");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(target.stats().in_flight, 2, "the first one interrupts nothing");
    run.signal("TERM");
    let run = run.finish().expect(exit::INTERRUPTED).prints(&["vus_max"]);
    assert_eq!(run.summary().count("iterations"), 0);
}

#[test]
fn signals_to_the_load_process_are_the_parents_business() {
    let target = practice();
    let mut run = start(&target, "/delay/20");
    let load = load_process(&run).unwrap();
    crate::support::signal(load, "INT");
    crate::support::signal(load, "TERM");
    let before = target.stats().requests;
    run.wait_until("the load goes on", |_| target.stats().requests > before + 20);
    run.signal("INT");
    run.finish().expect(exit::INTERRUPTED);
}

#[test]
fn a_load_process_that_is_killed_is_told_of_with_what_was_measured() {
    let target = practice();
    let mut run = start(&target, "/delay/20");
    let load = load_process(&run).unwrap();
    let since = target.stats().requests;
    run.wait_until("some seconds are reported", |_| target.stats().requests > since + 250);
    crate::support::signal(load, "KILL");
    let run = run.finish().expect(exit::JOURNEY);
    let run =
        run.says(&["the load process was ended by signal 9"]).prints(&["http_req_duration", "generator: INVALID"]);
    let counted = run.summary().count("http_reqs");
    assert!(counted > 0 && counted <= target.stats().requests, "{run}");
}

#[test]
fn a_load_ends_with_its_parent() {
    let target = practice();
    let run = start(&target, "/delay/20");
    let load = load_process(&run).unwrap();
    run.signal("KILL");
    assert_eq!(run.finish().code, None);
    let is_there = || {
        let status = fs::read_to_string(format!("/proc/{load}/status")).unwrap_or_default();
        status.contains("squall") && !status.contains("State:\tZ")
    };
    for _ in 0..200 {
        if !is_there() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the load process has outlived its parent");
}

#[test]
fn what_the_wall_does_not_let_through_is_refused_before_the_run() {
    let target = practice();
    let run = untrusted("quickstart", &target, "/").args(["--host", "a.test=unix:/run/a.sock"]).finish();
    run.expect(exit::REFUSED).says(&["an untrusted run has no Unix sockets", "--no-wall"]);
    let folder = tempfile::tempdir().unwrap();
    let run = untrusted("quickstart", &target, "/").env("SSLKEYLOGFILE", folder.path().join("keys")).finish();
    run.expect(exit::REFUSED).says(&["the secrets of TLS sessions"]);
    assert_eq!(target.stats().requests, 0);
}

#[test]
fn a_setup_that_loops_ends_by_its_limit_behind_the_wall() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::idle().setup(Behaviour::Loops).build(folder.path());
    Squall::run(guest).arg("--untrusted").finish().expect(exit::JOURNEY).says(&["`setup`"]);
}

#[test]
fn the_load_process_takes_orders_from_nobody_else() {
    let run = squall(["isolated-load"]).finish();
    assert_eq!(run.code, Some(1), "{run}");
    run.says(&["this command is squall's own"]);
}

/// Runs squall on a kernel that has no landlock: what this thread may not call, a process of its may not either.
fn without_landlock(arguments: &[&str], journey: &Path, url: &str) -> crate::support::Finished {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let run = Squall::run(journey).grant("BASE_URL", url).args(["--allow-net", "127.0.0.0/8"]).args(arguments);
    thread::scope(|scope| {
        let started = scope.spawn(|| {
            let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_restrict_self];
            let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
            let absent = SeccompAction::Errno(libc::ENOSYS as u32);
            let arch = std::env::consts::ARCH.try_into().unwrap();
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, absent, arch).unwrap();
            seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
            run.finish()
        });
        started.join().unwrap()
    })
}

#[test]
fn a_kernel_without_landlock_is_refused_unless_the_user_accepts_the_risk() {
    let target = practice();
    let (quickstart, url) = (journey("quickstart"), target.url() + "/");
    let refused = without_landlock(&["--untrusted"], &quickstart, &url).expect(exit::REFUSED);
    refused.says(&["landlock is missing: the kernel was built without it", "hint: ", "--no-landlock"]);
    assert_eq!(target.stats().requests, 0);
    let accepted = without_landlock(&["--untrusted", "--no-landlock"], &quickstart, &url).expect(exit::PASSED);
    accepted.says(&["untrusted: child process, no landlock, seccomp"]);
    assert_eq!(target.stats().requests, 1);
}
