//! What the two processes tell each other.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::aggregate::Series;
use crate::metrics::{Metric, MetricId, Sample, Tags};
use crate::output::Second;
use crate::plan::{Limits, Plan, Policy};
use crate::platform::confine::{Confinement, Walls};
use crate::sandbox::Inspection;
use crate::verdict::{Report, SummaryOptions};
use crate::vu::Notice;

/// From the parent, which is trusted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Down {
    /// The first of all: what to build.
    Walls(Walls),
    /// A component of so many bytes, which follow, its name, and what it may be and use.
    Component(u64, String, Box<(Limits, Policy)>),
    /// Asks the component for its options; it may see these variables.
    Options(BTreeMap<String, String>),
    /// Runs the component.
    Run(Box<Order>),
    /// Lets running iterations end.
    Stop,
    /// Interrupts running iterations.
    StopNow,
}

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub plan: Plan,
    pub threads: usize,
    pub summary: SummaryOptions,
    /// Whether raw samples are wanted.
    pub samples: bool,
}

/// From the load process, which may be in the hands of an attacker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Up {
    /// The wall stands.
    Confined(Confinement),
    /// It does not, because of this; landlock alone is missing, or more.
    NoWall(String, bool),
    /// The component can be used.
    Loaded(Box<Inspection>),
    /// It cannot.
    Refused(Refusal),
    /// What it logged while it was asked for its options.
    Log(String),
    /// Its options, or why there are none.
    Options(Result<String, String>),
    /// Metrics that were declared since the last time, in the order of their ids.
    Metrics(Vec<Metric>),
    /// The run's clock started, so long after 1970-01-01 00:00 UTC.
    Started(Duration),
    /// A second has passed.
    Second(Box<Second>),
    /// Raw samples.
    Samples(Batch),
    /// A message for the user, and how many more like it were held back.
    Notice(Notice, u64),
    /// What came of the run.
    Finished(Box<Report>),
    /// The texts of the journey's own summary.
    Texts(Vec<(String, String)>),
    /// There is no more to come: the run has ended, or failed for this reason.
    Ended(Option<String>),
}

/// Raw samples. Many have their tags in common, which are sent once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Batch {
    series: Vec<Series>,
    /// Which series, when, and the value.
    samples: Vec<(u32, u64, f64)>,
}

impl Batch {
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut batch = Self { series: Vec::new(), samples: Vec::with_capacity(samples.len()) };
        let mut known: FxHashMap<(MetricId, &Tags), u32> = FxHashMap::default();
        for sample in samples {
            let place = *known.entry((sample.metric, &sample.tags)).or_insert_with(|| {
                batch.series.push(Series { metric: sample.metric, tags: sample.tags.clone() });
                batch.series.len() as u32 - 1
            });
            batch.samples.push((place, sample.at_nanos, sample.value));
        }
        batch
    }

    /// The samples, but for those of a series that is not there.
    pub(super) fn samples(self) -> Vec<Sample> {
        let Self { series, samples } = self;
        let sample = |(place, at_nanos, value): (u32, u64, f64)| {
            let Series { metric, tags } = series.get(place as usize)?;
            Some(Sample { metric: *metric, tags: tags.clone(), at_nanos, value })
        };
        samples.into_iter().filter_map(sample).collect()
    }
}
