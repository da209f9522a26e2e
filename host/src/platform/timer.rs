//! One precise timer.

use tokio::time::Instant;

/// Waits for moments, one at a time.
#[derive(Debug)]
pub struct Timer(Kind);

#[derive(Debug)]
enum Kind {
    #[cfg(target_os = "linux")]
    Kernel(super::linux::KernelTimer),
    Portable,
}

impl Timer {
    /// Makes the most precise timer there is. Must be called on the runtime that will wait.
    #[must_use]
    pub fn precise() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(timer) = super::linux::KernelTimer::new() {
            return Self(Kind::Kernel(timer));
        }
        Self::portable()
    }

    /// Makes a timer that follows tokio's clock, also when that is paused; precise to a millisecond.
    #[must_use]
    pub fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// Waits until a moment. Dropping the future and waiting for another moment is fine.
    pub async fn until(&self, deadline: Instant) {
        #[cfg(target_os = "linux")]
        if let Kind::Kernel(timer) = &self.0
            && timer.until(deadline).await.is_ok()
        {
            return;
        }
        tokio::time::sleep_until(deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_precise_timer_is_never_early_and_can_be_interrupted() {
        let timer = Timer::precise();
        for millis in [3, 0, 1] {
            let far = Instant::now() + Duration::from_hours(1);
            assert!(tokio::time::timeout(Duration::from_millis(1), timer.until(far)).await.is_err());
            let deadline = Instant::now() + Duration::from_millis(millis);
            timer.until(deadline).await;
            assert!(Instant::now() >= deadline);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_portable_timer_follows_the_paused_clock() {
        let begin = Instant::now();
        Timer::portable().until(begin + Duration::from_hours(1)).await;
        assert_eq!(begin.elapsed().as_secs(), 3600);
    }
}
