//! The outputs of the load process: they send to the parent what they are told.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::message::Batch;
use super::wire::{LARGEST_UP, Writer};
use crate::aggregate::Group;
use crate::metrics::{Metric, Registry, builtin};
use crate::output::{Event, Output, OutputError, Second};
use crate::verdict::Report;
use crate::vu::{Notice, NoticeLevel};

/// Groups within groups that a report may hold; the deeper ones are left out.
const DEEPEST: usize = 32;

/// [`super::message::Up`] as it is sent: borrowed.
#[derive(Serialize)]
enum Sent<'a> {
    Metrics(&'a [Metric]),
    Started(Duration),
    Second(&'a Second),
    Samples(&'a Batch),
    Notice(&'a Notice, u64),
    Finished(&'a Report),
    Texts(&'a [(String, String)]),
}

/// The way to the parent, for all threads.
#[derive(Debug, Clone)]
pub(super) struct Way(Arc<Mutex<Ends>>);

#[derive(Debug)]
struct Ends {
    writer: Writer,
    registry: Arc<Registry>,
    /// How many metrics the parent knows.
    known: usize,
}

impl Way {
    pub(super) fn new(stream: UnixStream, registry: Arc<Registry>) -> Self {
        let writer = Writer::new(stream, LARGEST_UP);
        Self(Arc::new(Mutex::new(Ends { writer, registry, known: builtin::TABLE.len() })))
    }

    /// Sends a message, after the metrics that it may speak of.
    pub(super) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = ends.registry.since(ends.known);
        if !new.is_empty() {
            ends.writer.send(&Sent::Metrics(&new))?;
            ends.known += new.len();
        }
        ends.writer.send(message)
    }
}

/// Sends everything but samples.
#[derive(Debug)]
pub(super) struct Ship(pub Way);

/// Sends samples. It has the queue that outputs of samples have, and loses what the parent is too slow for.
#[derive(Debug)]
pub(super) struct ShipSamples(pub Way);

impl Output for Ship {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let sent = match event {
            Event::Started(banner) => {
                self.0.send(&Sent::Started(banner.started_at.duration_since(UNIX_EPOCH).unwrap_or_default()))
            }
            Event::Second(second) => self.0.send(&Sent::Second(second)),
            Event::Notice(notice, repeated) => self.0.send(&Sent::Notice(notice, *repeated)),
            Event::Finished(report) => {
                let mut report = (*report).clone();
                prune(&mut report.root_group, DEEPEST);
                self.0.send(&Sent::Finished(&report))
            }
            Event::Samples(_) => Ok(()),
        };
        sent.map_err(|source| OutputError::Write { name: self.name(), source })
    }

    fn take_texts(&mut self, texts: Vec<(String, String)>) -> Vec<(String, String)> {
        if let Err(error) = self.0.send(&Sent::Texts(&texts)) {
            let message = format!("the journey's summary could not be handed over: {error}");
            let (level, scenario) = (NoticeLevel::Error, "".into());
            let notice = Notice { level, scenario, vu: 0, message, detail: None, from_host: true };
            // If this cannot be sent either, the parent is gone.
            let _ = self.0.send(&Sent::Notice(&notice, 0));
        }
        Vec::new()
    }

    fn name(&self) -> String {
        "the parent process".to_owned()
    }
}

impl Output for ShipSamples {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let Event::Samples(samples) = event else { return Ok(()) };
        let sent = self.0.send(&Sent::Samples(&Batch::of(samples)));
        sent.map_err(|source| OutputError::Write { name: self.name(), source })
    }

    fn wants_samples(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        "the samples for the parent process".to_owned()
    }
}

/// Leaves out what is deeper than this.
fn prune(group: &mut Group, depth: usize) {
    match depth.checked_sub(1) {
        Some(depth) => group.groups.iter_mut().for_each(|inner| prune(inner, depth)),
        None => group.groups.clear(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolate::message::Up;
    use crate::isolate::wire::Reader;
    use crate::metrics::{Contains, Kind, MetricId, Sample};
    use crate::output::Banner;
    use crate::plan::Plan;
    use crate::verdict::tests::hand_made;

    #[test]
    fn what_is_told_arrives_after_the_metrics_it_speaks_of() {
        let (one, other) = UnixStream::pair().unwrap();
        let registry = Arc::new(Registry::default());
        let way = Way::new(one, Arc::clone(&registry));
        let (mut ship, mut samples) = (Ship(way.clone()), ShipSamples(way));
        let mut reader = Reader::wary(other);
        let banner = Banner::new(&Plan::new(Vec::new()), UNIX_EPOCH + Duration::from_secs(3), Vec::new());
        ship.handle(&Event::Started(&banner)).unwrap();
        assert!(matches!(reader.next().unwrap(), Up::Started(at) if at == Duration::from_secs(3)));

        let metric = registry.declare("orders", Kind::Counter, Contains::Default).unwrap();
        let sample = |metric: MetricId, value: f64| {
            let tags = [("a", "b")].into_iter().collect();
            Sample { metric, tags, at_nanos: 7, value }
        };
        let sent = [sample(metric, 1.0), sample(builtin::CHECKS, 0.5), sample(metric, f64::INFINITY)];
        samples.handle(&Event::Samples(&sent)).unwrap();
        assert!(matches!(reader.next().unwrap(), Up::Metrics(new) if new[0].id == metric && new.len() == 1));
        let Up::Samples(batch) = reader.next().unwrap() else { panic!("no samples") };
        let arrived = batch.samples();
        assert_eq!(arrived.len(), 3);
        assert_eq!((arrived[2].metric, arrived[2].value, arrived[2].tags.get("a")), (metric, f64::INFINITY, Some("b")));

        let report = hand_made();
        ship.handle(&Event::Finished(&report)).unwrap();
        assert!(matches!(reader.next().unwrap(), Up::Finished(arrived) if *arrived == report));
        assert!(ship.take_texts(vec![("stdout".to_owned(), "text".to_owned())]).is_empty());
        assert!(matches!(reader.next().unwrap(), Up::Texts(texts) if texts[0].1 == "text"));
    }

    #[test]
    fn groups_beyond_the_deepest_are_left_out() {
        let mut root = Group::default();
        root.at(&"::a".repeat(100));
        prune(&mut root, DEEPEST);
        let mut depth = 0;
        let mut group = &root;
        while let Some(inner) = group.groups.first() {
            (group, depth) = (inner, depth + 1);
        }
        assert_eq!(depth, DEEPEST);
    }
}
