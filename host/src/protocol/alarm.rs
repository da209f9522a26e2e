//! A deadline for each exchange of a VU, with one timer.
//!
//! Nearly every exchange ends long before its deadline. A timer of its own would be entered into the runtime's wheel and
//! taken out again for each of them; this one stays set, rings now and then too early, and is set anew only then.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use send_wrapper::SendWrapper;
use tokio::time::{Instant, Sleep, sleep_until};

/// The timer, while no exchange uses it.
#[derive(Debug)]
pub(in crate::protocol) struct Alarm {
    // A VU lives on one thread; the wrapper exists because wasmtime wants its futures to be `Send`.
    spare: SendWrapper<RefCell<Option<Pin<Box<Sleep>>>>>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { spare: SendWrapper::new(RefCell::default()) }
    }
}

impl Alarm {
    /// Returns what a future comes to, or `None` when the deadline passes first. A future that does not wait needs no
    /// timer at all.
    pub(in crate::protocol) async fn bound<F: Future>(
        &self,
        deadline: Instant,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let mut timer = None;
        let output = poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            // Exchanges that go on at the same time take a timer each, and one of them is kept.
            let timer = timer.get_or_insert_with(|| {
                self.spare.borrow_mut().take().unwrap_or_else(|| Box::pin(sleep_until(deadline)))
            });
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            while timer.as_mut().poll(context).is_ready() {
                if timer.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await;
        // One that has rung is of no more use.
        if let Some(timer) = timer.filter(|timer| !timer.is_elapsed()) {
            *self.spare.borrow_mut() = Some(timer);
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    async fn after(milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn every_deadline_holds_whatever_the_timer_was_set_to() {
        let alarm = Alarm::default();
        // In turn: set; rings too early for the second; too late for the third; and both ways once more.
        for (limit, takes) in [(100, 10), (150, 120), (50, 60), (200, 190), (5, 500), (70, 20), (70, 80)] {
            let begin = Instant::now();
            let limit_at = begin + Duration::from_millis(limit);
            let came = alarm.bound(limit_at, pin!(after(takes))).await;
            assert_eq!(came.is_some(), takes < limit, "{limit} {takes}");
            assert_eq!(begin.elapsed(), Duration::from_millis(limit.min(takes)), "{limit} {takes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn exchanges_at_the_same_time_have_their_own_deadlines() {
        let alarm = Alarm::default();
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let (late, early) = (pin!(after(40)), pin!(after(10)));
        let (later, now) = (pin!(after(100)), pin!(std::future::ready(())));
        let all = tokio::join!(
            alarm.bound(at(30), late),
            alarm.bound(at(20), early),
            alarm.bound(at(60), later),
            alarm.bound(at(60), now),
        );
        assert_eq!(all, (None, Some(()), None, Some(())));
        assert_eq!(begin.elapsed(), Duration::from_millis(60));
    }
}
