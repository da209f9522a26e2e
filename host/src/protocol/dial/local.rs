//! Which address a VU connects from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::protocol::Error;

/// The addresses that VUs take in turn.
#[derive(Debug)]
pub(super) struct Locals {
    v4: Vec<Range>,
    v6: Vec<Range>,
}

/// Addresses of one family: the first as a number, and how many.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: u128,
    count: u128,
}

impl Locals {
    pub(super) fn new(ranges: &[(IpAddr, IpAddr)]) -> Self {
        let mut locals = Self { v4: Vec::new(), v6: Vec::new() };
        for &(first, last) in ranges {
            let family = if first.is_ipv6() { &mut locals.v6 } else { &mut locals.v4 };
            // Every address there is would be one more than the type holds; nobody has that many VUs.
            let count = number(last).saturating_sub(number(first)).saturating_add(1);
            family.push(Range { first: number(first), count });
        }
        locals
    }

    /// The address from which a VU connects to another; `None` leaves it to the system.
    pub(super) fn pick(&self, vu: u32, to: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        if self.v4.is_empty() && self.v6.is_empty() {
            return Ok(None);
        }
        let (ranges, family) = if to.is_ipv6() { (&self.v6, "IPv6") } else { (&self.v4, "IPv4") };
        let count = ranges.iter().fold(0_u128, |sum, range| sum.saturating_add(range.count));
        if count == 0 {
            return Err(Error::Dial(format!("`local-ips` has no {family} address to reach `{to}` from")));
        }
        // What runs once, as VU 0, uses the first.
        let mut at = u128::from(vu.saturating_sub(1)) % count;
        for range in ranges {
            if at < range.count {
                return Ok(Some(SocketAddr::new(address(range.first + at, to.is_ipv6()), 0)));
            }
            at -= range.count;
        }
        Ok(None)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(number: u128, v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::from_bits(number).into() } else { Ipv4Addr::from_bits(number as u32).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locals(ranges: &[(&str, &str)]) -> Locals {
        let range = |(first, last): &(&str, &str)| (first.parse().unwrap(), last.parse().unwrap());
        Locals::new(&ranges.iter().map(range).collect::<Vec<_>>())
    }

    fn picked(locals: &Locals, vu: u32, to: &str) -> Result<Option<String>, Error> {
        Ok(locals.pick(vu, to.parse().unwrap())?.map(|local| local.ip().to_string()))
    }

    #[test]
    fn vus_take_addresses_in_turn() {
        let locals = locals(&[("127.0.0.254", "127.0.1.0"), ("127.0.2.1", "127.0.2.1")]);
        let taken: Vec<_> = (1..=5).map(|vu| picked(&locals, vu, "127.0.0.1:80").unwrap().unwrap()).collect();
        assert_eq!(taken, ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.2.1", "127.0.0.254"]);
        assert_eq!(picked(&locals, 0, "127.0.0.1:80").unwrap().unwrap(), "127.0.0.254");
    }

    #[test]
    fn an_address_is_of_the_targets_family() {
        let both = locals(&[("127.0.0.1", "127.0.0.2"), ("::1", "::1")]);
        assert_eq!(picked(&both, 2, "[::1]:80").unwrap().unwrap(), "::1");
        assert_eq!(picked(&both, 2, "127.0.0.1:80").unwrap().unwrap(), "127.0.0.2");
        let error = picked(&locals(&[("127.0.0.1", "127.0.0.2")]), 1, "[::1]:80").unwrap_err();
        assert_eq!(error.to_string(), "dial failed: `local-ips` has no IPv6 address to reach `[::1]:80` from");
        assert_eq!(picked(&locals(&[]), 1, "[::1]:80").unwrap(), None);
    }

    #[test]
    fn a_range_may_be_as_large_as_its_family() {
        let all = locals(&[("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ("0.0.0.0", "255.255.255.255")]);
        assert_eq!(picked(&all, 3, "[::1]:80").unwrap().unwrap(), "::2");
        assert_eq!(picked(&all, u32::MAX, "1.1.1.1:80").unwrap().unwrap(), "255.255.255.254");
    }
}
