//! Layers on top of each other, and what the user should know of what is covered.

use super::dns::DnsOptions;
use super::fields::Given;
use super::findings::Findings;
use super::layer::Layer;
use super::node::Spot;
use super::pairs::Pairs;
use super::policy::Rules;
use super::secrets::SecretOptions;
use super::values::Shown;
use crate::plan::http::Connections;

/// Joins the layers, lowest first.
pub(super) fn join(layers: impl IntoIterator<Item = Layer>, findings: &mut Findings) -> Layer {
    let mut joined = Layer::default();
    for layer in layers {
        cover_load(&mut joined, &layer, findings);
        cover_connections(&mut joined, &layer, findings);
        warn_of_covered(&joined, &layer, findings);
        let env = merged(joined.env.take(), layer.env.as_ref(), Pairs::cover);
        let hosts = merged(joined.hosts.take(), layer.hosts.as_ref(), Pairs::cover);
        let files = merged(joined.files.take(), layer.files.as_ref(), |lower, higher| lower.0.cover(higher.0));
        let names = merged(joined.tls_server_name.take(), layer.tls_server_name.as_ref(), |lower, higher| {
            lower.0.cover(higher.0);
        });
        let secrets = merged(joined.secrets.take(), layer.secrets.as_ref(), SecretOptions::cover);
        let dns = merged(joined.dns.take(), layer.dns.as_ref(), DnsOptions::cover);
        let deny = merged(joined.net_deny.take(), layer.net_deny.as_ref(), Rules::cover);
        joined.cover(layer);
        joined.secrets = secrets;
        (joined.env, joined.hosts, joined.files, joined.tls_server_name, joined.dns) = (env, hosts, files, names, dns);
        joined.net_deny = deny;
    }
    joined
}

/// What is to run is said by one layer alone. As in k6, the highest that says anything of it wins.
fn cover_load(lower: &mut Layer, higher: &Layer, findings: &mut Findings) {
    if higher.sets_load() {
        let said = higher.load();
        let by = said[0].1;
        for (key, spot) in lower.load() {
            // An option that takes the place of its like is what layers are for.
            let replaced = said.iter().any(|(other, _)| *other == key);
            if !replaced || key == "scenarios" {
                warn_of_overridden(key, spot, by, findings);
            }
        }
        lower.clear_load();
    } else if let (Some(vus), Some(scenarios)) = (&higher.vus, &lower.scenarios)
        && !scenarios.value.is_empty()
    {
        warn_of_overridden("scenarios", &scenarios.spot, &vus.spot, findings);
        lower.clear_load();
    }
}

fn warn_of_overridden(key: &str, spot: &Spot, by: &Spot, findings: &mut Findings) {
    let message = format!("`{}` overrode `{key}` of {} entirely", by.name, spot.place.layer());
    let problem = findings.problem(spot, &message);
    findings.warn(problem);
}

/// Tables are replaced as a whole, as in k6, which is easily overlooked.
fn warn_of_covered(lower: &Layer, higher: &Layer, findings: &mut Findings) {
    if let (Some(lower), Some(higher)) = (&lower.thresholds, &higher.thresholds) {
        let is_kept = |covered: &Given<_>| higher.value.iter().any(|kept| kept.value == covered.value);
        if !lower.value.iter().all(is_kept) {
            warn_of_overridden("thresholds", &lower.spot, &higher.spot, findings);
        }
    }
    if let (Some(lower), Some(higher)) = (&lower.tags, &higher.tags) {
        let is_kept = |(name, _): (&str, &str)| higher.value.plain().any(|(kept, _)| kept == name);
        if !lower.value.plain().all(is_kept) {
            warn_of_overridden("tags", &lower.spot, &higher.spot, findings);
        }
    }
}

/// Tables by name add up: a variable from a flag does not take the others away.
fn merged<T: Clone>(lower: Option<Given<T>>, higher: Option<&Given<T>>, cover: fn(&mut T, T)) -> Option<Given<T>> {
    let (Some(mut merged), Some(higher)) = (lower.clone(), higher.cloned()) else {
        return higher.cloned().or(lower);
    };
    cover(&mut merged.value, higher.value);
    merged.spot = higher.spot;
    Some(merged)
}

/// `connections` and k6's switches say the same thing. A layer must not contradict itself; a higher one replaces all
/// three.
fn cover_connections(lower: &mut Layer, higher: &Layer, findings: &mut Findings) {
    let switches = [
        (higher.no_connection_reuse.as_ref(), Connections::PerRequest),
        (higher.no_vu_connection_reuse.as_ref(), Connections::PerIteration),
    ];
    let set = switches.into_iter().find_map(|(given, means)| given.filter(|given| given.value).map(|on| (on, means)));
    match (&higher.connections, set) {
        (Some(connections), Some((switch, means))) if connections.value != means => {
            let message = format!(
                "`{}` is {} but `{}` asks for {}",
                connections.spot.name,
                connections.value.shown(),
                switch.spot.name,
                means.shown()
            );
            findings.refuse(&connections.spot, &message, "keep one of them");
        }
        (Some(_), _) => {
            lower.no_connection_reuse = None;
            lower.no_vu_connection_reuse = None;
        }
        (None, Some(_)) => lower.connections = None,
        (None, None) => {}
    }
}
