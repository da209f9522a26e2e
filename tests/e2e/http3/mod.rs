//! HTTP/3 against the practice server, against servers that misbehave by the frame, and against a server that is not ours.

mod foreign;
mod hostile;

use std::net::UdpSocket;
use std::path::Path;

use serde_json::{Value, json};
use squall::practice::{Options, Server};

use crate::support::{Finished, Squall, exit, practice_with, write};

/// A practice server with TLS and HTTP/3, and a folder with what to trust.
struct Site {
    server: Server,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let any = Some("127.0.0.1:0".parse().unwrap());
        let server = practice_with(Options { tls: any, http3: any, ..Options::default() });
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "authority.pem", server.certificate());
        Self { server, folder }
    }

    fn url(&self, path: &str) -> String {
        self.server.http3_url().unwrap() + path
    }

    fn tls_url(&self, path: &str) -> String {
        self.server.tls_url().unwrap() + path
    }

    fn fetch(&self, steps: &Value) -> Squall {
        trusting(Squall::fetch(steps), self.folder.path())
    }
}

fn trusting(run: Squall, folder: &Path) -> Squall {
    run.arg("--cacert").arg(folder.join("authority.pem"))
}

/// The tags of the points of `http_reqs`, too.
#[track_caller]
fn with_tags(run: Squall) -> (Finished, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = run.arg(format!("--out=json={}", file.display())).finish();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let requests = points.filter(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
    (run, requests.map(|point| point["data"]["tags"].clone()).collect())
}

fn protocols(tags: &[Value]) -> Vec<&str> {
    tags.iter().map(|tags| tags["proto"].as_str().unwrap_or_default()).collect()
}

#[test]
fn a_run_speaks_http_3_and_its_phases_are_those_of_quic() {
    let site = Site::new();
    let step = json!([{ "url": site.url("/health"), "repeat": 3, "show": ["body", "headers"] }]);
    let (run, tags) = with_tags(site.fetch(&step).flags("--http-version 3"));
    let stats = site.server.stats();
    assert_eq!((stats.requests, stats.connections), (3, 1), "{run}");
    assert_eq!(protocols(&tags), ["HTTP/3.0"; 3], "{run}");
    assert!(tags.iter().all(|tags| tags["tls_version"] == "tls1.3" && tags["status"] == "200"), "{tags:?}");
    assert_eq!(run.answers()[0]["body"], r#"{"status":"ok"}"#, "{run}");
    let summary = run.summary();
    assert!(summary.value("http_req_tls_handshaking", "max") > 0.0, "{run}");
    assert_eq!(summary.value("http_req_connecting", "max"), 0.0, "the handshake is one, and counted once\n{run}");
    assert!(summary.value("http_req_waiting", "min") > 0.0, "{run}");
    assert!(summary.count("data_sent") > 0 && summary.count("data_received") > 3 * 15, "{run}");
}

#[test]
fn a_request_may_ask_for_a_version() {
    let site = Site::new();
    let step = |version: &str, url: String| json!({ "url": url, "version": version });
    let (tls, udp) = (|| site.tls_url("/health"), || site.url("/health"));
    let steps = json!([step("3", udp()), step("1.1", tls()), step("2", tls()), { "url": tls() }, step("3", udp())]);
    let (run, tags) = with_tags(site.fetch(&steps));
    assert_eq!(protocols(&tags), ["HTTP/3.0", "HTTP/1.1", "HTTP/2.0", "HTTP/2.0", "HTTP/3.0"], "{run}");
    let run = site.fetch(&json!([step("3", site.server.url() + "/health")])).finish();
    assert!(run.answers()[0]["error"].to_string().contains("HTTP/3 needs `https:`"), "{run}");
}

#[test]
fn bodies_of_every_shape_go_both_ways() {
    let site = Site::new();
    let steps = json!([
        { "url": site.url("/echo"), "method": "POST", "body": "hello", "show": ["body"] },
        { "url": site.url("/echo"), "method": "PUT", "body": "", "show": ["body"] },
        { "url": site.url("/echo"), "method": "POST", "body_size": 3_000_000 },
        { "url": site.url("/bytes/5000000") },
        { "url": site.url("/chunked/100000") },
        { "url": site.url("/bytes/100"), "method": "HEAD" },
        { "url": site.url("/status/204") },
        { "url": site.url("/redirect/2") },
        { "url": site.url("/bytes/1000000"), "stream": true },
        { "url": site.url("/echo"), "method": "POST", "upload": ["one ", "two ", "three"], "show": ["body"] },
        { "url": site.url("/echo"), "method": "PUT", "upload": ["12345"], "upload_length": 5, "show": ["body"] },
    ]);
    let run = site.fetch(&steps).flags("--http-version 3").finish().expect(exit::PASSED);
    let answers = run.answers();
    let statuses: Vec<_> = answers.iter().map(|answer| answer["status"].as_u64().unwrap_or_default()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 204, 200, 200, 200, 200], "{run}");
    let text = |at: usize| answers[at]["body"].to_string();
    assert!(text(0).contains("hello") && text(9).contains("one two three") && text(10).contains("12345"), "{run}");
    let length = |at: usize| answers[at]["body_len"].as_u64();
    assert_eq!([3, 4, 5].map(length), [5_000_000, 100_000, 0].map(Some), "{run}");
    assert_eq!(answers[8]["length"], 1_000_000, "{run}");
    assert_eq!(site.server.stats().connections, 1, "{run}");
    assert!(run.summary().count("data_sent") > 3_000_000 && run.summary().count("data_received") > 9_100_000, "{run}");
}

#[test]
fn many_virtual_users_share_a_connection_or_have_one_each() {
    for (flags, connections) in
        [("", 64), ("--connections shared:64 --threads 1", 1), ("--connections per-iteration", 128)]
    {
        let site = Site::new();
        let step = json!([{ "url": site.url("/delay/20"), "repeat": 2 }]);
        let flags = format!("--http-version 3 --vus 64 --iterations 128 {flags}");
        let run = site.fetch(&step).flags(&flags).finish().expect(exit::PASSED);
        let stats = site.server.stats();
        assert_eq!((stats.requests, run.summary().count("http_reqs")), (256, 256), "{run}");
        assert_eq!(run.summary().value("http_req_failed", "value"), 0.0, "{run}");
        // Iterations are shared, so a VU may come too late for any.
        assert!(
            stats.connections <= connections && stats.connections > connections / 4,
            "{} {flags}\n{run}",
            stats.connections
        );
    }
    let site = Site::new();
    let step = json!([{ "url": site.url("/health"), "repeat": 5 }]);
    let run = site.fetch(&step).flags("--http-version 3 --connections per-request").finish().expect(exit::PASSED);
    assert_eq!((site.server.stats().requests, site.server.stats().connections), (5, 5), "{run}");
}

#[test]
fn a_batch_travels_on_one_connection() {
    let site = Site::new();
    let batch = json!([{ "batch": vec![json!({ "url": site.url("/delay/50") }); 40] }]);
    let run = site.fetch(&batch).flags("--http-version 3 --batch 40 --batch-per-host 0").finish().expect(exit::PASSED);
    let stats = site.server.stats();
    assert_eq!((stats.requests, stats.connections), (40, 1), "{run}");
    assert!(stats.max_in_flight > 20, "{} at once\n{run}", stats.max_in_flight);
}

#[test]
fn an_answer_offers_http_3_and_later_requests_go_there_where_the_run_says_so() {
    let site = Site::new();
    let step = json!([{ "url": site.tls_url("/health"), "repeat": 3 }]);
    let (run, tags) = with_tags(site.fetch(&step).flags("--http-version alt-svc"));
    assert_eq!(protocols(&tags), ["HTTP/2.0", "HTTP/3.0", "HTTP/3.0"], "{run}");
    assert_eq!(site.server.stats().connections, 2, "{run}");
    let (run, tags) = with_tags(site.fetch(&step));
    assert_eq!(protocols(&tags), ["HTTP/2.0"; 3], "{run}");
}

#[test]
fn an_offer_that_leads_nowhere_costs_little_and_the_request_goes_on() {
    // Bound, and never read.
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = hole.local_addr().unwrap().port();
    let any = Some("127.0.0.1:0".parse().unwrap());
    let server = practice_with(Options { tls: any, ..Options::default() });
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "authority.pem", server.certificate());
    let offer = format!("/response-headers?alt-svc=h3%3D%22%3A{port}%22");
    let url = server.tls_url().unwrap();
    let steps =
        json!([{ "url": url.clone() + &offer }, { "url": url.clone() + "/health" }, { "url": url + "/health" }]);
    let (run, tags) = with_tags(trusting(Squall::fetch(&steps), folder.path()).flags("--http-version alt-svc"));
    assert_eq!(protocols(&tags), ["HTTP/2.0"; 3], "{run}");
    assert_eq!((server.stats().requests, run.summary().value("http_req_failed", "value")), (3, 0.0), "{run}");
    let blocked = run.summary().value("http_req_blocked", "max");
    assert!((1_900.0..20_000.0).contains(&blocked), "one of them waited: {blocked} ms\n{run}");
}

#[test]
fn no_datagrams_go_through_a_proxy() {
    let site = Site::new();
    let step = json!([{ "url": site.url("/health") }]);
    let run = site.fetch(&step).flags("--http-version 3 --proxy http://127.0.0.1:9").finish();
    assert!(run.answers()[0]["error"].to_string().contains("no datagrams go through a proxy"), "{run}");
    assert_eq!(site.server.stats().requests, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn behind_the_second_wall_http_3_is_spoken_to_whom_it_may_be() {
    let site = Site::new();
    let step = json!([{ "url": site.url("/health"), "repeat": 2 }]);
    let run = site.fetch(&step).flags("--http-version 3 --untrusted --allow-net 127.0.0.0/8").finish();
    assert_eq!(site.server.stats().requests, 2, "{run}");
    let run = site.fetch(&step).flags("--http-version 3 --untrusted").finish();
    assert_eq!(site.server.stats().requests, 2, "{run}");
    assert!(run.answers()[0]["error"].to_string().contains("is not allowed"), "{run}");
}
