use std::collections::BTreeMap;

use super::*;
use crate::plan::http::{Http, Place as Written};
use crate::plan::{ByDefault, NetPolicy, Policy};
use crate::protocol::RunPlaces;
use crate::protocol::door::Door;

/// What a VU may reach in a run where `hosts` says where names are, and these rules allow and deny.
fn reach(hosts: &[(&str, &str)], allow: &[&str], deny: &[&str]) -> Reach {
    let hosts: BTreeMap<_, _> = hosts
        .iter()
        .map(|(name, at)| {
            let at: SocketAddr = at.parse().unwrap();
            (String::from(*name), Written::Address(at.ip(), (at.port() != 0).then_some(at.port())))
        })
        .collect();
    let rules = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let by_default = if allow.is_empty() { ByDefault::Allow } else { ByDefault::Deny };
    let net = NetPolicy { by_default, allow: rules(allow), deny: rules(deny) };
    let policy = Policy { net, ..Policy::default() };
    let network = Network::new(&Arc::new(Http { hosts, ..Http::default() }), Door::new(&policy));
    Connector::new(&Rc::new(network.with_places(2, Arc::new(RunPlaces::default()))), 1).reach()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn refused(way: Result<Way, Error>) -> String {
    way.unwrap_err().to_string()
}

#[tokio::test]
async fn an_address_is_the_names_for_which_it_was_the_answer() {
    let reach = reach(&[("a.test", "127.0.0.9:0")], &["a.test:80", "127.0.0.9:80"], &[]);
    assert_eq!(reach.look_up("A.test.").await.unwrap(), [at("127.0.0.9:0").ip()]);
    let way = reach.way(Scheme::Tcp, at("127.0.0.9:80")).unwrap();
    assert_eq!((way.to, way.name.as_str()), (at("127.0.0.9:80"), "tcp://a.test:80"));
    let refusal = refused(reach.way(Scheme::Tcp, at("127.0.0.9:81")));
    assert_eq!(refusal, "denied: `tcp://a.test:81` is not allowed");
}

#[tokio::test]
async fn a_name_that_no_rule_knows_is_not_looked_up() {
    let only_https = reach(&[("a.test", "127.0.0.9:0")], &["https://a.test", "tcp://b.test:1"], &[]);
    let refusal = only_https.look_up("a.test").await.unwrap_err().to_string();
    assert_eq!(refusal, "denied: `a.test` is not allowed", "a socket speaks whatever it likes");
    let denied = reach(&[("a.test", "127.0.0.9:0")], &[], &["*.test"]);
    assert_eq!(denied.look_up("a.test").await.unwrap_err().to_string(), "denied: `a.test` is denied by `*.test`");
}

#[tokio::test]
async fn a_name_that_is_denied_at_a_port_is_denied_by_its_address_too() {
    let reach = reach(&[("a.test", "127.0.0.9:0")], &[], &["a.test:22"]);
    reach.look_up("a.test").await.unwrap();
    assert!(reach.way(Scheme::Tcp, at("127.0.0.9:80")).is_ok());
    assert_eq!(
        refused(reach.way(Scheme::Tcp, at("127.0.0.9:22"))),
        "denied: `tcp://a.test:22` is denied by `a.test:22`"
    );
}

#[tokio::test]
async fn hosts_may_send_a_port_elsewhere() {
    let reach = reach(&[("a.test:80", "127.0.0.9:8080")], &[], &[]);
    assert_eq!(reach.look_up("a.test").await.unwrap(), [at("127.0.0.9:0").ip()]);
    assert_eq!(reach.admit(Scheme::Tcp, at("127.0.0.9:80")).unwrap().to, at("127.0.0.9:8080"));
    assert_eq!(reach.admit(Scheme::Udp, at("127.0.0.9:81")).unwrap().to, at("127.0.0.9:81"));
}

#[test]
fn an_address_that_nobody_looked_up_is_an_address() {
    let closed = reach(&[], &["10.0.0.0/8:80"], &[]);
    assert!(closed.admit(Scheme::Tcp, at("10.1.2.3:80")).is_ok());
    for other in ["10.1.2.3:81", "192.168.0.1:80", "1.1.1.1:80", "[::ffff:192.168.0.1]:80"] {
        assert!(refused(closed.admit(Scheme::Tcp, at(other))).contains("is not allowed"), "{other}");
    }
    assert!(closed.admit(Scheme::Tcp, at("[::ffff:10.1.2.3]:80")).is_ok());
}

#[test]
fn ways_take_places_and_give_them_back() {
    let reach = reach(&[], &[], &[]);
    let ways = [1, 2].map(|port| reach.way(Scheme::Tcp, SocketAddr::from(([127, 0, 0, 1], port))).unwrap());
    let refusal = refused(reach.way(Scheme::Udp, at("127.0.0.1:3")));
    assert_eq!(refusal, "too many connections: limit 2 (`limits.maxConnections`)");
    assert!(reach.admit(Scheme::Udp, at("127.0.0.1:3")).is_ok());
    drop(ways);
    assert!(reach.way(Scheme::Tcp, at("127.0.0.1:1")).is_ok());
}

#[tokio::test]
async fn what_is_remembered_has_an_end() {
    let names: Vec<String> = (0..1000).map(|number| format!("n{number}.test")).collect();
    let hosts: Vec<_> = names.iter().map(|name| (name.as_str(), "127.0.0.9:0")).collect();
    let reach = reach(&hosts, &[], &[]);
    for name in &names {
        reach.look_up(name).await.unwrap();
    }
    let known = reach.0.names.borrow();
    assert_eq!((known.len(), known.values().map(Vec::len).sum::<usize>()), (1, KEPT_NAMES));
}
