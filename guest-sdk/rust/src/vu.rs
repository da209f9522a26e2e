//! Who is running, and time.

use std::time::{Duration, SystemTime};

use crate::bindings::squall::journey::vu as host;

/// This virtual user's number, from 1, unique in the run. 0 in setup, teardown and the summary.
#[must_use]
pub fn id() -> u32 {
    host::id()
}

/// The iterations this virtual user has finished before this one, from 0.
#[must_use]
pub fn iteration() -> u32 {
    host::iteration()
}

/// The number of this iteration in its scenario, over all virtual users and machines, from 0.
#[must_use]
pub fn scenario_iteration() -> u32 {
    host::scenario_iteration()
}

/// The scenario's name. Empty in setup, teardown and the summary.
#[must_use]
pub fn scenario() -> String {
    host::scenario()
}

/// Which instance of the journey this virtual user runs, from 1: it rises when a trap made the host replace it.
#[must_use]
pub fn instance() -> u32 {
    host::instance()
}

/// Waits.
pub fn sleep(duration: Duration) {
    host::sleep(milliseconds(duration));
}

/// The time since the run started, on a clock that never goes back.
#[must_use]
pub fn now() -> Duration {
    duration(host::now())
}

/// The time of day.
#[must_use]
pub fn wall_clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + duration(host::wall_clock())
}

/// A duration as the contract writes it.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A duration from milliseconds. What is not a number, or less than 0, is 0.
pub(crate) fn duration(milliseconds: f64) -> Duration {
    // A cast from a float saturates, and makes 0 of what is not a number.
    Duration::from_nanos((milliseconds * 1e6) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_survive_the_way_through_milliseconds() {
        assert_eq!(duration(milliseconds(Duration::from_micros(1_500))), Duration::from_micros(1_500));
        assert_eq!(duration(f64::NAN), Duration::ZERO);
        assert_eq!(duration(-1.0), Duration::ZERO);
    }
}
