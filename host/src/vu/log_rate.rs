//! How much a journey may say: so many bytes per second, all VUs of a run together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a message costs beside its text: the words before it, and that somebody has to print it.
const EACH: u64 = 64;
/// How far ahead a journey may be, in nanoseconds: what it did not say in a second it may say at once.
const AHEAD: u64 = 1_000_000_000;

/// A bucket of bytes that fills as time goes by. Threads share it without a lock.
#[derive(Debug)]
pub(super) struct LogRate {
    /// Bytes per second; `None` for no limit.
    limit: Option<u64>,
    /// Up to when what was said is paid for, in nanoseconds since the start of the run.
    paid_until: AtomicU64,
    dropped: AtomicU64,
}

impl LogRate {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, paid_until: AtomicU64::new(0), dropped: AtomicU64::new(0) }
    }

    /// Whether a message of so many bytes may be passed on now, since the start of the run; otherwise it is counted. The
    /// last one that may is paid for by those after it, so that a long one is not refused for ever.
    pub(super) fn admits(&self, bytes: usize, now: Duration) -> bool {
        let Some(limit) = self.limit else { return true };
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let price = (bytes as u64 + EACH).saturating_mul(1_000_000_000).checked_div(limit).unwrap_or(u64::MAX);
        let paid = self.paid_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
            (limit > 0 && paid < now.saturating_add(AHEAD)).then(|| paid.max(now).saturating_add(price))
        });
        if paid.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        paid.is_ok()
    }

    /// Messages that were not passed on.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_rate_and_counted() {
        let rate = LogRate::new(Some(10_000));
        // 100 s of a message of 36 bytes each millisecond: ten times as much as may be.
        let passed = (0..100_000).filter(|&at| rate.admits(36, Duration::from_millis(at))).count() as u64;
        assert!((10_000..=10_110).contains(&passed), "{passed}");
        assert_eq!(rate.dropped(), 100_000 - passed);
    }

    #[test]
    fn a_long_message_passes_and_those_after_it_pay() {
        let rate = LogRate::new(Some(1000));
        assert!(rate.admits(10_000, Duration::ZERO));
        assert!(!rate.admits(1, Duration::from_secs(9)));
        assert!(rate.admits(1, Duration::from_secs(10)));
    }

    #[test]
    fn nothing_passes_at_a_rate_of_nothing_and_all_without_a_limit() {
        assert!(!LogRate::new(Some(0)).admits(0, Duration::from_secs(100)));
        assert!((0..1000).all(|_| LogRate::new(None).admits(usize::MAX >> 1, Duration::ZERO)));
    }

    #[test]
    fn threads_share_one_rate() {
        let rate = LogRate::new(Some(100_000));
        let count = || (0..50_000).filter(|_| rate.admits(36, Duration::ZERO)).count();
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((passed, rate.dropped()), (1000, 199_000));
    }
}
