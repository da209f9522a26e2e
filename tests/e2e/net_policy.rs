//! Whom a journey may reach: the targets that it may not must have seen nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::network::{Fetched, fetch_with, prepared, twins};
use crate::support::{DnsServer, Name, Plain, Squall, exit, http_proxy, practice, write};

fn addresses(list: &[&str]) -> Name {
    Name::Addresses(list.iter().map(|text| text.parse().unwrap()).collect())
}

/// Does these steps for an untrusted journey that may reach these.
#[track_caller]
fn untrusted(config: &str, allow: &[&str], steps: &Value) -> Fetched {
    let config = format!("untrusted = true\n{config}");
    prepared(&config, steps, |squall| allow.iter().fold(squall, |squall, rule| squall.args(["--allow-net", rule])))
}

fn get(url: impl AsRef<str>) -> Value {
    json!({ "url": url.as_ref(), "show": ["body"] })
}

impl Fetched {
    /// Asserts that the requests from this one on were refused, with this code and counted.
    #[track_caller]
    fn refused(self, from: usize, code: &str) -> Self {
        assert!(from < self.answers.len(), "nothing was refused\n{}", self.run);
        for at in from..self.answers.len() {
            assert_eq!(self.code(self.tags.len() - self.answers.len() + at), code, "request {at}\n{}", self.run);
            let error = self.answers[at]["error"].as_str().unwrap_or_default();
            assert!(error.starts_with("the request is not allowed: `http"), "request {at}: {error}\n{}", self.run);
        }
        let refused = (self.answers.len() - from) as u64;
        assert_eq!(self.run.summary().count("policy_denied"), refused, "{}", self.run);
        self
    }
}

#[test]
fn an_untrusted_journey_reaches_nobody_who_is_not_allowed() {
    let (one, two) = twins();
    let allowed = format!("http://127.0.0.1:{}", one.port());
    let steps = json!([get(one.url()), get(two.url()), get(two.url()), get("http://a.test/")]);
    let fetched = untrusted("", &[&allowed], &steps);
    assert_eq!((one.peers().len(), two.peers().len()), (1, 0), "{}", fetched.run);
    assert_eq!(fetched.answers[0]["body"], "one");
    assert_eq!([fetched.code(1), fetched.code(2), fetched.code(3)], ["1110", "1110", "1111"]);
    assert_eq!(fetched.error(1), format!("denied: `{}` is not allowed", two.url()));
    let summary = fetched.run.summary();
    assert_eq!((summary.count("policy_denied"), summary.count("http_reqs")), (3, 4));
    fetched.run.says(&[
        "warning: 3 requests were refused by the network policy: 2 to `127.0.0.2`, 1 to `a.test`",
        "allow with `--allow-net`",
    ]);
    let fetched = untrusted("", &[], &json!([get(one.url())])).refused(0, "1110");
    assert_eq!(one.peers().len(), 1, "{}", fetched.run);
}

#[test]
fn whoever_is_named_in_a_trusted_run_is_the_only_one_who_is_reached() {
    let (one, two) = twins();
    let flags = format!("--allow-net localhost:{} --deny-net 127.0.0.2", one.port());
    let localhost = format!("http://localhost:{}/", one.port());
    let fetched = fetch_with("", &flags, &json!([get(&localhost), get(two.url())])).refused(1, "1110");
    assert_eq!(fetched.answers[0]["body"], "one", "{}", fetched.run);
    assert_eq!(two.peers().len(), 0);
    let fetched = fetch_with("", "--deny-net 127.0.0.2", &json!([get(&localhost), get(two.url())])).refused(1, "1110");
    assert_eq!(fetched.error(1), format!("denied: `{}` has an address that is denied by `127.0.0.2`", two.url()));
    assert_eq!((one.peers().len(), two.peers().len()), (2, 0));
}

#[test]
fn an_address_is_the_same_in_every_spelling() {
    let (one, two) = twins();
    let spell = |spellings: &[&str]| -> Value {
        spellings.iter().map(|host| get(format!("http://{host}:{}/", one.port()))).collect()
    };
    let first = spell(&["127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "%31%32%37.0.0.1", "127.0.0.1."]);
    let allowed = format!("127.0.0.1:{}", one.port());
    untrusted("", &[&allowed], &first).all_ok(7);
    let others =
        spell(&["127.0.0.2", "127.2", "0x7f.2", "2130706434", "0177.0.0.2", "0", "[::ffff:127.0.0.2]", "[::1]"]);
    untrusted("", &[&allowed, "*"], &others).refused(0, "1110");
    fetch_with("", "--blacklist-ip 127.0.0.1", &first).refused(0, "1110");
    assert_eq!((one.heads().len(), two.peers().len()), (7, 0));
}

#[test]
fn a_name_that_is_not_allowed_is_never_looked_up() {
    let one = Plain::start("127.0.0.1:0");
    let dns = DnsServer::with(&[("a.test", &["127.0.0.1"]), ("secret-of-the-host.evil.test", &["127.0.0.1"])]);
    let config = format!("dns = {{ server = \"{}\" }}\n", dns.addr());
    let port = one.port();
    let allowed = [format!("http://a.test:{port}"), format!("127.0.0.1:{port}")];
    let names = ["A.test", "a.test.", "secret-of-the-host.evil.test", "a.test.evil.test", "xa.test"];
    let steps: Value = names.iter().map(|name| get(format!("http://{name}:{port}/"))).collect();
    let fetched = untrusted(&config, &[&allowed[0], &allowed[1]], &steps).refused(2, "1111");
    // A dot at the end makes it another name to those who keep answers.
    assert_eq!((dns.asked("a.test"), fetched.count("ok")), ((2, 2), 2), "{}", fetched.run);
    assert_eq!((dns.asked("secret-of-the-host.evil.test"), dns.asked("xa.test")), ((0, 0), (0, 0)));
}

#[test]
fn a_name_that_changes_its_mind_is_refused_from_then_on() {
    let (one, two) = twins();
    let port = one.port();
    let turns = Name::Turns(vec![addresses(&["127.0.0.1"]), addresses(&["127.0.0.2"])]);
    let dns = DnsServer::start(&[("rebind.test", turns)], Duration::ZERO);
    let config = format!(
        "noConnectionReuse = true\ndns = {{ server = \"{}\", ttl = \"0\", policy = \"onlyIPv4\" }}\n",
        dns.addr()
    );
    let url = format!("http://rebind.test:{port}/");
    let allowed = format!("127.0.0.1:{port}");
    let fetched = untrusted(&config, &["rebind.test", &allowed], &json!([get(&url), get(&url)])).refused(1, "1110");
    // One question each: who is connected to is who was checked, and not whoever a second answer names.
    assert_eq!((fetched.answers[0]["body"].as_str(), dns.asked("rebind.test")), (Some("one"), (2, 0)));
    assert_eq!((one.peers().len(), two.peers().len()), (1, 0), "{}", fetched.run);
    let said = fetched.error(1);
    assert!(said.contains("no rule allows that address") && !said.contains("127.0.0.2"), "{said}");
}

#[test]
fn one_bad_address_of_several_refuses_them_all() {
    let (one, two) = twins();
    let port = one.port();
    let dns = DnsServer::with(&[("mixed.test", &["127.0.0.1", "127.0.0.2"]), ("six.test", &["127.0.0.1", "::1"])]);
    let allowed = format!("127.0.0.1:{port}");
    for select in ["first", "roundRobin"] {
        let config = format!("dns = {{ server = \"{}\", select = \"{select}\" }}\n", dns.addr());
        let steps = json!([get(format!("http://mixed.test:{port}/")), get(format!("http://six.test:{port}/"))]);
        untrusted(&config, &["*.test", &allowed], &steps).refused(0, "1110");
    }
    assert_eq!((one.peers().len(), two.peers().len()), (0, 0));
    assert_eq!(dns.asked("mixed.test"), (2, 2));
}

#[test]
fn an_alias_leads_no_further_than_its_addresses_may() {
    let (one, two) = twins();
    let port = one.port();
    let names = [
        ("www.shop.test", Name::Alias("edge.cdn.test")),
        ("edge.cdn.test", Name::Alias("inner.test")),
        ("inner.test", addresses(&["127.0.0.2"])),
    ];
    let dns = DnsServer::start(&names, Duration::ZERO);
    let config = format!("dns = {{ server = \"{}\" }}\n", dns.addr());
    let steps = json!([get(format!("http://www.shop.test:{port}/"))]);
    let (first, second) = (format!("127.0.0.1:{port}"), format!("127.0.0.0/8:{port}"));
    untrusted(&config, &["*.shop.test", &first], &steps).refused(0, "1110");
    assert_eq!((one.peers().len(), two.peers().len()), (0, 0));
    // The names behind an alias are not the journey's to choose, so they need no rule.
    let fetched = untrusted(&config, &["*.shop.test", &second], &steps).all_ok(1);
    assert_eq!(fetched.answers[0]["body"], "two");
}

#[test]
fn an_address_inside_another_is_looked_at() {
    let (one, two) = twins();
    let port = one.port();
    let dns = DnsServer::with(&[
        ("mapped.test", &["::ffff:127.0.0.2"]),
        ("nat64.test", &["64:ff9b::7f00:2"]),
        ("sixto4.test", &["2002:7f00:2::1"]),
        ("compatible.test", &["::127.0.0.2"]),
    ]);
    let config = format!("dns = {{ server = \"{}\", policy = \"onlyIPv6\" }}\n", dns.addr());
    let names = ["mapped", "nat64", "sixto4", "compatible"];
    let steps: Value = names.iter().map(|name| get(format!("http://{name}.test:{port}/"))).collect();
    untrusted(&config, &["*"], &steps).refused(0, "1110");
    let blacklist = format!("{config}blacklistIPs = [\"127.0.0.0/30\"]\n");
    fetch_with(&blacklist, "", &steps).refused(0, "1110");
    assert_eq!((one.peers().len(), two.peers().len()), (0, 0));
}

#[test]
fn a_redirect_leads_to_nobody_who_is_not_allowed() {
    let (target, other) = (practice(), Plain::start("127.0.0.2:0"));
    let allowed = target.url();
    let sent_to = |url: &str| get(format!("{}/redirect-to?url={url}", target.url()));
    let steps = json!([
        sent_to(&format!("{}/", other.url())),
        sent_to("http://169.254.169.254/latest/meta-data/"),
        sent_to("http://metadata.google.internal/"),
        sent_to("http://[::ffff:169.254.169.254]/"),
    ]);
    let fetched = untrusted("", &[&allowed], &steps);
    let codes: Vec<&str> = (0..fetched.tags.len()).map(|at| fetched.code(at)).collect();
    assert_eq!(codes, ["", "1110", "", "1110", "", "1111", "", "1110"], "{}", fetched.run);
    assert_eq!((target.stats().requests, other.peers().len()), (4, 0));
    fetched.run.says(&["4 requests were refused by the network policy", "1 to `169.254.169.254`"]);
}

#[test]
fn a_redirect_from_https_to_http_needs_a_rule_for_http() {
    let plain = Plain::start("127.0.0.1:0");
    let tls = Plain::tls_redirecting(&format!("{}/", plain.url()));
    let config = "insecureSkipTLSVerify = true\n";
    let steps = json!([get(tls.url())]);
    let https = format!("https://127.0.0.1:{}", plain.port());
    untrusted(config, &[&tls.url(), &https], &steps).refused(0, "1110");
    assert_eq!((tls.heads().len(), plain.peers().len()), (1, 0));
    untrusted(config, &[&tls.url(), &plain.url()], &steps).all_ok(1);
}

#[test]
fn a_kept_connection_is_for_its_own_origin() {
    let target = Plain::start("127.0.0.1:0");
    let port = target.port();
    let dns = DnsServer::with(&[("a.test", &["127.0.0.1"]), ("b.test", &["127.0.0.1"])]);
    let allowed = format!("127.0.0.1:{port}");
    let (a, b) = (get(format!("http://a.test:{port}/")), get(format!("http://b.test:{port}/")));
    for connections in ["per-vu", "shared:4"] {
        let config = format!("connections = \"{connections}\"\ndns = {{ server = \"{}\" }}\n", dns.addr());
        let fetched = untrusted(&config, &["a.test", &allowed], &json!([a, a, b])).refused(2, "1111");
        assert_eq!(fetched.count("ok"), 2, "{}", fetched.run);
    }
    assert_eq!((target.peers().len(), target.heads().len(), dns.asked("b.test")), (2, 4, (0, 0)));
}

#[test]
fn hosts_lead_to_allowed_addresses_only() {
    let (one, two) = twins();
    let port = one.port();
    let config = "[hosts]\n\"a.test\" = \"127.0.0.1\"\n\"b.test\" = \"127.0.0.2\"\n\"c.test\" = \"127.0.0.1\"\n";
    let steps: Value = ["a", "b", "c"].iter().map(|name| get(format!("http://{name}.test:{port}/"))).collect();
    let allowed = format!("127.0.0.1:{port}");
    let fetched = untrusted(config, &["a.test", "b.test", &allowed], &steps);
    assert_eq!([fetched.code(0), fetched.code(1), fetched.code(2)], ["", "1110", "1111"], "{}", fetched.run);
    assert_eq!((one.hosts(), two.peers().len()), (vec![format!("a.test:{port}")], 0));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_the_operators_to_give_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let target = Plain::unix(&path);
    let config = format!("[hosts]\n\"*.test\" = \"unix:{}\"\n", path.display());
    let steps = json!([get("http://here.test/"), get("http://there.test/")]);
    // The wall around an untrusted run lets no Unix socket through, whoever allows it.
    let fetched = fetch_with(&config, "--allow-net here.test", &steps).refused(1, "1111");
    assert_eq!((fetched.count("by a file"), target.hosts()), (1, vec!["here.test".to_owned()]));
}

#[test]
fn k6s_lists_refuse_with_k6s_codes() {
    let (one, two) = twins();
    let port = one.port();
    let dns =
        DnsServer::with(&[("a.test", &["127.0.0.1"]), ("b.test", &["127.0.0.2"]), ("x.bad.test", &["127.0.0.1"])]);
    let config = format!(
        "blacklistIPs = [\"127.0.0.2/31\", \"10.0.0.0/8\"]\nblockHostnames = [\"*.bad.test\"]\ndns = {{ server = \"{}\" }}\n",
        dns.addr()
    );
    let steps: Value = ["a.test", "b.test", "127.0.0.2", "x.bad.test"]
        .iter()
        .map(|host| get(format!("http://{host}:{port}/")))
        .collect();
    let fetched = fetch_with(&config, "", &steps);
    assert_eq!([0, 1, 2, 3].map(|at| fetched.code(at)), ["", "1110", "1110", "1111"], "{}", fetched.run);
    assert_eq!(
        [fetched.error(1), fetched.error(3)],
        [
            format!("denied: `http://b.test:{port}` has an address that is denied by `127.0.0.2/31`"),
            format!("denied: `http://x.bad.test:{port}` is denied by `*.bad.test`"),
        ]
    );
    assert_eq!((one.hosts().len(), two.peers().len(), dns.asked("x.bad.test")), (1, 0, (0, 0)));
    fetched.run.says(&["3 requests were refused by the network policy", "`blacklistIPs` and `blockHostnames` say"]);
}

#[test]
fn a_proxy_that_is_allowed_is_asked_for_allowed_names_only() {
    let target = Plain::start("127.0.0.1:0");
    let (proxy, port) = (http_proxy(None), target.port());
    let (gate, url) = (proxy.addr().to_string(), |name: &str| get(format!("http://{name}:{port}/")));
    let config = format!("proxy = \"http://{gate}\"\n");
    let steps = json!([url("inside.test"), url("other.test"), url("127.0.0.1")]);
    let fetched = untrusted(&config, &[&gate, "inside.test"], &steps);
    assert_eq!([0, 1, 2].map(|at| fetched.code(at)), ["", "1111", "1110"], "{}", fetched.run);
    assert_eq!((proxy.heads().len(), target.hosts()), (1, vec![format!("inside.test:{port}")]));

    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", config);
    let refused = Squall::fetch(&steps).arg("--config").arg(config).flags("--untrusted --allow-net *").finish();
    refused.expect(exit::CONFIGURATION).says(&["is not allowed: it would connect to addresses that nobody checks"]);
    assert_eq!(proxy.heads().len(), 1);
}

#[test]
fn an_untrusted_run_takes_no_proxy_from_the_environment() {
    let (target, proxy) = (Plain::start("127.0.0.1:0"), http_proxy(None));
    let names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let run = prepared("untrusted = true\n", &json!([get(target.url())]), |squall| {
        let squall = names.iter().fold(squall, |squall, name| squall.env(name, format!("http://{}", proxy.addr())));
        squall.args(["--allow-net", &target.url()])
    });
    run.all_ok(1);
    assert_eq!((proxy.peers().len(), target.heads().len()), (0, 1));
}

#[test]
fn every_way_to_send_goes_through_the_door() {
    let target = Plain::start("127.0.0.1:0");
    let url = target.url();
    let steps = json!([
        { "url": url, "stream": 1 },
        { "url": url, "method": "POST", "upload": ["a", "b"] },
        { "url": url, "digest": ["me", "secret"] },
        { "url": url, "method": "POST", "body": "x" },
        { "batch": [{ "url": url }, { "url": url }] },
    ]);
    for config in [
        "",
        "httpVersion = \"2\"\n",
        "connections = \"shared:4\"\nhttpVersion = \"2\"\n",
        "connections = \"per-request\"\n",
    ] {
        untrusted(config, &["*"], &steps).refused(0, "1110");
    }
    assert_eq!(target.peers().len(), 0);
}

#[test]
fn ever_new_names_are_counted_together() {
    let steps: Value = (0..6).map(|number| get(format!("http://n{number}.test/"))).collect();
    let fetched = prepared("untrusted = true\nlimits = { tagValues = 2 }\n", &steps, |squall| squall);
    assert_eq!(fetched.run.summary().count("policy_denied"), 6);
    fetched.run.says(&["6 requests were refused by the network policy: 1 to `n0.test`, 1 to `n1.test`, 4 to others"]);
}

#[test]
fn explaining_a_run_says_whom_it_may_reach() {
    let explained = |flags: &str| Squall::fetch(&json!([])).arg("--explain").flags(flags).finish().expect(exit::PASSED);
    let plan = explained("--untrusted --allow-net https://a.test --allow-net 10.0.0.0/8:443 --deny-net 10.0.0.1");
    assert!(plan.explains("policy.net.allow", "https://a.test, 10.0.0.0/8:443", "--allow-net"), "{plan}");
    assert!(plan.explains("policy.net.deny", "10.0.0.1", "--deny-net"), "{plan}");
    let plan = explained("--untrusted");
    assert!(plan.explains("policy.net.allow", "nobody", "--untrusted"), "{plan}");
    assert!(explained("").explains("policy.net.allow", "everybody", "default"));
}
