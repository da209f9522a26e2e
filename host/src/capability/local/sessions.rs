//! Series of what lives longer than a request: sessions, streams, calls. Whoever records often keeps their ids.

use super::Local;
use crate::capability::names::NameAndValue;
use crate::metrics::{MetricId, SeriesId, Tags, builtin};

impl Local {
    /// The tags of a session: its scope's and its group's, k6's own for it (those that are wanted), and the journey's.
    pub(in super::super) fn session_tags<T: NameAndValue>(
        &self,
        scope: u32,
        group: u32,
        system: &[(&'static str, &str)],
        own: &[T],
    ) -> Tags {
        let names = &mut *self.names.borrow_mut();
        let wanted = system.iter().filter(|(name, _)| self.system.has(name));
        let system: Vec<_> = wanted.map(|&(name, value)| (name, names.value(name, value))).collect();
        let own = names.tags(own);
        self.base_of(names, scope, group).with(system).with(own)
    }

    /// The series of a metric with these tags. A look-up of the tags; to be kept for what is recorded often.
    pub(in super::super) fn session_series(&self, metric: MetricId, tags: &Tags) -> SeriesId {
        self.new_series(metric, tags)
    }

    /// Adds a value to a series.
    pub(in super::super) fn add(&self, series: SeriesId, value: f64) {
        self.recorder.add(series, value);
    }

    /// Counts bytes on the wire, which have no tags but the scope's and the group's.
    pub(in super::super) fn add_bytes(&self, scope: u32, group: u32, sent: u64, received: u64) {
        for (metric, bytes) in [(builtin::DATA_SENT, sent), (builtin::DATA_RECEIVED, received)] {
            if bytes > 0 {
                self.add_in_group(metric, scope, group, bytes as f64);
            }
        }
    }
}
