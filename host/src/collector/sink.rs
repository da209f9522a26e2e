//! The thread of the outputs that want raw samples.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::audience::Audience;
use crate::aggregate::Tap;
use crate::metrics::Sample;
use crate::output::{Banner, Event};

/// Batches of samples that may wait to be written: a quarter of a million samples.
const ROOM: usize = 256;

/// Writes raw samples.
pub(super) struct Sink {
    sender: SyncSender<Vec<Sample>>,
    tap: Tap,
    thread: JoinHandle<Audience>,
    failures: Failures,
}

/// What went wrong in the sink, for the collector to tell the user at once.
pub(super) type Failures = Arc<Mutex<Receiver<String>>>;

impl Sink {
    pub(super) fn start(audience: Audience, banner: Banner, started: Instant) -> Self {
        let (sender, receiver) = sync_channel(ROOM);
        let (report, failures) = channel();
        let now = move || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let tap = Tap::new(sender.clone(), now);
        let thread = thread::Builder::new().name("squall-samples".to_owned());
        let thread = thread.spawn(move || write(audience, &banner, &receiver, &report));
        let thread = thread.expect("a process that is about to make worker threads can make this one");
        Self { sender, tap, thread, failures: Arc::new(Mutex::new(failures)) }
    }

    pub(super) fn tap(&self) -> Tap {
        self.tap.clone()
    }

    pub(super) fn failures(&self) -> Failures {
        Arc::clone(&self.failures)
    }

    /// Waits until everything is written that was sent before.
    pub(super) fn finish(self) -> Audience {
        // Taps may live on in threads that nobody joined, so an empty batch says that this is the end.
        let _ = self.sender.send(Vec::new());
        match self.thread.join() {
            Ok(audience) => audience,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn write(
    mut audience: Audience,
    banner: &Banner,
    samples: &Receiver<Vec<Sample>>,
    failures: &Sender<String>,
) -> Audience {
    let mut told = 0;
    let mut tell = |audience: &mut Audience, event: &Event<'_>| {
        audience.tell(event);
        for error in &audience.errors()[told..] {
            // Nobody listens only where the collector panicked.
            let _ = failures.send(error.clone());
        }
        told = audience.errors().len();
    };
    tell(&mut audience, &Event::Started(banner));
    while let Ok(batch) = samples.recv() {
        if batch.is_empty() {
            break;
        }
        tell(&mut audience, &Event::Samples(&batch));
    }
    audience
}

/// Takes what went wrong since the last time.
pub(super) fn take(failures: &Failures) -> Vec<String> {
    failures.lock().unwrap_or_else(PoisonError::into_inner).try_iter().collect()
}
