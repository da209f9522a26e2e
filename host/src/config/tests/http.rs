use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Typed, from};
use crate::config::{Sources, explain, lower};
use crate::plan::http::{Connections, Debug, Place, Policy, ProxyKind, Select, Version};

fn value(typed: &Typed, key: &str) -> String {
    typed.lower().origins.get(None, key).unwrap_or_else(|| panic!("no `{key}`")).value.clone()
}

/// The problems of one flag, named after its key.
fn flag(key: &'static str, text: &str) -> String {
    Typed::flags(&[(key, text)]).problems()
}

#[test]
fn every_option_reaches_the_plan_from_a_file() {
    let http = Typed::file(
        "rps = 12.5\nhttp-version = 1.1\nrequest-timeout = \"5s\"\nconnect-timeout = \"2s\"\nread-timeout = \"1s\"\n\
         idle-timeout = \"3s\"\nthrow = true\nhttp-debug = \"full\"\nno-cookies-reset = true\n\
         expected-statuses = [\"200-299\", 404, { min = 500, max = 503 }]\nconnections = { shared = 8 }\n\
         dns = { ttl = \"inf\", select = \"roundRobin\", policy = \"onlyIPv6\", server = \"::1\" }\n\
         proxy = \"http://me:p%40ss@Proxy.test:3128\"\nno-proxy = [\"*.Local\", \"10.0.0.0/8\", \"a.test\"]\n\
         localIPs = [\"10.0.0.0/29\", \"::1\"]\n[hosts]\n\"A.test\" = \"127.0.0.1\"\n\"*.b.test:443\" = \"[::1]:8443\"\n",
    )
    .lower()
    .plan
    .http;
    assert_eq!(http.rps, Some(12.5));
    assert_eq!((http.version, http.connections), (Version::Http1, Connections::Shared(8)));
    assert_eq!((http.timeout, http.connect_timeout), (Duration::from_secs(5), Duration::from_secs(2)));
    assert_eq!((http.read_timeout, http.idle_timeout), (Some(Duration::from_secs(1)), Some(Duration::from_secs(3))));
    assert!(http.throw && http.keep_cookies);
    assert_eq!(http.debug, Some(Debug::Full));
    assert_eq!(http.expected_statuses, [(200, 299), (404, 404), (500, 503)]);
    assert_eq!((http.dns.ttl, http.dns.select, http.dns.policy), (None, Select::RoundRobin, Policy::OnlyIpv6));
    assert_eq!(http.dns.server.unwrap().to_string(), "[::1]:53");
    let proxy = http.proxy.unwrap();
    assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (ProxyKind::Http, "proxy.test", 3128));
    let (user, password) = proxy.credentials.unwrap();
    assert_eq!((user.as_str(), password.0.as_str()), ("me", "p@ss"));
    assert_eq!(proxy.bypass, [".local", "10.0.0.0/8", "a.test"]);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    // As in k6, neither the network's own address nor its broadcast.
    assert_eq!(http.local_ips, [(ip("10.0.0.1"), ip("10.0.0.6")), (ip("::1"), ip("::1"))]);
    assert_eq!(http.hosts["a.test"], Place::Address(ip("127.0.0.1"), None));
    assert_eq!(http.hosts["*.b.test:443"], Place::Address(ip("::1"), Some(8443)));
}

#[test]
fn every_option_with_a_text_form_can_be_a_variable() {
    let typed = Typed::default().and_variables(&[
        ("SQUALL_RPS", "5"),
        ("SQUALL_DNS", "ttl=0,select=first,policy=any,server=127.0.0.1:5353"),
        ("SQUALL_HOSTS", "a.test=127.0.0.1:81,b.test=unix:/run/b.sock"),
        ("SQUALL_LOCAL_IPS", "192.168.220.2,10.0.0.0-10.0.0.10"),
        ("SQUALL_PROXY", "socks5://[::1]"),
        ("SQUALL_NO_PROXY", "localhost,.test"),
        ("SQUALL_HTTP_VERSION", "2"),
        ("SQUALL_CONNECTIONS", "shared:3"),
        ("SQUALL_EXPECTED_STATUSES", "200-299, 404"),
        ("SQUALL_THROW", "1"),
        ("SQUALL_HTTP_DEBUG", "headers"),
        ("SQUALL_READ_TIMEOUT", "1s"),
        ("SQUALL_FILES", "users=data/users.csv,me.pem"),
    ]);
    let plan = typed.lower().plan;
    let http = &plan.http;
    assert_eq!((http.rps, http.version, http.connections), (Some(5.0), Version::Http2, Connections::Shared(3)));
    assert_eq!((http.dns.ttl, http.dns.select), (Some(Duration::ZERO), Select::First));
    assert_eq!(http.dns.server.unwrap().port(), 5353);
    assert_eq!(http.hosts["b.test"], Place::Socket(PathBuf::from("/run/b.sock")));
    assert_eq!(http.local_ips.len(), 2);
    let proxy = http.proxy.as_ref().unwrap();
    assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (ProxyKind::Socks5, "::1", 1080));
    assert_eq!(http.expected_statuses, [(200, 299), (404, 404)]);
    assert_eq!((http.debug, http.throw), (Some(Debug::Headers), true));
    assert_eq!(&*plan.files["users"], b"ann,bob");
    assert!(plan.files.contains_key("me.pem"));
}

#[test]
fn what_is_written_by_name_adds_up_and_parts_of_dns_stand_for_themselves() {
    let file = "dns = { ttl = \"1s\", select = \"first\" }\n[hosts]\na = \"127.0.0.1\"\nb = \"127.0.0.2\"\n";
    let typed = Typed::file(file).and_flags(&[("hosts", "b=127.0.0.3"), ("dns", "ttl=2s")]);
    let lowered = typed.lower();
    assert_eq!(value(&typed, "hosts.a"), "127.0.0.1");
    assert_eq!(value(&typed, "hosts.b"), "127.0.0.3");
    assert_eq!(from(&lowered, "hosts.b"), "--hosts");
    assert_eq!((from(&lowered, "dns.ttl"), from(&lowered, "dns.select")), ("--dns", "squall.toml:1"));
    assert_eq!((value(&typed, "dns.ttl"), value(&typed, "dns.policy")), ("2s".into(), "preferIPv4".into()));
}

#[test]
fn zero_and_nothing_take_a_limit_back() {
    let file = "rps = 5\nread-timeout = \"1s\"\nidle-timeout = \"1s\"\nproxy = \"http://p\"\nhttp-debug = true\n";
    let typed = Typed::file(file).and_flags(&[
        ("rps", "0"),
        ("readTimeout", "0"),
        ("idleTimeout", "0s"),
        ("proxy", ""),
        ("httpDebug", "false"),
    ]);
    let http = typed.lower().plan.http;
    assert_eq!(
        (http.rps, http.read_timeout, http.idle_timeout, http.proxy, http.debug),
        (None, None, None, None, None)
    );
    assert_eq!(value(&typed, "rps"), "no limit");
}

#[test]
fn connections_are_one_thing_however_they_are_said() {
    let of = |typed: Typed| (typed.lower().plan.http.connections, from(&typed.lower(), "connections").to_owned());
    let journey = || Typed::journey(r#"{"noConnectionReuse":true}"#);
    assert_eq!(of(journey()), (Connections::PerRequest, "journey options".into()));
    let above = journey().and_flags(&[("connections", "per-vu")]);
    assert_eq!(of(above), (Connections::PerVu, "--connections".into()));
    let above = Typed::journey(r#"{"connections":"per-request"}"#).and_flags(&[("noVUConnectionReuse", "true")]);
    assert_eq!(of(above), (Connections::PerIteration, "--no-vu-connection-reuse".into()));
    assert_eq!(
        Typed::journey(r#"{"connections":{"shared":2},"noVUConnectionReuse":true}"#).problems(),
        "`connections` is shared:2 but `noVUConnectionReuse` asks for per-iteration\n  at journey options: connections\n  \
         hint: keep one of them"
    );
    let agree = Typed::file("connections = \"per-request\"\nno-connection-reuse = true\n");
    assert_eq!(of(agree).0, Connections::PerRequest);
}

#[test]
fn a_scenario_may_use_connections_in_its_own_way() {
    let file = "[scenarios.a]\nexecutor = \"per-vu-iterations\"\nconnections = \"per-iteration\"\n\
                [scenarios.b]\nexecutor = \"per-vu-iterations\"\n";
    let lowered = Typed::file(file).lower();
    let of = |index: usize| lowered.plan.scenarios[index].connections;
    assert_eq!((of(0), of(1)), (Some(Connections::PerIteration), None));
    assert_eq!(from(&lowered, "a/connections"), "squall.toml:3");
    assert_eq!(
        Typed::file("[scenarios.a]\nexecutor = \"per-vu-iterations\"\nconnections = { shared = 0 }\n").problems(),
        "scenario `a`: `connections.shared` is 0, but must be at least 1\n  at squall.toml:3\n  \
         hint: say how many VUs share their connections"
    );
}

#[test]
fn paths_in_the_file_start_at_its_folder() {
    let text = "files = [\"users.csv\"]\n[hosts]\na = \"unix:run/a.sock\"\n";
    let typed = Typed::default();
    let mut sources = Sources { file: Some((std::path::Path::new("conf/squall.toml"), text)), ..typed.sources() };
    let plan = lower(&sources).unwrap().plan;
    assert_eq!(&*plan.files["users.csv"], b"ann,bob");
    assert_eq!(plan.http.hosts["a"], Place::Socket(PathBuf::from("conf/run/a.sock")));
    sources.reader = crate::config::FileReader::default();
    let problems = lower(&sources).unwrap_err().to_string();
    assert_eq!(
        problems,
        "`files`: the file `conf/users.csv` cannot be granted as `users.csv`: no files are read here\n  \
         at conf/squall.toml:1\n  hint: check the path; files may have 1GiB together"
            .replace("`files`", "`files[0]`")
    );
}

#[test]
fn files_that_are_missing_or_too_large_together_are_refused() {
    assert_eq!(
        flag("files", "users=nowhere.csv"),
        "`--files`: the file `nowhere.csv` cannot be granted as `users`: entity not found\n  at the command line\n  \
         hint: check the path; files may have 1GiB together"
    );
    assert_eq!(
        flag("files", "a=half,b=half"),
        "`--files`: the file `half` cannot be granted as `b`: it has 629145600 bytes\n  at the command line\n  \
         hint: check the path; files may have 1GiB together, of which 424MiB are left"
    );
    assert_eq!(flag("files", "=x"), "`--files` must be files like `NAME=PATH`, but is `=x`\n  at the command line");
}

#[test]
fn a_journey_chooses_no_file_no_proxy_no_address_and_no_dns_server() {
    let problems = Typed::journey(
        r#"{"proxy":"http://p","noProxy":["a"],"localIPs":"127.0.0.1","files":{"a":"me.pem"},
            "dns":{"server":"127.0.0.1"},"hosts":{"a":"unix:/run/docker.sock"}}"#,
    )
    .problems();
    let found: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  ")).collect();
    assert_eq!(
        found,
        [
            "`proxy` is not for the journey to set",
            "`noProxy` is not for the journey to set",
            "`localIPs` is not for the journey to set",
            "`files` is not for the journey to set",
            "`dns.server` is not for the journey to set",
            "`hosts.a` is a Unix socket, which is not for the journey to choose",
        ]
    );
}

#[test]
fn proxies_come_from_options_alone() {
    let variables = [("HTTP_PROXY", "http://p"), ("http_proxy", "http://p"), ("ALL_PROXY", "http://p")];
    assert_eq!(Typed::default().and_variables(&variables).lower().plan.http.proxy, None);
    let typed = Typed::flags(&[("noProxy", "a.test")]);
    assert_eq!(
        typed.warnings(),
        "`--no-proxy` has no effect: there is no proxy\n  at the command line\n  hint: remove it, or set `proxy`"
    );
}

#[test]
fn the_explanation_shows_no_secret() {
    let typed = Typed::flags(&[
        ("proxy", "http://me:hunter2@p:1"),
        ("tlsAuth", r#"[{"cert":"both.pem","password":"hunter2"}]"#),
    ]);
    let lowered = typed.lower();
    let text = explain(&lowered);
    assert!(
        text.contains("http://(hidden)@p:1") && text.contains("both.pem, key (hidden), password (hidden)"),
        "{text}"
    );
    let shown = serde_json::to_string(&lowered.plan.http.without_secrets()).unwrap();
    for secret in ["hunter2", "PRIVATE KEY"] {
        assert!(!text.contains(secret) && !shown.contains(secret), "{text}{shown}");
    }
    for wrong in ["https://me:hunter2@p", "me:hunter2@p", "http://me:hunter2@p/x", "http://me:hunter2@:x"] {
        let problems = flag("proxy", wrong);
        assert!(problems.contains("`--proxy`: `(hidden)` ") && !problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn values_that_are_none_say_what_is_one() {
    for (key, text, message) in [
        ("rps", "-1", "`--rps` must be a number, 0 or more, but is `-1`"),
        ("requestTimeout", "0", "`--request-timeout` is 0, but must be longer"),
        ("httpVersion", "4", "`--http-version` must be `auto`, `1.1`, `2`, `3` or `alt-svc`, but is `4`"),
        (
            "connections",
            "shared",
            "`--connections` must be `per-vu`, `per-iteration`, `per-request` or `shared:N`, but is `shared`",
        ),
        ("connections", "shared:0", "`--connections` must be like `shared:10`, with 1 or more, but is `shared:0`"),
        ("httpDebug", "all", "`--http-debug` must be `headers` or `full`, but is `all`"),
        (
            "expectedStatuses",
            "200-299,99",
            "`--expected-statuses` must be statuses from 100 to 999, like `200-299` or `404`, but is `99`",
        ),
        (
            "expectedStatuses",
            "404-400",
            "`--expected-statuses` must be statuses from 100 to 999, like `200-299` or `404`, but is `404-400`",
        ),
        ("expectedStatuses", ",", "`--expected-statuses` is empty, so every answer would be a failure"),
        ("dns", "5m", "`--dns` must be like `ttl=5m,select=random`, but has `5m`"),
        ("dns", "ttl=soon", "`--dns: ttl` must be a duration like `30s`, but is `soon`"),
        ("dns", "select=best", "`--dns: select` must be `first`, `random` or `roundRobin`, but is `best`"),
        (
            "dns",
            "policy=IPv4",
            "`--dns: policy` must be `preferIPv4`, `preferIPv6`, `onlyIPv4`, `onlyIPv6` or `any`, but is `IPv4`",
        ),
        (
            "dns",
            "server=dns.test",
            "`--dns: server` must be an address like `9.9.9.9` or `9.9.9.9:53`, but is `dns.test`",
        ),
        ("dns", "ttll=1s", "unknown option `--dns: ttll`"),
        ("hosts", "a.test=b.test", "`--hosts`: `b.test` is not the place of a host"),
        ("hosts", "a.test=127.0.0.1:0", "`--hosts`: `127.0.0.1:0` is not the place of a host"),
        ("hosts", "http://a.test=127.0.0.1", "`--hosts`: `http://a.test` is not a host"),
        ("hosts", "a.test", "`--hosts` must be like `NAME=VALUE`, but is `a.test`"),
        ("localIPs", "10.0.0.9-10.0.0.1", "`--local-ips`: `10.0.0.9-10.0.0.1` is no address, range or network"),
        ("localIPs", "10.0.0.0/33", "`--local-ips`: `10.0.0.0/33` is no address, range or network"),
        ("proxy", "proxy:3128", "`--proxy`: `proxy:3128` is neither `http://` nor `socks5://`"),
        (
            "proxy",
            "http://p/path",
            "`--proxy`: `http://p/path` has something after the host, which a proxy's URL has not",
        ),
    ] {
        let problems = flag(key, text);
        assert!(problems.starts_with(&format!("{message}\n  at the command line")), "{key}={text}\n{problems}");
        assert_eq!(problems.matches("\n  at ").count(), 1, "{problems}");
    }
    assert_eq!(
        Typed::file("[hosts]\na = 5\n").problems(),
        "`hosts.a`: `5` is not the place of a host\n  at squall.toml:2\n  \
         hint: write an address like `10.0.0.1`, `10.0.0.1:8080` or `[::1]:8080`, or `unix:/path/to.sock`"
    );
    assert_eq!(
        Typed::journey(r#"{"expectedStatuses":[{"min":200}],"dns":{"ttl":"5m","x":1}}"#).problems(),
        "`expectedStatuses[0]` has no `min` or no `max`\n  at journey options: expectedStatuses[0]\n  \
         hint: a range is like `{ min = 200, max = 299 }`\n\
         unknown option `dns.x`\n  at journey options: dns.x"
    );
}
