//! One command, numbers and a verdict.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Guest, Squall, TargetProcess, exit, journey, left_out, practice, squall};

#[test]
fn one_command_shows_numbers_and_a_verdict() {
    let target = practice();
    let run = Squall::strict(journey("quickstart")).at(&target, "/").flags("--vus 2 --iterations 10").finish();
    let stats = target.stop();
    assert_eq!((stats.requests, stats.by_status[&200]), (10, 10));

    let run = run.expect(exit::PASSED).prints(&["http_req_duration", "p(99)=", "generator: valid"]);
    let summary = run.summary();
    assert_eq!((summary.count("http_reqs"), summary.count("iterations")), (10, 10));
    assert_eq!((summary.check("status is 200"), summary.check("has a body")), ((10, 0), (10, 0)));
}

#[test]
fn a_journey_without_options_runs_once() {
    let target = practice();
    Squall::run(journey("quickstart")).at(&target, "/").finish().expect(exit::PASSED);
    assert_eq!(target.stats().requests, 1);
}

#[test]
fn login_flow_logs_in_once_and_uses_its_token_everywhere() {
    let target = practice();
    let run = Squall::run(journey("login-flow")).at(&target, "").grant("THINK", "0").flags("--vus 4 --iterations 40");
    run.finish().expect(exit::PASSED);
    let stats = target.stats();
    assert_eq!((stats.by_route["/auth/login"], stats.by_route["/auth/profile"]), (1, 1));
    assert!(stats.by_route["/workflows"] >= 40, "{stats:?}");
    assert!(stats.by_status.keys().all(|status| *status < 400), "{stats:?}");
    let recorded = target.recorded();
    let without_token = recorded.iter().filter(|request| {
        request.target.contains("/workflows") && !request.headers.iter().any(|(name, _)| name == "authorization")
    });
    assert_eq!(without_token.count(), 0);
}

#[test]
fn the_same_seed_sends_the_same_requests() {
    let requests = |seed: &str| {
        let target = practice();
        let run = Squall::run(journey("login-flow")).at(&target, "").grant("THINK", "0");
        run.flags("--vus 1 --iterations 30 --seed").arg(seed).finish().expect(exit::PASSED);
        target
            .recorded()
            .into_iter()
            .map(|request| format!("{} {}", request.method, request.target))
            .collect::<Vec<_>>()
    };
    let first = requests("42");
    assert!(first.len() > 30);
    assert_eq!(first, requests("42"));
    assert_ne!(first, requests("43"));
}

#[test]
fn a_generator_that_drops_arrivals_is_invalid_and_says_why() {
    let target = practice();
    let run = |run: Squall| run.at(&target, "/delay/500").flags("--rate 20 --duration 2s --vus 1").finish();
    let strict = run(Squall::strict(journey("quickstart"))).expect(exit::INVALID);
    strict.prints(&["INVALID", "dropped"]);
    let allowed = run(Squall::run(journey("quickstart"))).expect(exit::PASSED);
    allowed.prints(&["INVALID"]);
}

#[test]
fn a_stall_shows_in_the_time_since_the_intended_start() {
    // Compiles the journey, so that the run starts soon after its target.
    let warm = practice();
    Squall::run(journey("quickstart")).at(&warm, "/").finish().expect(exit::PASSED);

    let target = TargetProcess::start("--stall 3s:2s");
    let run = Squall::run(journey("quickstart")).grant("BASE_URL", target.url());
    let run = run.flags("--rate 25 --duration 7s --vus 80").finish().expect(exit::PASSED);
    let summary = run.summary();
    assert_eq!((summary.count("iterations"), summary.count("dropped_iterations")), (175, 0), "{run}");
    let (_, saw) = target.stop();
    assert!(saw.starts_with("saw 175 requests"), "{saw}");

    // Of 175 arrivals, 50 are due in the stall, evenly, and wait 1 s on average: 286 ms over all. A closed model would
    // have waited out the stall with one request per VU, and a mean near 0. A busy machine may add to it.
    assert!(summary.value("iteration_total", "p(95)") >= 1000.0, "{run}");
    let mean = summary.value("iteration_total", "avg");
    assert!((260.0..=520.0).contains(&mean), "{run}");
    run.prints(&["iteration_delay", "iteration_duration", "iteration_total"]);
}

#[test]
fn version_help_and_completions_are_printed() {
    squall(["version"]).finish().expect(exit::PASSED).prints(&[env!("CARGO_PKG_VERSION")]);
    squall(["--help"]).finish().expect(exit::PASSED).prints(&["run", "inspect", "new", "target"]);
    let flags = ["--vus", "--max-vus", "--stage", "--rate", "--threshold", "--summary-export", "--seed", "--explain"];
    squall(["run", "--help"]).finish().expect(exit::PASSED).prints(&flags);
    squall(["completions", "bash"]).finish().expect(exit::PASSED).prints(&["squall"]);
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    squall(["run"]).finish().expect(exit::USAGE);
    squall(["walk"]).finish().expect(exit::USAGE).says(&["walk"]);
    squall(["run", "x.wasm", "--vuss", "3"]).finish().expect(exit::USAGE).says(&["--vus"]);
    squall(["run", "x.wasm", "--vus", "many"]).finish().expect(exit::USAGE).says(&["many"]);
}

#[test]
fn inspect_tells_what_a_component_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::with_options(r#"{"vus": 3, "iterations": 12}"#).build(folder.path());
    let size = std::fs::metadata(&path).unwrap().len().to_string();
    let inspected = squall([std::ffi::OsStr::new("inspect"), path.as_os_str()]).finish().expect(exit::PASSED);
    let inspected = inspected.prints(&["squall:journey", "iterate", "handle-summary", "sha256", &size]);
    assert!(inspected.explains("iterations", "12", "journey options"), "{inspected}");
    assert!(inspected.explains("vus", "3", "journey options"), "{inspected}");

    let http = squall([std::ffi::OsStr::new("inspect"), journey("quickstart").as_os_str()]).finish();
    http.expect(exit::PASSED).prints(&["squall:journey/http@0.1.1"]);
}

#[test]
fn new_makes_a_crate_and_leaves_an_existing_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    squall(["new", "shop"]).current_dir(folder.path()).finish().expect(exit::PASSED);
    let manifest = std::fs::read_to_string(folder.path().join("shop/Cargo.toml")).unwrap();
    assert!(manifest.contains("squall-sdk") && manifest.contains("cdylib"), "{manifest}");
    let source = std::fs::read_to_string(folder.path().join("shop/src/lib.rs")).unwrap();
    assert!(source.contains("journey!"), "{source}");

    let again = squall(["new", "shop"]).current_dir(folder.path()).finish();
    assert_ne!(again.code, Some(exit::PASSED));
    again.says(&["shop"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("shop/src/lib.rs")).unwrap(), source);
}

#[test]
fn target_prints_its_url_serves_and_says_what_it_saw() {
    let target = TargetProcess::start("--latency 1ms --rate-limit 1000");
    let mut stream = TcpStream::connect(target.url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let (code, saw) = target.stop();
    assert_eq!(code, Some(exit::PASSED));
    assert!(saw.contains("saw 1 request on 1 connection") && saw.contains("/health"), "{saw}");
}

#[test]
fn target_stays_on_this_machine_unless_told_otherwise() {
    let refused = squall(["target", "--listen", "0.0.0.0:0"]).finish().expect(exit::USAGE);
    refused.says(&["`--listen 0.0.0.0:0`", "--allow-remote"]);
    let used = practice();
    let taken = squall(["target", "--listen", &used.addr().to_string()]).finish().expect(exit::CONFIGURATION);
    taken.says(&["cannot listen on"]);
    squall(["target", "--stall", "soon"]).finish().expect(exit::USAGE).says(&["`soon` is not a stall"]);
}

#[test]
fn quiet_prints_no_progress() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--vus 1 --duration 2s --quiet");
    let run = run.grant("SLEEP", "0.1").finish().expect(exit::PASSED);
    assert!(run.took >= Duration::from_secs(2));
    assert_eq!(run.stderr.lines().filter(|line| line.contains("VUs")).count(), 0, "{run}");
}

#[test]
fn a_terminal_shows_one_line_for_each_scenario_and_keeps_it_up_to_date() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").grant("SLEEP", "0.1").flags("--vus 2 --duration 3s");
    let Some(run) = run.on_terminal() else {
        left_out("progress on a terminal: it needs `script` of util-linux");
        return;
    };
    let run = run.finish().expect(exit::PASSED);
    let redrawn: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("default [")).collect();
    let [line] = redrawn[..] else { panic!("one line of progress should stay on the screen\n{run}") };
    let states: Vec<&str> = line.split('\r').collect();
    assert!(states.len() >= 3 && states[1..].iter().all(|state| state.starts_with("\u{1b}[")), "{run}");
    let shown = |texts: &[&str]| texts.iter().all(|text| states.iter().any(|state| state.contains(text)));
    assert!(shown(&["s/3s  2/2 VUs", "/s  p95 ", " ms  0 failed", "[====================]"]), "{run}");
    run.prints(&["TOTAL RESULTS", "generator: "]);
}
