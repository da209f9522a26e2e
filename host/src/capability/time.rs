//! `vu`: who is running, time, and random numbers.

use std::time::{Duration, SystemTime};

use super::Host;
use crate::plan::Policy;
use crate::wit::vu;

/// The longest a guest may sleep at once, in milliseconds: 100 days.
const LONGEST_SLEEP: f64 = 8.64e9;
/// The most random bytes given at once.
const MOST_BYTES: u32 = 65_536;

/// How finely a guest sees time. What is recorded is exact whatever it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// As it is.
    Exact,
    /// In whole milliseconds: a guest that is not trusted learns less of what others do on the same machine.
    Coarse,
}

impl Clock {
    pub(super) fn of(policy: &Policy) -> Self {
        if policy.untrusted { Self::Coarse } else { Self::Exact }
    }

    /// A time as the guest sees it.
    pub(super) fn show(self, time: Duration) -> Duration {
        match self {
            Self::Exact => time,
            Self::Coarse => Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The same in milliseconds.
    pub(super) fn milliseconds(self, time: Duration) -> f64 {
        match self {
            Self::Exact => time.as_secs_f64() * 1e3,
            // Not by way of seconds, which have no whole thousandths.
            Self::Coarse => time.as_millis() as f64,
        }
    }
}

impl vu::Host for Host {
    fn id(&mut self) -> u32 {
        self.identity.vu
    }

    fn iteration(&mut self) -> u32 {
        self.iteration.0
    }

    fn scenario_iteration(&mut self) -> u32 {
        // The contract counts in 32 bits; a scenario of more than four billion iterations starts again from 0.
        self.iteration.1 as u32
    }

    fn scenario(&mut self) -> String {
        self.identity.scenario.as_ref().to_owned()
    }

    fn instance(&mut self) -> u32 {
        self.identity.instance
    }

    async fn sleep(&mut self, milliseconds: f64) {
        self.called();
        // A NaN is no longer than 0 either, and does not sleep.
        if milliseconds > 0.0 {
            let milliseconds = milliseconds.min(LONGEST_SLEEP);
            self.activity.waited = true;
            tokio::time::sleep(Duration::from_secs_f64(milliseconds / 1e3)).await;
        }
    }

    fn now(&mut self) -> f64 {
        self.clock.milliseconds(self.run.started.elapsed())
    }

    fn wall_clock(&mut self) -> f64 {
        // A clock set before 1970 shows 1970.
        self.clock.milliseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    fn random(&mut self) -> f64 {
        self.random.number()
    }

    fn random_bytes(&mut self, length: u32) -> Vec<u8> {
        self.random.bytes(length.min(MOST_BYTES) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_shows_whole_milliseconds_and_never_more_than_passed() {
        for (nanos, coarse) in [(0, 0.0), (999_999, 0.0), (1_000_000, 1.0), (1_234_567_891, 1234.0)] {
            let time = Duration::from_nanos(nanos);
            assert_eq!(Clock::Coarse.milliseconds(time).to_bits(), f64::to_bits(coarse), "{nanos}");
            assert_eq!(Clock::Exact.show(time), time);
        }
    }
}
