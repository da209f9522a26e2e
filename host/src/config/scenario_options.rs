//! Scenarios as the user wrote them: which fields belong to which executor.

use std::time::Duration;

use super::fields::{Decode, Fields, Given};
use super::findings::Findings;
use super::names;
use super::node::{Node, Spot, Value};
use super::pairs::Pairs;
use super::stage_options::StageOption;
use crate::plan::http::Connections;

/// The user's word for a policy of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Executor {
    SharedIterations,
    PerVuIterations,
    ConstantVus,
    RampingVus,
    ConstantArrivalRate,
    RampingArrivalRate,
}

impl Executor {
    pub const ALL: [Self; 6] = [
        Self::SharedIterations,
        Self::PerVuIterations,
        Self::ConstantVus,
        Self::RampingVus,
        Self::ConstantArrivalRate,
        Self::RampingArrivalRate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::SharedIterations => "shared-iterations",
            Self::PerVuIterations => "per-vu-iterations",
            Self::ConstantVus => "constant-vus",
            Self::RampingVus => "ramping-vus",
            Self::ConstantArrivalRate => "constant-arrival-rate",
            Self::RampingArrivalRate => "ramping-arrival-rate",
        }
    }

    /// The fields it has beside those that every executor has.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::SharedIterations | Self::PerVuIterations => &["vus", "iterations", "maxDuration"],
            Self::ConstantVus => &["vus", "duration"],
            Self::RampingVus => &["startVUs", "stages", "gracefulRampDown"],
            Self::ConstantArrivalRate => &["rate", "timeUnit", "duration", "preAllocatedVUs", "maxVUs"],
            Self::RampingArrivalRate => &["startRate", "timeUnit", "stages", "preAllocatedVUs", "maxVUs"],
        }
    }
}

/// A scenario before its defaults. Fields that its executor does not have stay empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScenarioOptions {
    pub name: String,
    /// Where it is as a whole.
    pub spot: Spot,
    /// Whether it came from options such as `vus` and `duration`, outside of `scenarios`.
    pub is_shortcut: bool,
    pub executor: Given<Executor>,
    pub exec: Option<Given<String>>,
    pub start_time: Option<Given<Duration>>,
    pub graceful_stop: Option<Given<Duration>>,
    pub env: Option<Given<Pairs>>,
    pub args: Option<Given<Vec<String>>>,
    pub tags: Option<Given<Pairs>>,
    pub connections: Option<Given<Connections>>,
    pub vus: Option<Given<u32>>,
    pub iterations: Option<Given<u64>>,
    pub duration: Option<Given<Duration>>,
    pub max_duration: Option<Given<Duration>>,
    pub start_vus: Option<Given<u32>>,
    pub stages: Option<Given<Vec<StageOption>>>,
    pub graceful_ramp_down: Option<Given<Duration>>,
    pub rate: Option<Given<f64>>,
    pub start_rate: Option<Given<f64>>,
    pub time_unit: Option<Given<Duration>>,
    pub pre_allocated_vus: Option<Given<u32>>,
    pub max_vus: Option<Given<u32>>,
}

impl ScenarioOptions {
    /// A scenario of which only the executor is known.
    pub fn new(name: &str, spot: Spot, executor: Given<Executor>) -> Self {
        Self {
            name: name.to_owned(),
            spot,
            is_shortcut: false,
            executor,
            exec: None,
            start_time: None,
            graceful_stop: None,
            env: None,
            args: None,
            tags: None,
            connections: None,
            vus: None,
            iterations: None,
            duration: None,
            max_duration: None,
            start_vus: None,
            stages: None,
            graceful_ramp_down: None,
            rate: None,
            start_rate: None,
            time_unit: None,
            pre_allocated_vus: None,
            max_vus: None,
        }
    }

    fn read(name: &str, node: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::open(node, findings)?;
        let Some(kind) = fields.node("executor", findings) else {
            let problem = findings
                .problem(&node.spot, "`executor` is missing")
                .hint(format!("choose one of {}", names::listed(Executor::ALL.map(Executor::name))));
            findings.error(problem);
            return None;
        };
        let value = executor(kind, findings)?;
        let mut read = Self::new(name, node.spot.clone(), Given { value, spot: kind.spot.clone() });
        read.exec = fields.take("exec", findings);
        read.start_time = fields.take("startTime", findings);
        read.graceful_stop = fields.take("gracefulStop", findings);
        read.env = fields.take("env", findings);
        read.args = fields.take("args", findings);
        read.tags = fields.take("tags", findings);
        read.connections = fields.take("connections", findings);
        if let Some(options) = fields.node("options", findings)
            && options.value != Value::Table(Vec::new())
        {
            let problem = findings.problem(&options.spot, "`options` is not supported yet").hint("remove it");
            findings.error(problem);
        }
        read.take_load(&mut fields, findings);
        fields.finish(findings, |written| belongs(written, value));
        Some(read)
    }

    fn take_load(&mut self, fields: &mut Fields<'_>, findings: &mut Findings) {
        let own = self.executor.value.fields();
        self.vus = fields.take_among(own, "vus", findings);
        self.iterations = fields.take_among(own, "iterations", findings);
        self.duration = fields.take_among(own, "duration", findings);
        self.max_duration = fields.take_among(own, "maxDuration", findings);
        self.start_vus = fields.take_among(own, "startVUs", findings);
        self.stages = fields.take_among(own, "stages", findings);
        self.graceful_ramp_down = fields.take_among(own, "gracefulRampDown", findings);
        self.rate = fields.take_among(own, "rate", findings);
        self.start_rate = fields.take_among(own, "startRate", findings);
        self.time_unit = fields.take_among(own, "timeUnit", findings);
        self.pre_allocated_vus = fields.take_among(own, "preAllocatedVUs", findings);
        self.max_vus = fields.take_among(own, "maxVUs", findings);
    }
}

fn executor(node: &Node, findings: &mut Findings) -> Option<Executor> {
    let name = String::decode(node, findings)?;
    let known = Executor::ALL.into_iter().find(|executor| executor.name() == name);
    if known.is_none() {
        let names = Executor::ALL.map(Executor::name);
        let hint = match names::nearest(&name, names) {
            _ if name == "externally-controlled" => "k6 removed it in 2.0, and squall does not have it yet".to_owned(),
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("choose one of {}", names::listed(names)),
        };
        let problem = findings.problem(&node.spot, &format!("there is no executor `{name}`")).hint(hint);
        findings.error(problem);
    }
    known
}

/// A field of another executor is a different mistake than a field of none.
fn belongs(written: &str, executor: Executor) -> Option<String> {
    let has = |other: &Executor| other.fields().iter().any(|field| names::is_spelled(written, field));
    let others: Vec<_> = Executor::ALL.into_iter().filter(has).map(Executor::name).collect();
    let list = names::listed(others.iter().copied());
    (!others.is_empty()).then(|| format!("`{written}` belongs to {list}, and this is `{}`", executor.name()))
}

impl Decode for Vec<ScenarioOptions> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Value::Table(scenarios) = &node.value else {
            findings.mismatch(node, "a table of scenarios");
            return None;
        };
        let before = findings.errors.len();
        let mut read = Vec::with_capacity(scenarios.len());
        for (name, node) in scenarios {
            findings.enter(name, &node.spot);
            read.extend(ScenarioOptions::read(name, node, findings));
            findings.leave();
        }
        (findings.errors.len() == before).then_some(read)
    }
}
