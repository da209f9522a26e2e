//! Outputs that are fed with what another process collected.

use std::time::{Duration, Instant};

use super::audience::{Audience, failure};
use super::finished::{conclude, harmless};
use super::sink::{self, Sink};
use crate::aggregate::Tap;
use crate::metrics::Sample;
use crate::output::{Banner, Event, Output};
use crate::plan::Plan;
use crate::verdict::{Report, Warning};

/// The outputs of a run that was collected elsewhere. Those of raw samples have a thread and a bounded queue here as well.
pub struct Relay {
    audience: Audience,
    sink: Option<Sink>,
    tap: Option<Tap>,
}

impl Relay {
    /// Tells the outputs of the start. `wall` is what stands around the process that collects, and `started_at` when its
    /// clock started, since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn start(outputs: Vec<Box<dyn Output>>, plan: &Plan, started_at: Duration, wall: Option<String>) -> Self {
        let (of_samples, others): (Vec<_>, Vec<_>) =
            outputs.into_iter().enumerate().partition(|(_, output)| output.wants_samples());
        let names = of_samples.iter().map(|(_, output)| output.name()).collect();
        // A moment that no clock can show is none that a run started at.
        let started_at = std::time::UNIX_EPOCH.checked_add(started_at).unwrap_or(std::time::UNIX_EPOCH);
        let banner = Banner { wall, ..Banner::new(plan, started_at, names) };
        let mut audience = Audience::new(others);
        let sink =
            (!of_samples.is_empty()).then(|| Sink::start(Audience::new(of_samples), banner.clone(), Instant::now()));
        audience.tell(&Event::Started(&banner));
        Self { audience, tap: sink.as_ref().map(Sink::tap), sink }
    }

    /// Passes on what is not samples and not the end, and says which outputs have failed since.
    pub fn tell(&mut self, event: &Event<'_>) {
        self.audience.tell(event);
        for error in self.sink.as_ref().map(|sink| sink::take(&sink.failures())).unwrap_or_default() {
            self.audience.tell(&Event::Notice(&failure(&error), 0));
        }
    }

    /// Passes samples on. Never waits: when the outputs are behind, they are dropped and counted.
    pub fn samples(&self, samples: Vec<Sample>) {
        if let Some(tap) = &self.tap {
            tap.send(samples);
        }
    }

    /// Waits for the outputs of samples, and tells all of the end. The texts are those of the journey's own summary.
    #[must_use]
    pub fn finish(self, mut report: Report, texts: Vec<(String, String)>) -> Report {
        let Self { mut audience, sink, tap } = self;
        if let Some(sink) = sink {
            let (failures, writers) = (sink.failures(), sink.finish());
            for error in sink::take(&failures) {
                audience.tell(&Event::Notice(&failure(&error), 0));
            }
            audience.join(writers);
        }
        if let Some(lost @ 1..) = tap.map(|tap| tap.lost()) {
            let message = format!("{lost} samples are missing from the outputs of samples: they were too slow");
            report
                .warnings
                .push(Warning { message, hint: Some("write to a faster disk, or lower the rate".to_owned()) });
        }
        // That the other process has seen to it already is what it says.
        let texts = harmless(texts, &mut report.warnings);
        conclude(audience, report, texts)
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}
