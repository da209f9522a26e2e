use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn allowing(allow: &[&str]) -> NetPolicy {
    NetPolicy { by_default: ByDefault::Deny, allow: rules(allow), deny: Vec::new() }
}

fn denying(deny: &[&str]) -> NetPolicy {
    NetPolicy { deny: rules(deny), ..NetPolicy::default() }
}

/// Takes a URL apart as those who dial do.
fn with<T>(url: &str, what: impl FnOnce(&Destination<'_>) -> T) -> T {
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = Scheme::ALL.into_iter().find(|known| known.as_str() == scheme).unwrap();
    // Only the parser of URLs of the web reads hosts.
    let parsed = url::Url::parse(&format!("http://{rest}")).unwrap();
    let host = parsed.host_str().unwrap().trim_matches(['[', ']']);
    what(&Destination { scheme, host, port: parsed.port().or(scheme.default_port()).unwrap() })
}

fn host(policy: &NetPolicy, url: &str) -> Result<(), Reason> {
    with(url, |to| policy.check_host(to).map_err(|refusal| refusal.reason))
}

/// What comes of a name with this address.
fn leads(policy: &NetPolicy, url: &str, address: &str) -> Result<(), Reason> {
    let check = |to: &Destination<'_>| {
        let at = SocketAddr::new(address.parse().unwrap(), to.port);
        policy.check_host(to).and_then(|()| policy.check_address(to, at, Source::Names))
    };
    with(url, check).map_err(|refusal| refusal.reason)
}

#[test]
fn a_rule_names_a_scheme_a_host_and_a_port() {
    let policy = allowing(&["https://api.shop.test", "db.test:5432", "*.cdn.test", "tcp://q.test:4222"]);
    for url in [
        "https://api.shop.test",
        "https://API.shop.test./x",
        "tcp://db.test:5432",
        "http://db.test:5432",
        "http://a.cdn.test",
        "wss://a.b.cdn.test:99",
        "tcp://q.test:4222",
    ] {
        assert_eq!(host(&policy, url), Ok(()), "{url}");
    }
    for url in [
        "http://api.shop.test",
        "https://api.shop.test:8443",
        "wss://api.shop.test",
        "https://shop.test",
        "https://xapi.shop.test",
        "https://api.shop.test.evil.test",
        "http://db.test",
        "http://cdn.test",
        "http://evilcdn.test",
        "udp://q.test:4222",
        "http://localhost",
    ] {
        assert_eq!(host(&policy, url), Err(Reason::NameNotAllowed), "{url}");
    }
    assert_eq!(host(&allowing(&[]), "http://a.test"), Err(Reason::NameNotAllowed));
    assert_eq!(host(&NetPolicy::default(), "http://a.test"), Ok(()));
}

#[test]
fn a_name_leads_to_public_addresses_only() {
    let policy = allowing(&["*"]);
    for public in ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"] {
        assert_eq!(leads(&policy, "https://a.test", public), Ok(()), "{public}");
    }
    let special = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for address in special {
        assert_eq!(leads(&policy, "https://a.test", address), Err(Reason::NotPublic), "{address}");
        assert_eq!(leads(&NetPolicy::default(), "https://a.test", address), Ok(()), "{address} in a trusted run");
    }
}

#[test]
fn what_is_not_public_takes_a_rule_for_the_address() {
    let policy = allowing(&["*.test", "10.1.0.0/16:5432", "[fd00::/8]:443", "192.168.0.7", "169.254.169.254:80"]);
    assert_eq!(leads(&policy, "tcp://db.test:5432", "10.1.9.9"), Ok(()));
    assert_eq!(leads(&policy, "tcp://db.test:5432", "::ffff:10.1.9.9"), Ok(()), "which is the same address");
    assert_eq!(leads(&policy, "tcp://db.test:5433", "10.1.9.9"), Err(Reason::NotPublic), "at another port");
    assert_eq!(leads(&policy, "tcp://db.test:5432", "10.2.0.1"), Err(Reason::NotPublic));
    assert_eq!(
        leads(&policy, "tcp://db.test:5432", "64:ff9b::10.1.9.9"),
        Err(Reason::NotPublic),
        "by somebody else's NAT"
    );
    assert_eq!(leads(&policy, "https://six.test", "fd12::1"), Ok(()));
    assert_eq!(leads(&policy, "http://any.test:99", "192.168.0.7"), Ok(()));
    // An address is no name: a rule for it does not let anything be asked of DNS.
    assert_eq!(leads(&policy, "tcp://db.example:5432", "10.1.9.9"), Err(Reason::NameNotAllowed));
    assert_eq!(host(&policy, "http://169.254.169.254"), Ok(()));
    assert_eq!(host(&policy, "http://169.254.169.254:81"), Err(Reason::AddressNotAllowed));
}

#[test]
fn an_address_in_a_url_takes_a_rule_for_it_in_every_spelling() {
    let loopback = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "%31%32%37.0.0.1",
        "127.0.0.1.",
        "１２７.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ];
    for spelling in loopback {
        let url = format!("http://{spelling}:8080/");
        assert_eq!(host(&allowing(&["127.0.0.1:8080"]), &url), Ok(()), "{url}");
        assert_eq!(host(&allowing(&["localhost:8080"]), &url), Ok(()), "{url}");
        for allow in [&["*"][..], &["localhost:80"], &["*.test"], &["10.0.0.0/8"], &[]] {
            assert_eq!(host(&allowing(allow), &url), Err(Reason::AddressNotAllowed), "{url} by {allow:?}");
        }
        assert!(host(&denying(&["127.0.0.0/8"]), &url).is_err(), "{url}");
    }
    for metadata in
        ["169.254.169.254", "0xa9fea9fe", "2852039166", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"]
    {
        assert_eq!(
            host(&allowing(&["*"]), &format!("http://{metadata}/")),
            Err(Reason::AddressNotAllowed),
            "{metadata}"
        );
    }
    assert_eq!(host(&allowing(&["*"]), "http://1.1.1.1"), Ok(()), "everybody is everybody who is public");
    assert_eq!(host(&allowing(&["https://1.1.1.1"]), "http://1.1.1.1"), Err(Reason::AddressNotAllowed));
    assert_eq!(host(&allowing(&["[::1]:80"]), "http://[0:0:0:0:0:0:0:1]"), Ok(()));
}

#[test]
fn localhost_in_a_rule_is_this_machine_at_that_port() {
    let policy = allowing(&["localhost:8080", "shop.test"]);
    assert_eq!(leads(&policy, "http://localhost:8080", "127.0.0.1"), Ok(()));
    assert_eq!(leads(&policy, "http://LOCALHOST:8080", "::1"), Ok(()));
    assert_eq!(leads(&policy, "http://localhost:80", "127.0.0.1"), Err(Reason::NameNotAllowed));
    assert_eq!(leads(&policy, "http://localhost:8080", "10.0.0.1"), Err(Reason::NotPublic));
    assert_eq!(leads(&policy, "http://shop.test:80", "127.0.0.1"), Err(Reason::NotPublic));
}

#[test]
fn what_is_written_in_hosts_is_as_good_as_any_other_address() {
    let written = |policy: &NetPolicy, at: &str| {
        let check = |to: &Destination<'_>| policy.check_address(to, at.parse().unwrap(), Source::Written);
        with("https://api.shop.test", check).map_err(|refusal| refusal.reason)
    };
    let policy = allowing(&["https://api.shop.test", "10.0.0.5:8443"]);
    assert_eq!(written(&policy, "10.0.0.5:8443"), Ok(()));
    assert_eq!(written(&policy, "10.0.0.5:443"), Err(Reason::AddressNotAllowed), "the port that is dialled counts");
    assert_eq!(written(&policy, "6.6.6.6:443"), Err(Reason::AddressNotAllowed), "or any server could have that name");
    assert_eq!(written(&allowing(&["*"]), "6.6.6.6:443"), Ok(()));
    assert!(written(&denying(&["10.0.0.0/8"]), "10.0.0.5:443").is_err());
}

#[test]
fn a_denial_wins() {
    let mut policy = allowing(&["*", "10.0.0.0/8"]);
    policy.deny = rules(&["evil.test", "*.bad.test:443", "10.0.0.1", "20.0.0.0/8"]);
    assert!(
        matches!(host(&policy, "http://evil.test"), Err(Reason::NameDenied(rule)) if rule.to_string() == "evil.test")
    );
    assert!(host(&policy, "https://x.bad.test").is_err() && host(&policy, "http://x.bad.test").is_ok());
    assert_eq!(leads(&policy, "http://a.test", "10.0.0.2"), Ok(()));
    assert_eq!(leads(&policy, "http://a.test", "10.0.0.1"), Err(Reason::AddressDenied(None)));
    assert_eq!(leads(&policy, "http://a.test", "20.1.1.1"), Err(Reason::AddressDenied(None)));
    for form in ["::ffff:20.1.1.1", "64:ff9b::20.1.1.1", "2002:1401:101::", "::20.1.1.1"] {
        assert_eq!(leads(&policy, "http://a.test", form), Err(Reason::AddressDenied(None)), "{form}");
    }
}

#[test]
fn a_trusted_run_is_refused_only_what_is_denied_and_told_by_what() {
    let policy = denying(&["10.0.0.0/8", "*.test.example", "*badtest"]);
    assert!(!policy.is_open() && NetPolicy::default().is_open());
    assert_eq!(leads(&policy, "http://a.example", "192.168.0.1"), Ok(()));
    let error = with("http://a.example", |to| {
        policy.check_address(to, "10.1.1.1:80".parse().unwrap(), Source::Names).unwrap_err()
    });
    assert_eq!(error.to_string(), "`http://a.example` has an address that is denied by `10.0.0.0/8`");
    assert!(error.is_of_address());
    for (url, refused) in [
        ("http://x.test.example", true),
        ("http://test.example", false),
        ("http://mybadtest", true),
        ("http://badtest", true),
        ("http://badtest.example", false),
        ("http://X.Test.Example.", true),
    ] {
        assert_eq!(host(&policy, url).is_err(), refused, "{url}");
    }
    assert!(host(&denying(&["*"]), "http://1.1.1.1").is_err());
}

#[test]
fn a_refusal_says_what_and_why_and_no_address() {
    let said = |policy: &NetPolicy, url: &str, at: &str| {
        let check = |to: &Destination<'_>| {
            policy.check_host(to).and_then(|()| policy.check_address(to, at.parse().unwrap(), Source::Names))
        };
        with(url, check).unwrap_err().to_string()
    };
    let mut policy = allowing(&["a.test"]);
    policy.deny = rules(&["b.test", "20.0.0.0/8"]);
    assert_eq!(said(&policy, "https://c.test:81", "1.1.1.1:81"), "`https://c.test:81` is not allowed");
    assert_eq!(said(&policy, "https://b.test", "1.1.1.1:81"), "`https://b.test` is denied by `b.test`");
    assert_eq!(
        said(&policy, "http://a.test", "10.0.0.1:80"),
        "`http://a.test` has an address that is not public, and no rule allows that address"
    );
    assert_eq!(said(&policy, "http://a.test", "20.0.0.1:80"), "`http://a.test` has an address that is denied");
    assert_eq!(said(&policy, "http://[::1]", "[::1]:80"), "`http://[::1]` is not allowed");
}

#[test]
fn a_policy_survives_json() {
    let mut policy = allowing(&["https://api.shop.test", "10.1.0.0/16:5432", "[fd00::/8]:443", "*"]);
    policy.deny = rules(&["*.bad.test"]);
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<NetPolicy>(&text).unwrap(), policy);
}

#[test]
fn a_proxy_is_allowed_by_its_own_name_or_address_only() {
    let by_itself = |allow: &[&str], url: &str| with(url, |to| allowing(allow).allows_by_itself(to));
    assert!(by_itself(&["proxy.test:3128"], "http://proxy.test:3128"));
    assert!(by_itself(&["10.0.0.0/8:3128"], "http://10.0.0.9:3128"));
    assert!(!by_itself(&["*", "*.test", "proxy.test:80"], "http://proxy.test:3128"));
}

proptest! {
    #[test]
    fn what_hides_in_ipv6_is_decided_as_it_would_be_by_itself(bits in any::<u32>()) {
        let (address, [a, b, c, d]) = (Ipv4Addr::from(bits), bits.to_be_bytes());
        let policy = allowing(&["*"]);
        let alone = leads(&policy, "https://a.test", &address.to_string());
        let sixto4 = format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1");
        for form in [format!("::ffff:{address}"), format!("64:ff9b::{address}"), sixto4] {
            prop_assert_eq!(&leads(&policy, "https://a.test", &form), &alone, "{}", form);
        }
        prop_assert_eq!(leads(&policy, "https://a.test", &format!("::{address}")), Err(Reason::NotPublic));
    }

    #[test]
    fn no_rule_at_all_lets_nobody_out(bits in any::<u128>(), port in 1_u16.., name in "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}") {
        let at = SocketAddr::new(Ipv6Addr::from(bits).into(), port);
        let to = Destination { scheme: Scheme::Tcp, host: &name, port };
        prop_assert!(allowing(&[]).check_host(&to).is_err());
        prop_assert!(allowing(&[]).check_address(&to, at, Source::Written).is_err());
    }
}
