//! Think time: how long a person waits between two actions.
//!
//! ```no_run
//! use squall_sdk::{sleep, think};
//! use std::time::Duration;
//!
//! sleep(think::uniform(Duration::from_millis(500)..Duration::from_millis(1_500)));
//! ```
//!
//! The times come from the host's seeded generator, so that a run can be repeated.

use std::f64::consts::TAU;
use std::ops::Range;
use std::time::Duration;

use crate::random;

/// Any time in the range is as likely as another.
#[must_use]
pub fn uniform(range: Range<Duration>) -> Duration {
    uniform_from(range, random())
}

/// Times around `mean`; two thirds of them are at most one `deviation` away. Never negative.
#[must_use]
pub fn normal(mean: Duration, deviation: Duration) -> Duration {
    normal_from(mean, deviation, random(), random())
}

/// Times between events that happen `mean` apart and independently of each other: many short ones, a few long ones.
#[must_use]
pub fn exponential(mean: Duration) -> Duration {
    exponential_from(mean, random())
}

fn uniform_from(range: Range<Duration>, random: f64) -> Duration {
    range.start + range.end.saturating_sub(range.start).mul_f64(random)
}

/// Box and Muller's way from two uniform numbers to a normal one.
fn normal_from(mean: Duration, deviation: Duration, first: f64, second: f64) -> Duration {
    // `1 - first` lies in (0, 1]; the logarithm of 0 would be infinite.
    let standard = (-2.0 * (1.0 - first).ln()).sqrt() * (TAU * second).cos();
    let seconds = mean.as_secs_f64() + deviation.as_secs_f64() * standard;
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn exponential_from(mean: Duration, random: f64) -> Duration {
    mean.mul_f64(-(1.0 - random).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Numbers spread evenly over [0, 1).
    fn even(count: u32) -> impl Iterator<Item = f64> {
        (0..count).map(move |n| (f64::from(n) + 0.5) / f64::from(count))
    }

    fn mean(times: impl Iterator<Item = Duration>) -> f64 {
        let times: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
        times.iter().sum::<f64>() / times.len() as f64
    }

    #[test]
    fn uniform_times_fill_the_range() {
        assert_eq!(uniform_from(SECOND..3 * SECOND, 0.0), SECOND);
        assert_eq!(uniform_from(SECOND..3 * SECOND, 0.5), 2 * SECOND);
        assert_eq!(uniform_from(3 * SECOND..SECOND, 0.5), 3 * SECOND);
    }

    #[test]
    fn exponential_times_have_the_mean_asked_for() {
        let mean = mean(even(10_000).map(|random| exponential_from(SECOND, random)));
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn normal_times_have_the_mean_asked_for_and_are_never_negative() {
        let pairs = || even(100).flat_map(|first| even(100).map(move |second| (first, second)));
        let mean = mean(pairs().map(|(first, second)| normal_from(5 * SECOND, SECOND, first, second)));
        assert!((mean - 5.0).abs() < 0.01, "{mean}");
        assert_eq!(normal_from(SECOND, 10 * SECOND, 0.9, 0.5), Duration::ZERO);
    }
}
