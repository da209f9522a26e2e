//! Each phase of a request, as squall measures it, against what the server did.
//!
//! Connecting cannot be delayed on loopback: the kernel answers for the server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DnsServer, Measured, Name, Phased, Script, Squall, exit, practice};

/// More than the buffers of both sockets hold, so that the last byte can only be written once the server reads.
const LARGE: u64 = 24_000_000;
/// How often a phase may be off because somebody else had the processor.
const ATTEMPTS: u32 = 5;

/// One attempt: what the server saw, the journey's timings, and the samples by their metric.
struct Attempt {
    server: Measured,
    timings: Value,
    samples: Vec<(String, f64)>,
}

impl Attempt {
    fn sample(&self, metric: &str) -> f64 {
        let mut found = self.samples.iter().filter(|(name, _)| name == metric);
        found.next().unwrap_or_else(|| panic!("no `{metric}`")).1
    }
}

#[track_caller]
fn attempt(script: Script, body: u64) -> Attempt {
    let server = Phased::start(script);
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    let step = json!({ "url": server.url(), "method": "POST", "body_size": body, "show": ["timings"] });
    let run = Squall::fetch(&json!([step])).arg("--insecure-skip-tls-verify");
    let run = run.arg("--out").arg(format!("json={}", points.display())).finish().expect(exit::PASSED);
    let server = server.measured().unwrap_or_else(|| panic!("the server saw no request\n{run}"));
    let text = std::fs::read_to_string(&points).unwrap();
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let samples = points.filter(|point| point["type"] == "Point").filter_map(|point| {
        let metric = point["metric"].as_str()?.to_owned();
        Some((metric, point["data"]["value"].as_f64()?))
    });
    Attempt { server, timings: run.answers()[0]["timings"].clone(), samples: samples.collect() }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Whether a figure is right within 2 ms or 2 %.
fn close(figure: f64, truth: Duration) -> bool {
    (figure - milliseconds(truth)).abs() <= (milliseconds(truth) * 0.02).max(2.0)
}

/// Compares until every phase was right once. What is wrong is wrong every time; a busy machine is not.
#[track_caller]
fn compare(script: Script, body: u64) {
    let mut rows = BTreeMap::new();
    for _ in 0..ATTEMPTS {
        let attempt = attempt(script, body);
        let Measured { tls_handshaking, sending, waiting, receiving } = attempt.server;
        for (phase, scripted, truth) in [
            ("tls_handshaking", script.tls_handshaking.unwrap_or_default(), tls_handshaking),
            ("sending", script.sending, sending),
            ("waiting", script.waiting, waiting),
            ("receiving", script.receiving, receiving),
        ] {
            let timing = attempt.timings[phase].as_f64().unwrap();
            let right = close(timing, truth) && close(attempt.sample(&format!("http_req_{phase}")), truth);
            let (scripted, truth) = (milliseconds(scripted), milliseconds(truth));
            let row = format!("| `{phase}` | {scripted:.0} ms | {truth:.2} ms | {timing:.2} ms |");
            if !rows.get(phase).is_some_and(|&(right, _)| right) {
                rows.insert(phase, (right, row));
            }
        }
        if rows.values().all(|&(right, _)| right) {
            break;
        }
    }
    let lines: Vec<&str> = rows.values().map(|(_, row)| row.as_str()).collect();
    println!("\n{}", lines.join("\n"));
    assert!(rows.values().all(|&(right, _)| right), "a phase was wrong in each of {ATTEMPTS} attempts: {rows:#?}");
}

#[test]
fn each_phase_is_what_the_server_saw() {
    let script = Script {
        tls_handshaking: None,
        sending: Duration::from_millis(400),
        waiting: Duration::from_millis(150),
        receiving: Duration::from_millis(120),
    };
    compare(script, LARGE);
}

#[test]
fn each_phase_over_tls_is_what_the_server_saw() {
    let script = Script {
        tls_handshaking: Some(Duration::from_millis(200)),
        sending: Duration::ZERO,
        waiting: Duration::from_millis(100),
        receiving: Duration::from_millis(80),
    };
    compare(script, 10);
}

#[test]
fn looking_up_takes_what_the_name_server_takes() {
    let delay = Duration::from_millis(150);
    let target = practice();
    let dns = DnsServer::start(&[("slow.test", Name::Addresses(vec!["127.0.0.1".parse().unwrap()]))], delay);
    let step = json!({ "url": format!("http://slow.test:{}/", target.addr().port()), "show": ["timings"] });
    let looked_up = || {
        let dns = format!("server={},policy=onlyIPv4", dns.addr());
        let run = Squall::fetch(&json!([step])).arg("--dns").arg(dns).finish().expect(exit::PASSED);
        run.answers()[0]["timings"]["looking_up"].as_f64().unwrap()
    };
    let times: Vec<f64> = (0..ATTEMPTS).map(|_| looked_up()).collect();
    println!("\n| `looking_up` | 150 ms | - | {:.2} ms |", times[0]);
    assert!(times.iter().any(|&time| close(time, delay)), "{times:?}");
}

#[test]
fn the_total_is_what_the_user_waited() {
    let millisecond = Duration::from_millis(1);
    let tls_handshaking = Some(50 * millisecond);
    let script =
        Script { tls_handshaking, sending: millisecond, waiting: 30 * millisecond, receiving: 20 * millisecond };
    let attempt = attempt(script, 10);
    let [blocked, duration, total] =
        ["blocked", "duration", "total_duration"].map(|name| attempt.sample(&format!("http_req_{name}")));
    assert!((total - blocked - duration).abs() < 1e-6, "{blocked} + {duration} is not {total}");
    let phases = ["sending", "waiting", "receiving"].map(|name| attempt.sample(&format!("http_req_{name}")));
    assert!((duration - phases.iter().sum::<f64>()).abs() < 1e-6, "{phases:?} are not {duration}");
    let connecting =
        ["looking_up", "connecting", "tls_handshaking"].map(|name| attempt.sample(&format!("http_req_{name}")));
    assert!(blocked >= connecting.iter().sum::<f64>() && blocked >= 50.0, "{connecting:?} are more than {blocked}");
}
