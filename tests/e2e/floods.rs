//! Journeys that give the host more than it takes: names, values and words. It keeps so much of them, counts the rest, and
//! says so once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Finished, Squall, exit, journey, practice};

/// Runs one iteration of the journey `flood`.
fn flood(what: &str, count: u32, config: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squall.toml");
    std::fs::write(&path, config).unwrap();
    let run = Squall::run(journey("flood")).grant("WHAT", what).grant("COUNT", count.to_string());
    run.arg("--config").arg(path).flags("--vus 1 --iterations 1 --no-setup --cpu-timeout 60s").finish()
}

/// The memory of the process, in MiB, where the system tells.
fn peak(run: &Finished) -> u64 {
    run.peak.unwrap_or_default() / 1024
}

/// How many warnings there are that hold a text.
fn warnings(run: &Finished, text: &str) -> usize {
    run.stderr.lines().filter(|line| line.starts_with("warning: ") && line.contains(text)).count()
}

#[test]
fn a_million_log_lines_are_cut_to_the_rate_and_counted() {
    for what in ["logs", "stdout"] {
        let run = flood(what, 1_000_000, "").expect(exit::PASSED);
        let (lines, bytes) = (run.stderr.lines().count(), run.stderr.len() as u64);
        let most = (run.took.as_secs() + 3) * (1 << 20);
        assert!(bytes < most && lines > 100, "{what}: {bytes} bytes in {:?}, {lines} lines", run.took);
        assert_eq!(warnings(&run, "messages of the journey were dropped: it logs more than it may"), 1);
        assert!(peak(&run) < 400, "{what}: {} MiB", peak(&run));
    }
}

#[test]
fn a_million_names_of_checks_become_so_many_and_others() {
    let run = flood("checks", 1_000_000, "[limits]\nnames = 500\n").expect(exit::PASSED);
    let summary = run.summary();
    assert_eq!(summary.value("checks", "passes"), 1_000_000.0);
    let checks = summary.json()["root_group"]["checks"].as_object().unwrap().clone();
    assert_eq!((checks.len(), &checks["_other"]["passes"]), (501, &Value::from(999_500)));
    assert_eq!(checks["check 7"]["passes"], 1);
    assert_eq!(warnings(&run, "more than 500 names of checks"), 1, "{run}");
    assert!(peak(&run) < 400, "{} MiB", peak(&run));
}

#[test]
fn a_million_groups_become_so_many_and_others() {
    let run = flood("groups", 200_000, "[limits]\nnames = 200\n").expect(exit::PASSED);
    assert!(run.stderr.contains("more than 200 groups"), "{run}");
    let text = run.summary().json()["root_group"].to_string();
    assert!(text.contains("\"::_other\"") && text.matches("\"path\"").count() <= 210, "{}", text.len());
    assert!(peak(&run) < 400, "{} MiB", peak(&run));
}

#[test]
fn a_hundred_thousand_urls_and_tags_become_so_many_and_others() {
    for (what, count, warning) in [
        ("requests", 50_000, "more than 50 values of a tag"),
        ("tag-values", 200_000, "more than 50 values of a tag"),
        ("tag-names", 200_000, "tags went to `_other`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("points.json");
        let config = format!("out = [\"json={}\"]\n[limits]\ntagValues = 50\n", file.display());
        let run = flood(what, count, &config);
        assert_eq!(warnings(&run, warning), 1, "{what}\n{run}");
        let metric = if what == "requests" { "http_reqs" } else { "orders" };
        assert_eq!(run.summary().count(metric), u64::from(count), "{what}: nothing is lost");
        let points = std::fs::read_to_string(file).unwrap();
        assert!(points.contains("\"_other\""), "{what}");
        assert!(peak(&run) < 400, "{what}: {} MiB", peak(&run));
    }
}

#[test]
fn values_that_are_no_numbers_and_ids_of_nobody_are_dropped_and_told_of_once() {
    let run = flood("values", 100_000, "").expect(exit::PASSED);
    let size = run.summary().metric("size").clone();
    assert_eq!(
        (size["min"].as_f64(), size["max"].as_f64(), size["avg"].as_f64()),
        (Some(-2.0), Some(4.0), Some(2.0 / 3.0))
    );
    assert_eq!(warnings(&run, "100000 values were dropped"), 1, "{run}");
    assert!(run.stderr.lines().count() < 50, "{run}");
    let run = flood("ids", 100_000, "").expect(exit::PASSED);
    assert_eq!(warnings(&run, "200000 results and values were dropped"), 1, "{run}");
    assert!(run.stderr.lines().count() < 50, "{run}");
}

#[test]
fn what_a_journey_says_is_plain_text_wherever_it_is_shown() {
    let is_plain = |text: &str| {
        let is_special = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
        !text.contains(|char| is_special(char) || matches!(char, '\u{202e}' | '\u{2028}'))
    };
    let run = flood("ugly", 1, "untrusted = true\n");
    assert!(is_plain(&run.stderr), "{:?}", run.stderr);
    assert!(is_plain(&run.stdout), "{:?}", run.stdout);
    assert!(!run.stderr.lines().any(|line| line.starts_with("error: forged")), "{run}");
    assert_eq!(warnings(&run, "1 files of the journey's summary were not written, first `summary.txt`"), 1, "{run}");
    let run = flood("ugly", 1, "");
    assert!(is_plain(&run.stderr) && run.stdout.contains("\x1b[31mred"), "{run}");
    assert!(run.took < Duration::from_mins(1));
}

#[test]
fn a_request_that_is_larger_than_it_may_be_is_not_sent() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squall.toml");
    std::fs::write(&path, "[limits]\nrequestBytes = 10000\n").unwrap();
    let (url, long) = (target.url() + "/echo", "x".repeat(20_000));
    let many: serde_json::Map<String, Value> = (0..1001).map(|number| (format!("h{number}"), json!("v"))).collect();
    let pieces = ["x".repeat(6000), "x".repeat(6000)];
    let steps = json!([
        { "url": url, "method": "POST", "body_size": 20_000 },
        { "url": url, "headers": { "a": long } },
        { "url": url, "headers": many },
        { "url": url, "headers": { "content-length": "3" } },
        { "url": url, "headers": { "transfer-encoding": "chunked" } },
        { "url": url, "headers": { "a": "b\r\nc: d" } },
        { "url": url, "method": "GET /x HTTP/1.1\r\na: b\r\n\r\nGET" },
        { "url": format!("{url}?{}", "x".repeat(65_536)) },
        { "url": url, "method": "POST", "upload": [], "upload_length": 20_000 },
    ]);
    let run = Squall::fetch(&steps).arg("--config").arg(&path).finish();
    let answers = run.answers();
    let errors: Vec<&str> = answers.iter().map(|answer| answer["error"].as_str().unwrap_or_default()).collect();
    assert_eq!((errors.len(), target.stats().requests), (9, 0), "{run}");
    let words = ["requestBytes", "requestBytes", "1000 headers", "set by squall", "set by squall", "line break"];
    for (error, words) in errors.iter().zip(words.into_iter().chain(["not a method", "limit is", "requestBytes"])) {
        assert!(error.contains(words), "`{words}` is not in `{error}`");
    }
    let steps = json!([{ "url": url, "method": "POST", "upload": pieces }, { "url": url }]);
    let run = Squall::fetch(&steps).arg("--config").arg(&path).finish();
    assert!(run.stderr.contains("limits.requestBytes"), "{run}");
}

#[test]
fn a_vu_has_so_many_connections_and_requests_in_flight() {
    let target = practice();
    let slow = json!({ "url": target.url() + "/delay/200" });
    let batch = json!([{ "batch": vec![slow; 6] }]);
    let run = |limits: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("squall.toml");
        std::fs::write(&path, format!("[limits]\n{limits}\n")).unwrap();
        Squall::fetch(&batch).arg("--config").arg(&path).finish()
    };
    let count =
        |run: &Finished, text: &str| run.answers().iter().filter(|answer| answer.to_string().contains(text)).count();
    let few = run("maxConnections = 2");
    let refused = "too many connections: limit 2 (`limits.maxConnections`)";
    assert_eq!((count(&few, refused), count(&few, "\"status\":200")), (4, 2), "{few}");
    assert_eq!(target.stats().requests, 2);
    let all = run("maxConnections = 2\nrequestsInFlight = 2");
    assert_eq!(count(&all, "\"status\":200"), 6, "{all}");
}
