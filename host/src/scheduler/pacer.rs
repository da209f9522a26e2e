//! Turns a curve's due times into awaited arrivals that carry their due time.

use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Cursor, Curve, Share};
use crate::platform::Timer;

/// Wake-ups are at least this far apart. At rates beyond one arrival in this time, waking up for each would cost more
/// than the arrivals do; it is a tenth of the lateness that is still fine.
const COALESCE: Duration = Duration::from_micros(50);

/// One iteration due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Its number in the scenario, over all threads and machines.
    pub(super) index: u64,
    /// When it is due.
    pub(super) due: Instant,
}

/// Hands out a share of a curve's arrivals when they are due.
pub(super) struct Pacer<'a> {
    cursor: Cursor<'a>,
    share: Share,
    begin: Instant,
    taken: u64,
    next: Option<Arrival>,
    timer: Timer,
    woken: Instant,
}

impl<'a> Pacer<'a> {
    pub(super) fn new(curve: &'a Curve, share: Share, begin: Instant, timer: Timer) -> Self {
        let mut pacer = Self { cursor: curve.cursor(), share, begin, taken: 0, next: None, timer, woken: begin };
        pacer.advance();
        pacer
    }

    /// Waits until there is something to [`take`](Pacer::take); for ever after the last arrival. May be interrupted.
    pub(super) async fn wait(&mut self) {
        let Some(arrival) = self.next else { return std::future::pending().await };
        let now = Instant::now();
        if arrival.due > now {
            self.timer.until(arrival.due.max(self.woken + COALESCE)).await;
            self.woken = Instant::now();
        }
    }

    /// Returns the next arrival that is due by `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Arrival> {
        let arrival = self.next.filter(|arrival| arrival.due <= now)?;
        self.advance();
        Some(arrival)
    }

    fn advance(&mut self) {
        let index = self.share.nth(self.taken);
        self.taken += 1;
        self.next = self.cursor.due(index).map(|due| Arrival { index, due: self.begin + due });
    }
}
