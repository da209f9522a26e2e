//! Starts scenarios on time; stops gracefully, then hard.
//!
//! A [`Scheduler`] runs one thread's part of a plan. It knows nothing of Wasm: it drives the traits in [`vu`](crate::vu).
//! Its loops, one per [`Load`], are in `executor`.

mod executor;
mod pacer;
mod stop;
mod tasks;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use stop::{Level, Stop, StopSender};

use tasks::Tasks;
use tokio::time::{Instant, sleep_until};

use crate::metrics::{Recorder, Tags};
use crate::plan::{Load, Plan, Scenario};
use crate::platform::Timer;
use crate::vu::{Context, Handle, JourneyError, Pool, Seat, Tally, Vu, Worker};

/// Instances made without giving way to other tasks.
const PREPARED_AT_ONCE: usize = 16;

/// What a thread needs to run its part of a plan.
pub struct Setup<W> {
    /// The thread's part of the journey.
    pub worker: Rc<W>,
    /// What the run shares.
    pub context: Arc<Context>,
    /// Where samples go.
    pub recorder: Recorder,
    /// What `setup` returned.
    pub data: Arc<[u8]>,
    /// Which scenarios' users were warned, shared by all threads of the run.
    pub warnings: Arc<Warnings>,
    /// Makes the timers that pace arrivals.
    pub timer: fn() -> Timer,
}

/// Remembers which scenarios' users were warned of a lack of VUs, so that it is said once.
#[derive(Debug)]
pub struct Warnings(Box<[AtomicBool]>);

impl Warnings {
    /// Makes the memory of a whole plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let scenarios = plan.scenarios.iter().map(|scenario| scenario.number + 1).max().unwrap_or_default();
        Self((0..scenarios).map(|_| AtomicBool::new(false)).collect())
    }

    /// Returns whether this is the first warning of the scenario.
    fn first(&self, scenario: &Scenario) -> bool {
        !self.0[scenario.number as usize].swap(true, Ordering::Relaxed)
    }
}

/// One thread's part of a plan, ready to be run.
pub struct Scheduler<W: Worker> {
    crews: Vec<Crew<W>>,
}

/// A scenario's part and its VUs.
struct Crew<W: Worker> {
    scenario: Scenario,
    pool: Rc<Pool<W>>,
    vus: Vec<Vu<W>>,
    warnings: Arc<Warnings>,
    timer: fn() -> Timer,
}

impl<W: Worker> Scheduler<W> {
    /// Makes a scheduler for a part of a plan. There are no VUs before [`Scheduler::prepare`].
    #[must_use]
    pub fn new(plan: &Plan, setup: &Setup<W>) -> Self {
        Self { crews: plan.scenarios.iter().map(|scenario| Crew::new(plan, scenario, setup)).collect() }
    }

    /// The counts of its scenarios, by the scenarios' numbers.
    #[must_use]
    pub fn tallies(&self) -> Vec<(u32, Rc<Tally>)> {
        self.crews.iter().map(|crew| (crew.scenario.number, Rc::clone(crew.pool.tally()))).collect()
    }

    /// Makes the VUs that there are to be before the start.
    pub async fn prepare(&mut self) -> Result<(), JourneyError> {
        for crew in &mut self.crews {
            crew.prepare().await?;
        }
        Ok(())
    }

    /// Runs the scenarios to their ends; their start times count from `start`. Must be called inside a `LocalSet`.
    ///
    /// Dropping the future interrupts everything.
    pub async fn run(self, start: Instant, stop: Stop) {
        let mut scenarios = Tasks::default();
        for crew in self.crews {
            scenarios.spawn(crew.run(start, stop.clone()));
        }
        scenarios.all().await;
    }
}

impl<W: Worker> Crew<W> {
    fn new(plan: &Plan, scenario: &Scenario, setup: &Setup<W>) -> Self {
        let mut tags = plan.tags.with(scenario.tags.iter());
        if plan.system_tags.has("scenario") {
            tags = tags.with([("scenario", &*scenario.name)]);
        }
        // As k6 does, iterations belong to the root group.
        let group: Tags = plan.system_tags.has("group").then_some(("group", "")).into_iter().collect();
        let env = plan.env.iter().chain(&scenario.env).map(|(key, value)| (key.clone(), value.clone()));
        let seat = Seat {
            vu: scenario.first_vu,
            instance: 0,
            scenario: Arc::clone(&scenario.name),
            exec: Arc::clone(&scenario.exec),
            env: Arc::new(env.collect()),
            data: Arc::clone(&setup.data),
            tags: tags.clone(),
        };
        let pool = Pool::new(
            Rc::clone(&setup.worker),
            Arc::clone(&setup.context),
            setup.recorder.clone(),
            seat,
            &tags.with(group.iter()),
            plan.min_iteration_duration,
        );
        Self {
            scenario: scenario.clone(),
            pool: Rc::new(pool.with_max_traps(plan.limits.max_traps)),
            vus: Vec::new(),
            warnings: Arc::clone(&setup.warnings),
            timer: setup.timer,
        }
    }

    async fn prepare(&mut self) -> Result<(), JourneyError> {
        let vus = self.scenario.initial_vus();
        self.vus.reserve_exact(vus as usize);
        for n in 0..vus {
            let mut vu = self.new_vu(n);
            vu.prepare().await?;
            self.vus.push(vu);
            if self.vus.len().is_multiple_of(PREPARED_AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Makes VU `n` of this part, without an instance.
    fn new_vu(&self, n: u32) -> Vu<W> {
        let made = &self.pool.tally().initialised;
        made.set(made.get() + 1);
        let ordinal = self.scenario.share.nth(u64::from(n)) as u32;
        Vu::new(Rc::clone(&self.pool), Rc::new(Handle::new(ordinal)))
    }

    async fn run(self, start: Instant, mut stop: Stop) {
        let begin = start + self.scenario.start;
        tokio::select! {
            biased;
            () = stop.reached(Level::Graceful) => return,
            () = sleep_until(begin) => {}
        }
        match self.scenario.load.clone() {
            Load::Iterations { budget, max_duration, .. } => {
                executor::iterations::run(self, budget, begin + max_duration, stop).await;
            }
            Load::Vus { curve, graceful_ramp_down } => {
                executor::vus::run(self, &curve, graceful_ramp_down, begin, stop).await;
            }
            Load::Arrivals { curve, .. } => executor::arrivals::run(self, &curve, begin, stop).await,
        }
    }

    fn graceful_stop(&self) -> Duration {
        self.scenario.graceful_stop
    }
}

#[cfg(test)]
mod tests;
