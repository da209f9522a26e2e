//! One rule: whom it names, as the user writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// What is spoken to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// gRPC.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
    /// Bytes of one's own over TCP.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Whom an allowance or a denial is about.
///
/// ```
/// use squall::plan::Rule;
///
/// let rule: Rule = "https://API.shop.test".parse()?;
/// assert_eq!(rule.to_string(), "https://api.shop.test");
/// let rule: Rule = "10.1.0.0/16:5432".parse()?;
/// assert_eq!(rule.to_string(), "10.1.0.0/16:5432");
/// # Ok::<(), squall::plan::RuleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    scheme: Option<Scheme>,
    whom: Whom,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    /// Every name and every address.
    Everybody,
    /// One name.
    Name(String),
    /// Names that end like this: those below a domain where it begins with a dot.
    Ending(String),
    /// The addresses of a network, or one.
    Network(IpNet),
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no rule for the network: {why}")]
#[non_exhaustive]
pub struct RuleError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

const NO_HOST: &str = "it names no host, address or network";
const NO_PORT: &str = "what follows the last `:` is no port from 1 to 65535";

impl Scheme {
    /// All there are.
    pub const ALL: [Self; 8] =
        [Self::Http, Self::Https, Self::Ws, Self::Wss, Self::Grpc, Self::Grpcs, Self::Tcp, Self::Udp];

    /// As it stands before `://`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http | Self::Ws | Self::Grpc => Some(80),
            Self::Https | Self::Wss | Self::Grpcs => Some(443),
            Self::Tcp | Self::Udp => None,
        }
    }
}

impl Rule {
    /// Whether it is a name or a pattern of names, at any port and whatever is spoken.
    #[must_use]
    pub fn is_of_names(&self) -> bool {
        self.is_of_all_ports() && !matches!(self.whom, Whom::Network(_))
    }

    /// Whether it is a network or an address, at any port and whatever is spoken.
    #[must_use]
    pub fn is_of_addresses(&self) -> bool {
        self.is_of_all_ports() && matches!(self.whom, Whom::Network(_))
    }

    /// Whether it names hosts by how they end in the middle of a word, as `*shop.test` does: anybody can get such a name.
    #[must_use]
    pub fn is_ragged(&self) -> bool {
        matches!(&self.whom, Whom::Ending(end) if !end.starts_with('.'))
    }

    /// Whether it depends on addresses.
    #[must_use]
    pub fn needs_addresses(&self) -> bool {
        matches!(self.whom, Whom::Network(_))
    }

    /// Whether it names hosts by a name or a domain, and neither everybody nor whoever gets a name that ends like one.
    #[must_use]
    pub fn is_by_name(&self) -> bool {
        matches!(self.whom, Whom::Name(_) | Whom::Ending(_)) && !self.is_ragged()
    }

    /// Whether it names everybody.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.whom == Whom::Everybody
    }

    /// Whether it names a destination as that is written: a name by its name, an address by its number.
    #[must_use]
    pub fn names(&self, to: &super::Destination<'_>) -> bool {
        match to.host.parse::<IpAddr>() {
            Ok(address) => self.has_address(to.scheme, address.to_canonical(), to.port),
            Err(_) => self.has_name(to.scheme, to.host.trim_end_matches('.'), to.port),
        }
    }

    /// Whether it is about this very name or address, and no pattern that fits it.
    pub(super) fn is_about(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        self.fits(scheme, port)
            && match (&self.whom, host.parse::<IpAddr>()) {
                (Whom::Name(name), Err(_)) => name == host.trim_end_matches('.'),
                (Whom::Network(network), Ok(address)) => network.contains(&address.to_canonical()),
                _ => false,
            }
    }

    /// Whether it names a name.
    pub(super) fn has_name(&self, scheme: Scheme, name: &str, port: u16) -> bool {
        self.fits(scheme, port)
            && match &self.whom {
                Whom::Everybody => true,
                Whom::Name(known) => known == name,
                Whom::Ending(end) => name.ends_with(end.as_str()) && (name.len() > end.len() || !end.starts_with('.')),
                Whom::Network(_) => false,
            }
    }

    /// Whether it names a name at some port.
    pub(super) fn has_name_somewhere(&self, scheme: Scheme, name: &str) -> bool {
        self.has_name(scheme, name, self.port.unwrap_or_default())
    }

    /// Whether it names an address by its number.
    pub(super) fn has_address(&self, scheme: Scheme, address: IpAddr, port: u16) -> bool {
        self.fits(scheme, port) && matches!(&self.whom, Whom::Network(network) if network.contains(&address))
    }

    /// Whether it names everybody.
    pub(super) fn has_everybody(&self, scheme: Scheme, port: u16) -> bool {
        self.fits(scheme, port) && self.whom == Whom::Everybody
    }

    /// Whether it names this machine, by the one name that means nothing else.
    pub(super) fn has_localhost(&self, scheme: Scheme, port: u16) -> bool {
        self.fits(scheme, port) && matches!(&self.whom, Whom::Name(name) if name == "localhost")
    }

    fn fits(&self, scheme: Scheme, port: u16) -> bool {
        self.scheme.is_none_or(|only| only == scheme) && self.port.is_none_or(|only| only == port)
    }

    fn is_of_all_ports(&self) -> bool {
        self.scheme.is_none() && self.port.is_none()
    }
}

/// A host as URLs have it, by the WHATWG rules: in lower case, other alphabets as punycode, every spelling of an IPv4
/// address (`0x7f.1`, `2130706433`, `%31%32%37.1`) as four numbers, IPv6 without brackets, no dot at the end.
///
/// Whoever dials a host that was not part of a URL of `http:`, `https:`, `ws:` or `wss:` reads it so first.
#[must_use]
pub fn canonical_host(text: &str) -> Option<String> {
    let host = match url::Host::parse(text).ok()? {
        url::Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    };
    (!host.is_empty()).then_some(host)
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        parse(text).map_err(|why| RuleError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<Rule, &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        let (whom, port) = place(text)?;
        return Ok(Rule { scheme: None, whom, port });
    };
    let scheme = Scheme::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(scheme));
    let scheme =
        scheme.ok_or("its scheme is not one of `http`, `https`, `ws`, `wss`, `grpc`, `grpcs`, `tcp` and `udp`")?;
    let (whom, port) = place(rest.strip_suffix('/').unwrap_or(rest))?;
    let port = port.or(scheme.default_port()).ok_or("`tcp` and `udp` have no port of their own: add one")?;
    Ok(Rule { scheme: Some(scheme), whom, port: Some(port) })
}

/// Reads what follows the scheme.
fn place(text: &str) -> Result<(Whom, Option<u16>), &'static str> {
    let port = |text: &str| text.parse().ok().filter(|port: &u16| *port != 0).ok_or(NO_PORT);
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(NO_HOST)?;
        let network = network(inside).ok_or(NO_HOST)?;
        let port = match after.strip_prefix(':') {
            Some(text) => Some(port(text)?),
            None if after.is_empty() => None,
            None => return Err("only a port may follow the `]`"),
        };
        return Ok((Whom::Network(network), port));
    }
    // IPv6 without brackets has no port.
    if let Some(network) = network(text) {
        return Ok((Whom::Network(network), None));
    }
    match text.rsplit_once(':') {
        Some((host, text)) => Ok((whom(host)?, Some(port(text)?))),
        None => Ok((whom(text)?, None)),
    }
}

fn whom(host: &str) -> Result<Whom, &'static str> {
    if let Some(network) = network(host) {
        return Ok(Whom::Network(network));
    }
    if host.contains('/') {
        return Err("only a network has a `/`; a rule has no path");
    }
    let name = |text: &str| canonical_host(text).filter(|name| name.parse::<IpAddr>().is_err() && !name.contains('*'));
    match host.strip_prefix('*') {
        Some("") => Ok(Whom::Everybody),
        Some(end) => {
            let (dot, domain) = end.strip_prefix('.').map_or(("", end), |domain| (".", domain));
            Ok(Whom::Ending(format!("{dot}{}", name(domain).ok_or(NO_HOST)?)))
        }
        None if host.contains('*') => Err("a `*` may only be at the start of a host"),
        None => {
            let host = canonical_host(host).ok_or(NO_HOST)?;
            Ok(network(&host).map_or(Whom::Name(host), Whom::Network))
        }
    }
}

/// Reads an address or a network, in its shortest form.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?.trunc();
    // A network of v4-mapped addresses is one of IPv4, which is what is compared.
    Some(match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => match mapped.network().to_ipv4_mapped() {
            Some(address) => Ipv4Net::new(address, mapped.prefix_len() - 96).map_or(network, IpNet::V4),
            None => network,
        },
        other => other,
    })
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(formatter, "{}://", scheme.as_str())?;
        }
        let port = self.port.filter(|port| self.scheme.and_then(Scheme::default_port) != Some(*port));
        match &self.whom {
            Whom::Everybody => formatter.write_str("*")?,
            Whom::Name(name) => formatter.write_str(name)?,
            Whom::Ending(end) => write!(formatter, "*{end}")?,
            Whom::Network(network) => {
                let is_one = network.prefix_len() == network.max_prefix_len();
                let shown = if is_one { network.addr().to_string() } else { network.to_string() };
                let has_more = port.is_some() || self.scheme.is_some();
                match network {
                    IpNet::V6(_) if has_more => write!(formatter, "[{shown}]")?,
                    _ => formatter.write_str(&shown)?,
                }
            }
        }
        port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

/// Whether an address is this machine's own.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::is_loopback(&address),
        IpAddr::V6(address) => Ipv6Addr::is_loopback(&address),
    }
}

#[cfg(test)]
mod tests;
