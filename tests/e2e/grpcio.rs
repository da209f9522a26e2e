//! gRPC with Python's grpcio on the other side: a server and a client that are not ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Authority, Finished, PythonServer, Squall, exit, journey, practice, python, write};

/// The package, and the folder of `echo.proto`.
const PACKAGE: &str = "grpcio";
const ECHO: &str = "squall.practice.v1.Echo";

/// A file of this repository.
fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn proto() -> PathBuf {
    ours("examples/grpc-echo")
}

/// grpcio's server with these flags; `None`, loudly, where it is not installed.
#[track_caller]
fn server(flags: &[&str]) -> Option<PythonServer> {
    let python = python(PACKAGE)?;
    let proto = proto().display().to_string();
    let flags = [&["--proto", &proto], flags].concat();
    Some(PythonServer::start(&python, &ours("tests/e2e/grpcio/server.py"), &flags))
}

/// One iteration of the journey `grpc`, with `echo.proto` granted.
fn calls(steps: &Value) -> Squall {
    let file = format!("echo.proto={}", proto().join("echo.proto").display());
    Squall::run(journey("grpc")).grant("STEPS", steps.to_string()).args(["--file", &file])
}

fn connect(port: u16, reflect: bool) -> Value {
    json!({ "connect": { "address": format!("127.0.0.1:{port}"), "plaintext": true, "reflect": reflect } })
}

fn method(name: &str) -> String {
    format!("{ECHO}/{name}")
}

/// What came of the steps from the `n`-th on, all of which succeeded.
#[track_caller]
fn after(n: usize, finished: &Finished) -> Vec<Value> {
    let answers = finished.answers();
    let (first, rest) = answers.split_at(n);
    assert!(first.iter().all(|answer| answer.get("error").is_none()), "{first:?}");
    rest.to_vec()
}

#[test]
fn a_unary_call_and_the_three_streamings_reach_grpcio_and_come_back() {
    let Some(server) = server(&[]) else { return };
    let metadata = json!({ "x-who": "ann", "x-key-bin": "AAEC" });
    let steps = json!([
        { "load": ["echo.proto"] },
        connect(server.port(), false),
        { "call": method("Say"), "json": { "text": "hällo", "data": "AP8=" }, "metadata": metadata, "show": ["x-who", "x-key-bin"] },
        { "stream": method("Count"), "send": [{ "to": 5 }] },
        { "stream": method("Sum"), "send": [{ "value": "5" }, { "value": -7 }, { "value": 40 }] },
        { "stream": method("Chat"), "send": [{ "text": "a" }, { "text": "b" }, { "text": "c" }], "show": ["x-who"] },
    ]);
    let finished = calls(&steps).finish().expect(exit::PASSED);
    let seen = server.seen(4);
    assert_eq!(
        seen.iter().map(|call| call["method"].as_str().unwrap()).collect::<Vec<_>>(),
        ["Say", "Count", "Sum", "Chat"]
    );
    assert_eq!((&seen[0]["metadata"]["x-who"], &seen[0]["metadata"]["x-key-bin"]), (&json!("ann"), &json!("000102")));
    assert_eq!(
        (&seen[0]["has_deadline"], &seen[1]["has_deadline"], &seen[2]["received"]),
        (&json!(true), &json!(false), &json!(3))
    );

    let [say, count, sum, chat] = &after(2, &finished)[..] else { panic!("{finished:?}") };
    assert_eq!(
        (&say["status"], &say["json"]["text"], &say["json"]["data"]),
        (&json!(0), &json!("hällo"), &json!("AP8="))
    );
    assert_eq!((&say["headers"]["x-who"], &say["trailers"]["x-key-bin"]), (&json!("ann"), &json!("AAEC")));
    let numbers: Vec<_> =
        count["messages"].as_array().unwrap().iter().map(|message| message["number"].clone()).collect();
    assert_eq!((Value::from(numbers), &count["status"]), (json!([1, 2, 3, 4, 5]), &json!(0)));
    assert_eq!((&sum["messages"], &sum["status"]), (&json!([{ "sum": "38", "count": 3 }]), &json!(0)));
    let texts: Vec<_> = chat["messages"].as_array().unwrap().iter().map(|message| message["text"].clone()).collect();
    assert_eq!((Value::from(texts), &chat["status"]), (json!(["a", "b", "c"]), &json!(0)));

    let summary = finished.summary();
    assert_eq!(summary.count("grpc_streams"), 3);
    assert_eq!((summary.count("grpc_streams_msgs_sent"), summary.count("grpc_streams_msgs_received")), (7, 9));
}

#[test]
fn grpcio_says_how_a_call_ends_and_it_is_heard() {
    let Some(server) = server(&[]) else { return };
    let ending = json!({ "code": 8, "message": "50 % voll, ärgerlich", "details": "CAg=" });
    let steps = json!([
        { "load": ["echo.proto"] },
        connect(server.port(), false),
        { "call": method("Say"), "json": { "ending": ending } },
        { "stream": method("Count"), "send": [{ "to": 2, "ending": ending }] },
        { "call": method("Say"), "json": { "delayMs": 60_000 }, "timeout_ms": 100 },
        { "call": method("Say"), "hex": "0a0161", "raw_answer": true },
        { "call": "squall.practice.v1.Other/Say", "hex": "" },
        { "call": method("Shout"), "json": {} },
    ]);
    let finished = calls(&steps).finish().without_panic();
    let [say, count, late, raw, other, unknown] = &after(2, &finished)[..] else { panic!("{finished:?}") };
    for call in [say, count] {
        assert_eq!(
            (&call["status"], &call["message"], &call["details"]),
            (&json!(8), &ending["message"], &json!("0808"))
        );
        assert!(call.get("failure").is_none(), "{call}");
    }
    assert_eq!((&count["count"], &late["status"]), (&json!(2), &json!(4)));
    assert!(raw["status"] == 0 && raw["hex"].as_str().unwrap().starts_with("0a0161"), "{raw}");
    assert_eq!(other["status"], 12);
    assert!(
        unknown["error"].as_str().unwrap().contains("there is no method `squall.practice.v1.Echo/Shout`"),
        "{unknown}"
    );
    assert_eq!(server.seen(4).len(), 4);
}

#[test]
fn grpcio_is_asked_for_its_methods_if_it_answers_such_questions() {
    let (Some(talks), Some(silent)) = (server(&["--reflection"]), server(&[])) else { return };
    let steps =
        |port| json!([connect(port, true), { "call": method("Say"), "json": { "text": "x" } }, { "methods": true }]);
    let finished = calls(&steps(talks.port())).finish().expect(exit::PASSED);
    let [say, methods] = &after(1, &finished)[..] else { panic!("{finished:?}") };
    assert_eq!((talks.seen(1).len(), &say["json"]["text"]), (1, &json!("x")));
    assert_eq!(methods["methods"], json!(["Chat", "Count", "Say", "Sum"].map(method)));

    let finished = calls(&steps(silent.port())).finish();
    let error = finished.answers()[0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("does not answer questions about its methods") && error.contains("hint: "), "{error}");
}

#[test]
fn a_set_that_protoc_wrote_is_as_good_as_the_file() {
    let Some(python) = python(PACKAGE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("echo.pb").display().to_string();
    let mut writes = Command::new(&python);
    writes.arg(ours("tests/e2e/grpcio/server.py")).arg("--proto").arg(proto()).args(["--set", &set]);
    assert!(writes.stdin(Stdio::null()).status().unwrap().success());
    let server = practice();
    let steps = json!([
        { "load_set": "echo.pb" },
        connect(server.addr().port(), false),
        { "call": method("Say"), "json": { "text": "x" } },
    ]);
    let finished = calls(&steps).args(["--file", &format!("echo.pb={set}")]).finish().expect(exit::PASSED);
    assert_eq!(server.stats().by_route["/squall.practice.v1.Echo/{method}"], 1);
    assert_eq!(after(2, &finished)[0]["json"]["text"], "x");
}

#[test]
fn calls_go_over_tls_to_whom_the_run_trusts() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost", "127.0.0.1"]).write(folder.path(), "server");
    write(folder.path(), "authority.pem", authority.certificate());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let Some(server) = server(&["--tls", &path("server.pem"), &path("server.key")]) else { return };
    let steps = json!([
        { "load": ["echo.proto"] },
        { "connect": { "address": format!("localhost:{}", server.port()) } },
        { "call": method("Say"), "json": { "text": "x" } },
    ]);
    let trusting = calls(&steps).args(["--cacert", &path("authority.pem")]).finish().expect(exit::PASSED);
    assert_eq!((server.seen(1).len(), &after(2, &trusting)[0]["json"]["text"]), (1, &json!("x")));

    let strange = calls(&steps).finish();
    let text = Value::from(strange.answers()).to_string();
    assert!(text.contains("TLS handshake failed"), "{text}");
    assert_eq!(server.seen(1).len(), 1, "nothing is said to whom nobody trusts");
}

#[test]
fn grpcio_calls_the_practice_server() {
    let Some(python) = python(PACKAGE) else { return };
    let server = practice();
    let mut client = Command::new(python);
    client.arg(ours("tests/e2e/grpcio/client.py")).arg("--proto").arg(proto());
    let output = client.args(["--address", &server.addr().to_string()]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stats = server.stats();
    assert_eq!(stats.by_route["/squall.practice.v1.Echo/{method}"], 7);

    let say = &told["say"];
    assert_eq!(
        (&say["text"], &say["data"], &say["metadata"]["x-who"]),
        (&json!("hello"), &json!("00ff"), &json!("ann"))
    );
    for came in [&say["headers"], &say["trailers"]] {
        assert_eq!((&came["x-who"], &came["x-key-bin"]), (&json!("ann"), &json!("b'\\x01\\x02'")));
    }
    let ending = json!({ "code": 8, "message": "50 % voll, ärgerlich", "details": "0808" });
    assert_eq!((&told["ending"], &told["late"], &told["unknown"]), (&ending, &json!(4), &json!(12)));
    assert_eq!((&told["count"], &told["sum"]), (&json!([1, 2, 3, 4, 5]), &json!([499_500, 1000])));
    assert_eq!(told["chat"].as_array().unwrap().len(), 100);
    assert!(told["services"].as_array().unwrap().contains(&json!(ECHO)), "{told}");
    assert_eq!(told["methods"], json!(["Chat", "Count", "Say", "Sum"]));
}

/// Servers that describe themselves badly: what a journey is told.
const HOSTILE: &[(&str, &str)] = &[
    ("circle", "the imports go in a circle: a -> b -> a"),
    ("missing-import", "the file is not in it"),
    ("garbage", "cannot be used"),
    ("no-answer", "timed out"),
    ("endless-files", "more files than can be taken: at most 2000"),
    ("flood", "more bytes of descriptors than can be taken"),
    ("many-services", "more services than can be taken: at most 1000"),
    ("two-byte-messages", "definitions: at most 200000"),
    ("nested", "messages nested in each other: at most 40"),
    ("deep-option", "brackets within each other in an option: at most 50"),
    ("own-options", "FileOptions"),
    ("many-fields", ""),
];

#[test]
fn whatever_a_server_says_of_itself_the_run_goes_on() {
    let Some(python) = python(PACKAGE) else { return };
    let script = ours("tests/e2e/grpcio/reflection.py");
    for (kind, expected) in HOSTILE {
        let server = PythonServer::start(&python, &script, &[kind]);
        let address = format!("127.0.0.1:{}", server.port());
        let hostile = json!({ "address": address, "plaintext": true, "reflect": true, "timeout_ms": 5_000 });
        let steps = json!([{ "connect": hostile }, { "sleep_ms": 1 }]);
        let finished = calls(&steps).args(["--vus", "1", "--iterations", "1"]).finish().without_panic();
        assert!(!server.seen(1).is_empty());
        let answers = finished.answers();
        let error = answers[0]["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{kind}: {answers:?}");
        assert_eq!(answers.len(), 2, "{kind}: the journey goes on");
        let peak = finished.peak.unwrap_or_default() / 1024;
        println!("| {kind} | {error} | {:.1} s | {peak} MiB |", finished.took.as_secs_f64());
        assert!(peak < 400, "{kind}: {peak} MiB");
    }
}
