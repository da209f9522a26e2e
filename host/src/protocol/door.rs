//! The one door: every connection that a journey causes goes out through it.
//!
//! Whoever dials asks the [`Door`] twice: `ask` before the host is looked up, and `admit`
//! with the addresses that came of it. Only what was admitted can be connected to, because that takes an `Admitted`,
//! and only the door makes one. A connection that is kept was admitted when it was opened, for the origin that it is kept
//! for. What is behind it is the plan's [`NetPolicy`].

use std::net::SocketAddr;
use std::sync::Arc;

use crate::plan::{ByDefault, Destination, NetPolicy, Policy, Refusal, Source};

/// Decides who is connected to. Where everybody may be, it has nothing to decide by.
#[derive(Debug, Clone, Default)]
pub struct Door(Option<Arc<NetPolicy>>);

/// The addresses of a host in the order in which they are tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidates {
    pub(super) first: SocketAddr,
    pub(super) rest: Vec<SocketAddr>,
    /// Who says that they are the host's.
    pub(super) source: Source,
}

/// Addresses that may be connected to.
#[derive(Debug)]
pub(super) struct Admitted(Candidates);

impl Door {
    /// A door for this policy. Who is not trusted reaches nobody who is not allowed, whatever else the policy says.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let mut net = policy.net.clone();
        if policy.untrusted {
            net.by_default = ByDefault::Deny;
        }
        Self((!net.is_open()).then(|| Arc::new(net)))
    }

    /// Whether a host may be asked for. To be asked before anybody is asked where it is: DNS is a way out as well.
    pub(super) fn ask(&self, to: &Destination<'_>) -> Result<(), Refusal> {
        self.0.as_ref().map_or(Ok(()), |policy| policy.check_host(to))
    }

    /// Whether a name may be asked for by who does not say yet what for.
    pub(super) fn ask_name(&self, name: &str) -> Result<(), Refusal> {
        self.0.as_ref().map_or(Ok(()), |policy| policy.check_name(name))
    }

    /// Lets a host's addresses pass. One that may not be connected to refuses them all: a name that leads out and in is
    /// no mistake of whoever made it.
    pub(super) fn admit(&self, to: &Destination<'_>, candidates: Candidates) -> Result<Admitted, Refusal> {
        if let Some(policy) = &self.0 {
            let check = |at: &SocketAddr| policy.check_address(to, *at, candidates.source);
            std::iter::once(&candidates.first).chain(&candidates.rest).try_for_each(check)?;
        }
        Ok(Admitted(candidates))
    }
}

impl Candidates {
    /// One address that nobody was asked for.
    pub(super) fn written(first: SocketAddr) -> Self {
        Self { first, rest: Vec::new(), source: Source::Written }
    }
}

impl Admitted {
    /// The first, and those that are tried after it.
    pub(super) fn into_parts(self) -> (SocketAddr, Vec<SocketAddr>) {
        (self.0.first, self.0.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Reason, Scheme};

    const TO: Destination<'static> = Destination { scheme: Scheme::Https, host: "a.test", port: 443 };

    fn candidates(addresses: &[&str]) -> Candidates {
        let mut addresses = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443));
        Candidates { first: addresses.next().unwrap(), rest: addresses.collect(), source: Source::Names }
    }

    #[test]
    fn one_address_that_is_refused_refuses_them_all() {
        let allow = vec!["a.test".parse().unwrap()];
        let net = NetPolicy { by_default: ByDefault::Deny, allow, deny: Vec::new() };
        let door = Door::new(&Policy { net, ..Policy::default() });
        assert_eq!(door.ask(&TO), Ok(()));
        let (first, rest) = door.admit(&TO, candidates(&["1.1.1.1", "2606:4700::1"])).unwrap().into_parts();
        assert_eq!(
            (first.to_string(), rest[0].to_string()),
            ("1.1.1.1:443".to_owned(), "[2606:4700::1]:443".to_owned())
        );
        for mixed in [["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "::ffff:127.0.0.1"]] {
            assert_eq!(door.admit(&TO, candidates(&mixed)).unwrap_err().reason, Reason::NotPublic, "{mixed:?}");
        }
    }

    #[test]
    fn the_door_is_shut_to_whoever_is_not_trusted_even_if_nobody_said_so() {
        let door = Door::new(&Policy { untrusted: true, ..Policy::default() });
        assert_eq!(door.ask(&TO).unwrap_err().reason, Reason::NameNotAllowed);
    }

    #[test]
    fn an_open_door_has_nothing_to_decide_by() {
        assert!(Door::new(&Policy::default()).0.is_none());
        assert!(Door::default().admit(&TO, candidates(&["127.0.0.1"])).is_ok());
    }
}
