//! Counts of a scenario on one thread.

use std::cell::Cell;
use std::rc::Rc;

use super::Handle;

/// How many VUs and iterations there were. Counts only grow, apart from `active`.
#[derive(Debug, Default)]
pub struct Tally {
    /// VUs that take part right now, as k6's `vus`.
    pub active: Cell<u32>,
    /// VUs that were made, as k6's `vus_max`.
    pub initialised: Cell<u32>,
    /// Iterations that are to run: the budget, or the arrivals that came due. 0 where there is neither.
    pub planned: Cell<u64>,
    /// Iterations that started.
    pub started: Cell<u64>,
    /// Iterations that ended by themselves, failed ones included.
    pub completed: Cell<u64>,
    /// Iterations that returned an error, trapped or timed out.
    pub failed: Cell<u64>,
    /// Iterations that were interrupted.
    pub interrupted: Cell<u64>,
    /// Planned iterations that never started.
    pub dropped: Cell<u64>,
}

pub(super) fn increment(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// A VU takes part for as long as this lives.
#[derive(Debug)]
pub struct Active(Rc<Tally>);

impl Active {
    /// Counts a VU in.
    #[must_use]
    pub fn new(tally: &Rc<Tally>) -> Self {
        tally.active.set(tally.active.get() + 1);
        Self(Rc::clone(tally))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}

/// An iteration that runs. Dropped before it finished, it counts as interrupted.
pub(super) struct Running<'a> {
    tally: &'a Tally,
    handle: &'a Handle,
    finished: bool,
}

impl<'a> Running<'a> {
    pub(super) fn new(tally: &'a Tally, handle: &'a Handle) -> Self {
        increment(&tally.started);
        handle.set_busy(true);
        Self { tally, handle, finished: false }
    }

    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.handle.set_busy(false);
        increment(if self.finished { &self.tally.completed } else { &self.tally.interrupted });
    }
}
