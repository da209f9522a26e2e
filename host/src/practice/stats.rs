//! What the server saw.
//!
//! Every worker thread counts in a shard of its own, so that its lock is free whenever it asks; only the number of
//! requests in flight is shared, because its maximum cannot be had from parts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::lines::LineStats;
use super::route::{PATTERNS, Route};

/// What the server saw since it started, or since the last reset. `/__stats` is not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests whose head arrived.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open_connections: u64,
    /// Requests waiting for their answer now.
    pub in_flight: u64,
    /// The most requests that waited at the same time.
    pub max_in_flight: u64,
    /// Requests by the pattern of their route, such as `/workflows/{id}`; `unknown` for a path without one.
    pub by_route: BTreeMap<String, u64>,
    /// Answers by status. A request whose client went away before its answer is in none.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests by the second of their arrival.
    pub by_second: Vec<u64>,
    /// WebSockets open now.
    #[serde(default)]
    pub open_sockets: u64,
    /// The most WebSockets that were open at the same time.
    #[serde(default)]
    pub max_open_sockets: u64,
    /// Messages that came on WebSockets.
    #[serde(default)]
    pub messages_received: u64,
    /// Messages that were sent on WebSockets.
    #[serde(default)]
    pub messages_sent: u64,
    /// What came beside HTTP.
    #[serde(default)]
    pub lines: LineStats,
}

/// One request, kept in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When it arrived, since the server started.
    pub at: Duration,
    /// The method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The headers in the order they came, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Counters {
    shards: Vec<Shard>,
    flights: Arc<Flights>,
    sockets: Arc<Flights>,
    open: Arc<AtomicU64>,
}

/// What one worker counted. A cache line of its own, or two workers would pay for each other's counting.
#[derive(Debug)]
#[repr(align(128))]
struct Shard(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    since: Instant,
    requests: u64,
    connections: u64,
    by_route: [u64; PATTERNS.len()],
    by_status: [u64; 600],
    by_second: Vec<u64>,
    messages_received: u64,
    messages_sent: u64,
}

/// How many there are of something, and the most there ever were.
#[derive(Debug, Default)]
struct Flights {
    now: AtomicU64,
    most: AtomicU64,
}

/// One of them, until it is dropped: a request that waits for its answer, a WebSocket that is open.
pub(super) struct Flight(Arc<Flights>);

/// A WebSocket that is open until this is dropped.
pub(super) struct OpenSocket {
    counters: Arc<Counters>,
    worker: usize,
    _open: Flight,
}

/// A connection that is open until this is dropped.
pub(super) struct OpenConnection(Arc<AtomicU64>);

impl Counts {
    fn new(since: Instant) -> Self {
        Self {
            since,
            requests: 0,
            connections: 0,
            by_route: [0; PATTERNS.len()],
            by_status: [0; 600],
            by_second: Vec::new(),
            messages_received: 0,
            messages_sent: 0,
        }
    }
}

impl Flights {
    fn begin(self: &Arc<Self>) -> Flight {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        // Most are no record, and a read leaves the cache line shared.
        if now > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(now, Ordering::Relaxed);
        }
        Flight(Arc::clone(self))
    }

    fn reset(&self) {
        self.most.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn new(workers: usize, started: Instant) -> Self {
        let shards = (0..workers).map(|_| Shard(Mutex::new(Counts::new(started)))).collect();
        Self { shards, flights: Arc::default(), sockets: Arc::default(), open: Arc::default() }
    }

    /// Counts a request that arrived.
    pub(super) fn arrived(&self, worker: usize, route: Route, at: Instant) -> Flight {
        let flight = self.flights.begin();
        let mut counts = self.shard(worker);
        let second = at.saturating_duration_since(counts.since).as_secs() as usize;
        if counts.by_second.len() <= second {
            counts.by_second.resize(second + 1, 0);
        }
        counts.by_second[second] += 1;
        counts.requests += 1;
        counts.by_route[route as usize] += 1;
        flight
    }

    /// Counts a WebSocket.
    pub(super) fn opened(self: &Arc<Self>, worker: usize) -> OpenSocket {
        OpenSocket { counters: Arc::clone(self), worker, _open: self.sockets.begin() }
    }

    /// Counts an answer.
    pub(super) fn answered(&self, worker: usize, status: u16) {
        if let Some(count) = self.shard(worker).by_status.get_mut(usize::from(status)) {
            *count += 1;
        }
    }

    /// Counts a connection.
    pub(super) fn accepted(&self, worker: usize) -> OpenConnection {
        self.shard(worker).connections += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(&self.open))
    }

    /// Forgets everything but what is open and in flight now.
    pub(super) fn reset(&self) {
        let now = Instant::now();
        for worker in 0..self.shards.len() {
            *self.shard(worker) = Counts::new(now);
        }
        self.flights.reset();
        self.sockets.reset();
    }

    /// Sums up.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats {
            open_connections: self.open.load(Ordering::Relaxed),
            in_flight: self.flights.now.load(Ordering::Relaxed),
            max_in_flight: self.flights.most.load(Ordering::Relaxed),
            open_sockets: self.sockets.now.load(Ordering::Relaxed),
            max_open_sockets: self.sockets.most.load(Ordering::Relaxed),
            ..Stats::default()
        };
        for worker in 0..self.shards.len() {
            let counts = self.shard(worker);
            stats.requests += counts.requests;
            stats.connections += counts.connections;
            stats.messages_received += counts.messages_received;
            stats.messages_sent += counts.messages_sent;
            for (pattern, &count) in PATTERNS.iter().zip(&counts.by_route).filter(|(_, count)| **count > 0) {
                *stats.by_route.entry((*pattern).to_owned()).or_default() += count;
            }
            for (status, &count) in (0..).zip(&counts.by_status).filter(|(_, count)| **count > 0) {
                *stats.by_status.entry(status).or_default() += count;
            }
            if stats.by_second.len() < counts.by_second.len() {
                stats.by_second.resize(counts.by_second.len(), 0);
            }
            for (sum, count) in stats.by_second.iter_mut().zip(&counts.by_second) {
                *sum += count;
            }
        }
        stats
    }

    // Counts are whole after every statement, so a panic of another thread leaves nothing half-done.
    fn shard(&self, worker: usize) -> MutexGuard<'_, Counts> {
        self.shards[worker].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenSocket {
    /// Counts a message that came.
    pub(super) fn received(&self) {
        self.counters.shard(self.worker).messages_received += 1;
    }

    /// Counts a message that is sent.
    pub(super) fn sent(&self) {
        self.counters.shard(self.worker).messages_sent += 1;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up_and_a_reset_keeps_what_is_open() {
        let started = Instant::now();
        let counters = Counters::new(2, started);
        let _open = counters.accepted(0);
        let first = counters.arrived(0, Route::Health, started);
        let second = counters.arrived(1, Route::Health, started + Duration::from_millis(2500));
        drop(first);
        counters.answered(0, 200);
        let stats = counters.stats();
        assert_eq!((stats.requests, stats.connections, stats.open_connections), (2, 1, 1));
        assert_eq!((stats.in_flight, stats.max_in_flight), (1, 2));
        assert_eq!(stats.by_route, BTreeMap::from([("/health".to_owned(), 2)]));
        assert_eq!(stats.by_status, BTreeMap::from([(200, 1)]));
        assert_eq!(stats.by_second, [1, 0, 1]);

        counters.reset();
        let stats = counters.stats();
        assert_eq!((stats.requests, stats.connections, stats.open_connections), (0, 0, 1));
        assert_eq!((stats.in_flight, stats.max_in_flight), (1, 1));
        drop(second);
        assert_eq!(counters.stats().in_flight, 0);
    }
}
