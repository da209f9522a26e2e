//! Whom a journey may reach: rules, and what they decide. Nothing here resolves a name or opens a socket.
//!
//! There are two questions. [`NetPolicy::check_host`] is asked before anything is looked up, because a question to DNS
//! is a way out as well. [`NetPolicy::check_address`] is asked of every address that the answer holds, and of those that
//! somebody wrote down: what a name says is whatever its owner wants it to say.

mod ranges;
mod rule;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use rule::{Rule, RuleError, Scheme, canonical_host};

/// Whom a journey may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetPolicy {
    /// What becomes of what no rule names.
    pub by_default: ByDefault,
    /// Who may be reached. Counts only where the default is to deny.
    pub allow: Vec<Rule>,
    /// Who may not, whatever else is said.
    pub deny: Vec<Rule>,
}

/// What becomes of what no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ByDefault {
    /// It may be reached, be it public or not.
    #[default]
    Allow,
    /// It may not.
    Deny,
}

/// Where somebody wants to go. The host is [canonical](canonical_host).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// What is spoken there.
    pub scheme: Scheme,
    /// A name, or an address without brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

/// Who says that a destination has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// DNS. The name was granted, and with it whatever is public.
    Names,
    /// Whoever wrote the address into the URL or into `hosts`. It is as good as any other address.
    Written,
}

/// Why somebody may not go there. Says nothing of the addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host that was asked for.
    pub host: String,
    /// Where to, as one would write it.
    pub origin: String,
    /// Why not.
    pub reason: Reason,
}

/// Why somebody may not go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No rule allows the name.
    NameNotAllowed,
    /// This rule denies the name.
    NameDenied(Rule),
    /// No rule allows the address.
    AddressNotAllowed,
    /// The name has an address that is not public, and no rule allows that.
    NotPublic,
    /// The host has an address that is denied; by which rule, where that may be told.
    AddressDenied(Option<Rule>),
}

impl NetPolicy {
    /// Whether everybody may be reached, so that nothing needs to be checked.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.by_default == ByDefault::Allow && self.deny.is_empty()
    }

    /// Whether the host itself may be asked for. Asked before it is looked up.
    pub fn check_host(&self, to: &Destination<'_>) -> Result<(), Refusal> {
        if let Ok(address) = to.host.parse::<IpAddr>() {
            return self.check_address(to, SocketAddr::new(address, to.port), Source::Written);
        }
        let name = to.host.trim_end_matches('.');
        if let Some(rule) = self.deny.iter().find(|rule| rule.has_name(to.scheme, name, to.port)) {
            return Err(to.refused(Reason::NameDenied(rule.clone())));
        }
        let is_allowed = || self.allow.iter().any(|rule| rule.has_name(to.scheme, name, to.port));
        if self.by_default == ByDefault::Deny && !is_allowed() {
            return Err(to.refused(Reason::NameNotAllowed));
        }
        Ok(())
    }

    /// Whether a name may be looked up for a socket whose port nobody has said yet: whether there is one for which it may.
    pub fn check_name(&self, name: &str) -> Result<(), Refusal> {
        let name = name.trim_end_matches('.');
        let refused = |reason| Err(Refusal { host: name.to_owned(), origin: name.to_owned(), reason });
        if let Some(rule) = self.deny.iter().find(|rule| rule.is_of_names() && rule.has_name(Scheme::Tcp, name, 0)) {
            return refused(Reason::NameDenied(rule.clone()));
        }
        let for_sockets = [Scheme::Tcp, Scheme::Udp];
        let is_allowed = |rule: &Rule| for_sockets.into_iter().any(|scheme| rule.has_name_somewhere(scheme, name));
        if self.by_default == ByDefault::Deny && !self.allow.iter().any(is_allowed) {
            return refused(Reason::NameNotAllowed);
        }
        Ok(())
    }

    /// Whether an address may be connected to for a host that may be asked for.
    pub fn check_address(&self, to: &Destination<'_>, at: SocketAddr, source: Source) -> Result<(), Refusal> {
        let (given, port) = (at.ip(), at.port());
        // A v4-mapped address is the IPv4 address; one inside another form is reached by way of somebody else.
        let address = given.to_canonical();
        let inside = match given {
            IpAddr::V6(given) => ranges::embedded(given).map(|inside| IpAddr::V4(inside.address())),
            IpAddr::V4(_) => None,
        };
        let denies = |rule: &&Rule| {
            let forms = [Some(address), Some(given), inside];
            forms.into_iter().flatten().any(|address| rule.has_address(to.scheme, address, port))
                || (source == Source::Written && rule.has_everybody(to.scheme, port))
        };
        if let Some(rule) = self.deny.iter().find(denies) {
            // Where only what is denied is refused, whoever runs the journey wants to know; a journey that is not
            // trusted would learn where names lead.
            let told = self.by_default == ByDefault::Allow || source == Source::Written;
            return Err(to.refused(Reason::AddressDenied(told.then(|| rule.clone()))));
        }
        if self.by_default == ByDefault::Allow || self.allows_address(to.scheme, address, port) {
            return Ok(());
        }
        let is_public = ranges::is_public(given);
        match source {
            Source::Names if is_public => Ok(()),
            Source::Written if is_public && self.allow.iter().any(|rule| rule.has_everybody(to.scheme, port)) => Ok(()),
            Source::Names => Err(to.refused(Reason::NotPublic)),
            Source::Written => Err(to.refused(Reason::AddressNotAllowed)),
        }
    }

    /// Whether a rule allows this very host, and not only a pattern that it fits.
    #[must_use]
    pub fn allows_by_itself(&self, to: &Destination<'_>) -> bool {
        self.by_default == ByDefault::Allow || self.allow.iter().any(|rule| rule.is_about(to.scheme, to.host, to.port))
    }

    fn allows_address(&self, scheme: Scheme, address: IpAddr, port: u16) -> bool {
        self.allow.iter().any(|rule| {
            rule.has_address(scheme, address, port) || (rule::is_loopback(address) && rule.has_localhost(scheme, port))
        })
    }
}

impl Destination<'_> {
    fn refused(&self, reason: Reason) -> Refusal {
        Refusal { host: self.host.to_owned(), origin: self.to_string(), reason }
    }
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(formatter, "{}://{}{host}{}", scheme.as_str(), brackets.0, brackets.1)?;
        if scheme.default_port() == Some(*port) { Ok(()) } else { write!(formatter, ":{port}") }
    }
}

impl Refusal {
    /// Whether it is about an address, and not about a name.
    #[must_use]
    pub fn is_of_address(&self) -> bool {
        !matches!(self.reason, Reason::NameNotAllowed | Reason::NameDenied(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, reason, .. } = self;
        match reason {
            Reason::NameNotAllowed | Reason::AddressNotAllowed => write!(formatter, "`{origin}` is not allowed"),
            Reason::NameDenied(rule) => write!(formatter, "`{origin}` is denied by `{rule}`"),
            Reason::NotPublic => {
                write!(formatter, "`{origin}` has an address that is not public, and no rule allows that address")
            }
            Reason::AddressDenied(Some(rule)) => {
                write!(formatter, "`{origin}` has an address that is denied by `{rule}`")
            }
            Reason::AddressDenied(None) => write!(formatter, "`{origin}` has an address that is denied"),
        }
    }
}

#[cfg(test)]
mod tests;
