//! What goes wrong, and when: latency, stalls, errors and the rate limit.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::options::{Latency, Options, Stall};

/// The rate of `/limited` where the options set none, per second.
const DEFAULT_LIMIT: NonZeroU32 = NonZeroU32::new(10).expect("10 is not 0");

/// Decides what happens to each request.
#[derive(Debug)]
pub(super) struct Mishaps {
    started: Instant,
    latency: Option<Latency>,
    error_rate: f64,
    stalls: Vec<Stall>,
    limit: Limit,
    limit_all: bool,
    seed: u64,
    draws: AtomicU64,
}

/// At most so many per second, with bursts of one second's worth.
#[derive(Debug)]
struct Limit {
    interval: Duration,
    /// When the next request would be due if they came evenly, since the start.
    due: Mutex<Duration>,
}

impl Mishaps {
    pub(super) fn new(options: &Options, started: Instant) -> Self {
        Self {
            started,
            latency: options.latency,
            error_rate: options.error_rate,
            stalls: options.stalls.clone(),
            limit: Limit::new(options.rate_limit.unwrap_or(DEFAULT_LIMIT)),
            limit_all: options.rate_limit.is_some(),
            seed: options.seed,
            draws: AtomicU64::new(0),
        }
    }

    /// When a request that arrived at `arrival` may be answered, if not at once.
    pub(super) fn answer_at(&self, arrival: Instant) -> Option<Instant> {
        let latency = self.latency.map(|latency| self.draw_latency(latency));
        let stalled = if self.stalls.is_empty() {
            None
        } else {
            self.stall_end(arrival)
        };
        match (latency, stalled) {
            (None, None) => None,
            (latency, stalled) => Some(stalled.unwrap_or(arrival) + latency.unwrap_or_default()),
        }
    }

    /// Whether this request gets an error instead of its answer.
    pub(super) fn fails(&self) -> bool {
        self.error_rate > 0.0 && self.draw() < self.error_rate
    }

    /// Whether the rate limit holds for all routes.
    pub(super) fn limits_all(&self) -> bool {
        self.limit_all
    }

    /// Takes one request's worth from the rate limit, or says how long to wait.
    pub(super) fn admit(&self, arrival: Instant) -> Result<(), Duration> {
        self.limit
            .admit(arrival.saturating_duration_since(self.started))
    }

    fn stall_end(&self, arrival: Instant) -> Option<Instant> {
        let at = arrival.saturating_duration_since(self.started);
        let inside = self
            .stalls
            .iter()
            .filter(|stall| stall.at <= at && at < stall.at + stall.length);
        inside
            .map(|stall| self.started + stall.at + stall.length)
            .max()
    }

    fn draw_latency(&self, latency: Latency) -> Duration {
        match latency {
            Latency::Fixed(latency) => latency,
            Latency::Between(min, max) => min + max.saturating_sub(min).mul_f64(self.draw()),
        }
    }

    /// A number in [0, 1): the n-th of a sequence that only the seed decides (`SplitMix64`).
    fn draw(&self) -> f64 {
        let n = self.draws.fetch_add(1, Ordering::Relaxed) + 1;
        let mut z = self
            .seed
            .wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits are all that an f64 holds.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Limit {
    fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            due: Mutex::new(Duration::ZERO),
        }
    }

    fn admit(&self, now: Duration) -> Result<(), Duration> {
        let burst = Duration::from_secs(1).saturating_sub(self.interval);
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = due.saturating_sub(burst);
        if let Some(wait) = earliest.checked_sub(now).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        *due = (*due).max(now) + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &Options) -> Mishaps {
        Mishaps::new(options, Instant::now())
    }

    #[test]
    fn a_request_within_a_stall_is_answered_at_its_end() {
        let seconds = Duration::from_secs;
        let stalls = vec![
            Stall {
                at: seconds(2),
                length: seconds(3),
            },
            Stall {
                at: seconds(4),
                length: seconds(2),
            },
        ];
        let mishaps = with(&Options {
            stalls,
            ..Options::default()
        });
        let answer = |at| {
            mishaps
                .answer_at(mishaps.started + seconds(at))
                .map(|end| end - mishaps.started)
        };
        assert_eq!(answer(1), None);
        assert_eq!(answer(2), Some(seconds(5)));
        assert_eq!(
            answer(4),
            Some(seconds(6)),
            "of two stalls the later end counts"
        );
        assert_eq!(answer(6), None);
    }

    #[test]
    fn a_drawn_latency_stays_in_its_range_and_the_seed_decides_it() {
        let (min, max) = (Duration::from_millis(5), Duration::from_millis(50));
        let draw = |seed| {
            let mishaps = with(&Options {
                latency: Some(Latency::Between(min, max)),
                seed,
                ..Options::default()
            });
            let start = mishaps.started;
            (0..100)
                .map(|_| mishaps.answer_at(start).expect("a latency is set") - start)
                .collect::<Vec<_>>()
        };
        assert!(draw(1).iter().all(|latency| (min..=max).contains(latency)));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn the_share_of_errors_is_the_one_asked_for() {
        let failed = |error_rate| {
            let mishaps = with(&Options {
                error_rate,
                ..Options::default()
            });
            (0..10_000).filter(|_| mishaps.fails()).count()
        };
        assert_eq!(failed(0.0), 0);
        assert_eq!(failed(1.0), 10_000);
        assert!((800..1200).contains(&failed(0.1)));
    }

    #[test]
    fn a_limit_lets_a_seconds_worth_through_and_then_one_per_interval() {
        let limit = Limit::new(NonZeroU32::new(4).expect("4 is not 0"));
        let ms = Duration::from_millis;
        assert_eq!(
            (0..4).map(|_| limit.admit(ms(0))).collect::<Vec<_>>(),
            [Ok(()); 4]
        );
        assert_eq!(limit.admit(ms(0)), Err(ms(250)));
        assert_eq!(limit.admit(ms(250)), Ok(()));
        assert_eq!(limit.admit(ms(300)), Err(ms(200)));
    }
}
