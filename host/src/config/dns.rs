//! The option `dns`: a table, or a text like `ttl=5m,select=random,policy=preferIPv4`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::fields::{Decode, Fields, Given};
use super::findings::Findings;
use super::node::{Node, Spot, Value};
use super::values::{Shown, reported};
use crate::plan::http::{Policy, Select};

/// Where a DNS server listens unless said otherwise.
const PORT: u16 = 53;

/// What a layer says of names. Each part stands for itself: a higher layer replaces only what it says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct DnsOptions {
    pub ttl: Option<Given<Ttl>>,
    pub select: Option<Given<Select>>,
    pub policy: Option<Given<Policy>>,
    pub server: Option<Given<Server>>,
}

/// How long an answer is kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ttl(pub Option<Duration>);

/// A DNS server; `None` for the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server(pub Option<SocketAddr>);

impl DnsOptions {
    /// Parts of one text have one place.
    fn all_at(mut self, spot: &Spot) -> Self {
        let spots = [
            self.ttl.as_mut().map(|given| &mut given.spot),
            self.select.as_mut().map(|given| &mut given.spot),
            self.policy.as_mut().map(|given| &mut given.spot),
            self.server.as_mut().map(|given| &mut given.spot),
        ];
        for part in spots.into_iter().flatten() {
            part.clone_from(spot);
        }
        self
    }

    /// Puts a higher layer on top.
    pub fn cover(&mut self, higher: Self) {
        self.ttl = higher.ttl.or(self.ttl.take());
        self.select = higher.select.or(self.select.take());
        self.policy = higher.policy.or(self.policy.take());
        self.server = higher.server.or(self.server.take());
    }
}

impl Decode for DnsOptions {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            let parts = text.split(',').filter(|part| !part.trim().is_empty());
            let parts: Vec<_> = parts.map(|part| entry(part.trim(), node, findings)).collect();
            let parts: Vec<(String, Node)> = parts.into_iter().collect::<Option<_>>()?;
            let options = table(&Node::new(Value::Table(parts), node.spot.clone()), findings)?;
            return Some(options.all_at(&node.spot));
        }
        if !matches!(node.value, Value::Table(_)) {
            return reported(None, node, "a table, or a text like `ttl=5m,select=random`", findings);
        }
        table(node, findings)
    }
}

fn entry(part: &str, node: &Node, findings: &mut Findings) -> Option<(String, Node)> {
    let Some((key, value)) = part.split_once('=') else {
        let message = format!("`{}` must be like `ttl=5m,select=random`, but has `{part}`", findings.name(&node.spot));
        findings.refuse(&node.spot, &message, "there are `ttl`, `select`, `policy` and `server`");
        return None;
    };
    let mut spot = node.spot.clone();
    spot.name = format!("{}: {}", spot.name, key.trim());
    Some((key.trim().to_owned(), Node::new(Value::Text(value.trim().to_owned()), spot)))
}

fn table(node: &Node, findings: &mut Findings) -> Option<DnsOptions> {
    let before = findings.errors.len();
    let mut fields = Fields::open(node, findings)?;
    let options = DnsOptions {
        ttl: fields.take("ttl", findings),
        select: fields.take("select", findings),
        policy: fields.take("policy", findings),
        server: fields.take("server", findings),
    };
    fields.finish(findings, |_| None);
    (findings.errors.len() == before).then_some(options)
}

impl Decode for Ttl {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.trim() == "inf" => Some(Self(None)),
            _ => Duration::decode(node, findings).map(|ttl| Self(Some(ttl))),
        }
    }
}

impl Decode for Server {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let server = match &node.value {
            // How one takes back what a lower layer says.
            Value::Text(text) if text.trim().is_empty() => return Some(Self(None)),
            Value::Text(text) => server(text.trim()),
            _ => None,
        };
        let server = server.filter(|server| server.port() != 0);
        reported(server.map(|server| Self(Some(server))), node, "an address like `9.9.9.9` or `9.9.9.9:53`", findings)
    }
}

fn server(text: &str) -> Option<SocketAddr> {
    let alone = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    text.parse().ok().or_else(|| Some(SocketAddr::new(alone().ok()?, PORT)))
}

impl Shown for Ttl {
    fn shown(&self) -> String {
        self.0.map_or_else(|| "inf".to_owned(), |ttl| ttl.shown())
    }
}

impl Shown for Server {
    fn shown(&self) -> String {
        self.0.map_or_else(|| "the system's".to_owned(), |server| server.to_string())
    }
}
