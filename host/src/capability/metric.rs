//! `metric`: the journey's own metrics.

use super::Host;
use crate::metrics::{Contains, DeclareError, Kind, MetricId};
use crate::wit::metric;

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
        let declared = self.run.registry.declare(&name, kind, contains);
        declared.map(|id| id.0).map_err(|error| match error {
            DeclareError::InvalidName { .. } => metric::Error::InvalidName(error.to_string()),
            DeclareError::Conflict { .. } => metric::Error::Conflict(error.to_string()),
            DeclareError::TooMany { limit } => metric::Error::TooMany(limit),
        })
    }

    fn add(&mut self, id: u32, value: f64, tags: Vec<metric::Tag>) {
        self.called();
        if !value.is_finite() {
            self.warn(format!("a value of {value} was dropped: metrics take finite numbers"));
            return;
        }
        let group = self.groups.current();
        if !self.local.add_custom(MetricId(id), self.scope, group, &tags, value) {
            self.warn(format!("a value of {value} was dropped: no metric has the id {id}"));
        }
    }
}
