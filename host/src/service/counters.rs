//! What a service saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a service saw since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests whose head arrived.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// The most requests that waited for their answer at the same time.
    pub max_in_flight: u64,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that ended with a trap, of which those that used too much memory are some.
    pub traps: u64,
    /// Requests that took too long.
    pub timeouts: u64,
    /// Requests that were not answered by an instance that ended as it should.
    pub unanswered: u64,
}

#[derive(Debug)]
pub(super) struct Counters {
    requests: AtomicU64,
    pub(super) connections: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    by_status: Box<[AtomicU64]>,
    pub(super) traps: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) unanswered: AtomicU64,
}

/// A request that waits for its answer.
pub(super) struct Flight<'a>(&'a Counters);

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            requests: AtomicU64::default(),
            connections: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            max_in_flight: AtomicU64::default(),
            by_status: (0..600).map(|_| AtomicU64::default()).collect(),
            traps: AtomicU64::default(),
            timeouts: AtomicU64::default(),
            unanswered: AtomicU64::default(),
        }
    }

    /// Counts a request that arrived.
    pub(super) fn arrived(&self) -> Flight<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_in_flight.fetch_max(now, Ordering::Relaxed);
        Flight(self)
    }

    /// Counts an answer.
    pub(super) fn answered(&self, status: u16) {
        if let Some(count) = self.by_status.get(usize::from(status)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let statuses = (0..).zip(&self.by_status).map(|(status, count)| (status, read(count)));
        Stats {
            requests: read(&self.requests),
            connections: read(&self.connections),
            max_in_flight: read(&self.max_in_flight),
            by_status: statuses.filter(|(_, count)| *count > 0).collect(),
            traps: read(&self.traps),
            timeouts: read(&self.timeouts),
            unanswered: read(&self.unanswered),
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
