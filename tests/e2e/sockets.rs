//! TCP connections and datagrams: what the target saw, what is measured, and peers that do what they should not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use squall::practice::{Options, Server};

use crate::support::{Finished, Plain, Squall, exit, journey, practice_with};

fn target() -> Server {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    practice_with(Options { tcp: Some(any), udp: Some(any), ..Options::default() })
}

fn tcp(server: &Server) -> String {
    server.tcp().unwrap().to_string()
}

fn socket(steps: &Value) -> Squall {
    Squall::run(journey("socket")).grant("STEPS", steps.to_string())
}

/// A peer that does this to each connection.
fn peer(behave: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            behave(stream.unwrap());
        }
    });
    address
}

/// An address where nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What is known of how long sessions were.
fn session(run: &Finished, field: &str) -> f64 {
    run.summary().value("socket_session_duration", field)
}

#[test]
fn lines_go_out_and_come_back_and_are_measured() {
    let target = target();
    let steps = json!([
        { "connect": tcp(&target), "name": "lines", "tags": { "kind": "test" } },
        { "send": "hello\n" }, { "line": 100 },
        { "send": "a;b;\n" }, { "until": ";" }, { "exactly": 3 },
        { "send": "delay 60\n" }, { "line": 100 },
        { "send": "bytes 1000\n" }, { "exactly": 1001 },
        { "details": true }, { "close": true }
    ]);
    let run = socket(&steps).flags("--vus 2 --iterations 4").finish().expect(exit::PASSED);
    let lines = target.stats().lines;
    assert_eq!((lines.tcp_connections, lines.tcp_lines), (4, 16), "{run}");
    let answers = run.answers();
    let with = |text: &str| answers.iter().filter(|answer| answer["text"] == text).count();
    assert_eq!([with("hello\n"), with("a;"), with("b;\n"), with("delay 60\n")], [4; 4], "{run}");
    assert!(answers.iter().any(|answer| answer["length"] == 1001), "{run}");
    let summary = run.summary();
    assert_eq!(summary.count("socket_sessions"), 4, "{run}");
    assert!(summary.value("socket_connecting", "avg") > 0.0, "{run}");
    assert!(session(&run, "min") >= 58.0, "the session outlasted its slowest answer\n{run}");
    // 6 + 5 + 9 + 11 bytes out, 6 + 5 + 9 + 1001 in, four times.
    assert_eq!((summary.count("data_sent"), summary.count("data_received")), (124, 4084), "{run}");
    let mut slow = answers.iter().filter(|answer| answer["text"] == "delay 60\n");
    assert!(slow.all(|answer| answer["round_trip"].as_f64() >= Some(58.0)), "{run}");
}

#[test]
fn datagrams_are_answered_lost_late_and_from_strangers() {
    let target = target();
    let steps = json!([
        { "bind": target.udp().unwrap().to_string() },
        { "send": "hello" }, { "receive": true },
        { "send": "stranger" }, { "receive": true },
        { "send": "drop" }, { "receive": true, "timeout_ms": 100 },
        { "send": "bytes 65507" }, { "receive": true },
        { "send_size": 65508 },
        { "send_size": 65507 }, { "receive": true }
    ]);
    let run = socket(&steps).finish().expect(exit::PASSED);
    assert_eq!(target.stats().lines.udp_datagrams, 5, "{run}");
    let answers = run.answers();
    assert_eq!((&answers[2]["text"], &answers[4]["text"]), (&json!("hello"), &json!("stranger")), "{run}");
    assert_eq!(answers[6]["kind"], "Timeout", "{run}");
    assert!(answers[6]["took"].as_f64() >= Some(95.0), "{run}");
    assert_eq!((&answers[8]["length"], &answers[11]["length"]), (&json!(65_507), &json!(65_507)), "{run}");
    assert_eq!(answers[9]["error"], "the answer is larger than 65507 bytes", "{run}");
    let summary = run.summary();
    assert_eq!(summary.count("socket_sessions"), 1);
    assert_eq!(summary.count("data_received"), 5 + 8 + 2 * 65_507, "{run}");
}

#[test]
fn peers_that_misbehave_have_names_and_keep_nobody_waiting() {
    let accepts = peer(|stream| {
        thread::spawn(move || {
            thread::sleep(Duration::from_mins(1));
            drop(stream);
        });
    });
    let greets = peer(|mut stream| {
        let _ = stream.write_all(b"220 mail.test ready\r\n");
        thread::sleep(Duration::from_millis(200));
    });
    let target = target();
    let tcp = tcp(&target);
    let rows = [
        ("refused", nobody(), json!([]), "Refused"),
        ("never answers", accepts.clone(), json!([{ "send": "x\n" }, { "line": 100, "timeout_ms": 200 }]), "Timeout"),
        ("closes", tcp.clone(), json!([{ "send": "close\n" }, { "exactly": 1 }]), "Closed"),
        ("closes mid-line", tcp.clone(), json!([{ "send": "half\n" }, { "line": 100 }]), "Closed"),
        ("reset", tcp.clone(), json!([{ "send": "reset\n" }, { "line": 100 }]), "Reset"),
        ("endless line", tcp.clone(), json!([{ "send": "endless\n" }, { "line": 1_000_000 }]), "TooLarge"),
        ("no end, no cap", tcp.clone(), json!([{ "send": "endless\n" }, { "line": 4_294_967_295_u32 }]), "TooLarge"),
        ("more than may be", tcp.clone(), json!([{ "exactly": 4_000_000_000_u32 }]), "TooLarge"),
        ("drips", tcp, json!([{ "send": "drip 1000 20\n" }, { "line": 5000, "timeout_ms": 300 }]), "Timeout"),
        ("takes nothing", accepts, json!([{ "send_size": 16_000_000, "timeout_ms": 300 }]), "Timeout"),
        ("no tls", greets, json!([]), "Tls"),
        ("no such host", "nowhere.invalid:1".to_owned(), json!([]), "Dns"),
        ("no address", "nowhere".to_owned(), json!([]), "InvalidRequest"),
    ];
    for (what, address, then, kind) in rows {
        let mut steps = vec![json!({ "connect": address, "tls": what == "no tls", "timeout_ms": 3000 })];
        steps.extend(then.as_array().unwrap().clone());
        let run = socket(&json!(steps)).flags("--response-bytes 8MiB").finish().expect(exit::PASSED);
        let answers = run.answers();
        let last = answers.last().unwrap();
        assert_eq!(last["kind"], kind, "{what}: {last}\n{run}");
        assert!(last["took"].as_f64() < Some(20_000.0), "{what}: {last}");
        if let Some(peak) = run.peak {
            println!("{what}: {kind}, {} ms, {} MiB", last["took"].as_f64().unwrap().round(), peak >> 10);
            assert!(peak < 200 << 10, "{what}: {peak} KiB\n{run}");
        }
    }
}

#[test]
fn a_connection_that_is_kept_waits_for_the_next_iteration() {
    let target = target();
    let steps = |keep: bool| json!([{ "connect": tcp(&target), "keep": keep }, { "send": "hello {iteration}\n" }, { "line": 100 }, { "details": true }]);
    let run = socket(&steps(true)).flags("--vus 2 --iterations 10").finish().expect(exit::PASSED);
    assert_eq!(target.stats().lines.tcp_connections, 2, "{run}");
    assert_eq!((run.summary().count("socket_sessions"), target.stats().lines.tcp_lines), (2, 10), "{run}");
    let reused = |answer: &&Value| answer["details"].as_str().is_some_and(|details| details.contains("reused: true"));
    assert_eq!(run.answers().iter().filter(reused).count(), 8, "{run}");
    assert!(session(&run, "min") > 0.0, "their ends are recorded\n{run}");
    let run = socket(&steps(false)).flags("--vus 2 --iterations 10").finish().expect(exit::PASSED);
    assert_eq!((target.stats().lines.tcp_connections, run.summary().count("socket_sessions")), (12, 10), "{run}");
    // What the other side has closed, or still sends on, is no connection for the next.
    let ended = json!([{ "connect": tcp(&target), "keep": true }, { "send": "twice\ntwice\n" }, { "line": 100 }]);
    let run = socket(&ended).flags("--vus 1 --iterations 3").finish().expect(exit::PASSED);
    assert_eq!(run.summary().count("socket_sessions"), 3, "{run}");
}

#[test]
fn tls_is_the_runs() {
    let server = Plain::tls();
    let steps = json!([
        { "connect": server.addr().to_string(), "tls": true }, { "details": true },
        { "send": "GET / HTTP/1.1\r\nhost: a\r\n\r\n" }, { "until": "\r\n", "at_most": 100 }
    ]);
    let run = socket(&steps).finish();
    let (answers, error) = (run.answers(), "the TLS handshake failed");
    assert!(answers[0]["error"].as_str().unwrap().starts_with(error), "nobody trusts its certificate\n{run}");
    let run = socket(&steps).arg("--insecure-skip-tls-verify").finish().expect(exit::PASSED);
    let answers = run.answers();
    assert_eq!(answers[3]["text"], "HTTP/1.1 200 OK\r\n", "{run}");
    let details = answers[1]["details"].as_str().unwrap();
    assert!(details.contains("tls_version: \"tls1.3\"") && details.contains("TLS_"), "{details}");
}

#[test]
fn whom_the_policy_refuses_is_not_asked() {
    let bystander = Plain::start("127.0.0.1:0");
    let address = bystander.addr().to_string();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let udp_address = udp.local_addr().unwrap().to_string();
    let steps = json!([
        { "connect": address }, { "bind": udp_address, "on": "u" }, { "send": "x", "on": "u" },
        { "connect": "nowhere.invalid:1", "on": "n" }
    ]);
    let run = socket(&steps).flags("--deny-net 127.0.0.0/8 --deny-net *.invalid").finish();
    let answers = run.answers();
    assert_eq!((&answers[0]["kind"], &answers[1]["kind"]), (&json!("Denied"), &json!("Denied")), "{run}");
    assert_eq!(answers[3]["kind"], "Denied", "{run}");
    assert!(answers[0]["error"].as_str().unwrap().contains(&format!("`tcp://{address}`")), "{run}");
    assert_eq!(bystander.peers(), Vec::<String>::new());
    assert!(udp.recv(&mut [0; 10]).is_err(), "nothing was sent");
    assert_eq!(run.summary().count("policy_denied"), 3, "{run}");
}

#[test]
fn behind_the_wall_sockets_work_where_they_are_allowed() {
    let target = target();
    let (tcp, udp) = (tcp(&target), target.udp().unwrap().to_string());
    let steps = json!([
        { "connect": tcp }, { "send": "hello\n" }, { "line": 100 },
        { "bind": udp, "on": "u" }, { "send": "hello", "on": "u" }, { "receive": true, "on": "u" },
        { "connect": nobody(), "on": "n" }
    ]);
    let allow = format!("--untrusted --allow-net tcp://{tcp} --allow-net udp://{udp}");
    let run = socket(&steps).flags(&allow).finish().expect(exit::PASSED);
    let answers = run.answers();
    assert_eq!((&answers[2]["text"], &answers[5]["text"]), (&json!("hello\n"), &json!("hello")), "{run}");
    assert_eq!(answers[6]["kind"], "Denied", "{run}");
    let lines = target.stats().lines;
    assert_eq!((lines.tcp_lines, lines.udp_datagrams), (1, 1), "{run}");
}

#[test]
fn secrets_are_put_in_on_the_way_out_and_taken_out_on_the_way_back() {
    let seen = peer(|mut stream| {
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        let knows = line == "AUTH hunter2-hunter2\n";
        let _ = stream.write_all(format!("{knows} {line}").as_bytes());
    });
    let steps = json!([
        { "connect": seen }, { "send": "AUTH {secret}\n", "secret": "key" }, { "line": 100, "timeout_ms": 5000 }
    ]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("squall.toml");
    let secret = |hosts: &str| format!("[secrets.key]\nfrom = \"env:THE_KEY\"\nhosts = [\"{hosts}\"]\n");
    let with = |hosts: &str| {
        std::fs::write(&config, secret(hosts)).unwrap();
        socket(&steps).env("THE_KEY", "hunter2-hunter2").arg("--config").arg(&config).finish()
    };
    let run = with("127.0.0.1");
    let text = run.to_string();
    assert_eq!(run.answers()[2]["text"], "true AUTH ***************\n", "{run}");
    assert!(!text.contains("hunter2"), "{run}");
    let run = with("elsewhere.test");
    assert_eq!(run.answers()[1]["kind"], "Denied", "{run}");
}

#[test]
fn no_more_sockets_are_open_than_may_be() {
    let target = target();
    let open = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({ "connect": tcp(&target), "on": format!("s{number}") })).collect()
    };
    let run = socket(&json!(open(6))).flags("--max-connections 4").finish();
    let kinds: Vec<_> = run.answers().iter().map(|answer| answer["error"].clone()).collect();
    assert!(kinds[..4].iter().all(Value::is_null), "{run}");
    assert!(kinds[4].as_str().unwrap().contains("`limits.maxConnections`"), "{run}");
    let run = socket(&json!(open(6))).flags("--requests-in-flight 3").finish();
    let kinds: Vec<_> = run.answers().iter().map(|answer| answer["error"].clone()).collect();
    assert!(kinds[3].as_str().unwrap().contains("3 sockets are open"), "{run}");
    assert!(target.stats().lines.tcp_connections <= 7, "{run}");
}

#[test]
fn the_example_talks_to_the_practice_server() {
    let target = target();
    let run = Squall::run(journey("tcp-lines"))
        .grant("TCP_ADDR", tcp(&target))
        .grant("UDP_ADDR", target.udp().unwrap().to_string())
        .flags("--vus 3 --iterations 30");
    let run = run.finish().expect(exit::PASSED);
    let lines = target.stats().lines;
    assert_eq!((lines.tcp_connections, lines.tcp_lines, lines.udp_datagrams), (3, 150, 30), "{run}");
    assert_eq!(run.summary().check("the answer is whole"), (150, 0), "{run}");
    assert_eq!(run.summary().check("the datagram came back"), (30, 0), "{run}");
    assert_eq!(run.summary().count("socket_sessions"), 33, "{run}");
}
