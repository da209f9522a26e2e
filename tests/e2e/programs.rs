//! Ordinary programs, which have never heard of squall: each iteration is one run.

use serde_json::Value;
use squall::practice::Options;

use crate::support::{Finished, Squall, exit, journey, practice, practice_with, squall};

fn command(words: &str) -> Squall {
    // The flags come first: what follows `--` is the program's.
    with_flags("", words)
}

fn with_flags(flags: &str, words: &str) -> Squall {
    Squall::run(journey("command")).flags(flags).arg("--").args(words.split_whitespace())
}

fn failed(run: &Finished) -> f64 {
    run.summary().value("iterations_failed", "passes")
}

#[test]
fn a_program_is_told_its_name_its_arguments_and_its_variables_and_nothing_else() {
    let run = Squall::run(journey("command")).args(["--", "a b", "--vus", "--"]).finish().expect(exit::PASSED);
    run.says(&[r#"run 1 of ["command.wasm", "a b", "--vus", "--"]"#]);
    let run = with_flags("--env GRANTED=1 --env B=2", "env").env("NOT_GRANTED", "3").finish().expect(exit::PASSED);
    run.says(&["env [B=2 GRANTED=1]"]);
    command("read").finish().expect(exit::PASSED).says(&["stdin Ok(0), file true"]);
}

#[test]
fn every_iteration_is_a_run_of_its_own() {
    let run = with_flags("--vus 3 --iterations 30", "x").finish().expect(exit::PASSED);
    assert_eq!((run.summary().count("iterations"), failed(&run)), (30, 0.0));
    let run = run.says(&["run 1 of"]);
    assert!(!run.stderr.contains("run 2 of"), "{run}");
}

#[test]
fn how_it_exits_is_how_the_iteration_ends() {
    assert_eq!(failed(&command("exit 0").finish().expect(exit::PASSED)), 0.0);
    // What the program wrote last is told with the failure.
    let run = with_flags("--iterations 2", "fail").finish().expect(exit::JOURNEY);
    let run = run.says(&["exited with status 1", "it had logged", "one last word", "and half of another"]);
    assert_eq!(failed(&run), 2.0);
    let run = command("exit 1").finish().expect(exit::JOURNEY).says(&["exited with status 1"]);
    assert_eq!(failed(&run), 1.0);
    let run = command("panic").finish().expect(exit::JOURNEY);
    let run = run.says(&["iteration 0 trapped", "unreachable", "it had logged", "broken on purpose"]);
    assert_eq!(failed(&run), 1.0);
}

#[test]
fn an_unmodified_client_makes_load_with_two_hundred_users() {
    let target = practice();
    let url = format!("{}/health", target.url());
    let run = Squall::run(journey("program")).flags("--vus 200 --iterations 2000").args(["--", &url]);
    let run = run.finish().expect(exit::PASSED);
    let stats = target.stats();
    assert_eq!(stats.by_route["/health"], 2000);
    // A virtual user keeps its connection from run to run.
    assert_eq!(stats.connections, 200);
    let summary = run.summary();
    assert_eq!((summary.count("http_reqs"), summary.count("iterations"), failed(&run)), (2000, 2000, 0.0));
    assert!(summary.value("http_req_waiting", "max") > 0.0);
    let fresh = Squall::run(journey("program")).flags("--iterations 5 --connections per-iteration").args(["--", &url]);
    fresh.finish().expect(exit::PASSED);
    assert_eq!(target.stats().connections, 205);
    let missing = Squall::run(journey("program")).args(["--", &format!("{}/nowhere", target.url())]);
    missing.finish().expect(exit::JOURNEY).says(&["exited with status 1", "status 404"]);
}

#[test]
fn two_hundred_users_take_no_more_memory_the_longer_they_run() {
    let target = practice();
    let url = format!("{}/health", target.url());
    let peak = |duration: &str| {
        let run = Squall::run(journey("program")).flags("--vus 200 --duration").args([duration, "--", &url]);
        run.finish().expect(exit::PASSED).peak
    };
    let (Some(short), Some(long)) = (peak("2s"), peak("10s")) else {
        return crate::support::left_out("this system does not tell how much memory a process has held");
    };
    assert!(long < short + 20_000, "{short} KiB after 2 s and {long} KiB after 10 s");
}

#[test]
fn limits_hold_for_programs_too() {
    let run = with_flags("--cpu-timeout 200ms", "loop").finish().expect(exit::JOURNEY);
    run.says(&["iteration 0 timed out", "`cpu-timeout`"]);
    let run = with_flags("--iteration-timeout 100ms", "sleep 60000").finish().expect(exit::JOURNEY);
    run.says(&["timed out", "`iteration-timeout`"]);
    let run = with_flags("--memory 4MiB --iterations 3", "grow 8").finish().expect(exit::JOURNEY);
    assert_eq!(failed(&run), 3.0);
    let run = with_flags("--max-traps 3 --iterations 1000", "panic").finish().expect(exit::JOURNEY);
    run.says(&["3 iterations trapped or timed out"]);
}

#[test]
fn a_program_is_interrupted_when_its_time_is_up() {
    let config = tempfile::tempdir().unwrap();
    let path = config.path().join("squall.toml");
    let text = "[scenarios.one]\nexecutor = \"constant-vus\"\nvus = 5\nduration = \"1s\"\ngracefulStop = \"0s\"\n\
                args = [\"sleep\", \"60000\"]\n";
    std::fs::write(&path, text).unwrap();
    let run = Squall::run(journey("command")).arg("--config").arg(&path).finish().expect(exit::PASSED);
    assert_eq!(run.summary().count("iterations"), 0);
    assert!(run.took.as_secs() < 60, "{run}");
}

#[test]
fn many_runs_leave_no_memory_behind() {
    let peak = |flags: &str| {
        let run = with_flags(flags, "grow 2").finish().expect(exit::PASSED);
        run.peak
    };
    // 20 MB more for what outlives a run by design: samples, messages, the allocator's own.
    let (Some(few), Some(many)) = (peak("--vus 20 --iterations 100"), peak("--vus 20 --iterations 4000")) else {
        return crate::support::left_out("this system does not tell how much memory a process has held");
    };
    assert!(many < few + 20_000, "{few} KiB after 100 runs and {many} KiB after 4,000");
    let budget = with_flags("--vus 4 --iterations 400 --run-memory 32MiB", "grow 2").finish().expect(exit::PASSED);
    assert_eq!(failed(&budget), 0.0);
}

#[test]
fn an_untrusted_program_runs_behind_the_wall() {
    let flags = "--untrusted --env GRANTED=1 --vus 2 --iterations 4";
    with_flags(flags, "env").finish().expect(exit::PASSED).says(&["env [GRANTED=1]"]);
    let run = with_flags(flags, "panic").finish().expect(exit::JOURNEY).says(&["broken on purpose"]);
    assert_eq!(failed(&run), 4.0);
}

#[test]
fn what_only_one_kind_has_the_other_is_refused() {
    let run = Squall::run(journey("noop")).args(["--", "x"]).finish().expect(exit::CONFIGURATION);
    run.says(&["`--`: a journey takes no arguments", "--env NAME=VALUE"]);
    let neither = tempfile::tempdir().unwrap();
    let path = neither.path().join("empty.wasm");
    std::fs::write(&path, wat::parse_str("(component)").unwrap()).unwrap();
    let run = Squall::run(path).finish().expect(exit::JOURNEY);
    run.says(&["exports neither what a journey does nor `wasi:cli/run`", "squall:journey/journey@0.1.1"]);
}

#[test]
fn inspect_says_that_it_is_a_program() {
    let component = journey("command");
    let shown =
        squall(["inspect".as_ref(), component.as_os_str()]).args(["--", "a", "b"]).finish().expect(exit::PASSED);
    let shown = shown.prints(&["kind      program", "world     wasi:cli/command@0.2", "read variables and arguments"]);
    assert!(shown.explains("args", "a, b", "--"), "{shown}");
    assert!(!shown.stdout.contains("setupTimeout"), "{shown}");
    let json = squall(["inspect".as_ref(), component.as_os_str()]).arg("--json").finish().expect(exit::PASSED);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["component"]["kind"], &json["options"]), (&Value::from("program"), &Value::Null));
}

#[test]
fn a_socket_of_its_own_is_not_there_unless_it_is_granted() {
    let target = practice();
    let at = target.addr().to_string();
    let run = Squall::run(journey("std-net")).args(["--", "try", &at]).finish().expect(exit::PASSED);
    run.says(&["PermissionDenied", "a socket of its own, which is not granted", "--allow-import 'wasi:sockets/*'"]);
    let run = Squall::run(journey("std-net")).args(["--", "look-up", "localhost"]).finish().expect(exit::PASSED);
    run.says(&["found Err("]);
    assert_eq!(target.stats().requests, 0);
}

fn sockets(flags: &str, words: &[&str]) -> Squall {
    let run = Squall::run(journey("std-net")).args(["--allow-import", "wasi:sockets/*"]).flags(flags);
    run.arg("--").args(words)
}

#[test]
fn what_goes_over_its_sockets_is_measured() {
    let target = practice();
    let at = target.addr().to_string();
    let run = sockets("--vus 5 --iterations 50", &["get", &at, "/health"]).finish().expect(exit::PASSED);
    assert_eq!(target.stats().by_route["/health"], 50);
    let summary = run.summary();
    assert_eq!(summary.count("socket_sessions"), 50);
    let request = format!("GET /health HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n").len();
    assert_eq!(summary.value("data_sent", "count"), 50.0 * request as f64);
    assert!(summary.value("data_received", "count") > 50.0 * 100.0);
    assert!(summary.value("socket_connecting", "max") > 0.0);
    assert!(summary.value("socket_session_duration", "max") > 0.0);
}

#[test]
fn the_door_is_the_same_for_sockets_of_its_own() {
    let target = practice();
    let at = target.addr();
    let (port, named) = (at.port(), format!("shop.test:{}", at.port()));
    let hosts = format!("--host shop.test={}", at.ip());
    // By its name, which leads to an address that nobody is allowed by itself.
    let flags = format!("{hosts} --allow-net {named}");
    let run = sockets(&flags, &["try", &named]).finish().expect(exit::PASSED);
    run.says(&[&format!("denied: `tcp://{named}` is not allowed")]);
    let flags = format!("{hosts} --allow-net {named} --allow-net 127.0.0.1:{port}");
    let run = sockets(&flags, &["get", &named, "/health"]).finish().expect(exit::PASSED);
    assert_eq!((target.stats().by_route["/health"], run.summary().count("socket_sessions")), (1, 1));
    let run = sockets(&flags, &["try", "127.0.0.2:9"]).finish().expect(exit::PASSED);
    let run = run.says(&["a socket was refused: denied: `tcp://127.0.0.2:9` is not allowed", "PermissionDenied"]);
    assert_eq!(run.summary().count("policy_denied"), 1);
    let run = sockets(&flags, &["look-up", "other.test"]).finish().expect(exit::PASSED);
    run.says(&["a socket was refused: denied: `other.test` is not allowed"]);
    // A wall around it changes nothing of that.
    let flags = format!("--untrusted --allow-net 127.0.0.1:{port}");
    sockets(&flags, &["get", &at.to_string(), "/health"]).finish().expect(exit::PASSED);
    assert_eq!(target.stats().by_route["/health"], 2);
}

#[test]
fn connections_have_places_and_nobody_listens() {
    let target = practice();
    let at = target.addr().to_string();
    let run = sockets("--max-connections 3", &["many", &at, "5"]).finish().expect(exit::PASSED);
    run.says(&["open 3", "too many connections: limit 3 (`limits.maxConnections`)"]);
    sockets("", &["listen", "127.0.0.1:0"]).finish().expect(exit::PASSED).says(&["listen Err(PermissionDenied)"]);
    sockets("", &["datagram-from", "0.0.0.0:4444"]).finish().expect(exit::PASSED).says(&["bind Err(PermissionDenied)"]);
}

#[test]
fn datagrams_come_back() {
    let options = Options { udp: Some("127.0.0.1:0".parse().unwrap()), ..Options::default() };
    let target = practice_with(options);
    let at = target.udp().expect("it was asked for").to_string();
    let run = sockets("", &["datagram", &at, "hello"]).finish().expect(exit::PASSED).says(&[r#"datagram Ok("hello")"#]);
    let summary = run.summary();
    assert_eq!((summary.value("data_sent", "count"), summary.value("data_received", "count")), (5.0, 5.0));
    assert_eq!(summary.count("socket_sessions"), 1);
}
