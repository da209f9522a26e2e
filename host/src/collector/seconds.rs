//! Which windows make up which second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::FromWorker;
use crate::aggregate::Window;
use crate::verdict::busy_share;

/// How long a second waits for the windows of workers that are late.
const PATIENCE: u64 = 2;
/// A worker's share of CPU in a shorter span says nothing.
const TELLING: Duration = Duration::from_millis(500);

/// A second whose windows are there.
pub(super) struct Closed {
    /// Its end, in seconds since the start of the run.
    pub(super) end: u64,
    /// What was recorded.
    pub(super) window: Window,
    /// The greatest share of the second that a worker's thread was busy for.
    pub(super) busiest: f64,
}

/// Puts the windows of the workers together.
#[derive(Debug)]
pub(super) struct Seconds {
    /// Windows by the second they end in.
    pending: BTreeMap<u64, Pending>,
    /// The second each worker has reached; the last of all once it has ended.
    reached: Vec<u64>,
    /// The last second that was closed.
    closed: u64,
}

#[derive(Debug, Default)]
struct Pending {
    windows: Vec<Window>,
    busiest: f64,
}

impl Seconds {
    pub(super) fn new(workers: usize) -> Self {
        Self { pending: BTreeMap::new(), reached: vec![0; workers], closed: 0 }
    }

    /// Takes a window in. One that comes too late counts for the next second.
    pub(super) fn take_in(&mut self, from: FromWorker) {
        let end = from.window.end();
        let second = (end.as_secs() + u64::from(end.subsec_nanos() > 0)).max(self.closed + 1);
        let pending = self.pending.entry(second).or_default();
        if from.window.length >= TELLING {
            pending.busiest = pending.busiest.max(busy_share(from.cpu, from.window.length));
        }
        pending.windows.push(from.window);
        if let Some(reached) = self.reached.get_mut(from.worker) {
            *reached = if from.last { u64::MAX } else { second };
        }
    }

    /// Whether every worker has sent its last window.
    pub(super) fn all_ended(&self) -> bool {
        self.reached.iter().all(|reached| *reached == u64::MAX)
    }

    /// Returns the next second that all workers have reached, or that is long enough ago.
    pub(super) fn next(&mut self, now: Duration) -> Option<Closed> {
        let next = self.closed + 1;
        let last = self.pending.keys().next_back().copied().unwrap_or_default();
        let reached = self.reached.iter().copied().min().unwrap_or(u64::MAX).min(last.max(self.closed));
        if self.all_ended() {
            // Nobody sends any more: seconds without a window are not worth telling.
            let next = *self.pending.keys().next()?;
            return Some(self.close(next));
        }
        (reached >= next || now.as_secs() >= next + PATIENCE).then(|| self.close(next))
    }

    /// Returns what is left, as one second.
    pub(super) fn rest(&mut self) -> Option<Closed> {
        let last = *self.pending.keys().next_back()?;
        Some(self.close(last))
    }

    fn close(&mut self, end: u64) -> Closed {
        self.closed = end;
        let later = self.pending.split_off(&(end + 1));
        let pending = std::mem::replace(&mut self.pending, later);
        let busiest = pending.values().map(|pending| pending.busiest).fold(0.0, f64::max);
        let windows = pending.into_values().flat_map(|pending| pending.windows);
        let merged = windows.reduce(|mut all, window| {
            all.merge(window);
            all
        });
        let empty = || Window { start: Duration::from_secs(end - 1), length: Duration::from_secs(1), ..Window::default() };
        Closed { end, window: merged.unwrap_or_else(empty), busiest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(worker: usize, start: f64, end: f64) -> FromWorker {
        let (start, end) = (Duration::from_secs_f64(start), Duration::from_secs_f64(end));
        let window = Window { start, length: end - start, overflowed: 1, ..Window::default() };
        FromWorker { worker, window, cpu: (end - start) / 2, states: Vec::new(), last: end.subsec_nanos() > 0 }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_second_waits_for_all_workers() {
        let mut seconds = Seconds::new(2);
        seconds.take_in(window(0, 0.0, 1.0));
        assert!(seconds.next(at(1)).is_none());
        seconds.take_in(window(1, 0.0, 1.0));
        let closed = seconds.next(at(1)).unwrap();
        assert_eq!((closed.end, closed.window.overflowed), (1, 2));
        assert!((closed.busiest - 0.5).abs() < 1e-9);
        assert!(seconds.next(at(1)).is_none());
    }

    #[test]
    fn a_late_window_counts_for_the_next_second() {
        let mut seconds = Seconds::new(2);
        seconds.take_in(window(0, 0.0, 1.0));
        assert_eq!(seconds.next(at(3)).unwrap().window.overflowed, 1);
        seconds.take_in(window(1, 0.0, 1.0));
        seconds.take_in(window(0, 1.0, 2.0));
        seconds.take_in(window(1, 1.0, 2.0));
        let closed = seconds.next(at(3)).unwrap();
        assert_eq!((closed.end, closed.window.overflowed), (2, 3));
    }

    #[test]
    fn a_window_of_several_seconds_stands_for_all_of_them() {
        let mut seconds = Seconds::new(2);
        (0..3).for_each(|second| seconds.take_in(window(0, f64::from(second), f64::from(second + 1))));
        seconds.take_in(window(1, 0.0, 3.0));
        let closed: Vec<(u64, u64)> = std::iter::from_fn(|| seconds.next(at(3))).map(|closed| (closed.end, closed.window.overflowed)).collect();
        assert_eq!(closed, [(1, 1), (2, 1), (3, 2)]);
    }

    #[test]
    fn workers_that_have_ended_are_not_waited_for() {
        let mut seconds = Seconds::new(2);
        seconds.take_in(window(0, 0.0, 0.4));
        seconds.take_in(window(1, 0.0, 1.0));
        assert_eq!(seconds.next(at(1)).unwrap().end, 1);
        assert!(!seconds.all_ended());
        seconds.take_in(window(1, 1.0, 1.3));
        assert!(seconds.all_ended());
        assert_eq!(seconds.next(at(1)).unwrap().end, 2);
        assert!(seconds.next(at(9)).is_none());
        assert!(seconds.rest().is_none());
    }
}
