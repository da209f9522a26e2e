//! One layer, all others beneath it, lowered to a plan.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::slice;
use std::time::Duration;

use super::fields::Given;
use super::files::Files;
use super::findings::Findings;
use super::layer::Layer;
use super::limits::default_limits;
use super::load;
use super::names;
use super::origins::Origins;
use super::presentation;
use super::scenario::note_pairs;
use super::values::{Portion, Shown};
use super::{Lowered, Problem};
use crate::metrics::{Registry, SystemTags, Tags};
use crate::plan::{Kind, Limits, Plan, Policy};
use crate::verdict::{Threshold, Warning, check_thresholds};

/// Lowers the layer. The result is of use only if nothing was found wrong.
pub(super) fn lower(layer: &Layer, beside: &Beside<'_>, findings: &mut Findings) -> Lowered {
    let mut origins = Origins::default();
    let scenarios = load::lower(layer, beside.chosen.as_ref(), findings, &mut origins);
    let mut lowering = Lowering { layer, beside, findings, origins: &mut origins };
    let plan = lowering.plan(Plan::new(scenarios));
    let threads = lowering.threads();
    let presentation = presentation::lower(layer, findings, &mut origins);
    Lowered { plan, presentation, threads, origins, warnings: Vec::new() }
}

/// What journeys may use and reach, whatever else is wrong.
pub(super) fn bounds(layer: &Layer, beside: &Beside<'_>) -> (Limits, Policy) {
    let (mut findings, mut origins) = (Findings::default(), Origins::default());
    let mut lowering = Lowering { layer, beside, findings: &mut findings, origins: &mut origins };
    let policy = lowering.policy();
    let limits = lowering.limits(policy.untrusted);
    // A wrong value is about to be reported; until then it does no harm.
    let limits = if findings.errors.is_empty() { limits } else { default_limits(policy.untrusted) };
    (limits, policy)
}

/// What counts beside the layers.
pub(super) struct Beside<'a> {
    /// What is to be run.
    pub kind: Kind,
    /// The only scenario to run.
    pub chosen: Option<Given<String>>,
    pub files: Files<'a>,
    /// Where secrets may come from.
    pub environment: &'a [(String, String)],
    /// What `SSLKEYLOGFILE` says.
    pub key_log: Option<&'a str>,
}

/// Options on their way to a plan. `http.rs`, `tls.rs` and `limits.rs` have its parts for their options.
pub(super) struct Lowering<'a> {
    pub layer: &'a Layer,
    pub beside: &'a Beside<'a>,
    pub findings: &'a mut Findings,
    pub origins: &'a mut Origins,
}

impl Lowering<'_> {
    fn plan(&mut self, mut plan: Plan) -> Plan {
        let layer = self.layer;
        plan.thresholds = self.thresholds();
        plan.seed = self.seed();
        plan.tags = self.tags();
        note_pairs(self.origins, None, "env", layer.env.as_ref());
        let env = layer.env.iter().flat_map(|given| given.value.plain());
        plan.env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        plan.args = self.args();
        self.phases(&mut plan);
        let least = layer.min_iteration_duration.as_ref();
        plan.min_iteration_duration = self.pick("minIterationDuration", least, plan.min_iteration_duration);
        let failed = layer.max_failed_iterations.as_ref();
        plan.max_failed_iterations = self.pick("maxFailedIterations", failed, Portion(plan.max_failed_iterations)).0;
        plan.allow_invalid = self.pick("allowInvalid", layer.allow_invalid.as_ref(), false);
        plan.system_tags = self.system_tags();
        plan.policy = self.policy();
        plan.limits = self.limits(plan.policy.untrusted);
        plan.http = self.http(plan.limits.response_bytes);
        self.ways_around(&plan.policy.net, plan.http.proxy.as_ref());
        plan.files = self.granted_files();
        plan.secrets = self.secrets(&plan);
        plan
    }

    /// What happens once in a run, of which a program has nothing.
    fn phases(&mut self, plan: &mut Plan) {
        let layer = self.layer;
        if self.beside.kind == Kind::Program {
            (plan.setup_timeout, plan.teardown_timeout) = (None, None);
            return;
        }
        plan.setup_timeout = self.phase(
            ("noSetup", layer.no_setup.as_ref()),
            ("setupTimeout", layer.setup_timeout.as_ref()),
            plan.setup_timeout,
        );
        plan.teardown_timeout = self.phase(
            ("noTeardown", layer.no_teardown.as_ref()),
            ("teardownTimeout", layer.teardown_timeout.as_ref()),
            plan.teardown_timeout,
        );
        plan.summary_timeout =
            self.positive("handleSummaryTimeout", layer.summary_timeout.as_ref(), plan.summary_timeout);
    }

    fn thresholds(&mut self) -> Vec<Threshold> {
        let off = self.layer.no_thresholds.as_ref().filter(|given| given.value);
        if let Some(off) = off {
            self.origins.note(None, "noThresholds", Some(off), &false);
            return Vec::new();
        }
        let given = self.layer.thresholds.iter().flat_map(|given| &given.value);
        let mut thresholds = Vec::new();
        for threshold in given {
            let key = format!("thresholds.{}", threshold.value.selector);
            self.origins.note(None, &key, Some(threshold), &threshold.value);
            self.check(threshold);
            thresholds.push(threshold.value.clone());
        }
        thresholds
    }

    /// Refuses a threshold that can never be judged, and warns of one that is decided already.
    fn check(&mut self, threshold: &Given<Threshold>) {
        let checked = check_thresholds(slice::from_ref(&threshold.value), &Registry::default());
        for error in checked.errors {
            let hint = error.hint();
            let problem = self.findings.problem(&threshold.spot, &error.to_string());
            self.findings.error(Problem { hint, ..problem });
        }
        for Warning { message, hint } in checked.warnings {
            let problem = self.findings.problem(&threshold.spot, &message);
            self.findings.warn(Problem { hint, ..problem });
        }
    }

    /// A seed that nobody chose is random, so that two runs do not sign up the same users; it is shown, so that the run
    /// can be had again.
    fn seed(&mut self) -> u64 {
        if self.layer.seed.is_some() {
            return self.pick("seed", self.layer.seed.as_ref(), 0);
        }
        let seed = RandomState::new().build_hasher().finish() & u64::from(u32::MAX);
        self.origins.push(None, "seed", &seed.to_string(), "default, random".to_owned());
        seed
    }

    fn tags(&mut self) -> Tags {
        let tags = self.layer.tags.as_ref();
        note_pairs(self.origins, None, "tags", tags);
        tags.iter().flat_map(|given| given.value.plain()).collect()
    }

    /// `setup` or `teardown`: whether it runs, and for how long at most.
    fn phase(
        &mut self,
        (off_key, off): (&str, Option<&Given<bool>>),
        (timeout_key, timeout): (&str, Option<&Given<Duration>>),
        default: Option<Duration>,
    ) -> Option<Duration> {
        if let Some(off) = off.filter(|given| given.value) {
            self.origins.note(None, off_key, Some(off), &false);
            return None;
        }
        Some(self.positive(timeout_key, timeout, default.unwrap_or_default()))
    }

    fn system_tags(&mut self) -> SystemTags {
        let given = self.layer.system_tags.as_ref();
        let known = || SystemTags::DEFAULT.iter().chain(SystemTags::OPTIONAL).copied();
        for (tag, spot) in given.iter().flat_map(|given| given.value.iter().map(|tag| (tag, &given.spot))) {
            if !known().any(|name| name == tag) {
                let hint = match names::nearest(tag, known()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", names::listed(known())),
                };
                let message = format!("`{}`: there is no system tag `{tag}`", spot.name);
                let problem = self.findings.problem(spot, &message).hint(hint);
                self.findings.error(problem);
            }
        }
        SystemTags(self.pick("systemTags", given, SystemTags::default().0))
    }

    fn threads(&mut self) -> Option<usize> {
        let Some(given) = self.layer.threads.as_ref() else {
            self.origins.push(None, "threads", "one per core", "default".to_owned());
            return None;
        };
        Some(self.at_least_one("threads", Some(given), 1) as usize)
    }

    pub(super) fn pick<T: Clone + Shown>(&mut self, key: &str, given: Option<&Given<T>>, default: T) -> T {
        self.origins.note(None, key, given, &default);
        given.map_or(default, |given| given.value.clone())
    }

    pub(super) fn positive(&mut self, key: &str, given: Option<&Given<Duration>>, default: Duration) -> Duration {
        if let Some(given) = given.filter(|given| given.value.is_zero()) {
            self.refuse(given, "is 0, but must be longer");
        }
        self.pick(key, given, default)
    }

    pub(super) fn at_least_one(&mut self, key: &str, given: Option<&Given<u32>>, default: u32) -> u32 {
        if let Some(given) = given.filter(|given| given.value == 0) {
            self.refuse(given, "is 0, but must be at least 1");
        }
        self.pick(key, given, default)
    }

    pub(super) fn refuse<T>(&mut self, given: &Given<T>, is: &str) {
        let message = format!("`{}` {is}", given.spot.name);
        let problem = self.findings.problem(&given.spot, &message);
        self.findings.error(problem);
    }
}
