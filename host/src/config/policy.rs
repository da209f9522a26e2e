//! Whom the journey may reach: squall's rules, and k6's two lists of who may not be.

use super::fields::Decode;
use super::findings::Findings;
use super::lower::Lowering;
use super::node::{Node, Place, Value};
use super::places;
use super::values::{Shown, reported};
use crate::plan::http::Proxy;
use crate::plan::{ByDefault, Destination, NetPolicy, Rule};

/// Rules for the network.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rules(Vec<Rule>);

/// Rules for those who may be reached: patterns that anybody can fit are none.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Allowed(Rules);

/// Networks and addresses, as `blacklistIPs` has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Networks(Rules);

/// Names and patterns of names, as `blockHostnames` has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Hostnames(Rules);

impl Rules {
    /// Puts a higher layer on top. Denials add up: no layer takes back what another one forbids.
    pub fn cover(&mut self, higher: Self) {
        for rule in higher.0 {
            if !self.0.contains(&rule) {
                self.0.push(rule);
            }
        }
    }
}

impl Lowering<'_> {
    /// Whom the journey may reach. Whoever says who may be reached means that nobody else may.
    pub(super) fn net(&mut self, untrusted: bool) -> NetPolicy {
        let layer = self.layer;
        let untrusted = layer.untrusted.as_ref().filter(|_| untrusted);
        let allow = layer.net_allow.as_ref();
        let by_default = if allow.is_some() || untrusted.is_some() { ByDefault::Deny } else { ByDefault::Allow };
        let from = allow.map(|given| &given.spot).or(untrusted.map(|given| &given.spot));
        let from = from.map_or_else(|| "default".to_owned(), super::node::Spot::origin);
        let allow = allow.map(|given| given.value.0.0.clone()).unwrap_or_default();
        let shown = match by_default {
            ByDefault::Allow => "everybody".to_owned(),
            ByDefault::Deny if allow.is_empty() => "nobody".to_owned(),
            ByDefault::Deny => listed(&allow),
        };
        self.origins.push(None, "policy.net.allow", &shown, from);
        let mut deny = self.pick("policy.net.deny", layer.net_deny.as_ref(), Rules::default());
        let networks = self.pick("blacklistIPs", layer.blacklist_ips.as_ref(), Networks::default());
        let names = self.pick("blockHostnames", layer.block_hostnames.as_ref(), Hostnames::default());
        deny.cover(networks.0);
        deny.cover(names.0);
        NetPolicy { by_default, allow, deny: deny.0 }
    }

    /// Refuses the ways around the policy, once all that leads out is known.
    pub(super) fn ways_around(&mut self, net: &NetPolicy, proxy: Option<&Proxy>) {
        if let Some((proxy, given)) = proxy.zip(self.layer.proxy.as_ref()) {
            let gate = Destination { scheme: proxy.kind.scheme(), host: &proxy.host, port: proxy.port };
            let shown = places::shown_proxy(proxy);
            if !net.allows_by_itself(&gate) {
                let rule = shown.rsplit(['@', '/']).next().unwrap_or_default();
                let message = format!(
                    "`{}`: the proxy `{shown}` is not allowed: it would connect to addresses that nobody checks",
                    given.spot.name
                );
                let hint = format!(
                    "allow it by its own name or address, like `--allow-net {rule}`: then the names of targets are \
                     checked, but not their addresses"
                );
                self.findings.refuse(&given.spot, &message, &hint);
            } else if net.deny.iter().any(Rule::needs_addresses) {
                let message = format!(
                    "the proxy `{shown}` resolves the names of targets, so addresses that are denied are not kept from it"
                );
                let problem = self.findings.problem(&given.spot, &message).hint("deny them at the proxy as well");
                self.findings.warn(problem);
            }
        }
        // A front that routes by the name in TLS would lead to whom the journey names there.
        let names = self.layer.tls_server_name.iter().flat_map(|given| &given.value.0.0);
        let by_journey = names.map(|(_, given)| &given.spot).find(|spot| spot.place == Place::Journey);
        if let Some(spot) = by_journey.filter(|_| net.by_default == ByDefault::Deny) {
            let message =
                format!("`{}` is not for the journey to set where the network is denied by default", spot.name);
            self.findings.refuse(spot, &message, "set it in `squall.toml` or with a flag");
        }
    }
}

/// Reads texts, each of which says one rule. All that are none are reported, not the first alone.
fn rules(node: &Node, findings: &mut Findings, check: fn(&Rule) -> Result<(), &'static str>) -> Option<Rules> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut read = Vec::new();
    for item in items {
        let Value::Text(text) = &item.value else { return reported(None, node, "a list of texts", findings) };
        // Only where there are no lists do commas make one.
        let texts = if item.spot.place.has_only_texts() { text.split(',').collect() } else { vec![text.as_str()] };
        let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
        read.extend(texts.map(|text| rule(text, item, findings, check)));
    }
    read.into_iter().collect::<Option<_>>().map(Rules)
}

fn rule(
    text: &str,
    node: &Node,
    findings: &mut Findings,
    check: fn(&Rule) -> Result<(), &'static str>,
) -> Option<Rule> {
    let is = match text.parse::<Rule>() {
        Ok(rule) => match check(&rule) {
            Ok(()) => return Some(rule),
            Err(why) => format!("`{text}` {why}"),
        },
        Err(error) => error.to_string(),
    };
    let message = format!("`{}`: {is}", findings.name(&node.spot));
    let hint = "write rules like `https://api.shop.test`, `shop.test:8443`, `*.shop.test` or `10.1.0.0/16:5432`";
    findings.refuse(&node.spot, &message, hint);
    None
}

impl Decode for Rules {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        rules(node, findings, |_| Ok(()))
    }
}

impl Decode for Allowed {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let check = |rule: &Rule| {
            if rule.is_ragged() { Err("fits names of strangers: put a `.` behind the `*`") } else { Ok(()) }
        };
        rules(node, findings, check).map(Self)
    }
}

impl Decode for Networks {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let check = |rule: &Rule| if rule.is_of_addresses() { Ok(()) } else { Err("is no network like `10.0.0.0/8`") };
        rules(node, findings, check).map(Self)
    }
}

impl Decode for Hostnames {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let check =
            |rule: &Rule| if rule.is_of_names() { Ok(()) } else { Err("is no name like `shop.test` or `*.shop.test`") };
        rules(node, findings, check).map(Self)
    }
}

fn listed(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "nobody".to_owned();
    }
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Shown for Rules {
    fn shown(&self) -> String {
        listed(&self.0)
    }
}

impl Shown for Networks {
    fn shown(&self) -> String {
        self.0.shown()
    }
}

impl Shown for Hostnames {
    fn shown(&self) -> String {
        self.0.shown()
    }
}
