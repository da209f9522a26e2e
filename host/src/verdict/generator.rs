//! Whether the load was what it was meant to be. A target cannot be judged by a generator that did not keep up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Arrivals may start this late, in milliseconds, at the 99th percentile.
const LATENESS_LIMIT: f64 = 5.0;
/// This share of the planned arrivals may be dropped.
const DROPPED_LIMIT: f64 = 0.01;
/// A thread, or the machine, is saturated in a second in which it was busy for this share of it.
const SATURATED: f64 = 0.98;
/// This share of the run's seconds may be saturated.
const SATURATED_SECONDS: f64 = 0.2;
/// Fewer saturated seconds than this say nothing: starting up takes the processor for a moment.
const LEAST_SECONDS: u64 = 3;

/// What was seen of the generator itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How late arrivals started, in milliseconds, at the 99th percentile; `None` without an open model.
    pub delay_p99: Option<f64>,
    /// Arrivals that were due.
    pub planned: u64,
    /// Arrivals that found no free VU.
    pub dropped: u64,
    /// Seconds of the run.
    pub seconds: u64,
    /// Seconds in which a worker's thread had nothing left.
    pub thread_saturated: u64,
    /// Seconds in which the machine had nothing left.
    pub machine_saturated: u64,
    /// Seconds in which either had.
    pub saturated: u64,
}

/// What the generator is judged to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum GeneratorVerdict {
    /// The load was what it was meant to be.
    Valid,
    /// It was not.
    Invalid {
        /// Why.
        reasons: Vec<Reason>,
    },
}

/// Why a generator is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What was seen.
    pub value: String,
    /// What it may be.
    pub limit: String,
    /// What to try.
    pub hint: String,
}

impl Evidence {
    /// Notes a second: the share of it that the busiest worker's thread, and the machine, were busy for.
    pub fn second(&mut self, busiest_thread: f64, machine: Option<f64>) {
        let (thread, machine) = (busiest_thread >= SATURATED, machine.is_some_and(|share| share >= SATURATED));
        self.seconds += 1;
        self.thread_saturated += u64::from(thread);
        self.machine_saturated += u64::from(machine);
        self.saturated += u64::from(thread || machine);
    }

    /// Judges.
    #[must_use]
    pub fn judge(&self) -> GeneratorVerdict {
        let reasons: Vec<Reason> = [self.lateness(), self.drops(), self.saturation()].into_iter().flatten().collect();
        if reasons.is_empty() { GeneratorVerdict::Valid } else { GeneratorVerdict::Invalid { reasons } }
    }

    fn lateness(&self) -> Option<Reason> {
        let p99 = self.delay_p99.filter(|p99| *p99 > LATENESS_LIMIT)?;
        Some(Reason {
            value: format!("iterations started {p99:.1} ms late at the 99th percentile"),
            limit: format!("{LATENESS_LIMIT} ms"),
            hint: "lower the rate, give the generator more cores, or move other work off this machine".to_owned(),
        })
    }

    fn drops(&self) -> Option<Reason> {
        let share = self.dropped as f64 / self.planned.max(1) as f64;
        (share > DROPPED_LIMIT).then(|| Reason {
            value: format!(
                "{} of {} planned iterations were dropped ({:.2} %)",
                self.dropped,
                self.planned,
                share * 100.0
            ),
            limit: format!("{} %", DROPPED_LIMIT * 100.0),
            hint: "raise `max-vus`; if the target cannot keep up with the rate, that is the result".to_owned(),
        })
    }

    fn saturation(&self) -> Option<Reason> {
        let share = self.saturated as f64 / self.seconds.max(1) as f64;
        if self.saturated < LEAST_SECONDS || share < SATURATED_SECONDS {
            return None;
        }
        let what = match (self.thread_saturated, self.machine_saturated) {
            (_, 0) => "a worker thread",
            (0, _) => "the machine",
            _ => "a worker thread or the machine",
        };
        Some(Reason {
            value: format!("{what} was out of CPU in {} of {} s", self.saturated, self.seconds),
            limit: format!("{} % of the run", SATURATED_SECONDS * 100.0),
            hint:
                "use fewer VUs or some think time, give the generator more cores, or move the target to another machine"
                    .to_owned(),
        })
    }
}

impl GeneratorVerdict {
    /// Whether the load was what it was meant to be.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        *self == Self::Valid
    }
}

/// Returns the share of a span that a thread was busy for.
#[must_use]
pub fn busy_share(busy: Duration, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { busy.as_secs_f64() / span.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(evidence: &Evidence) -> Vec<Reason> {
        match evidence.judge() {
            GeneratorVerdict::Valid => Vec::new(),
            GeneratorVerdict::Invalid { reasons } => reasons,
        }
    }

    #[test]
    fn a_generator_at_its_limits_is_valid() {
        let evidence = Evidence {
            delay_p99: Some(5.0),
            planned: 1000,
            dropped: 10,
            seconds: 100,
            saturated: 19,
            ..Evidence::default()
        };
        assert!(evidence.judge().is_valid());
        assert!(Evidence::default().judge().is_valid());
    }

    #[test]
    fn late_arrivals_and_dropped_ones_make_it_invalid() {
        let evidence = Evidence { delay_p99: Some(7.25), planned: 1000, dropped: 11, ..Evidence::default() };
        let reasons = reasons(&evidence);
        assert_eq!(
            (reasons[0].value.as_str(), reasons[0].limit.as_str()),
            ("iterations started 7.2 ms late at the 99th percentile", "5 ms")
        );
        assert_eq!(
            (reasons[1].value.as_str(), reasons[1].limit.as_str()),
            ("11 of 1000 planned iterations were dropped (1.10 %)", "1 %")
        );
    }

    #[test]
    fn a_fifth_of_the_seconds_without_cpu_makes_it_invalid_but_not_a_moment() {
        let mut evidence = Evidence::default();
        evidence.second(1.0, None);
        evidence.second(0.5, Some(0.99));
        assert!(evidence.judge().is_valid());
        for _ in 0..8 {
            evidence.second(0.97, Some(0.5));
        }
        evidence.second(0.985, Some(1.0));
        assert_eq!(reasons(&evidence)[0].value, "a worker thread or the machine was out of CPU in 3 of 11 s");
    }
}
