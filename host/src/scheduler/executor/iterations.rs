//! A number of iterations, as fast as the VUs can.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::{Instant, sleep_until};

use super::super::{Crew, Level, Stop, Tasks};
use super::stream;
use crate::plan::{Budget, Share};
use crate::vu::{Active, Handle, Turn, Vu, Wish, Worker};

/// Where VUs get their iterations from.
struct Ledger {
    budget: Budget,
    share: Share,
    taken: Cell<u64>,
}

impl Ledger {
    /// How many iterations this part has for its VUs.
    fn planned(&self, vus: usize) -> u64 {
        match self.budget {
            Budget::Shared(all) => self.share.of(all),
            Budget::PerVu(each) => each * vus as u64,
        }
    }

    fn take(&self, handle: &Handle) -> Option<Turn> {
        let taken = self.taken.get();
        let turn = match self.budget {
            Budget::Shared(all) => {
                let index = self.share.nth(taken);
                (index < all).then_some(Turn { index, stream: index, due: None })
            }
            Budget::PerVu(each) => {
                let number = handle.iterations();
                let index = u64::from(handle.ordinal()) * each + u64::from(number);
                let turn = Turn { index, stream: stream(handle.ordinal(), number), due: None };
                (u64::from(number) < each).then_some(turn)
            }
        };
        self.taken.set(taken + u64::from(turn.is_some()));
        turn
    }
}

pub(in super::super) async fn run<W: Worker>(mut crew: Crew<W>, budget: Budget, end: Instant, mut stop: Stop) {
    let vus = std::mem::take(&mut crew.vus);
    let ledger = Rc::new(Ledger { budget, share: crew.scenario.share, taken: Cell::new(0) });
    let planned = ledger.planned(vus.len());
    crew.pool.tally().planned.set(planned);
    let handles: Vec<_> = vus.iter().map(|vu| Rc::clone(vu.handle())).collect();
    let mut tasks = Tasks::default();
    for vu in vus {
        tasks.spawn(repeat(vu, Rc::clone(&ledger)));
    }
    let (is_time_up, ended) = tokio::select! {
        biased;
        () = tasks.all() => return,
        () = stop.reached(Level::Graceful) => (false, Instant::now()),
        () = sleep_until(end) => (true, end),
    };
    for handle in &handles {
        handle.ask(Wish::Leave);
    }
    // As in k6, what is left over counts as dropped when the time is up, but not when somebody stopped the run.
    if is_time_up {
        crew.pool.drop_iterations(planned - ledger.taken.get());
    }
    tasks.wind_down(ended + crew.graceful_stop(), &mut stop).await;
}

async fn repeat<W: Worker>(mut vu: Vu<W>, ledger: Rc<Ledger>) {
    let _active = Active::new(vu.pool().tally());
    let handle = Rc::clone(vu.handle());
    while handle.wish() == Wish::Run
        && let Some(turn) = ledger.take(&handle)
    {
        vu.iterate(turn).await;
    }
}
