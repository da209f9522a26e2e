//! The limit of requests per second that all VUs of a run share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Hands out the moments at which requests may start, one interval apart (the generic cell rate algorithm without a
/// burst). Nobody ever gets two at once, so a pause is not made up for.
#[derive(Debug)]
pub struct Pace {
    origin: Instant,
    /// Nanoseconds between two requests.
    interval: u64,
    /// Nanoseconds from the origin to the first moment that is still free.
    free: AtomicU64,
}

impl Pace {
    /// Makes a limit of so many requests per second.
    #[must_use]
    pub fn new(rps: f64) -> Self {
        // The cast saturates: a rate of one request in 600 years is as good as none.
        Self { origin: Instant::now(), interval: (1e9 / rps).round() as u64, free: AtomicU64::new(0) }
    }

    /// Waits until the next request may start; returns for how long. Whoever stops waiting loses its turn.
    pub(in super::super) async fn wait(&self) -> Duration {
        let now = Instant::now();
        let wait = self.take(u64::try_from((now - self.origin).as_nanos()).unwrap_or(u64::MAX));
        if wait == 0 {
            return Duration::ZERO;
        }
        tokio::time::sleep(Duration::from_nanos(wait)).await;
        now.elapsed()
    }

    /// Takes the next moment; returns how many nanoseconds it is away.
    fn take(&self, now: u64) -> u64 {
        // One number is all there is to agree on, so no other memory depends on the order.
        let next = |free: u64| Some(free.max(now).saturating_add(self.interval));
        let free = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_else(|free| free);
        free.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_an_interval_apart_however_many_ask_at_once() {
        let pace = Pace::new(100.0);
        let waits: Vec<u64> = (0..4).map(|_| pace.take(0)).collect();
        assert_eq!(waits, [0, 10_000_000, 20_000_000, 30_000_000]);
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let pace = Pace::new(100.0);
        assert_eq!(pace.take(0), 0);
        assert_eq!((pace.take(1_000_000_000), pace.take(1_000_000_000)), (0, 10_000_000));
        assert_eq!(pace.take(1_015_000_000), 5_000_000);
    }

    #[test]
    fn a_rate_of_next_to_nothing_is_no_overflow() {
        let pace = Pace::new(1e-300);
        assert_eq!(pace.take(0), 0);
        assert_eq!(pace.take(5), u64::MAX - 5);
        assert_eq!(pace.take(6), u64::MAX - 6);
    }

    #[test]
    fn threads_share_one_limit() {
        let pace = Pace::new(1e9);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| assert!(pace.take(0) < 4000)));
            }
        });
        assert_eq!(pace.free.into_inner(), 4000);
    }
}
