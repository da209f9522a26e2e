//! Closures under a paused clock: an hour of load in milliseconds.

mod closed;
mod open;
mod sharing;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use tokio::task::LocalSet;

use super::*;
use crate::metrics::{Registry, builtin};
use crate::plan::{Budget, Curve, Stage};
use crate::vu::fake::{Fake, Pass, Samples};
use crate::vu::{End, Exhausted, Iteration, Journey, Notice, Outcome};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn stage(seconds: u64, target: f64) -> Stage {
    Stage { duration: secs(seconds), target }
}

fn shared(vus: u32, iterations: u64, max_duration: Duration) -> Scenario {
    Scenario::new("s", Load::Iterations { vus, budget: Budget::Shared(iterations), max_duration }).unwrap()
}

fn per_vu(vus: u32, iterations: u64) -> Scenario {
    let load = Load::Iterations { vus, budget: Budget::PerVu(iterations), max_duration: secs(600) };
    Scenario::new("s", load).unwrap()
}

fn vus(start: f64, stages: &[Stage], graceful_ramp_down: Duration) -> Scenario {
    let curve = Curve::new(start, stages).unwrap();
    Scenario::new("s", Load::Vus { curve, graceful_ramp_down }).unwrap()
}

fn arrivals(rate: f64, length: Duration, pre_allocated: u32, max: u32) -> Scenario {
    let curve = Curve::constant(rate, length).unwrap();
    Scenario::new("s", Load::Arrivals { curve, pre_allocated, max }).unwrap()
}

/// One thread's part of a run.
struct Bench {
    scheduler: Option<Scheduler<<Fake as Journey>::Worker>>,
    tallies: Vec<Rc<Tally>>,
    samples: Rc<Samples>,
    context: Arc<Context>,
    notices: Receiver<Notice>,
    sender: StopSender,
    stop: Stop,
}

impl Bench {
    fn new(plan: &Plan, fake: &Fake) -> Self {
        let (sender, notices) = sync_channel(100);
        let context = Arc::new(Context::new(0, Arc::new(Registry::default()), sender));
        let samples = Rc::new(Samples::default());
        let recorder = Recorder::new(Rc::clone(&samples) as _);
        let setup = Setup {
            worker: Rc::new(fake.worker(&context, &recorder)),
            context: Arc::clone(&context),
            recorder,
            data: Arc::from(*b"data"),
            warnings: Arc::new(Warnings::new(plan)),
            timer: Timer::portable,
        };
        let scheduler = Scheduler::new(plan, &setup);
        let tallies = scheduler.tallies().into_iter().map(|(_, tally)| tally).collect();
        let (sender, stop) = Stop::channel();
        Self { scheduler: Some(scheduler), tallies, samples, context, notices, sender, stop }
    }

    fn of(scenario: Scenario, fake: &Fake) -> Self {
        Self::new(&Plan::new(vec![scenario]), fake)
    }

    /// Runs to the end and returns how long that took.
    async fn run(&mut self) -> Duration {
        self.run_beside(std::future::pending()).await
    }

    /// Runs to the end, and something else meanwhile.
    async fn run_beside(&mut self, other: impl Future<Output = ()> + 'static) -> Duration {
        let mut scheduler = self.scheduler.take().unwrap();
        let stop = self.stop.clone();
        let run = async {
            scheduler.prepare().await.unwrap();
            let start = Instant::now();
            let other = tokio::task::spawn_local(other);
            scheduler.run(start, stop).await;
            other.abort();
            start.elapsed()
        };
        LocalSet::new().run_until(run).await
    }

    /// Looks at the number of active VUs at these seconds (half a second later, to be clear of edges).
    async fn active_at(&mut self, seconds: &[u64]) -> Vec<u32> {
        let (tally, seconds) = (Rc::clone(&self.tallies[0]), seconds.to_vec());
        let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
        let probe = Rc::clone(&seen);
        self.run_beside(async move {
            let start = Instant::now();
            for second in seconds {
                sleep_until(start + secs(second) + millis(500)).await;
                probe.borrow_mut().push(tally.active.get());
            }
        })
        .await;
        seen.take()
    }

    fn tally(&self) -> &Tally {
        &self.tallies[0]
    }

    fn messages(&self) -> Vec<String> {
        self.notices.try_iter().map(|notice| notice.message).collect()
    }
}

/// Remembers when each iteration began, and which it was.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<Entry>>>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    at: Instant,
    vu: u32,
    instance: u32,
    iteration: Iteration,
}

impl Diary {
    fn note(&self, pass: &Pass) {
        let entry =
            Entry { at: Instant::now(), vu: pass.seat.vu, instance: pass.seat.instance, iteration: pass.iteration };
        self.0.lock().unwrap().push(entry);
    }

    fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// A journey that writes itself down, then sleeps.
    fn sleeping(&self, duration: Duration) -> Fake {
        let diary = self.clone();
        Fake::new(move |pass| {
            diary.note(&pass);
            async move {
                tokio::time::sleep(duration).await;
                Outcome::Completed
            }
        })
    }

    fn indexes(&self) -> Vec<u64> {
        let mut indexes: Vec<_> = self.entries().iter().map(|entry| entry.iteration.index).collect();
        indexes.sort_unstable();
        indexes
    }
}
