//! `metric`: the journey's own metrics.

use super::Host;
use crate::metrics::{Contains, DeclareError, Excess, Kind, MetricId};
use crate::wit::metric;

/// Values from here on are taken for mistakes: 2^63.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

impl metric::Host for Host {
    fn declare(&mut self, name: String, kind: metric::Kind, unit: metric::Unit) -> Result<u32, metric::Error> {
        let kind = match kind {
            metric::Kind::Counter => Kind::Counter,
            metric::Kind::Gauge => Kind::Gauge,
            metric::Kind::Rate => Kind::Rate,
            metric::Kind::Trend => Kind::Trend,
        };
        let contains = match unit {
            metric::Unit::None => Contains::Default,
            metric::Unit::Time => Contains::Time,
            metric::Unit::Data => Contains::Data,
        };
        if self.run.secrets.as_ref().is_some_and(|secrets| secrets.redactor().finds(&name)) {
            return Err(metric::Error::InvalidName("a metric's name must not hold a secret".to_owned()));
        }
        let declared = self.run.registry.declare_within(&name, kind, contains, self.run.limits.metrics);
        declared.map(|id| id.0).map_err(|error| match error {
            DeclareError::InvalidName { .. } => metric::Error::InvalidName(error.to_string()),
            DeclareError::Conflict { .. } => metric::Error::Conflict(error.to_string()),
            DeclareError::TooMany { limit } => metric::Error::TooMany(limit),
        })
    }

    fn add(&mut self, id: u32, value: f64, tags: Vec<metric::Tag>) {
        self.called();
        // The sum of all values that a run can record stays finite. A zero has no sign.
        if value.is_nan() || value.abs() >= BEYOND {
            let why =
                || format!("a value of {value} was dropped: metrics take numbers that are finite and less than 2^63");
            self.warn_once(Excess::Values, why);
            return;
        }
        let value = value + 0.0;
        let group = self.groups.current();
        if !self.local.add_custom(MetricId(id), self.scope, group, &tags, value) {
            self.warn_once(Excess::Ids, || format!("a value of {value} was dropped: no metric has the id {id}"));
        }
    }
}
