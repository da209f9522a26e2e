//! A scenario: which function runs, under which executor, when.

use std::time::Duration;

use serde::Serialize;

use super::{Connections, Named, Number, Stage, Text};

/// One scenario. The functions named after executors make one; the others set what all executors have.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct Scenario {
    #[serde(flatten)]
    executor: Executor,
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graceful_stop: Option<Text>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    env: Named<String>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    tags: Named<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Connections>,
}

/// The executors and what only they have, as k6 writes them.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "executor", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Executor {
    SharedIterations {
        vus: u32,
        iterations: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_duration: Option<Text>,
    },
    PerVuIterations {
        vus: u32,
        iterations: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_duration: Option<Text>,
    },
    ConstantVus {
        vus: u32,
        duration: Text,
    },
    RampingVus {
        #[serde(rename = "startVUs")]
        start_vus: u32,
        stages: Vec<Stage>,
        #[serde(skip_serializing_if = "Option::is_none")]
        graceful_ramp_down: Option<Text>,
    },
    ConstantArrivalRate {
        rate: Number,
        #[serde(skip_serializing_if = "Option::is_none")]
        time_unit: Option<Text>,
        duration: Text,
        #[serde(rename = "preAllocatedVUs")]
        pre_allocated_vus: u32,
        #[serde(rename = "maxVUs", skip_serializing_if = "Option::is_none")]
        max_vus: Option<u32>,
    },
    RampingArrivalRate {
        start_rate: Number,
        #[serde(skip_serializing_if = "Option::is_none")]
        time_unit: Option<Text>,
        stages: Vec<Stage>,
        #[serde(rename = "preAllocatedVUs")]
        pre_allocated_vus: u32,
        #[serde(rename = "maxVUs", skip_serializing_if = "Option::is_none")]
        max_vus: Option<u32>,
    },
}

impl Scenario {
    /// `iterations` in all, shared among `vus` virtual users.
    pub fn shared_iterations(vus: u32, iterations: u32) -> Self {
        Self::of(Executor::SharedIterations { vus, iterations, max_duration: None })
    }

    /// `iterations` for each of `vus` virtual users.
    pub fn per_vu_iterations(vus: u32, iterations: u32) -> Self {
        Self::of(Executor::PerVuIterations { vus, iterations, max_duration: None })
    }

    /// `vus` virtual users, one iteration after another, for `duration`.
    pub fn constant_vus(vus: u32, duration: Duration) -> Self {
        Self::of(Executor::ConstantVus { vus, duration: duration.into() })
    }

    /// A number of virtual users that follows stages `(duration, target)`.
    pub fn ramping_vus(start: u32, stages: &[(Duration, u32)]) -> Self {
        let stages = stages.iter().map(|&(duration, target)| stage(duration, target.into())).collect();
        Self::of(Executor::RampingVus { start_vus: start, stages, graceful_ramp_down: None })
    }

    /// `rate` iterations start each second for `duration`, whatever the target does, on `vus` virtual users.
    pub fn constant_arrival_rate(rate: f64, duration: Duration, vus: u32) -> Self {
        Self::of(Executor::ConstantArrivalRate {
            rate: Number(rate),
            time_unit: None,
            duration: duration.into(),
            pre_allocated_vus: vus,
            max_vus: None,
        })
    }

    /// A rate of iterations each second that follows stages `(duration, target rate)`, on `vus` virtual users.
    pub fn ramping_arrival_rate(start: f64, stages: &[(Duration, f64)], vus: u32) -> Self {
        let stages = stages.iter().map(|&(duration, target)| stage(duration, Number(target))).collect();
        Self::of(Executor::RampingArrivalRate {
            start_rate: Number(start),
            time_unit: None,
            stages,
            pre_allocated_vus: vus,
            max_vus: None,
        })
    }

    /// The scenario of `journey!` that runs; `default` unless it is set.
    pub fn exec(mut self, name: impl Into<String>) -> Self {
        self.exec = Some(name.into());
        self
    }

    /// When it starts, counted from the start of the run.
    pub fn start_time(mut self, time: Duration) -> Self {
        self.start_time = Some(time.into());
        self
    }

    /// How long iterations that run at the end may go on.
    pub fn graceful_stop(mut self, time: Duration) -> Self {
        self.graceful_stop = Some(time.into());
        self
    }

    /// Grants a variable to this scenario.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.0.push((name.into(), value.into()));
        self
    }

    /// Adds a tag to every sample of this scenario.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.0.push((name.into(), value.into()));
        self
    }

    /// How its virtual users use connections, where not as the options say.
    pub fn connections(mut self, connections: Connections) -> Self {
        self.connections = Some(connections);
        self
    }

    /// How long iterations may take in all. Only the executors that count iterations have it; others ignore it.
    pub fn max_duration(mut self, duration: Duration) -> Self {
        if let Executor::SharedIterations { max_duration, .. } | Executor::PerVuIterations { max_duration, .. } =
            &mut self.executor
        {
            *max_duration = Some(duration.into());
        }
        self
    }

    /// How long iterations may go on when a ramp takes their virtual user away. Only for `ramping_vus`.
    pub fn graceful_ramp_down(mut self, time: Duration) -> Self {
        if let Executor::RampingVus { graceful_ramp_down, .. } = &mut self.executor {
            *graceful_ramp_down = Some(time.into());
        }
        self
    }

    /// What rates are counted by; one second unless it is set. Only for the arrival-rate executors.
    pub fn time_unit(mut self, unit: Duration) -> Self {
        if let Executor::ConstantArrivalRate { time_unit, .. } | Executor::RampingArrivalRate { time_unit, .. } =
            &mut self.executor
        {
            *time_unit = Some(unit.into());
        }
        self
    }

    /// How many virtual users there may be when the target is slow. Only for the arrival-rate executors.
    pub fn max_vus(mut self, most: u32) -> Self {
        if let Executor::ConstantArrivalRate { max_vus, .. } | Executor::RampingArrivalRate { max_vus, .. } =
            &mut self.executor
        {
            *max_vus = Some(most);
        }
        self
    }

    fn of(executor: Executor) -> Self {
        Self {
            executor,
            exec: None,
            start_time: None,
            graceful_stop: None,
            env: Named::default(),
            tags: Named::default(),
            connections: None,
        }
    }
}

fn stage(duration: Duration, target: Number) -> Stage {
    Stage { duration: duration.into(), target }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn json(scenario: &Scenario) -> String {
        serde_json::to_string(scenario).expect("a scenario can be written")
    }

    #[test]
    fn executors_that_count_iterations_have_k6s_shape() {
        assert_eq!(
            json(&Scenario::shared_iterations(2, 10).max_duration(60 * SECOND)),
            r#"{"executor":"shared-iterations","vus":2,"iterations":10,"maxDuration":"1m"}"#
        );
        assert_eq!(
            json(&Scenario::per_vu_iterations(2, 10).connections(Connections::PerIteration)),
            r#"{"executor":"per-vu-iterations","vus":2,"iterations":10,"connections":"per-iteration"}"#
        );
    }

    #[test]
    fn executors_that_hold_virtual_users_have_k6s_shape() {
        assert_eq!(
            json(&Scenario::constant_vus(5, 30 * SECOND).exec("buy").start_time(SECOND).graceful_stop(Duration::ZERO)),
            r#"{"executor":"constant-vus","vus":5,"duration":"30s","exec":"buy","startTime":"1s","gracefulStop":"0s"}"#
        );
        assert_eq!(
            json(&Scenario::ramping_vus(1, &[(SECOND, 5)]).graceful_ramp_down(2 * SECOND)),
            concat!(
                r#"{"executor":"ramping-vus","startVUs":1,"stages":[{"duration":"1s","target":5}],"#,
                r#""gracefulRampDown":"2s"}"#
            )
        );
    }

    #[test]
    fn executors_that_hold_a_rate_have_k6s_shape() {
        assert_eq!(
            json(&Scenario::constant_arrival_rate(2.5, 30 * SECOND, 4).max_vus(8).env("A", "b").tag("c", "d")),
            concat!(
                r#"{"executor":"constant-arrival-rate","rate":2.5,"duration":"30s","preAllocatedVUs":4,"maxVUs":8,"#,
                r#""env":{"A":"b"},"tags":{"c":"d"}}"#
            )
        );
        assert_eq!(
            json(&Scenario::ramping_arrival_rate(0.0, &[(SECOND, 5.0)], 4).time_unit(60 * SECOND)),
            concat!(
                r#"{"executor":"ramping-arrival-rate","startRate":0,"timeUnit":"1m","#,
                r#""stages":[{"duration":"1s","target":5}],"preAllocatedVUs":4}"#
            )
        );
    }
}
