//! The way samples go in.

use std::rc::Rc;

use send_wrapper::SendWrapper;

use super::{Excess, MetricId, Tags};

/// A series' number on one worker. Stays valid for the life of the worker's recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesId(pub u32);

/// Takes samples in. Implemented by `aggregate` for real runs, and by tests.
///
/// A recorder belongs to one thread: it takes no lock and never waits.
pub trait Record {
    /// Returns the number of a series, making it if it is new. Looks tags up in a map: keep the result where it is hot.
    fn series(&self, metric: MetricId, tags: &Tags) -> SeriesId;

    /// Records one value, in the metric's unit. A rate counts values that are not 0.
    fn add(&self, series: SeriesId, value: f64);

    /// Records one value each of several series: what a request comes to is a dozen.
    fn add_all(&self, values: &[(SeriesId, f64)]) {
        for &(series, value) in values {
            self.add(series, value);
        }
    }

    /// Counts what a journey had too much of.
    fn exceed(&self, _what: Excess) {}
}

/// A handle on this worker's [`Record`]. Cheap to clone.
///
/// It is `Send` because wasmtime wants the data of a store to be, but using it on another thread than the one it was
/// made on panics.
#[derive(Clone)]
pub struct Recorder(SendWrapper<Rc<dyn Record>>);

impl Recorder {
    /// Wraps this thread's record.
    #[must_use]
    pub fn new(record: Rc<dyn Record>) -> Self {
        Self(SendWrapper::new(record))
    }

    /// A recorder that forgets everything, for what runs before there is a run.
    #[must_use]
    pub fn discard() -> Self {
        struct Discard;
        impl Record for Discard {
            fn series(&self, _: MetricId, _: &Tags) -> SeriesId {
                SeriesId(0)
            }

            fn add(&self, _: SeriesId, _: f64) {}
        }
        Self::new(Rc::new(Discard))
    }

    /// Returns the number of a series, making it if it is new.
    #[must_use]
    pub fn series(&self, metric: MetricId, tags: &Tags) -> SeriesId {
        self.0.series(metric, tags)
    }

    /// Records one value of a series.
    pub fn add(&self, series: SeriesId, value: f64) {
        self.0.add(series, value);
    }

    /// Records one value each of several series.
    pub fn add_all(&self, values: &[(SeriesId, f64)]) {
        self.0.add_all(values);
    }

    /// Counts what a journey had too much of.
    pub fn exceed(&self, what: Excess) {
        self.0.exceed(what);
    }

    /// Records one value where the series is not known yet.
    pub fn record(&self, metric: MetricId, tags: &Tags, value: f64) {
        self.add(self.series(metric, tags), value);
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}
