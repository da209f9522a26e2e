//! What the user typed, turned into a [`Plan`].
//!
//! Five layers say what is to happen: defaults, the journey's own options, `squall.toml`, variables that start with
//! `SQUALL_`, and flags; the later one wins. [`lower()`] reads them all, keeps where each value came from, reports every
//! problem at once, and decides. What hides here is all of k6's naming: its options, executors and shortcuts become
//! loads and curves, and nothing behind this module has heard of them.
//!
//! # The shape of options
//!
//! The journey's options are JSON, `squall.toml` is TOML, and both have the same keys, k6's, in camel case or in kebab
//! case (`maxRedirects`, `max-redirects`). `docs/configuration.md` lists them all.
//!
//! ```toml
//! seed = 42
//! max-failed-iterations = "1%"
//! out = ["json=samples.json"]
//!
//! [scenarios.browse]
//! executor = "ramping-arrival-rate"
//! stages = [{ duration = "10s", target = 50 }, { duration = "1m", target = 50 }]
//! pre-allocated-vus = 20
//! max-vus = 100
//!
//! [thresholds]
//! http_req_failed = "rate<0.01"
//! http_req_duration = ["p(95)<500", { threshold = "p(99)<900", abortOnFail = true, delayAbortEval = "10s" }]
//!
//! [env]
//! BASE_URL = "http://127.0.0.1:8080"
//!
//! [tags]
//! team = "shop"
//!
//! [limits]
//! memory = "64MiB"
//! iteration-timeout = "1m"
//! ```
//!
//! Layers replace each other option by option, `thresholds` and `tags` as a whole; only variables (`env`) add up. One
//! layer alone says what is to run: as in k6, setting any of `duration`, `iterations`, `stages`, `scenarios` (or squall's
//! `rate`) makes all of them of the lower layers void.

mod choices;
mod dns;
mod explain;
mod fields;
mod files;
mod findings;
mod flags;
mod foreign;
mod grants;
mod http;
mod identities;
mod kind;
mod layer;
mod limits;
mod load;
mod lower;
mod names;
mod node;
mod origins;
mod pairs;
mod places;
mod policy;
mod presentation;
mod problem;
mod scenario;
mod scenario_options;
mod secrets;
mod stack;
mod stage_options;
mod thresholds;
mod tls;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub use explain::explain;
pub use files::FileReader;
pub use flags::Flags;
pub use origins::{Origin, Origins};
pub use presentation::Presentation;
pub use problem::{Problem, Problems};

use crate::plan::{Kind, Limits, Plan, Policy};
use fields::Given;
use files::Files;
use findings::Findings;
use layer::Layer;
use lower::Beside;
use node::{Place, Spot};

/// The variable that every tool reads that can write down the secrets of TLS sessions.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// Everything that says what is to happen.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// What is to be run.
    pub kind: Kind,
    /// What the journey's `options` returned: JSON, or nothing.
    pub journey_options: Option<&'a str>,
    /// The configuration file: its name, for messages, and its text.
    pub file: Option<(&'a Path, &'a str)>,
    /// How files that options name are read.
    pub reader: FileReader<'a>,
    /// The environment of the process; only `SQUALL_*`, `SSLKEYLOGFILE` and what secrets name is looked at.
    pub environment: &'a [(String, String)],
    /// The flags that were given.
    pub flags: Flags,
    /// The only scenario to run; otherwise `SQUALL_SCENARIO` may name one.
    pub scenario: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// What will happen.
    pub plan: Plan,
    /// How it is shown.
    pub presentation: Presentation,
    /// How many worker threads run it; `None` for one per core.
    pub threads: Option<usize>,
    /// Where each value came from.
    pub origins: Origins,
    /// What the user should know, though it stops nothing.
    pub warnings: Vec<Problem>,
}

/// Reads all layers and decides, or says everything that is wrong.
pub fn lower(sources: &Sources<'_>) -> Result<Lowered, Problems> {
    let mut findings = Findings::default();
    let layer = stack::join(layers(sources, &mut findings), &mut findings);
    let lowered = lower::lower(&layer, &beside(sources), &mut findings);
    match Problems::some(findings.errors) {
        Some(problems) => Err(problems),
        None => Ok(Lowered { warnings: findings.warnings, ..lowered }),
    }
}

/// The variables that are granted to the journey before its options are known: `options` itself may read them.
///
/// What is wrong with the sources is left for [`lower()`] to say.
#[must_use]
pub fn granted(sources: &Sources<'_>) -> BTreeMap<String, String> {
    let mut findings = Findings::default();
    let sources = Sources { journey_options: None, ..sources.clone() };
    let layer = stack::join(layers(&sources, &mut findings), &mut findings);
    let env = layer.env.iter().flat_map(|given| given.value.plain());
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the journey may use and reach: known before it has said anything, because neither is the journey's to set.
///
/// What is wrong with the sources is left for [`lower()`] to say.
#[must_use]
pub fn bounds(sources: &Sources<'_>) -> (Limits, Policy) {
    let mut findings = Findings::default();
    let sources = Sources { journey_options: None, ..sources.clone() };
    let layer = stack::join(layers(&sources, &mut findings), &mut findings);
    lower::bounds(&layer, &beside(&sources))
}

fn layers(sources: &Sources<'_>, findings: &mut Findings) -> Vec<Layer> {
    let journey = sources.journey_options.map(|json| Layer::from_journey(json, findings));
    let file = sources.file.map(|(path, text)| Layer::from_file(&path.to_string_lossy(), text, findings));
    let environment = Layer::from_environment(sources.environment, findings);
    let flags = Layer::from_flags(&sources.flags, findings);
    vec![journey.unwrap_or_default(), file.unwrap_or_default(), environment, flags]
}

fn beside<'a>(sources: &Sources<'a>) -> Beside<'a> {
    let folder = sources.file.and_then(|(path, _)| path.parent());
    let mut logs = sources.environment.iter().filter(|(name, value)| name == KEY_LOG && !value.is_empty());
    Beside {
        kind: sources.kind,
        chosen: chosen_scenario(sources),
        files: Files { reader: sources.reader, folder },
        environment: sources.environment,
        key_log: logs.next().map(|(_, path)| path.as_str()),
    }
}

fn chosen_scenario(sources: &Sources<'_>) -> Option<Given<String>> {
    let given = |value: &String, name: &str, place| {
        let (value, name) = (value.clone(), name.to_owned());
        Given { value, spot: Spot { name, place } }
    };
    let flag = sources.scenario.as_ref().map(|value| given(value, "--scenario", Place::CommandLine));
    flag.or_else(|| {
        let mut set = sources.environment.iter().filter(|(name, value)| name == "SQUALL_SCENARIO" && !value.is_empty());
        set.next().map(|(name, value)| given(value, name, Place::Environment))
    })
}
