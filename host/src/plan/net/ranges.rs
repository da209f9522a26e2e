//! Which addresses are public: what a name may lead to without a grant of the address itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// IPv4 that is not public (IANA's registry of special-purpose addresses), and a host agent of a cloud that is.
const SPECIAL_V4: &[Ipv4Net] = &[
    // This network; connecting to it is connecting to this machine.
    v4(0, 0, 0, 0, 8),
    // Private.
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    // Behind a carrier's NAT.
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // Link-local: the metadata services of clouds among them.
    v4(169, 254, 0, 0, 16),
    // Protocol assignments, documentation, relays of 6to4, benchmarks.
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast, reserved, broadcast.
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Azure's host agent, which answers from public space.
    v4(168, 63, 129, 16, 32),
];

/// All of IPv6 that was ever given out as public. Outside of it are loopback, private (`fc00::/7`), link-local, multicast
/// and what nobody has been given yet.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What is not public of it.
const SPECIAL_V6: &[Ipv6Net] = &[
    // Protocol assignments: Teredo, benchmarks, ORCHID.
    v6(0x2001, 0, 23),
    // Documentation.
    v6(0x2001, 0xdb8, 32),
    v6(0x3fff, 0, 20),
];

/// Whether an address is public, and every IPv4 address inside it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) => match embedded(address) {
            Some(Embedded::Compatible(_)) => false,
            Some(Embedded::Reached(inner)) => is_public(inner.into()),
            None => GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|range| range.contains(&address)),
        },
    }
}

/// An IPv4 address inside one of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    /// Packets reach it: v4-mapped, NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`).
    Reached(Ipv4Addr),
    /// It is of a form that nothing uses any more (`::/96`). Loopback is among them.
    Compatible(Ipv4Addr),
}

impl Embedded {
    pub(super) fn address(self) -> Ipv4Addr {
        match self {
            Self::Reached(address) | Self::Compatible(address) => address,
        }
    }
}

/// The IPv4 address inside an address of IPv6, if there is one.
pub(super) fn embedded(address: Ipv6Addr) -> Option<Embedded> {
    let parts = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0, high, low] => Some(Embedded::Compatible(of(high, low))),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Embedded::Reached(of(high, low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_not_public_up_to_its_edges() {
        let table = [
            ("0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("168.63.129.16", "168.63.129.16", "168.63.129.17"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
        ];
        for (first, last, after) in table {
            let is = |text: &str| is_public(text.parse().unwrap());
            assert!(!is(first) && !is(last) && is(after), "{first} to {last}, then {after}");
        }
        for special in ["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "169.254.169.254"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in ["1.1.1.1", "9.255.255.255", "172.15.255.255", "223.255.255.255", "168.63.129.15"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn what_is_special_of_ipv6_is_not_public() {
        let special = [
            "::",
            "::1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "::ffff:0:1.1.1.1",
        ];
        for text in special {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "2003::1", "3ffe::1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn ipv4_inside_ipv6_is_unwrapped() {
        for (prefix, hides) in [("::ffff:", ""), ("64:ff9b::", "")] {
            for (inner, public) in [("127.0.0.1", false), ("169.254.169.254", false), ("8.8.8.8", true)] {
                let text = format!("{prefix}{inner}{hides}");
                assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
            }
        }
        // 6to4 has it behind the first two bytes.
        assert!(!is_public("2002:7f00:1::".parse().unwrap()));
        assert!(!is_public("2002:a9fe:a9fe::1".parse().unwrap()));
        assert!(is_public("2002:808:808::1".parse().unwrap()));
        // The compatible form is nobody's, whatever is in it.
        assert!(!is_public("::8.8.8.8".parse().unwrap()));
        let inner = |text: &str| embedded(text.parse().unwrap()).map(Embedded::address);
        assert_eq!(inner("::10.1.2.3"), Some(Ipv4Addr::new(10, 1, 2, 3)));
        assert_eq!(inner("2606:4700::1"), None);
    }
}
