use proptest::prelude::*;

use super::*;

fn printed(text: &str) -> String {
    text.parse::<Rule>().unwrap_or_else(|error| panic!("{error}")).to_string()
}

#[test]
fn a_rule_is_read_as_urls_are_and_printed_in_its_shortest_form() {
    let table = [
        ("https://api.shop.test", "https://api.shop.test"),
        ("HTTPS://API.Shop.Test.:443/", "https://api.shop.test"),
        ("https://api.shop.test:8443", "https://api.shop.test:8443"),
        ("wss://a.test:80", "wss://a.test:80"),
        ("grpc://a.test", "grpc://a.test"),
        ("tcp://db.test:5432", "tcp://db.test:5432"),
        ("udp://[::1]:53", "udp://[::1]:53"),
        ("a.test", "a.test"),
        ("a.test:80", "a.test:80"),
        ("*.Shop.test", "*.shop.test"),
        ("*.shop.test:443", "*.shop.test:443"),
        ("*shop.test", "*shop.test"),
        ("*", "*"),
        ("*:443", "*:443"),
        ("https://*", "https://*"),
        ("10.1.0.0/16:5432", "10.1.0.0/16:5432"),
        ("10.1.2.3/16", "10.1.0.0/16"),
        ("[fd00::/8]:443", "[fd00::/8]:443"),
        ("fd00::/8", "fd00::/8"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("https://[::1]", "https://[::1]"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433:80", "127.0.0.1:80"),
        ("127.1", "127.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("[::ffff:7f00:1]:80", "127.0.0.1:80"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("%61.test", "a.test"),
        ("localhost:8080", "localhost:8080"),
        (" a.test ", "a.test"),
    ];
    for (text, shown) in table {
        assert_eq!(printed(text), shown, "{text}");
    }
}

#[test]
fn what_is_no_rule_says_why() {
    let table = [
        ("", "names no host"),
        ("https://", "names no host"),
        ("ftp://a.test", "its scheme is not one of"),
        ("tcp://a.test", "add one"),
        ("a.test:0", "no port"),
        ("a.test:99999", "no port"),
        ("a.test:http", "no port"),
        ("https://a.test/path", "no path"),
        ("https://user@a.test", "names no host"),
        ("a.*.test", "at the start"),
        ("*.a.*", "names no host"),
        ("*.10.0.0.1", "names no host"),
        ("10.0.0.0/33", "no path"),
        ("[::1", "names no host"),
        ("[::1]x", "only a port"),
        ("[a.test]", "names no host"),
        ("a test", "names no host"),
        ("a.test?x", "names no host"),
        (".", "names no host"),
    ];
    for (text, why) in table {
        let error = text.parse::<Rule>().expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn hosts_not_of_urls_come_out_as_those_of_urls() {
    for (text, host) in
        [("A.Test.", "a.test"), ("0177.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("127.0.0.1.", "127.0.0.1")]
    {
        assert_eq!(canonical_host(text).as_deref(), Some(host), "{text}");
    }
    assert_eq!(canonical_host("::1"), None, "IPv6 has brackets in URLs");
    assert_eq!(canonical_host("."), None);
}

fn any_whom() -> impl Strategy<Value = Whom> {
    prop_oneof![
        Just(Whom::Everybody),
        "[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){0,3}".prop_map(Whom::Name),
        "\\.?[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){0,3}".prop_map(Whom::Ending),
        (any::<u32>(), 0_u8..=32)
            .prop_map(|(bits, length)| Whom::Network(IpNet::new(Ipv4Addr::from(bits).into(), length).unwrap().trunc())),
        (any::<u128>(), 0_u8..=128)
            .prop_map(|(bits, length)| Whom::Network(IpNet::new(Ipv6Addr::from(bits).into(), length).unwrap().trunc()))
            .prop_filter("mapped ones are IPv4", |whom| {
                matches!(whom, Whom::Network(net) if network(&net.to_string()) == Some(*net))
            }),
    ]
}

proptest! {
    #[test]
    fn a_printed_rule_is_read_back(
        whom in any_whom(),
        scheme in proptest::option::of(proptest::sample::select(Scheme::ALL.to_vec())),
        port in proptest::option::of(1_u16..),
    ) {
        let default = scheme.and_then(Scheme::default_port);
        // What has a scheme has a port.
        let port = if scheme.is_some() { port.or(default).or(Some(1)) } else { port };
        let rule = Rule { scheme, whom, port };
        prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule.clone()));
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
    }

    #[test]
    fn no_text_is_too_odd_to_be_read(text in "\\PC{0,40}") {
        let _ = text.parse::<Rule>();
    }
}
