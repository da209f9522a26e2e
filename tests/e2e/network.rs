//! The network below HTTP: names, addresses, proxies, timeouts, and a limit to how often requests are made.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::{
    DnsServer, Finished, Hostile, Name, Plain, Squall, exit, http_proxy, journey, left_out, practice, socks_proxy,
    write,
};

/// A run of the journey `fetch` and what it said of each request.
pub(crate) struct Fetched {
    pub(crate) run: Finished,
    pub(crate) answers: Vec<Value>,
    /// The tags of each request.
    pub(crate) tags: Vec<Value>,
}

/// Does these steps with this configuration and flags.
#[track_caller]
pub(crate) fn fetch_with(config: &str, flags: &str, steps: &Value) -> Fetched {
    prepared(config, steps, |squall| squall.flags(flags))
}

/// Does these steps with this configuration.
#[track_caller]
fn fetch(config: &str, steps: &Value) -> Fetched {
    fetch_with(config, "", steps)
}

#[track_caller]
pub(crate) fn prepared(config: &str, steps: &Value, more: impl FnOnce(Squall) -> Squall) -> Fetched {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", config);
    let points = folder.path().join("points.json");
    let squall = Squall::fetch(steps).arg("--config").arg(config).arg("--out");
    let run = more(squall.arg(format!("json={}", points.display()))).finish().expect(exit::PASSED);
    let text = std::fs::read_to_string(&points).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let requests = points.filter(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
    let tags = requests.map(|point| point["data"]["tags"].clone()).collect();
    Fetched { answers: run.answers(), run, tags }
}

impl Fetched {
    /// Asserts that all requests got the answer 200, so many of them.
    #[track_caller]
    pub(crate) fn all_ok(self, count: usize) -> Self {
        let ok = self.answers.iter().filter(|answer| answer["status"] == 200).count();
        assert_eq!((ok, self.answers.len()), (count, count), "{}", self.run);
        self
    }

    /// The code of a request's error, empty where it has none.
    pub(crate) fn code(&self, at: usize) -> &str {
        self.tags[at]["error_code"].as_str().unwrap_or_default()
    }

    /// The error of a request.
    pub(crate) fn error(&self, at: usize) -> &str {
        self.tags[at]["error"].as_str().unwrap_or_default()
    }

    /// How often each body came.
    pub(crate) fn count(&self, body: &str) -> usize {
        self.answers.iter().filter(|answer| answer["body"] == body).count()
    }

    /// A phase of a request in milliseconds.
    fn took(&self, at: usize, phase: &str) -> f64 {
        self.answers[at]["timings"][phase].as_f64().unwrap_or_else(|| panic!("no `{phase}`\n{}", self.run))
    }
}

/// A port of 127.0.0.1 and 127.0.0.2 with a server each, named `one` and `two`.
pub(crate) fn twins() -> (Plain, Plain) {
    let one = Plain::named("127.0.0.1:0", "one");
    let two = Plain::named(&format!("127.0.0.2:{}", one.port()), "two");
    (one, two)
}

/// An address whose connections neither open nor fail, and what keeps it so.
struct BlackHole {
    url: String,
    _waiting: Vec<TcpStream>,
    _listener: tokio::net::TcpListener,
    _runtime: tokio::runtime::Runtime,
}

impl BlackHole {
    /// A listener that accepts nothing and whose queue is full: the kernel drops whatever else knocks.
    fn at(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(address.parse().unwrap()).unwrap();
            socket.listen(0).unwrap()
        });
        let addr = listener.local_addr().unwrap();
        let knock = || TcpStream::connect_timeout(&addr, Duration::from_millis(200));
        let waiting = std::iter::repeat_with(knock).map_while(Result::ok).take(100).collect();
        Self { url: format!("http://{addr}"), _waiting: waiting, _listener: listener, _runtime: runtime }
    }
}

#[test]
fn a_name_is_looked_up_once_and_kept_as_long_as_the_user_says() {
    let target = Plain::start("127.0.0.1:0");
    let step = json!({ "url": format!("http://kept.test:{}/", target.port()), "repeat": 5 });
    for (ttl, asked) in [("inf", 1), ("5m", 1), ("0", 5)] {
        let dns = DnsServer::with(&[("kept.test", &["127.0.0.1"])]);
        let config = format!("noConnectionReuse = true\ndns = {{ server = \"{}\", ttl = \"{ttl}\" }}\n", dns.addr());
        let fetched = fetch(&config, &json!([step])).all_ok(5);
        assert_eq!(dns.asked("kept.test"), (asked, asked), "ttl {ttl}\n{}", fetched.run);
    }
    assert_eq!(target.peers().len(), 15);
    assert_eq!(target.hosts()[0], format!("kept.test:{}", target.port()));
}

#[test]
fn a_look_up_is_shared_by_all_who_wait_for_it_and_each_says_how_long() {
    let target = Plain::start("127.0.0.1:0");
    let address = Name::Addresses(vec!["127.0.0.1".parse().unwrap()]);
    let dns = DnsServer::start(&[("slow.test", address)], Duration::from_millis(100));
    let config = format!("vus = 60\niterations = 60\ndns = {{ server = \"{}\", policy = \"onlyIPv4\" }}\n", dns.addr());
    let step = json!({ "url": format!("http://slow.test:{}/", target.port()), "show": ["timings"] });
    let fetched = fetch(&config, &json!([step])).all_ok(60);
    // Each worker thread asks for itself.
    let threads = std::thread::available_parallelism().unwrap().get();
    let (asked, _) = dns.asked("slow.test");
    assert!((1..=threads).contains(&asked), "{asked} questions of {threads} threads\n{}", fetched.run);
    let waited = (0..60).filter(|&at| fetched.took(at, "looking_up") > 20.0).count();
    assert!(waited > 30, "{waited} waited\n{}", fetched.run);
}

#[test]
fn a_name_that_does_not_exist_is_told_from_a_server_that_does_not_know() {
    let names = [("broken.test", Name::Failure), ("mute.test", Name::Silence)];
    let four = Name::Addresses(vec!["127.0.0.1".parse().unwrap()]);
    let dns = DnsServer::start(&[names.as_slice(), &[("four.test", four)]].concat(), Duration::ZERO);
    let url = |name: &str| json!({ "url": format!("http://{name}.test/") });
    let config = format!(
        "connectTimeout = \"400ms\"\ndns = {{ server = \"{}\", policy = \"onlyIPv6\", ttl = \"inf\" }}\n",
        dns.addr()
    );
    let fetched = fetch(&config, &json!([url("no"), url("no"), url("broken"), url("four"), url("mute")]));
    let codes: Vec<_> = (0..5).map(|at| fetched.code(at)).collect();
    assert_eq!(codes, ["1101", "1101", "1100", "1101", "1211"], "{}", fetched.run);
    assert_eq!(fetched.error(0), "lookup failed: `no.test` has no IPv6 address");
    assert_eq!(dns.asked("no.test"), (0, 2), "what failed is asked again");
}

#[test]
fn an_answer_too_large_for_a_datagram_is_fetched_by_tcp() {
    let target = Plain::start("127.0.0.1:0");
    let addresses: Vec<String> = (1..=60).map(|last| format!("127.0.0.{last}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let dns = DnsServer::with(&[("many.test", &addresses)]);
    let config = format!("dns = {{ server = \"{}\", select = \"first\" }}\n", dns.addr());
    fetch(&config, &json!([{ "url": format!("http://many.test:{}/", target.port()) }])).all_ok(1);
    assert!(dns.asked_by_tcp() >= 1);
}

#[test]
fn of_several_addresses_the_user_says_which_is_first() {
    let (one, _two) = twins();
    let dns = DnsServer::with(&[("twins.test", &["127.0.0.1", "127.0.0.2"])]);
    let step = json!({ "url": format!("http://twins.test:{}/", one.port()), "repeat": 24, "show": ["body"] });
    let bodies = |select: &str| {
        let server = dns.addr();
        let config = format!("noConnectionReuse = true\ndns = {{ server = \"{server}\", select = \"{select}\" }}\n");
        let fetched = fetch(&config, &json!([step])).all_ok(24);
        (fetched.count("one"), fetched.count("two"))
    };
    assert_eq!(bodies("first"), (24, 0));
    assert_eq!(bodies("roundRobin"), (12, 12));
    let (one, two) = bodies("random");
    assert!(one > 0 && two > 0, "{one} and {two}");
}

#[test]
fn the_policy_says_which_family_is_used() {
    let four = Plain::named("127.0.0.1:0", "four");
    let Ok(_) = std::net::TcpListener::bind("[::1]:0") else {
        left_out("IPv6: this machine has no `::1`");
        return;
    };
    let six = Plain::named(&format!("[::1]:{}", four.port()), "six");
    let dns = DnsServer::with(&[("both.test", &["127.0.0.1", "::1"])]);
    let step = json!({ "url": format!("http://both.test:{}/", four.port()), "show": ["body"] });
    for (policy, body, asked) in [
        ("preferIPv4", "four", (1, 1)),
        ("preferIPv6", "six", (2, 2)),
        ("onlyIPv4", "four", (3, 2)),
        ("onlyIPv6", "six", (3, 3)),
    ] {
        let config = format!("dns = {{ server = \"{}\", policy = \"{policy}\" }}\n", dns.addr());
        let fetched = fetch(&config, &json!([step])).all_ok(1);
        assert_eq!(fetched.answers[0]["body"], body, "{policy}");
        assert_eq!(dns.asked("both.test"), asked, "{policy}");
    }
    fetch("", &json!([{ "url": six.url() }])).all_ok(1);
}

#[test]
fn an_address_that_refuses_or_is_silent_is_passed_over() {
    let target = Plain::start("127.0.0.1:0");
    let hole = BlackHole::at(&format!("127.0.0.4:{}", target.port()));
    let dns =
        DnsServer::with(&[("refused.test", &["127.0.0.3", "127.0.0.1"]), ("silent.test", &["127.0.0.4", "127.0.0.1"])]);
    let config = format!("dns = {{ server = \"{}\", select = \"first\" }}\n", dns.addr());
    let url = |name: &str| json!({ "url": format!("http://{name}.test:{}/", target.port()), "show": ["timings"] });
    let fetched = fetch(&config, &json!([url("refused"), url("silent")])).all_ok(2);
    assert!(fetched.took(1, "connecting") >= 250.0, "{} answers\n{}", hole.url, fetched.run);
}

#[test]
fn a_host_can_be_somewhere_else_and_keeps_its_name() {
    let (one, two) = twins();
    let port = one.port();
    let config = format!(
        "[hosts]\n\"a.test\" = \"127.0.0.1\"\n\"*.b.test\" = \"127.0.0.2:{port}\"\n\"a.test:81\" = \"127.0.0.2:{port}\"\n"
    );
    let urls = [format!("http://a.test:{port}/"), "http://x.y.b.test/".to_owned(), "http://a.test:81/".to_owned()];
    let steps: Value = urls.iter().map(|url| json!({ "url": url, "show": ["url"] })).collect();
    let fetched = fetch(&config, &steps).all_ok(3);
    assert_eq!(one.hosts(), [format!("a.test:{port}")]);
    assert_eq!(two.hosts(), ["x.y.b.test", "a.test:81"]);
    assert_eq!((&fetched.answers[1]["url"], &fetched.tags[1]["url"]), (&json!(urls[1]), &json!(urls[1])));
}

#[cfg(unix)]
#[test]
fn a_host_can_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let target = Plain::unix(&path);
    let config =
        format!("[hosts]\n\"here.test\" = \"unix:{}\"\n\"gone.test\" = \"unix:/nonexistent\"\n", path.display());
    let step = json!({ "url": "http://here.test/", "repeat": 2, "show": ["body"] });
    let fetched = fetch(&config, &json!([step, { "url": "http://gone.test/" }]));
    assert_eq!(fetched.count("by a file"), 2, "{}", fetched.run);
    assert_eq!(target.hosts(), ["here.test", "here.test"]);
    assert_eq!(fetched.code(2), "1210");
    assert!(fetched.error(2).contains("`/nonexistent`"), "{}", fetched.run);
}

#[test]
fn vus_connect_from_the_addresses_they_are_given() {
    let target = Plain::start("127.0.0.1:0");
    let config = "noConnectionReuse = true\nlocalIPs = [\"127.0.0.2-127.0.0.3\", \"127.0.0.9\"]\n";
    let step = json!({ "url": target.url(), "repeat": 2 });
    fetch_with(config, "--vus 4 --iterations 4", &json!([step])).all_ok(8);
    let peers = target.peers();
    let count = |peer: &str| peers.iter().filter(|other| *other == peer).count();
    // Shared iterations: which VU did how many is not said, but all four may have had one.
    assert_eq!(count("127.0.0.2") + count("127.0.0.3") + count("127.0.0.9"), 8, "{peers:?}");
    let fetched = fetch("localIPs = [\"192.0.2.1\"]\n", &json!([{ "url": target.url() }]));
    assert_eq!(fetched.code(0), "1210");
    assert_eq!(fetched.error(0), "dial failed: `192.0.2.1` of `local-ips` is no address of this machine");
}

#[test]
fn each_vu_has_its_address() {
    let target = Plain::start("127.0.0.1:0");
    let config = "localIPs = \"127.0.0.11-127.0.0.13\"\n[scenarios.all]\nexecutor = \"per-vu-iterations\"\nvus = 6\niterations = 1\n";
    fetch(config, &json!([{ "url": target.url() }])).all_ok(6);
    let mut peers = target.peers();
    peers.sort();
    assert_eq!(peers, ["127.0.0.11", "127.0.0.11", "127.0.0.12", "127.0.0.12", "127.0.0.13", "127.0.0.13"]);
}

#[test]
fn an_http_proxy_gets_whole_urls_and_keeps_its_connection() {
    let target = Plain::start("127.0.0.1:0");
    let proxy = http_proxy(Some("Basic bWU6c2VjcmV0"));
    let url = format!("http://inside.test:{}/a?b", target.port());
    let config = format!("proxy = \"http://me:secret@{}\"\n", proxy.addr());
    fetch(&config, &json!([{ "url": url, "repeat": 3 }])).all_ok(3);
    assert_eq!((proxy.peers().len(), proxy.heads().len()), (1, 3));
    assert!(proxy.heads()[0].starts_with(&format!("GET {url} HTTP/1.1\r\n")), "{}", proxy.heads()[0]);
    assert_eq!(target.hosts()[0], format!("inside.test:{}", target.port()));
    let fetched = fetch(&format!("proxy = \"http://{}\"\n", proxy.addr()), &json!([{ "url": url }]));
    assert_eq!(fetched.answers[0]["status"], 407);
}

#[test]
fn an_http_proxy_opens_a_tunnel_for_tls() {
    let target = Plain::tls();
    let proxy = http_proxy(Some("Basic bWU6c2VjcmV0"));
    let url = format!("https://inside.test:{}/a", target.port());
    let step = json!({ "url": url, "repeat": 3, "show": ["body"] });
    let config =
        |credentials: &str| format!("insecureSkipTLSVerify = true\nproxy = \"http://{credentials}{}\"\n", proxy.addr());
    let fetched = fetch(&config("me:secret@"), &json!([step])).all_ok(3);
    assert_eq!(fetched.count("secret ok"), 3);
    assert_eq!((proxy.peers().len(), target.heads().len()), (1, 3));
    assert!(proxy.heads()[0].starts_with(&format!("CONNECT inside.test:{} HTTP/1.1\r\n", target.port())));
    assert!(target.heads()[0].starts_with("GET /a HTTP/1.1\r\n") && !target.heads()[0].contains("proxy-"));
    let fetched = fetch(&config(""), &json!([{ "url": url }]));
    assert_eq!(fetched.code(0), "1200");
    let expected = format!("proxy: `{}`: answered CONNECT with 407 Proxy Authentication Required", proxy.addr());
    assert_eq!(fetched.error(0), expected);
}

#[test]
fn a_socks_proxy_resolves_the_names() {
    let target = Plain::start("127.0.0.1:0");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let proxy = socks_proxy(Some(("me", "secret")), move |host| kept.lock().unwrap().push(host.to_owned()));
    let url = format!("http://inside.test:{}/", target.port());
    let config = |credentials: &str| format!("proxy = \"socks5://{credentials}{}\"\n", proxy.addr());
    fetch(&config("me:secret@"), &json!([{ "url": url, "repeat": 3 }])).all_ok(3);
    assert_eq!(*asked.lock().unwrap(), [format!("inside.test:{}", target.port())]);
    assert_eq!((target.heads().len(), target.peers().len()), (3, 1));
    assert!(target.heads()[0].starts_with("GET / HTTP/1.1\r\n"));
    for wrong in ["", "me:wrong@"] {
        assert_eq!(fetch(&config(wrong), &json!([{ "url": url }])).code(0), "1200");
    }
    let fetched = fetch(&config("me:secret@"), &json!([{ "url": Hostile::refuses() }]));
    assert_eq!(fetched.error(0), format!("proxy: `{}`: connection refused", proxy.addr()));
}

#[test]
fn some_hosts_are_reached_without_the_proxy_and_the_environment_names_none() {
    let target = Plain::start("127.0.0.1:0");
    let proxy = http_proxy(None);
    let dns = DnsServer::with(&[("a.direct.test", &["127.0.0.1"])]);
    let config = format!(
        "proxy = \"http://{}\"\nnoProxy = [\"127.0.0.0/8\", \".direct.test\"]\n\
         dns = {{ server = \"{}\" }}\nhosts = {{ \"b.test\" = \"127.0.0.1\" }}\n",
        proxy.addr(),
        dns.addr()
    );
    let url = |host: &str| json!({ "url": format!("http://{host}:{}/", target.port()) });
    fetch(&config, &json!([url("127.0.0.1"), url("a.direct.test"), url("b.test")])).all_ok(3);
    let names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let environment =
        |squall: Squall| names.iter().fold(squall, |squall, name| squall.env(name, format!("http://{}", proxy.addr())));
    prepared("", &json!([{ "url": target.url() }]), environment).all_ok(1);
    assert_eq!((proxy.peers().len(), target.heads().len()), (0, 4));
}

#[test]
fn a_proxy_that_is_not_there_is_not_the_target_that_refuses() {
    let gone = Hostile::refuses();
    let fetched = fetch(&format!("proxy = \"{gone}\"\n"), &json!([{ "url": "http://inside.test/" }]));
    assert_eq!(fetched.code(0), "1200");
    assert_eq!(fetched.error(0), format!("proxy: `{}`: connection refused", gone.trim_start_matches("http://")));
}

#[test]
fn connecting_has_a_timeout_of_its_own_within_that_of_the_request() {
    let hole = BlackHole::at("127.0.0.1:0");
    let step = json!({ "url": hole.url });
    let fetched = fetch("connectTimeout = \"300ms\"\n", &json!([step]));
    assert_eq!((fetched.code(0), fetched.error(0)), ("1211", "dial timeout"), "{}", fetched.run);
    assert!(fetched.run.summary().value("http_req_connecting", "max") >= 290.0);
    let fetched = fetch("", &json!([{ "url": hole.url, "timeout_ms": 300 }]));
    assert_eq!((fetched.code(0), fetched.error(0)), ("1050", "request timeout"), "{}", fetched.run);
}

#[test]
fn an_answer_may_be_slow_but_not_silent() {
    let silent = Hostile::half_header();
    let slow = Plain::over("127.0.0.1:0", false, |stream, seen| {
        use std::io::Write as _;
        seen.read_head(stream);
        for piece in ["HTTP/1.1 200 OK\r\n", "content-length: 4\r\n", "\r\n", "s", "l", "o", "w"] {
            let _ = stream.write_all(piece.as_bytes());
            std::thread::sleep(Duration::from_millis(150));
        }
    });
    let steps = json!([{ "url": silent.url() }, { "url": slow.url(), "show": ["body"] }]);
    let fetched = fetch("readTimeout = \"600ms\"\n", &steps);
    assert_eq!((fetched.code(0), fetched.code(1)), ("1050", ""), "{}", fetched.run);
    assert_eq!(fetched.answers[1]["body"], "slow");
}

#[test]
fn a_connection_that_lay_idle_for_too_long_is_not_used_again() {
    let target = Plain::start("127.0.0.1:0");
    let steps = json!([{ "url": target.url() }, { "url": target.url() }, { "sleep_ms": 900 }, { "url": target.url() }]);
    fetch("idleTimeout = \"800ms\"\n", &steps).all_ok(3);
    assert_eq!(target.peers().len(), 2);
    fetch("", &steps).all_ok(3);
    assert_eq!(target.peers().len(), 3);
}

#[test]
fn too_many_open_files_are_named_with_the_limit_and_a_way_out() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    // Each keeps its connection for as long as the others try.
    let run = Squall::run(journey("quickstart")).at(&target, "/delay/500").flags("--vus 100 --iterations 100");
    let run = run.arg("--out").arg(format!("json={}", points.display())).with_files(70).finish().expect(exit::JOURNEY);
    let text = std::fs::read_to_string(&points).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let expected = r#""error":"dial failed: all 70 files that may be open are open; raise the limit with `ulimit -n`","error_code":"1210""#;
    assert!(text.contains(expected), "{run}");
    assert!(target.stats().connections < 70);
}

#[test]
fn requests_start_no_more_often_than_the_limit_says() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "rps = 100\nvus = 10\nduration = \"2s\"\n");
    let run = Squall::run(journey("quickstart")).at(&target, "/").arg("--config").arg(config);
    let summary = run.finish().expect(exit::PASSED).summary();
    let requests = target.stats().requests;
    assert!((190..=210).contains(&requests), "{requests}");
    assert!(summary.value("http_req_blocked", "med") < 5.0, "waiting for the limit is no part of a request");
    assert!(summary.value("http_req_duration", "med") < 50.0);
}
