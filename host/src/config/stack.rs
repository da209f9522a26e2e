//! Layers on top of each other, and what the user should know of what is covered.

use super::fields::Given;
use super::findings::Findings;
use super::layer::Layer;
use super::node::Spot;
use super::pairs::Pairs;

/// Joins the layers, lowest first.
pub(super) fn join(layers: impl IntoIterator<Item = Layer>, findings: &mut Findings) -> Layer {
    let mut joined = Layer::default();
    for layer in layers {
        cover_load(&mut joined, &layer, findings);
        warn_of_covered(&joined, &layer, findings);
        let env = merged(joined.env.take(), layer.env.clone());
        joined.cover(layer);
        joined.env = env;
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

/// Variables add up: one from a flag does not take the others away.
fn merged(lower: Option<Given<Pairs>>, higher: Option<Given<Pairs>>) -> Option<Given<Pairs>> {
    let (Some(mut merged), Some(higher)) = (lower.clone(), higher.clone()) else {
        return higher.or(lower);
    };
    for (name, value) in higher.value.0 {
        match merged.value.0.iter_mut().find(|(known, _)| *known == name) {
            Some(pair) => pair.1 = value,
            None => merged.value.0.push((name, value)),
        }
    }
    merged.spot = higher.spot;
    Some(merged)
}
