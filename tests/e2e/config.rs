//! Where values come from, and which one counts.

use crate::support::{Behaviour, Finished, Guest, Squall, exit, journey, practice, write};

/// Runs a journey that wants 2 iterations under further sources, and returns how many there were.
#[track_caller]
fn iterations(toml: Option<&str>, variable: Option<&str>, flag: Option<&str>) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Squall::run(Guest::with_options(r#"{"iterations": 2}"#).build(folder.path()));
    if let Some(toml) = toml {
        run = run.arg("--config").arg(write(folder.path(), "squall.toml", toml));
    }
    if let Some(variable) = variable {
        run = run.env("SQUALL_ITERATIONS", variable);
    }
    if let Some(flag) = flag {
        run = run.args(["--iterations", flag]);
    }
    run.finish().expect(exit::PASSED).summary().count("iterations")
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_journey() {
    let file = Some("iterations = 3\n");
    assert_eq!(iterations(None, None, None), 2);
    assert_eq!(iterations(file, None, None), 3);
    assert_eq!(iterations(file, Some("4"), None), 4);
    assert_eq!(iterations(file, Some("4"), Some("5")), 5);
    assert_eq!(iterations(None, None, Some("6")), 6);
}

#[test]
fn explain_prints_the_plan_and_where_each_value_came_from_and_runs_nothing() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "iterations = 30\nuserAgent = \"me\"\n");
    let run = Squall::run(journey("login-flow")).at(&target, "").arg("--config").arg(config);
    let run = run.env("SQUALL_VUS", "3").flags("--seed 42 --explain").finish().expect(exit::PASSED);
    assert!(run.explains("executor", "shared-iterations", "squall.toml:1"), "{run}");
    assert!(run.explains("iterations", "30", "squall.toml:1"), "{run}");
    assert!(run.explains("vus", "3", "SQUALL_VUS"), "{run}");
    assert!(run.explains("seed", "42", "--seed"), "{run}");
    assert!(run.explains("userAgent", "me", "squall.toml:2"), "{run}");
    assert!(run.explains("thresholds.http_req_failed", "rate<0.01", "journey options"), "{run}");
    assert!(run.explains("maxRedirects", "10", "default"), "{run}");
    assert_eq!(target.stats().requests, 0);
}

#[test]
fn load_at_a_higher_level_replaces_scenarios_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = r#"{"scenarios": {"soak": {"executor": "constant-vus", "vus": 1, "duration": "10m"}}}"#;
    let run = Squall::run(Guest::with_options(options).build(folder.path())).flags("--vus 2 --iterations 7").finish();
    let run = run.expect(exit::PASSED).says(&["warning: ", "scenarios"]);
    assert_eq!(run.summary().count("iterations"), 7);
}

#[test]
fn an_option_that_nobody_reads_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::with_options(r#"{"iterations": 1, "linger": true}"#).build(folder.path());
    Squall::run(path).finish().expect(exit::PASSED).says(&["warning: ", "`linger`"]);
}

#[test]
fn a_mistake_in_the_file_is_shown_with_its_place() {
    let run = |toml: &str| -> Finished {
        let folder = tempfile::tempdir().unwrap();
        let config = write(folder.path(), "squall.toml", toml);
        Squall::run(Guest::idle().build(folder.path())).arg("--config").arg(config).finish().expect(exit::CONFIGURATION)
    };
    run("vus = 1\niteration = 3\n").says(&["`iteration`", "`iterations`", "squall.toml:2"]);
    run("vus = \"many\"\n").says(&["many", "squall.toml:1"]);
    run("vus = \n").says(&["squall.toml"]);
    run("[scenarios.a]\nexecutor = \"constant-vus\"\nvus = 1\n").says(&["`a`", "duration"]);
}

#[test]
fn a_missing_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = Squall::run(Guest::idle().build(folder.path())).flags("--config /nowhere/squall.toml").finish();
    run.expect(exit::CONFIGURATION).says(&["`/nowhere/squall.toml`"]);
}

#[test]
fn a_variable_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = Squall::run(Guest::idle().build(folder.path())).env("SQUALL_ITERATIONS", "few").finish();
    run.expect(exit::CONFIGURATION).says(&["SQUALL_ITERATIONS", "few"]);
}

#[test]
fn a_journey_sees_only_what_it_is_granted() {
    // `abort` marks the run as failed if it can read `HOW=fail`, and aborts it if it cannot.
    let abort = || Squall::run(journey("abort")).flags("--vus 1 --iterations 2");
    abort().env("HOW", "fail").finish().expect(exit::ABORTED);
    abort().grant("HOW", "fail").finish().expect(exit::MARKED_FAILED);
}

#[test]
fn variables_come_from_the_file_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "iterations = 2\n[env]\nHOW = \"fail\"\n");
    let run = || Squall::run(journey("abort")).arg("--config").arg(&config);
    run().finish().expect(exit::MARKED_FAILED);
    run().grant("HOW", "abort").finish().expect(exit::ABORTED);
}

#[test]
fn failed_iterations_may_be_as_many_as_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().iterate(Behaviour::Fails).build(folder.path());
    let run = || Squall::run(&path).flags("--iterations 5");
    let failed = run().finish().expect(exit::JOURNEY).says(&["on purpose", "100", "5"]);
    assert_eq!(failed.summary().value("iterations_failed", "value"), 1.0);
    run().flags("--max-failed-iterations 100%").finish().expect(exit::PASSED);
}

#[test]
fn files_that_options_name_are_read_from_beside_the_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let (nested, name) = (folder.path().join("conf"), "users.csv");
    std::fs::create_dir(&nested).unwrap();
    write(&nested, name, "ann,bob");
    write(&nested, "root.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    let config = write(&nested, "squall.toml", "files = [\"users.csv\"]\ntls-roots = \"root.pem\"\n");
    let path = Guest::idle().build(folder.path());
    let run = || Squall::run(&path).arg("--config").arg(&config).flags("--explain --http-debug -w");
    let shown = run().env("SSLKEYLOGFILE", "keys.log").finish().expect(exit::PASSED);
    assert!(shown.explains("tlsRoots", "root.pem", "squall.toml:2"), "{shown}");
    assert!(shown.explains("tlsKeyLog", "keys.log", "SSLKEYLOGFILE"), "{shown}");
    assert!(shown.explains("httpDebug", "headers", "--http-debug"), "{shown}");
    assert!(shown.to_string().contains("conf/users.csv, 7B"), "{shown}");
    std::fs::remove_file(nested.join(name)).unwrap();
    run().finish().expect(exit::CONFIGURATION).says(&["conf/users.csv", "`users.csv`", "squall.toml:1"]);
}

#[test]
fn a_journey_of_someone_else_chooses_no_file_and_no_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let options = r#"{"files": {"passwords": "/etc/passwd"}, "proxy": "http://127.0.0.1:1",
                      "tlsAuth": [{"cert": "/etc/passwd", "key": "/etc/passwd"}]}"#;
    let run = Squall::run(Guest::with_options(options).build(folder.path())).finish();
    run.expect(exit::CONFIGURATION).says(&["`files` is not", "`proxy` is not", "`tlsAuth[0].cert` is no PEM text"]);
}

#[test]
fn secrets_of_options_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().build(folder.path());
    let flags = "--explain --proxy http://me:hunter2@127.0.0.1:1";
    let run = Squall::run(&path).flags(flags).finish().expect(exit::PASSED);
    assert!(run.explains("proxy", "http://(hidden)@127.0.0.1:1", "--proxy"), "{run}");
    assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"), "{run}");
}
