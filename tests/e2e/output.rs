//! What a run leaves behind: the summary, its JSON, and the points.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use squall::practice::Server;

use crate::support::{Finished, Squall, exit, journey, practice, write};

/// Runs the quickstart with `--out json=FILE` and returns the lines.
fn points(target: &Server, path: &str, flags: &[&str]) -> (Finished, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = Squall::run(journey("quickstart")).at(target, path).args(flags);
    let run = run.arg("--out").arg(format!("json={}", file.display())).finish();
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("every line should be JSON"));
    (run, lines.collect())
}

fn of<'a>(lines: &'a [Value], kind: &str, metric: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind && line["metric"] == metric).collect()
}

#[test]
fn the_exported_summary_agrees_with_the_target() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/bytes/500").flags("--vus 2 --iterations 20");
    let summary = run.finish().expect(exit::PASSED).summary();
    assert_eq!(summary.count("http_reqs"), target.stats().requests);
    assert!(summary.value("http_reqs", "rate") > 0.0);
    assert!(summary.value("data_received", "count") >= 20.0 * 500.0);
    assert!(summary.value("data_sent", "count") >= 20.0 * 40.0);
    let trend = summary.metric("http_req_duration");
    let values = ["min", "med", "p(90)", "p(95)", "max"].map(|field| trend[field].as_f64().expect("a number"));
    assert!(values.is_sorted(), "{trend}");
    assert_eq!(summary.value("http_req_failed", "passes"), 0.0);
    assert_eq!(summary.value("http_req_failed", "fails"), 20.0);
    assert!(summary.metric("http_req_duration{expected_response:true}").is_object());
}

#[test]
fn the_exported_summary_has_the_shape_of_k6() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--iterations 3").finish();
    let summary = run.expect(exit::PASSED).summary();
    let root = &summary.json()["root_group"];
    assert_eq!((&root["name"], &root["path"]), (&Value::from(""), &Value::from("")));
    assert_eq!(root["id"], "d41d8cd98f00b204e9800998ecf8427e");
    let check = &root["checks"]["status is 200"];
    assert_eq!((&check["path"], check["id"].as_str().map(str::len)), (&Value::from("::status is 200"), Some(32)));
    assert_eq!(summary.value("vus", "max"), 1.0);
    assert_eq!(summary.value("checks", "value"), 1.0);
}

#[test]
fn groups_nest_in_the_exported_summary() {
    let target = practice();
    let run = Squall::run(journey("custom-metrics")).at(&target, "").flags("--vus 1 --iterations 2").finish();
    let root = run.summary().json()["root_group"].clone();
    let refine = &root["groups"]["search"]["groups"]["refine"];
    assert_eq!(refine["path"], "::search::refine");
    assert_eq!(refine["checks"]["search answers"]["passes"], 2);
}

#[test]
fn every_request_is_a_point_with_its_tags() {
    let target = practice();
    let (run, lines) = points(&target, "/health", &["--vus", "2", "--iterations", "12", "--tag", "build=17"]);
    run.expect(exit::PASSED);
    let requests = of(&lines, "Point", "http_reqs");
    assert_eq!(requests.len() as u64, target.stats().requests);
    for request in requests {
        let tags = &request["data"]["tags"];
        let url = format!("{}/health", target.url());
        for (name, value) in [
            ("method", "GET"),
            ("status", "200"),
            ("url", &url),
            ("name", &url),
            ("scenario", "default"),
            ("expected_response", "true"),
            ("group", ""),
            ("build", "17"),
        ] {
            assert_eq!(tags[name], value, "{name}: {tags}");
        }
        assert_eq!(request["data"]["value"], 1.0);
        let time = request["data"]["time"].as_str().unwrap();
        assert!(time.len() >= "2026-01-01T00:00:00Z".len() && time.as_bytes()[10] == b'T', "{time}");
    }
    let checks: BTreeSet<_> =
        of(&lines, "Point", "checks").iter().map(|check| check["data"]["tags"]["check"].as_str().unwrap()).collect();
    assert_eq!(checks, BTreeSet::from(["has a body", "status is 200"]));
}

#[test]
fn every_metric_is_defined_once_before_its_first_point() {
    let target = practice();
    let flags = ["--iterations", "3", "--threshold", "http_req_duration: p(95)<60000"];
    let (run, lines) = points(&target, "/", &flags);
    run.expect(exit::PASSED);
    let mut defined = BTreeMap::new();
    for line in &lines {
        let metric = line["metric"].as_str().expect("every line names its metric");
        if line["type"] == "Metric" {
            assert!(defined.insert(metric, &line["data"]).is_none(), "`{metric}` is defined twice");
        } else {
            assert!(defined.contains_key(metric), "`{metric}` is not defined before its first point");
        }
    }
    let duration = defined["http_req_duration"];
    assert_eq!((&duration["type"], &duration["contains"]), (&Value::from("trend"), &Value::from("time")));
    assert_eq!(duration["thresholds"], serde_json::json!(["p(95)<60000"]));
    for (metric, kind) in
        [("http_reqs", "counter"), ("checks", "rate"), ("vus", "gauge"), ("iteration_duration", "trend")]
    {
        assert_eq!(defined[metric]["type"], kind);
    }
}

#[test]
fn points_add_up_to_the_summary() {
    let target = practice();
    let (run, lines) = points(&target, "/bytes/100", &["--vus", "3", "--iterations", "50"]);
    let summary = run.expect(exit::PASSED).summary();
    let sum =
        |metric| of(&lines, "Point", metric).iter().map(|point| point["data"]["value"].as_f64().unwrap()).sum::<f64>();
    assert_eq!(sum("iterations") as u64, 50);
    assert_eq!(sum("data_received") as u64, summary.count("data_received"));
    let durations = of(&lines, "Point", "http_req_duration");
    let most = durations.iter().map(|point| point["data"]["value"].as_f64().unwrap()).fold(0.0, f64::max);
    let reported = summary.value("http_req_duration", "max");
    assert!((most - reported).abs() <= 0.01 * most, "{most} against {reported}");
}

#[test]
fn points_can_go_to_stdout() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--iterations 2 --out json=-").finish();
    let run = run.expect(exit::PASSED);
    let points = run.stdout.lines().filter(|line| line.starts_with("{\"metric\":\"http_reqs\""));
    assert_eq!(points.count(), 2, "{run}");
}

#[test]
fn a_summary_on_a_pipe_is_plain_text_in_the_layout_of_k6() {
    let target = practice();
    let run = Squall::run(journey("quickstart")).at(&target, "/").flags("--vus 2 --iterations 10").finish();
    let run = run.expect(exit::PASSED);
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{run}");
    }
    let mut rest = run.stdout.as_str();
    for text in [
        "TOTAL RESULTS",
        "checks_total...",
        "checks_succeeded...: 100.00% 20 out of 20",
        "✓ status is 200",
        "HTTP",
        "http_req_duration...",
        "{ expected_response:true }...",
        "http_reqs...",
        "EXECUTION",
        "iteration_duration...",
        "iterations...",
        "NETWORK",
        "data_received...",
        "data_sent...",
    ] {
        let at = rest.find(text).unwrap_or_else(|| panic!("`{text}` is missing or out of order\n{run}"));
        rest = &rest[at..];
    }
}

#[test]
fn a_journey_may_write_its_own_summary() {
    let folder = tempfile::tempdir().unwrap();
    let run = Squall::run(journey("summary"))
        .grant("SUMMARY", "mine.json")
        .flags("--iterations 2")
        .current_dir(folder.path());
    run.finish().expect(exit::PASSED).prints(&["the journey saw"]);
    let text = std::fs::read_to_string(folder.path().join("mine.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["metrics"]["iterations"]["values"]["count"], 2);
    assert_eq!(summary["metrics"]["iterations"]["type"], "counter");
}

#[test]
fn a_journey_may_not_write_outside_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let absolute = folder.path().join("absolute.json");
    for path in ["../outside.json", absolute.to_str().unwrap()] {
        let run = Squall::run(journey("summary")).grant("SUMMARY", path).flags("--iterations 1").current_dir(&inside);
        run.finish().says(&[path]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the folder itself is there");
}

#[test]
fn samples_carry_the_tags_of_their_scenario_and_thresholds_can_name_them() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let toml = "[tags]\nbuild = \"17\"\n\
                [scenarios.one]\nexecutor = \"shared-iterations\"\niterations = 3\ntags = { kind = \"light\" }\n\
                [scenarios.two]\nexecutor = \"shared-iterations\"\niterations = 2\ntags = { kind = \"heavy\" }\n\
                [thresholds]\n\"http_reqs{kind:light}\" = \"count==3\"\n\"http_reqs{scenario:two}\" = \"count==2\"\n\
                \"http_reqs{build:17}\" = \"count==5\"\n";
    let config = write(folder.path(), "squall.toml", toml);
    let (run, lines) = points(&target, "/", &["--config", config.to_str().unwrap()]);
    run.expect(exit::PASSED);
    let requests = of(&lines, "Point", "http_reqs");
    let kinds = |scenario: &str| {
        let tags = requests.iter().map(|request| &request["data"]["tags"]);
        tags.filter(|tags| tags["scenario"] == scenario).map(|tags| tags["kind"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((kinds("one"), kinds("two")), (vec![Value::from("light"); 3], vec![Value::from("heavy"); 2]));
}

#[test]
fn verbose_shows_debug_messages() {
    let run = |flags: &str| Squall::run(journey("noop")).flags(flags).finish().expect(exit::PASSED);
    run("--iterations 1 -v").says(&["debug: "]);
    assert!(!run("--iterations 1").stderr.contains("debug: "));
}
