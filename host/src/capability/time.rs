//! `vu`: who is running, time, and random numbers.

use std::time::{Duration, SystemTime};

use super::Host;
use crate::wit::vu;

/// The longest a guest may sleep at once, in milliseconds: 100 days.
const LONGEST_SLEEP: f64 = 8.64e9;
/// The most random bytes given at once.
const MOST_BYTES: u32 = 65_536;

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
        self.run.started.elapsed().as_secs_f64() * 1e3
    }

    fn wall_clock(&mut self) -> f64 {
        // A clock set before 1970 shows 1970.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
    }

    fn random(&mut self) -> f64 {
        self.random.number()
    }

    fn random_bytes(&mut self, length: u32) -> Vec<u8> {
        self.random.bytes(length.min(MOST_BYTES) as usize)
    }
}
