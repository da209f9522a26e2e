//! Where hosts are instead of where DNS says.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::plan::http::Place;

/// The places of hosts. A name with a port goes before the name alone, a whole name before a domain, a longer domain
/// before a shorter one.
#[derive(Debug)]
pub(super) struct Hosts {
    exact: HashMap<(String, Option<u16>), Place>,
    /// What hosts end with, the dot included; the longest first.
    domains: Vec<(String, Option<u16>, Place)>,
}

impl Hosts {
    pub(super) fn new(places: &BTreeMap<String, Place>) -> Self {
        let mut hosts = Self { exact: HashMap::new(), domains: Vec::new() };
        for (pattern, place) in places {
            let (host, port) = split(pattern);
            match host.strip_prefix('*') {
                Some(domain) if domain.starts_with('.') => hosts.domains.push((domain.to_owned(), port, place.clone())),
                _ => {
                    hosts.exact.insert((host, port), place.clone());
                }
            }
        }
        hosts.domains.sort_by_key(|(domain, port, _)| std::cmp::Reverse((domain.len(), port.is_some())));
        hosts
    }

    /// Where a host is, if somebody said so.
    pub(super) fn place(&self, host: &str, port: u16) -> Option<&Place> {
        if self.exact.is_empty() && self.domains.is_empty() {
            return None;
        }
        let exact = |port| self.exact.get(&(host.to_owned(), port));
        let fits = |domain: &str, only: Option<u16>| {
            only.is_none_or(|only| only == port) && host.len() > domain.len() && host.ends_with(domain)
        };
        let in_domain = || self.domains.iter().find(|(domain, only, _)| fits(domain, *only)).map(|(.., place)| place);
        exact(Some(port)).or_else(|| exact(None)).or_else(in_domain)
    }

    /// Where a host is by any entry, for who does not say yet at which port.
    pub(super) fn some_place(&self, host: &str) -> Option<&Place> {
        let at_a_port = || self.exact.iter().find(|((known, _), _)| known == host).map(|(_, place)| place);
        self.place(host, 0).or_else(at_a_port)
    }
}

/// Takes `host`, `host:port`, `[address]` or `[address]:port` apart. Hosts of URLs are in lower case, without brackets.
fn split(pattern: &str) -> (String, Option<u16>) {
    let pattern = pattern.to_ascii_lowercase();
    if pattern.parse::<IpAddr>().is_ok() {
        return (pattern, None);
    }
    let (host, port) = match pattern.rsplit_once(':') {
        Some((host, port)) if let Ok(port) = port.parse() => (host, Some(port)),
        _ => (pattern.as_str(), None),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(patterns: &[&str]) -> Hosts {
        // Which place it is shows by its port.
        let place = |at: usize| Place::Address(IpAddr::from([127, 0, 0, 1]), Some(at as u16));
        Hosts::new(&patterns.iter().enumerate().map(|(at, pattern)| ((*pattern).to_owned(), place(at))).collect())
    }

    fn found(hosts: &Hosts, host: &str, port: u16) -> Option<u16> {
        hosts.place(host, port).map(|place| match place {
            Place::Address(_, Some(at)) => *at,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_most_precise_pattern_counts() {
        let hosts = hosts(&["*.a.test", "*.b.a.test", "c.a.test", "C.a.test:81", "*.b.a.test:82"]);
        assert_eq!(found(&hosts, "x.a.test", 80), Some(0));
        assert_eq!(found(&hosts, "x.b.a.test", 80), Some(1));
        assert_eq!(found(&hosts, "x.b.a.test", 82), Some(4));
        assert_eq!(found(&hosts, "c.a.test", 80), Some(2));
        assert_eq!(found(&hosts, "c.a.test", 81), Some(3));
        assert_eq!(found(&hosts, "a.test", 80), None, "a domain is not the name above it");
        assert_eq!(found(&hosts, "xa.test", 80), None);
    }

    #[test]
    fn an_address_is_a_host_too() {
        let hosts = hosts(&["192.0.2.1", "::1", "[2001:db8::1]:443", "192.0.2.1:8080"]);
        assert_eq!(found(&hosts, "192.0.2.1", 80), Some(0));
        assert_eq!(found(&hosts, "192.0.2.1", 8080), Some(3));
        assert_eq!(found(&hosts, "::1", 80), Some(1));
        assert_eq!(found(&hosts, "2001:db8::1", 443), Some(2));
        assert_eq!(found(&hosts, "2001:db8::1", 80), None);
    }
}
