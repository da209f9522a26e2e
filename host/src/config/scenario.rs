//! One scenario with k6's defaults and rules, lowered to its load.

use std::sync::Arc;
use std::time::Duration;

use super::Problem;
use super::fields::Given;
use super::findings::Findings;
use super::node::Spot;
use super::origins::Origins;
use super::pairs::Pairs;
use super::scenario_options::{Executor, ScenarioOptions};
use super::stage_options::StageOption;
use super::values::Shown;
use crate::plan::{Budget, Curve, Load, PlanError, Scenario, Stage};

/// k6's least length of a load.
const SHORTEST: Duration = Duration::from_secs(1);
const GRACEFUL: Duration = Duration::from_secs(30);
const MAX_DURATION: Duration = Duration::from_mins(10);
const TIME_UNIT: Duration = Duration::from_secs(1);

/// Lowers a scenario; `None` when it cannot be, which the findings then say.
pub(super) fn lower(options: &ScenarioOptions, findings: &mut Findings, origins: &mut Origins) -> Option<Scenario> {
    if !options.is_shortcut {
        findings.enter(&options.name, &options.spot);
    }
    let scenario = Lowering { options, findings, origins }.scenario();
    findings.leave();
    scenario
}

struct Lowering<'a> {
    options: &'a ScenarioOptions,
    findings: &'a mut Findings,
    origins: &'a mut Origins,
}

impl Lowering<'_> {
    fn scenario(&mut self) -> Option<Scenario> {
        let options = self.options;
        let (name, from) = (options.executor.value.name(), options.executor.spot.origin());
        self.origins.push(Some(&options.name), "executor", name, from);
        let before = self.findings.errors.len();
        let load = self.load();
        let exec = self.pick("exec", options.exec.as_ref(), "default".to_owned());
        let start = self.pick("startTime", options.start_time.as_ref(), Duration::ZERO);
        let graceful_stop = self.pick("gracefulStop", options.graceful_stop.as_ref(), GRACEFUL);
        if let (true, Some(given)) = (exec.is_empty(), &options.exec) {
            self.refuse(&given.spot, "is empty", "name an entry of the journey, or leave it out for `default`");
        }
        self.note_pairs("env", options.env.as_ref());
        self.note_pairs("tags", options.tags.as_ref());
        if let Some(given) = &options.args {
            self.origins.note(Some(&options.name), "args", Some(given), &given.value);
        }
        if let Some(given) = &options.connections {
            self.origins.note(Some(&options.name), "connections", Some(given), &given.value);
        }
        if self.findings.errors.len() > before {
            return None;
        }
        let mut scenario = match Scenario::new(&options.name, load?) {
            Ok(scenario) => scenario,
            Err(error) => {
                self.report(&error);
                return None;
            }
        };
        scenario.exec = Arc::from(exec);
        scenario.start = start;
        scenario.graceful_stop = graceful_stop;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let env = options.env.iter().flat_map(|given| given.value.plain());
        scenario.env = env.map(owned).collect();
        scenario.args = options.args.as_ref().map(|given| given.value.clone());
        scenario.tags = options.tags.iter().flat_map(|given| given.value.plain()).collect();
        scenario.connections = options.connections.as_ref().map(|given| given.value);
        Some(scenario)
    }

    fn load(&mut self) -> Option<Load> {
        match self.options.executor.value {
            Executor::SharedIterations => self.iterations(Budget::Shared),
            Executor::PerVuIterations => self.iterations(Budget::PerVu),
            Executor::ConstantVus => self.constant_vus(),
            Executor::RampingVus => self.ramping_vus(),
            Executor::ConstantArrivalRate => self.constant_arrivals(),
            Executor::RampingArrivalRate => self.ramping_arrivals(),
        }
    }

    fn iterations(&mut self, budget: fn(u64) -> Budget) -> Option<Load> {
        let vus = self.pick("vus", self.options.vus.as_ref(), 1);
        let iterations = self.pick("iterations", self.options.iterations.as_ref(), 1);
        let max_duration = self.pick("maxDuration", self.options.max_duration.as_ref(), MAX_DURATION);
        self.at_least_a_second(self.options.max_duration.as_ref())?;
        Some(Load::Iterations { vus, budget: budget(iterations), max_duration })
    }

    fn constant_vus(&mut self) -> Option<Load> {
        let vus = self.pick("vus", self.options.vus.as_ref(), 1);
        let duration = self.duration()?;
        let curve = self.checked(Curve::constant(f64::from(vus), duration))?;
        Some(Load::Vus { curve, graceful_ramp_down: GRACEFUL })
    }

    fn ramping_vus(&mut self) -> Option<Load> {
        let start = self.pick("startVUs", self.options.start_vus.as_ref(), 1);
        let graceful_ramp_down = self.pick("gracefulRampDown", self.options.graceful_ramp_down.as_ref(), GRACEFUL);
        let stages = self.stages()?;
        for stage in &stages {
            if stage.target.value.fract() != 0.0 {
                let is = format!("is {}, but there are only whole VUs", stage.target.value);
                self.refuse(&stage.target.spot, &is, "write a whole number");
                return None;
            }
        }
        let stages = scaled(&stages, 1.0);
        let curve = self.checked(Curve::new(f64::from(start), &stages))?;
        Some(Load::Vus { curve, graceful_ramp_down })
    }

    fn constant_arrivals(&mut self) -> Option<Load> {
        let rate =
            self.required("rate", self.options.rate.as_ref(), "how many iterations start per `timeUnit`, like 10");
        let per_second = self.per_second();
        let duration = self.duration();
        let vus = self.arrival_vus();
        if let (Some(given), Some(0.0)) = (&self.options.rate, rate) {
            self.refuse(&given.spot, "is 0, so nothing would start", "raise it");
            return None;
        }
        let (rate, duration, (pre_allocated, max)) = (rate?, duration?, vus?);
        let curve = self.checked(Curve::constant(rate * per_second?, duration))?;
        Some(Load::Arrivals { curve, pre_allocated, max })
    }

    fn ramping_arrivals(&mut self) -> Option<Load> {
        let start = self.pick("startRate", self.options.start_rate.as_ref(), 0.0);
        let per_second = self.per_second();
        let stages = self.stages();
        let vus = self.arrival_vus();
        let (per_second, stages, (pre_allocated, max)) = (per_second?, stages?, vus?);
        let curve = self.checked(Curve::new(start * per_second, &scaled(&stages, per_second)))?;
        if let (true, Some(given)) = (curve.peak() <= 0.0, &self.options.stages) {
            self.refuse(&given.spot, "never leave 0, so nothing would start", "raise a `target`");
            return None;
        }
        Some(Load::Arrivals { curve, pre_allocated, max })
    }

    fn duration(&mut self) -> Option<Duration> {
        let given = self.options.duration.as_ref();
        let duration = self.required("duration", given, "how long it runs, like `30s`")?;
        self.at_least_a_second(given)?;
        Some(duration)
    }

    fn stages(&mut self) -> Option<Vec<StageOption>> {
        let given = self.options.stages.as_ref();
        let stages = self.required("stages", given, "a list like `[{ duration = \"10s\", target = 50 }]`")?;
        match given {
            Some(given) if stages.is_empty() => {
                self.refuse(&given.spot, "are empty", "add one like `{ duration = \"10s\", target = 50 }`");
                None
            }
            _ => Some(stages),
        }
    }

    /// Time units per second.
    fn per_second(&mut self) -> Option<f64> {
        let given = self.options.time_unit.as_ref();
        let unit = self.pick("timeUnit", given, TIME_UNIT);
        match given {
            Some(given) if unit.is_zero() => {
                self.refuse(&given.spot, "is 0, but rates are per unit of time", "write a duration like `1s` or `1m`");
                None
            }
            _ => Some(1.0 / unit.as_secs_f64()),
        }
    }

    fn arrival_vus(&mut self) -> Option<(u32, u32)> {
        let given = self.options.pre_allocated_vus.as_ref();
        let needed = "how many VUs are made before the start, like 10";
        let pre_allocated = self.required("preAllocatedVUs", given, needed)?;
        let max = self.options.max_vus.as_ref();
        if max.is_some() {
            self.origins.note(Some(&self.options.name), "maxVUs", max, &0);
        } else {
            let from = "default, `preAllocatedVUs`".to_owned();
            let value = pre_allocated.shown();
            self.origins.push(Some(&self.options.name), "maxVUs", &value, from);
        }
        Some((pre_allocated, max.map_or(pre_allocated, |given| given.value)))
    }

    fn pick<T: Clone + Shown>(&mut self, key: &str, given: Option<&Given<T>>, default: T) -> T {
        self.origins.note(Some(&self.options.name), key, given, &default);
        given.map_or(default, |given| given.value.clone())
    }

    fn required<T: Clone + Shown>(&mut self, key: &str, given: Option<&Given<T>>, what: &str) -> Option<T> {
        let Some(given) = given else {
            let spot = &self.options.spot;
            let message = format!("`{}` is missing", spot.spell(key));
            let hint = format!("`{}` needs it: {what}", self.options.executor.value.name());
            let problem = self.findings.problem(spot, &message).hint(hint);
            self.findings.error(problem);
            return None;
        };
        self.origins.note(Some(&self.options.name), key, Some(given), &given.value);
        Some(given.value.clone())
    }

    fn note_pairs(&mut self, key: &str, pairs: Option<&Given<Pairs>>) {
        note_pairs(self.origins, Some(&self.options.name), key, pairs);
    }

    fn at_least_a_second(&mut self, given: Option<&Given<Duration>>) -> Option<()> {
        match given {
            Some(given) if given.value < SHORTEST => {
                let is = format!("is {}, but must be at least 1s", given.value.shown());
                self.refuse(&given.spot, &is, "give it a unit, like `30s`: a number alone is milliseconds");
                None
            }
            _ => Some(()),
        }
    }

    fn refuse(&mut self, spot: &Spot, is: &str, hint: &str) {
        let message = format!("`{}` {is}", self.findings.name(spot));
        let problem = self.findings.problem(spot, &message).hint(hint);
        self.findings.error(problem);
    }

    fn checked(&mut self, curve: Result<Curve, PlanError>) -> Option<Curve> {
        match curve {
            Ok(curve) => Some(curve),
            Err(error) => {
                self.report(&error);
                None
            }
        }
    }

    fn report(&mut self, error: &PlanError) {
        let problem = self.worded(error);
        self.findings.error(problem);
    }

    /// Says what is wrong in the names that the user used, and what to do about it.
    fn worded(&self, error: &PlanError) -> Problem {
        let options = self.options;
        let stages = options.stages.as_ref().map(|given| &given.spot);
        let vus = options.vus.as_ref().map(|given| &given.spot);
        match error {
            PlanError::Name { .. } => self.problem(None, error.to_string()).hint("use letters, digits, `_` and `-`"),
            PlanError::Zero { what } if what.contains("iterations") => {
                let spot = options.iterations.as_ref().map(|given| &given.spot);
                let message = format!("{} is 0, but must be at least 1", self.call("iterations", spot));
                self.problem(spot, message).hint("raise it")
            }
            PlanError::Zero { .. } if stages.is_some() && options.executor.value == Executor::RampingVus => {
                let message = format!("{} never leave 0 VUs, so nothing would run", self.call("stages", stages));
                self.problem(stages, message).hint("raise a `target`")
            }
            PlanError::Zero { .. } => {
                let max = options.max_vus.as_ref().or(options.pre_allocated_vus.as_ref()).map(|given| &given.spot);
                let spot = vus.or(max);
                let message = format!("{} is 0, but must be at least 1", self.call("vus", spot));
                self.problem(spot, message).hint("raise it")
            }
            PlanError::FewIterations { iterations, vus: count } => {
                let spot = options.iterations.as_ref().map(|given| &given.spot);
                let (iterations_name, vus_name) = (self.call("iterations", spot), self.call("vus", vus));
                self.problem(spot.or(vus), format!("{iterations_name} is {iterations} but {vus_name} is {count}")).hint(
                    format!(
                        "raise {iterations_name} to {count} or more, or lower {vus_name}: the VUs share the iterations"
                    ),
                )
            }
            PlanError::MaxBelowPreAllocated { max, pre_allocated } => {
                let max_spot = options.max_vus.as_ref().map(|given| &given.spot);
                let pre_spot = options.pre_allocated_vus.as_ref().map(|given| &given.spot);
                let (max_name, pre_name) = (self.call("maxVUs", max_spot), self.call("preAllocatedVUs", pre_spot));
                self.problem(max_spot, format!("{max_name} is {max} but {pre_name} is {pre_allocated}"))
                    .hint(format!("raise {max_name} to {pre_allocated} or more, or lower {pre_name}"))
            }
            PlanError::NoLength => self
                .problem(stages, format!("{} take no time", self.call("stages", stages)))
                .hint("give at least one stage a `duration` above 0, like `10s`"),
            PlanError::TooLong { limit } => {
                let spot = stages.or(options.duration.as_ref().map(|given| &given.spot));
                self.problem(spot, format!("{} is longer than {}", self.call("duration", spot), limit.shown()))
                    .hint("lower it")
            }
            PlanError::Target { .. } => {
                let rate = options.rate.as_ref().or(options.start_rate.as_ref()).map(|given| &given.spot);
                let spot = stages.or(rate).or(vus);
                self.problem(spot, format!("{}: {error}", self.call("target", spot))).hint("lower it")
            }
        }
    }

    fn problem(&self, spot: Option<&Spot>, message: impl AsRef<str>) -> Problem {
        self.findings.problem(spot.unwrap_or(&self.options.spot), message.as_ref())
    }

    /// An option's name as the user wrote it, or would have.
    fn call(&self, key: &str, spot: Option<&Spot>) -> String {
        match spot {
            Some(spot) => format!("`{}`", self.findings.name(spot)),
            None => format!("`{}`", self.options.spot.spell(key)),
        }
    }
}

/// Writes down names and values, each with its own place.
pub(super) fn note_pairs(origins: &mut Origins, scenario: Option<&str>, key: &str, pairs: Option<&Given<Pairs>>) {
    for (name, given) in pairs.iter().flat_map(|given| &given.value.0) {
        let value = if key == "env" && is_secret(name) { "(hidden)".to_owned() } else { given.value.shown() };
        origins.push(scenario, &format!("{key}.{name}"), &value, given.spot.origin());
    }
}

/// Whether a variable's value should not appear in the logs of a build.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL"].iter().any(|word| name.contains(word))
}

fn scaled(stages: &[StageOption], factor: f64) -> Vec<Stage> {
    let scale = |stage: &StageOption| Stage { duration: stage.duration, target: stage.target.value * factor };
    stages.iter().map(scale).collect()
}
