//! What will happen: a [`Plan`] is the whole of a run, decided.
//!
//! Nothing after this module looks at a flag, a file or the environment. A plan can be split with [`Plan::share`]: a
//! thread's share and a machine's share are the same split. Invalid plans cannot be built: [`Scenario::new`] and
//! [`Curve::new`] refuse them.

mod component;
mod curve;
pub mod duration;
pub mod http;
mod imports;
mod limits;
mod net;
mod secret;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use component::ComponentLimits;
pub use curve::{Cursor, Curve, Stage};
pub use http::{Http, Secret};
pub use imports::{ImportPattern, PatternError, UNTRUSTED_IMPORTS};
pub use limits::{Limits, Policy, Proposal};
pub use net::{ByDefault, Destination, NetPolicy, Reason, Refusal, Rule, RuleError, Scheme, Source, canonical_host};
pub use secret::{GrantedSecret, is_secret_name};
pub use share::Share;

use serde::{Deserialize, Serialize};

use crate::metrics::{SystemTags, Tags};
use crate::verdict::Threshold;

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A script for squall, entered again and again.
    #[default]
    Journey,
    /// An ordinary command of WASI, each run of which is an iteration.
    Program,
}

/// The whole of a run, decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Seeds every random choice of the journeys.
    pub seed: u64,
    /// What runs, in the order the user gave.
    pub scenarios: Vec<Scenario>,
    /// What decides pass or fail.
    pub thresholds: Vec<Threshold>,
    /// Tags on every sample.
    pub tags: Tags,
    /// Variables granted to the journeys.
    pub env: BTreeMap<String, String>,
    /// What a program is called with, after its own name. A journey has no arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// How requests are made.
    pub http: Http,
    /// Files granted to the journeys, by the name they are known by there.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// What the journeys can name and never see, by name.
    pub secrets: BTreeMap<String, GrantedSecret>,
    /// What a journey may use.
    pub limits: Limits,
    /// Whom the run trusts, and what the journey may reach.
    pub policy: Policy,
    /// The time `setup` may take; `None` skips `setup`.
    pub setup_timeout: Option<Duration>,
    /// The time `teardown` may take; `None` skips `teardown`.
    pub teardown_timeout: Option<Duration>,
    /// The time `handle-summary` may take.
    pub summary_timeout: Duration,
    /// An iteration that ends sooner is followed by a wait until this much has passed; 0 for none.
    pub min_iteration_duration: Duration,
    /// The share of failed iterations (0 to 1) above which the run fails.
    pub max_failed_iterations: f64,
    /// Whether a run whose generator was not valid may pass.
    pub allow_invalid: bool,
    /// Which of k6's system tags samples carry.
    pub system_tags: SystemTags,
}

/// A named journey entry, its load, start time, tags and environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its name, `[0-9A-Za-z_-]+`.
    pub name: Arc<str>,
    /// The entry of the journey it runs.
    pub exec: Arc<str>,
    /// When it starts, since the start of the run.
    pub start: Duration,
    /// The time running iterations have to end after the load has.
    pub graceful_stop: Duration,
    /// The load.
    pub load: Load,
    /// Variables on top of the plan's.
    pub env: BTreeMap<String, String>,
    /// What a program is called with here, where not as the plan says.
    #[serde(default)]
    pub args: Option<Vec<String>>,
    /// Tags on top of the plan's.
    pub tags: Tags,
    /// How its VUs use connections, where not as the plan says.
    pub connections: Option<http::Connections>,
    /// Which part of the scenario this plan holds.
    pub share: Share,
    /// Its place in the whole plan, from 0, which parts of the plan keep; set by [`Plan::number_vus`].
    pub number: u32,
    /// The number of the scenario's first VU in the whole run, from 1; set by [`Plan::number_vus`].
    pub first_vu: u32,
}

/// A policy of load. Executors are lowered to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Load {
    /// A number of iterations, as fast as the VUs can.
    Iterations {
        /// How many VUs.
        vus: u32,
        /// How many iterations.
        budget: Budget,
        /// The time they have; what is left over then is dropped.
        max_duration: Duration,
    },
    /// A number of VUs over time, each iterating as fast as it can.
    Vus {
        /// VUs over time.
        curve: Curve,
        /// The time a VU's iteration has to end when the curve takes the VU away.
        graceful_ramp_down: Duration,
    },
    /// Iterations that start when the curve says, whatever the target does.
    Arrivals {
        /// Iterations per second over time.
        curve: Curve,
        /// VUs made before the start.
        pre_allocated: u32,
        /// VUs at most.
        max: u32,
    },
}

/// How iterations are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Budget {
    /// All VUs take from one count.
    Shared(u64),
    /// Each VU runs this many.
    PerVu(u64),
}

/// Why a scenario cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The name is not one.
    #[error("`{name}` is not a scenario name: it must match `[0-9A-Za-z_-]+`")]
    Name {
        /// The name.
        name: String,
    },
    /// Nothing would run.
    #[error("{what} must be at least 1")]
    Zero {
        /// What is 0.
        what: &'static str,
    },
    /// There are more VUs than iterations.
    #[error("{iterations} iterations cannot be shared among {vus} VUs")]
    FewIterations {
        /// The budget.
        iterations: u64,
        /// The VUs.
        vus: u32,
    },
    /// The maximum is below what is allocated.
    #[error("`maxVUs` is {max} but `preAllocatedVUs` is {pre_allocated}")]
    MaxBelowPreAllocated {
        /// The maximum.
        max: u32,
        /// What is allocated before the start.
        pre_allocated: u32,
    },
    /// A curve with no length.
    #[error("the stages take no time")]
    NoLength,
    /// A curve beyond what can be counted exactly.
    #[error("the stages take longer than {limit:?}")]
    TooLong {
        /// The limit.
        limit: Duration,
    },
    /// A target that is not a number, less than 0, or absurdly great.
    #[error("a target of {target} is not possible")]
    Target {
        /// The target as given.
        target: String,
    },
}

impl Load {
    /// The most VUs there will be.
    #[must_use]
    pub fn max_vus(&self) -> u32 {
        match self {
            Self::Iterations { vus, .. } => *vus,
            Self::Vus { curve, .. } => curve.peak().round() as u32,
            Self::Arrivals { max, .. } => *max,
        }
    }

    /// VUs to make before the start.
    #[must_use]
    pub fn initial_vus(&self) -> u32 {
        match self {
            Self::Arrivals { pre_allocated, .. } => *pre_allocated,
            _ => self.max_vus(),
        }
    }

    /// How long the load lasts, graceful periods not included.
    #[must_use]
    pub fn length(&self) -> Duration {
        match self {
            Self::Iterations { max_duration, .. } => *max_duration,
            Self::Vus { curve, .. } | Self::Arrivals { curve, .. } => curve.length(),
        }
    }

    /// Returns an error if nothing sensible can run.
    pub fn check(&self) -> Result<(), PlanError> {
        match self {
            Self::Iterations { vus: 0, .. } | Self::Arrivals { max: 0, .. } => {
                Err(PlanError::Zero { what: "the number of VUs" })
            }
            Self::Iterations { budget: Budget::Shared(0) | Budget::PerVu(0), .. } => {
                Err(PlanError::Zero { what: "the number of iterations" })
            }
            Self::Iterations { vus, budget: Budget::Shared(iterations), .. } if *iterations < u64::from(*vus) => {
                Err(PlanError::FewIterations { iterations: *iterations, vus: *vus })
            }
            Self::Vus { .. } if self.max_vus() == 0 => Err(PlanError::Zero { what: "the number of VUs" }),
            Self::Arrivals { pre_allocated, max, .. } if max < pre_allocated => {
                Err(PlanError::MaxBelowPreAllocated { max: *max, pre_allocated: *pre_allocated })
            }
            _ => Ok(()),
        }
    }
}

impl Scenario {
    /// Makes a scenario that runs `default` at once with k6's graceful stop of 30 s.
    pub fn new(name: &str, load: Load) -> Result<Self, PlanError> {
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_name {
            return Err(PlanError::Name { name: name.to_owned() });
        }
        load.check()?;
        Ok(Self {
            name: Arc::from(name),
            exec: Arc::from("default"),
            start: Duration::ZERO,
            graceful_stop: Duration::from_secs(30),
            load,
            env: BTreeMap::new(),
            args: None,
            tags: Tags::default(),
            connections: None,
            share: Share::WHOLE,
            number: 0,
            first_vu: 1,
        })
    }
}

impl Plan {
    /// Makes a plan of these scenarios with everything else at its default.
    #[must_use]
    pub fn new(scenarios: Vec<Scenario>) -> Self {
        let mut plan = Self {
            seed: 0,
            scenarios,
            thresholds: Vec::new(),
            tags: Tags::default(),
            env: BTreeMap::new(),
            args: Vec::new(),
            http: Http::default(),
            files: BTreeMap::new(),
            secrets: BTreeMap::new(),
            limits: Limits::default(),
            policy: Policy::default(),
            setup_timeout: Some(Duration::from_mins(1)),
            teardown_timeout: Some(Duration::from_mins(1)),
            summary_timeout: Duration::from_mins(2),
            min_iteration_duration: Duration::ZERO,
            max_failed_iterations: 0.05,
            allow_invalid: false,
            system_tags: SystemTags::default(),
        };
        plan.number_vus();
        plan
    }

    /// Numbers the scenarios and gives every one its own range of VU numbers. To be called after the scenarios were
    /// changed, on a plan that is not a part of another.
    pub fn number_vus(&mut self) {
        let mut next = 1;
        for (scenario, number) in self.scenarios.iter_mut().zip(0..) {
            scenario.number = number;
            scenario.first_vu = next;
            next += scenario.load.max_vus();
        }
    }

    /// The most VUs there will be in this plan or part of one, all scenarios together.
    #[must_use]
    pub fn max_vus(&self) -> u32 {
        self.scenarios.iter().map(Scenario::max_vus).sum()
    }

    /// The longest the load can last, graceful periods included.
    #[must_use]
    pub fn max_length(&self) -> Duration {
        let ends =
            self.scenarios.iter().map(|scenario| scenario.start + scenario.load.length() + scenario.graceful_stop);
        ends.max().unwrap_or_default()
    }
}
