//! Iterations that start when the curve says, whatever the target does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::pacer::{Arrival, Pacer};
use super::super::{Crew, Level, Stop, Tasks};
use crate::plan::Curve;
use crate::vu::{Active, Handle, NoticeLevel, Turn, Vu, Wish, Worker};

/// How long a VU that could not be initialised waits before it is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Where a VU finds its next arrival.
struct Slot {
    handle: Rc<Handle>,
    arrival: Cell<Option<Arrival>>,
}

/// What VUs and the executor share.
#[derive(Default)]
struct Desk {
    /// VUs that wait for an arrival; the one that waited longest comes first.
    free: RefCell<VecDeque<Rc<Slot>>>,
    /// Whether a VU is being initialised.
    initialising: Cell<bool>,
}

struct Arrivals<W: Worker> {
    crew: Crew<W>,
    desk: Rc<Desk>,
    tasks: Tasks,
    handles: Vec<Rc<Handle>>,
}

pub(in super::super) async fn run<W: Worker>(mut crew: Crew<W>, curve: &Curve, begin: Instant, mut stop: Stop) {
    let mut pacer = Pacer::new(curve, crew.scenario.share, begin, (crew.timer)());
    let end = begin + curve.length();
    let graceful_stop = crew.graceful_stop();
    let vus = std::mem::take(&mut crew.vus);
    let mut arrivals = Arrivals { crew, desk: Rc::default(), tasks: Tasks::default(), handles: Vec::new() };
    for vu in vus {
        arrivals.employ(vu);
    }
    let ended = {
        // Made once, as this loop turns for nearly every arrival.
        let (mut stopped, mut over) = (pin!(stop.reached(Level::Graceful)), pin!(sleep_until(end)));
        loop {
            arrivals.assign_all(&mut pacer, Instant::now());
            tokio::select! {
                biased;
                () = &mut stopped => break Instant::now(),
                () = &mut over => {
                    // The last ones may be due within the timer's precision of the end.
                    arrivals.assign_all(&mut pacer, end);
                    break end;
                }
                () = pacer.wait() => {}
                () = arrivals.tasks.next() => {}
            }
        }
    };
    for handle in &arrivals.handles {
        handle.ask(Wish::Leave);
    }
    arrivals.tasks.wind_down(ended + graceful_stop, &mut stop).await;
}

impl<W: Worker> Arrivals<W> {
    /// Starts the task of a VU. One with an instance is free from now on.
    fn employ(&mut self, vu: Vu<W>) {
        let slot = self.slot(&vu);
        self.desk.free.borrow_mut().push_back(Rc::clone(&slot));
        self.tasks.spawn(serve(vu, slot, Rc::clone(&self.desk)));
    }

    fn slot(&mut self, vu: &Vu<W>) -> Rc<Slot> {
        self.handles.push(Rc::clone(vu.handle()));
        Rc::new(Slot { handle: Rc::clone(vu.handle()), arrival: Cell::new(None) })
    }

    fn assign_all(&mut self, pacer: &mut Pacer<'_>, now: Instant) {
        while let Some(arrival) = pacer.take(now) {
            self.assign(arrival);
        }
    }

    /// Gives an arrival to a free VU, or drops it.
    fn assign(&mut self, arrival: Arrival) {
        let planned = &self.crew.pool.tally().planned;
        planned.set(planned.get() + 1);
        let free = self.desk.free.borrow_mut().pop_front();
        if let Some(slot) = free {
            slot.arrival.set(Some(arrival));
            slot.handle.wake();
            return;
        }
        self.crew.pool.drop_iterations(1);
        if self.desk.initialising.get() {
            return;
        }
        let made = self.handles.len() as u32;
        if made < self.crew.scenario.max_vus() {
            self.initialise(made);
        } else if self.crew.warnings.first(&self.crew.scenario) {
            let all = self.crew.scenario.load.max_vus();
            let message = format!("insufficient VUs, reached {all} active VUs and cannot initialize more");
            self.crew.pool.notify(NoticeLevel::Warn, None, message);
        }
    }

    /// Makes one VU more in the background.
    fn initialise(&mut self, n: u32) {
        let mut vu = self.crew.new_vu(n);
        let slot = self.slot(&vu);
        let desk = Rc::clone(&self.desk);
        desk.initialising.set(true);
        self.tasks.spawn(async move {
            while let Err(error) = vu.prepare().await {
                vu.pool().notify(NoticeLevel::Error, Some(vu.handle()), error.to_string());
                vu.idle_until(Instant::now() + RETRY).await;
                if vu.handle().wish() != Wish::Run {
                    return;
                }
            }
            desk.initialising.set(false);
            desk.free.borrow_mut().push_back(Rc::clone(&slot));
            serve(vu, slot, desk).await;
        });
    }
}

/// One VU: takes arrivals from its slot until it is to leave.
async fn serve<W: Worker>(mut vu: Vu<W>, slot: Rc<Slot>, desk: Rc<Desk>) {
    let _active = Active::new(vu.pool().tally());
    while let Some(Arrival { index, due }) = slot.next().await {
        vu.iterate(Turn { index, stream: index, due: Some(due) }).await;
        // A new instance is made now rather than when the next arrival waits for it. If that fails, the next
        // iteration tries again, and says so.
        let _ = vu.prepare().await;
        desk.free.borrow_mut().push_back(Rc::clone(&slot));
    }
}

impl Slot {
    /// Waits for an arrival; `None` when there will be none. One that was assigned is served before the VU leaves.
    async fn next(&self) -> Option<Arrival> {
        let ready = || match self.arrival.take() {
            Some(arrival) => Some(Some(arrival)),
            None => (self.handle.wish() == Wish::Leave).then_some(None),
        };
        self.handle.until(ready).await
    }
}
