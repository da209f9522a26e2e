//! What is to run: the scenarios, or k6's shortcuts for a single one.

use super::Problem;
use super::fields::Given;
use super::findings::Findings;
use super::layer::Layer;
use super::names;
use super::node::Spot;
use super::origins::Origins;
use super::scenario;
use super::scenario_options::{Executor, ScenarioOptions};
use crate::plan::Scenario;

/// The name of the scenario that shortcuts make.
const DEFAULT: &str = "default";
/// More VUs than this are a slip of the keyboard; their numbers must also fit 32 bits together.
const MOST_VUS: u64 = 10_000_000;

/// Lowers all scenarios, or the one that was chosen.
pub(super) fn lower(
    layer: &Layer,
    chosen: Option<&Given<String>>,
    findings: &mut Findings,
    origins: &mut Origins,
) -> Vec<Scenario> {
    let options = scenario_options(layer, findings);
    let lowered = options.iter().filter_map(|options| scenario::lower(options, findings, origins));
    let mut scenarios: Vec<Scenario> = lowered.collect();
    if let Some(chosen) = chosen {
        if !options.iter().any(|options| options.name == chosen.value) {
            let names = names::listed(options.iter().map(|options| options.name.as_str()));
            let hint =
                if options.len() == 1 { format!("the only one is {names}") } else { format!("there are {names}") };
            let problem = Problem::new(format!("there is no scenario `{}`", chosen.value));
            findings.error(problem.at(chosen.spot.place()).hint(hint));
        }
        scenarios.retain(|scenario| *scenario.name == *chosen.value);
        origins.keep_scenario(&chosen.value);
    }
    let vus: u64 = scenarios.iter().map(|scenario| u64::from(scenario.load.max_vus())).sum();
    if vus > MOST_VUS {
        let message = format!("the scenarios have {vus} VUs together, but a run has at most {MOST_VUS}");
        findings.error(Problem::new(message).hint("lower the numbers of VUs"));
        scenarios.clear();
    }
    scenarios
}

fn scenario_options(layer: &Layer, findings: &mut Findings) -> Vec<ScenarioOptions> {
    let scenarios = layer.scenarios.as_ref().filter(|given| !given.value.is_empty());
    let stages = layer.stages.as_ref().filter(|given| !given.value.is_empty());
    // In the order in which they are named in a conflict.
    let ways = [
        ("scenarios", scenarios.map(|given| &given.spot)),
        ("rate", layer.rate.as_ref().map(|given| &given.spot)),
        ("stages", stages.map(|given| &given.spot)),
        ("iterations", layer.iterations.as_ref().map(|given| &given.spot)),
        ("duration", layer.duration.as_ref().map(|given| &given.spot)),
    ];
    let given: Vec<(&str, &Spot)> = ways.into_iter().filter_map(|(key, spot)| Some((key, spot?))).collect();
    if let [(first, spot), (second, other), ..] = *given.as_slice()
        && !(second == "duration" && (first == "rate" || first == "iterations"))
    {
        conflict(spot, other, findings);
        return Vec::new();
    }
    if layer.rate.is_none() {
        warn_of_unread(layer.max_vus.as_ref(), "it only works with `rate`", findings);
    }
    if let Some(scenarios) = scenarios {
        warn_of_unread(layer.vus.as_ref(), "the scenarios say how many VUs there are", findings);
        return scenarios.value.clone();
    }
    shortcut(layer, &given, findings).into_iter().collect()
}

fn shortcut(layer: &Layer, given: &[(&str, &Spot)], findings: &mut Findings) -> Option<ScenarioOptions> {
    let vus = layer.vus.clone();
    let Some((key, spot)) = given.first().copied() else {
        return Some(vus_alone(vus));
    };
    let start = |value| {
        let (spot, executor) = (spot.clone(), Given { value, spot: spot.clone() });
        let new = ScenarioOptions::new(DEFAULT, spot, executor);
        ScenarioOptions { is_shortcut: true, ..new }
    };
    let stages = layer.stages.clone();
    let (iterations, duration) = (layer.iterations.clone(), layer.duration.clone());
    Some(match key {
        "rate" => {
            let vus = vus.or_else(|| layer.max_vus.clone());
            check_rate(spot, vus.is_some(), duration.is_some(), findings)?;
            let new = start(Executor::ConstantArrivalRate);
            let (rate, max_vus) = (layer.rate.clone(), layer.max_vus.clone());
            ScenarioOptions { rate, duration, pre_allocated_vus: vus, max_vus, ..new }
        }
        "stages" => ScenarioOptions { stages, start_vus: vus, ..start(Executor::RampingVus) },
        "iterations" => {
            ScenarioOptions { vus, iterations, max_duration: duration, ..start(Executor::SharedIterations) }
        }
        _ => ScenarioOptions { vus, duration, ..start(Executor::ConstantVus) },
    })
}

/// Nothing says how long: each VU gets one iteration's worth, and without VUs there is one.
fn vus_alone(vus: Option<Given<u32>>) -> ScenarioOptions {
    let nowhere = Spot::nowhere();
    let spot = vus.as_ref().map_or(nowhere, |given| given.spot.clone());
    let executor = Given { value: Executor::SharedIterations, spot: spot.clone() };
    let iterations = vus.as_ref().map(|given| Given { value: u64::from(given.value), spot: given.spot.clone() });
    let new = ScenarioOptions::new(DEFAULT, spot, executor);
    ScenarioOptions { is_shortcut: true, vus, iterations, ..new }
}

fn check_rate(spot: &Spot, has_vus: bool, has_duration: bool, findings: &mut Findings) -> Option<()> {
    let missing = [
        ("duration", has_duration, "how long it runs, like `30s`"),
        ("vus", has_vus, "how many VUs are made before the start, like 10"),
    ];
    for (key, is_there, what) in missing {
        if !is_there {
            let message = format!("`{}` needs `{}` beside it", spot.name, spot.spell(key));
            let problem = findings.problem(spot, &message).hint(format!("say {what}"));
            findings.error(problem);
        }
    }
    (has_vus && has_duration).then_some(())
}

fn conflict(one: &Spot, other: &Spot, findings: &mut Findings) {
    let message = format!("`{}` and `{}` cannot be combined", one.name, other.name);
    let problem = findings.problem(other, &message).hint("keep one of them, or write scenarios");
    findings.error(problem);
}

fn warn_of_unread<T>(given: Option<&Given<T>>, why: &str, findings: &mut Findings) {
    if let Some(given) = given {
        let message = format!("`{}` has no effect: {why}", given.spot.name);
        let problem = findings.problem(&given.spot, &message).hint("remove it");
        findings.warn(problem);
    }
}
