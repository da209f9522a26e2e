//! `squall target --component`: a component as the target, one that behaves and one that does not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Squall, TargetProcess, exit, journey, squall};

fn service(flags: &str) -> TargetProcess {
    TargetProcess::start(&format!("--component {} --threads 2 {flags}", journey("service").display()))
}

#[test]
fn a_run_against_a_component_sees_what_the_component_saw() {
    let target = service("");
    let run = Squall::run(journey("quickstart")).grant("BASE_URL", target.url()).flags("--vus 4 --iterations 200");
    let run = run.finish().expect(exit::PASSED);
    let (code, saw) = target.stop();
    assert_eq!(code, Some(exit::PASSED), "{saw}");
    assert!(saw.starts_with("saw 200 requests on 4 connections, at most "), "{saw}");
    assert!(saw.contains("  statuses  200: 200\n"), "{saw}");
    assert_eq!(run.summary().count("http_reqs"), 200, "{run}");
    assert_eq!(run.summary().check("status is 200"), (200, 0), "{run}");
}

#[test]
fn a_request_that_misbehaves_is_a_500_and_the_next_one_never_notices() {
    let target = service("--timeout 700ms --memory 32");
    let get = |path: &str| json!({ "url": format!("{}{path}", target.url()), "show": ["body"] });
    let paths = ["/trap", "/grow", "/loop", "/silent", "/half", "/"];
    let mut steps: Vec<_> = paths.iter().map(|path| get(path)).collect();
    // One that is not asked again: whether anything of the half body gets out before the trap is up to the system.
    steps[4]["method"] = json!("POST");
    let run = Squall::fetch(&json!(steps)).finish();
    let answers = run.answers();
    for (path, answer) in paths.iter().zip(&answers).take(4) {
        assert_eq!(answer["status"], 500, "{path}: {answer}\n{run}");
    }
    assert!(answers[4]["error"].is_string(), "half a body is no answer: {}", answers[4]);
    assert_eq!((&answers[5]["status"], &answers[5]["body"]), (&json!(200), &json!("hello from a component")), "{run}");
    let (code, saw) = target.stop();
    assert_eq!(code, Some(exit::PASSED), "{saw}");
    // The trap, the memory and the half body; the loop.
    assert!(saw.contains("  traps     3\n") && saw.contains("  timeouts  1\n"), "{saw}");
    assert!(saw.contains("  statuses  200: 2  500: 4\n"), "{saw}");
}

#[test]
fn bodies_may_be_large_both_ways() {
    let target = service("--memory 32");
    let steps = json!([
        { "url": format!("{}/length", target.url()), "method": "POST", "body_size": 40_000_000, "show": ["body"] },
        { "url": format!("{}/bytes?10000000", target.url()), "stream": true },
    ]);
    let run = Squall::fetch(&steps).finish().expect(exit::PASSED);
    let answers = run.answers();
    assert_eq!(answers[0]["body"], "40000000", "more than its memory went through it\n{run}");
    assert_eq!(answers[1]["length"], 10_000_000, "{run}");
}

#[test]
fn a_service_reaches_nothing_but_its_request_and_what_it_is_given() {
    let target = service("--env GREETING=hello");
    let bystander = crate::support::practice();
    let at = |path: &str| json!({ "url": format!("{}{path}", target.url()), "show": ["body"] });
    let run = Squall::fetch(&json!([at("/env"), at(&format!("/out?{}", bystander.addr())), at("/files")])).finish();
    let bodies: Vec<_> = run.answers().iter().map(|answer| answer["body"].as_str().unwrap().to_owned()).collect();
    assert_eq!(bodies[0], "GREETING=hello 0", "{run}");
    assert!(bodies[1].contains("HttpRequestDenied"), "{}", bodies[1]);
    assert!(bodies[2].starts_with("Some("), "{}", bodies[2]);
    assert_eq!(bystander.stats().connections, 0);
}

#[test]
fn what_cannot_be_served_is_refused_in_words() {
    let quickstart = journey("quickstart");
    let refused = squall(["target", "--component", quickstart.to_str().unwrap()]).finish().expect(exit::JOURNEY);
    refused.says(&["exports no `wasi:http/incoming-handler@0.2`", "hint: a journey or a program is for `squall run`"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("core.wasm");
    for (bytes, says) in [
        (b"\0asm\x01\0\0\0".as_slice(), "it is a core module, not a component"),
        (b"not wasm at all", "it cannot be compiled"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let refused = squall(["target", "--component", file.to_str().unwrap()]).finish().expect(exit::JOURNEY);
        refused.says(&[says]).without_panic();
    }
    let refused = squall(["target", "--component", "nowhere.wasm"]).finish().expect(exit::JOURNEY);
    refused.says(&["`nowhere.wasm` cannot be read"]);
    let refused = squall(["target", "--component", "x.wasm", "--env", "=1"]).finish();
    assert_ne!(refused.code, Some(exit::PASSED));
    squall(["target", "--component", "x.wasm", "--latency", "1ms"]).finish().expect(exit::USAGE);
}

#[test]
fn clients_that_send_no_http_or_nothing_disturb_nobody() {
    let target = service("");
    let address = target.url().strip_prefix("http://").unwrap().to_owned();
    let silent = TcpStream::connect(&address).unwrap();
    let mut other = TcpStream::connect(&address).unwrap();
    other.write_all(b"\x16\x03\x01 this is TLS, is it not?\r\n\r\n").unwrap();
    other.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    // It answers with a 400 or hangs up.
    let _ = other.read_to_end(&mut answer);
    let run = Squall::fetch(&json!([{ "url": target.url() }])).finish().expect(exit::PASSED);
    assert_eq!(run.answers()[0]["status"], 200, "{run}");
    let began = Instant::now();
    let (code, _) = target.stop();
    assert_eq!(code, Some(exit::PASSED));
    assert!(began.elapsed() < Duration::from_secs(20), "an open connection keeps nobody from stopping");
    drop(silent);
}
