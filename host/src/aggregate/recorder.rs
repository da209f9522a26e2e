//! A worker's own record of the second that is running.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::{Gauge, Series, Tap, Trend, Value, Window};
use crate::metrics::{Contains, Excess, Excesses, Kind, MetricId, Record, Registry, Sample, SeriesId, Tags};

/// The value of tags that were folded because there were too many series.
const OTHER: &str = "_other";
/// The tags that most often have too many values.
const CROWDED: [&str; 2] = ["name", "url"];
/// Samples in one batch for the outputs.
const BATCH: usize = 1024;

/// Folds the samples of one worker into windows. Belongs to one thread; never waits.
#[derive(Debug)]
pub struct WindowRecorder {
    registry: Arc<Registry>,
    limit: usize,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: Vec<Slot>,
    /// Slots that were touched in this window. Has room for all of them, so that a push never allocates.
    touched: Vec<u32>,
    ids: FxHashMap<Arc<Series>, SeriesId>,
    overflowed: u64,
    excesses: Excesses,
    tap: Option<Tapped>,
}

#[derive(Debug)]
struct Tapped {
    tap: Tap,
    batch: Vec<Sample>,
}

#[derive(Debug)]
struct Slot {
    touched: bool,
    folding: Folding,
    series: Arc<Series>,
}

/// A [`Value`] while it is recorded.
#[derive(Debug)]
enum Folding {
    Counter(f64),
    Gauge(Gauge),
    Rate { passes: u64, total: u64 },
    Trend(Box<Trend>),
}

impl WindowRecorder {
    /// Makes a recorder that keeps `limit` series apart. With a tap it passes every sample on as well.
    #[must_use]
    pub fn new(registry: Arc<Registry>, limit: u32, tap: Option<Tap>) -> Self {
        let tap = tap.map(|tap| Tapped { tap, batch: Vec::with_capacity(BATCH) });
        Self { registry, limit: limit as usize, inner: RefCell::new(Inner { tap, ..Inner::default() }) }
    }

    /// Moves out what was touched since the last time, as the window of this span.
    #[must_use]
    pub fn take(&self, start: Duration, length: Duration) -> Window {
        let mut inner = self.inner.borrow_mut();
        let Inner { slots, touched, overflowed, excesses, tap, .. } = &mut *inner;
        if let Some(tapped) = tap {
            tapped.flush();
        }
        let at_nanos = u64::try_from((start + length).as_nanos()).unwrap_or(u64::MAX);
        let series = touched
            .drain(..)
            .map(|id| {
                let slot = &mut slots[id as usize];
                slot.touched = false;
                (Arc::clone(&slot.series), slot.folding.drain(at_nanos))
            })
            .collect();
        let (overflowed, excesses) = (std::mem::take(overflowed), std::mem::take(excesses));
        Window { start, length, series, overflowed, excesses }
    }

    /// How often in this window a series was asked for beyond the limit, and given one tagged `_other` instead.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.inner.borrow().overflowed
    }

    /// Returns the series to use when there are too many: first `name` and `url` are folded, when a tenth more series have
    /// come of that, every tag is, and when another tenth has come of tags that are ever others, one takes the place of all.
    fn fold(&self, inner: &Inner, metric: MetricId, tags: &Tags) -> Series {
        let crowded = CROWDED.iter().filter(|key| tags.get(key).is_some());
        let folded = Series { metric, tags: tags.with(crowded.map(|key| (key, OTHER))) };
        let tenth = self.limit / 10;
        if inner.ids.contains_key(&folded) || inner.slots.len() < self.limit + tenth {
            return folded;
        }
        let folded = Series { metric, tags: tags.iter().map(|(key, _)| (key, OTHER)).collect() };
        if inner.ids.contains_key(&folded) || inner.slots.len() < self.limit + 2 * tenth {
            return folded;
        }
        Series { metric, tags: [("name", OTHER)].into_iter().collect() }
    }
}

impl Record for WindowRecorder {
    fn series(&self, metric: MetricId, tags: &Tags) -> SeriesId {
        let mut inner = self.inner.borrow_mut();
        let mut series = Series { metric, tags: tags.clone() };
        if let Some(id) = inner.ids.get(&series) {
            return *id;
        }
        if inner.slots.len() >= self.limit {
            inner.overflowed += 1;
            series = self.fold(&inner, metric, tags);
            if let Some(id) = inner.ids.get(&series) {
                return *id;
            }
        }
        let (kind, contains) =
            self.registry.get(metric).map_or((Kind::Trend, Contains::Default), |metric| (metric.kind, metric.contains));
        let id = SeriesId(u32::try_from(inner.slots.len()).expect("there are fewer series than fit in memory"));
        let series = Arc::new(series);
        inner.ids.insert(Arc::clone(&series), id);
        inner.slots.push(Slot { touched: false, folding: Folding::new(kind, contains), series });
        let room = inner.slots.len() - inner.touched.len();
        inner.touched.reserve(room);
        id
    }

    /// An id that this recorder did not give is ignored.
    #[inline]
    fn add(&self, series: SeriesId, value: f64) {
        self.inner.borrow_mut().add(series, value);
    }

    fn add_all(&self, values: &[(SeriesId, f64)]) {
        let mut inner = self.inner.borrow_mut();
        for &(series, value) in values {
            inner.add(series, value);
        }
    }

    #[cold]
    fn exceed(&self, what: Excess) {
        self.inner.borrow_mut().excesses.count(what);
    }
}

impl Inner {
    #[inline]
    fn add(&mut self, series: SeriesId, value: f64) {
        let Self { slots, touched, tap, .. } = self;
        let Some(slot) = slots.get_mut(series.0 as usize) else { return };
        let is_first = !slot.touched;
        if is_first {
            slot.touched = true;
            touched.push(series.0);
        }
        match &mut slot.folding {
            Folding::Counter(sum) => *sum += value,
            Folding::Rate { passes, total } => {
                *passes += u64::from(value != 0.0);
                *total += 1;
            }
            Folding::Trend(trend) => trend.add(value),
            Folding::Gauge(gauge) if is_first => *gauge = Gauge::of(value, 0),
            Folding::Gauge(gauge) => {
                gauge.last = value;
                gauge.min = gauge.min.min(value);
                gauge.max = gauge.max.max(value);
            }
        }
        if let Some(tapped) = tap {
            tapped.add(&slot.series, value);
        }
    }
}

impl Tapped {
    #[cold]
    fn add(&mut self, series: &Series, value: f64) {
        let sample = Sample { metric: series.metric, tags: series.tags.clone(), at_nanos: self.tap.now(), value };
        self.batch.push(sample);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.tap.send(std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH)));
        }
    }
}

impl Folding {
    fn new(kind: Kind, contains: Contains) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0.0),
            Kind::Gauge => Self::Gauge(Gauge::of(0.0, 0)),
            Kind::Rate => Self::Rate { passes: 0, total: 0 },
            Kind::Trend => Self::Trend(Box::new(Trend::new(contains))),
        }
    }

    fn drain(&mut self, at_nanos: u64) -> Value {
        match self {
            Self::Counter(sum) => Value::Counter(std::mem::take(sum)),
            Self::Gauge(gauge) => Value::Gauge(Gauge { at_nanos, ..*gauge }),
            Self::Rate { passes, total } => {
                Value::Rate { passes: std::mem::take(passes), total: std::mem::take(total) }
            }
            Self::Trend(trend) => Value::Trend(Box::new(trend.drain())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::builtin;

    const SECOND: Duration = Duration::from_secs(1);

    fn recorder(limit: u32) -> WindowRecorder {
        WindowRecorder::new(Arc::new(Registry::default()), limit, None)
    }

    fn tags(name: &str) -> Tags {
        [("name", name), ("method", "GET")].into_iter().collect()
    }

    #[test]
    fn a_window_holds_what_was_touched_and_the_next_starts_empty() {
        let recorder = recorder(100);
        let requests = recorder.series(builtin::HTTP_REQS, &tags("/"));
        let failed = recorder.series(builtin::HTTP_REQ_FAILED, &tags("/"));
        let _untouched = recorder.series(builtin::VUS, &Tags::default());
        recorder.add(requests, 1.0);
        recorder.add(requests, 1.0);
        recorder.add(failed, 0.0);
        recorder.add(failed, 1.0);
        let window = recorder.take(Duration::ZERO, SECOND);
        let values: Vec<&Value> = window.series.iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&Value::Counter(2.0), &Value::Rate { passes: 1, total: 2 }]);
        assert!(recorder.take(SECOND, SECOND).series.is_empty());
        recorder.add(requests, 1.0);
        assert_eq!(recorder.take(SECOND, SECOND).series[0].1, Value::Counter(1.0));
    }

    #[test]
    fn a_gauge_forgets_the_extremes_of_the_last_window() {
        let recorder = recorder(100);
        let gauge = recorder.series(builtin::VUS, &Tags::default());
        recorder.add(gauge, 50.0);
        let _ = recorder.take(Duration::ZERO, SECOND);
        recorder.add(gauge, 5.0);
        recorder.add(gauge, 7.0);
        let expected = Value::Gauge(Gauge { last: 7.0, min: 5.0, max: 7.0, at_nanos: 2_000_000_000 });
        assert_eq!(recorder.take(SECOND, SECOND).series[0].1, expected);
    }

    #[test]
    fn series_beyond_the_limit_fold_by_name_and_then_altogether() {
        let recorder = recorder(10);
        for user in 0..100 {
            let id = recorder.series(builtin::HTTP_REQS, &tags(&format!("/users/{user}")));
            recorder.add(id, 1.0);
        }
        assert_eq!(recorder.overflowed(), 90);
        let other: Tags = [("name", OTHER), ("method", "POST")].into_iter().collect();
        let id = recorder.series(builtin::HTTP_REQS, &other.with([("name", "/posts/1")]));
        recorder.add(id, 1.0);
        let window = recorder.take(Duration::ZERO, SECOND);
        assert_eq!(window.series.len(), 12);
        assert_eq!((&window.series[10].0.tags, &window.series[10].1), (&tags(OTHER), &Value::Counter(90.0)));
        let all: Tags = [("name", OTHER), ("method", OTHER)].into_iter().collect();
        assert_eq!(window.series[11].0.tags, all);
        assert_eq!(window.overflowed, 91);
    }

    #[test]
    fn tags_that_are_ever_others_make_no_end_of_series() {
        let recorder = recorder(20);
        for number in 0..1000 {
            let tags: Tags = [(format!("key{number}"), "value")].into_iter().collect();
            recorder.add(recorder.series(builtin::ITERATIONS, &tags), 1.0);
        }
        let window = recorder.take(Duration::ZERO, SECOND);
        assert_eq!(window.series.len(), 25);
        let sum: f64 =
            window.series.iter().map(|(_, value)| if let Value::Counter(sum) = value { *sum } else { 0.0 }).sum();
        assert_eq!((sum as u64, window.overflowed), (1000, 980));
    }

    #[test]
    fn a_window_counts_what_there_was_too_much_of() {
        let recorder = recorder(10);
        recorder.exceed(Excess::Checks);
        recorder.exceed(Excess::Checks);
        recorder.exceed(Excess::Jars);
        let mut window = recorder.take(Duration::ZERO, SECOND);
        recorder.exceed(Excess::Jars);
        window.merge(recorder.take(SECOND, SECOND));
        let counts = [Excess::Checks, Excess::Values, Excess::Jars].map(|what| window.excesses.of(what));
        assert_eq!(counts, [2, 0, 2]);
    }

    #[test]
    fn a_tap_gets_every_sample_and_counts_those_it_could_not_pass_on() {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let tap = Tap::new(sender, || 7);
        let recorder = WindowRecorder::new(Arc::new(Registry::default()), 10, Some(tap.clone()));
        let id = recorder.series(builtin::ITERATIONS, &tags("a"));
        for _ in 0..=2 * BATCH {
            recorder.add(id, 1.0);
        }
        let _ = recorder.take(Duration::ZERO, SECOND);
        let batch = receiver.try_recv().unwrap();
        assert_eq!((batch.len(), batch[0].at_nanos, &batch[0].tags), (BATCH, 7, &tags("a")));
        assert_eq!(tap.lost(), BATCH as u64 + 1);
    }
}
