//! What a store holds: the VU's side of every interface, and what its limits are checked against.

use std::rc::Rc;
use std::sync::Arc;

use wasmtime::{Engine, ResourceLimiter, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::budget::{Budget, Refused};
use super::crowd::{Crowd, Member};
use super::engine::TICK;
use super::watch::Overrun;
use crate::capability::Host;
use crate::plan::Limits;

/// Core instances of a component: a program is a few, and a component made of several is some of those.
const MOST_INSTANCES: usize = 100;
const MOST_TABLES: usize = 100;
/// Each has address space of its own for all that it may grow to.
const MOST_MEMORIES: usize = 20;

/// A store's data.
pub(super) struct State {
    pub(super) host: Host,
    limits: Arc<Limits>,
    taken: Taken,
    /// Whether there is an instance; until then there is nobody who could go on with less.
    is_made: bool,
    /// What it was refused last.
    refused: Option<Box<Refused>>,
    /// Its place among the guests of its thread.
    member: Member,
    /// Ticks that the guest computed without calling the host.
    ticks: u32,
    most_ticks: u32,
}

/// What a store took of the run's budget, which has it back when the store is gone.
struct Taken {
    budget: Arc<Budget>,
    /// Bytes of all its memories.
    memory: u64,
    /// Elements of all its tables.
    elements: u64,
}

impl State {
    /// Makes a store of a VU.
    pub(super) fn store(
        engine: &Engine,
        host: Host,
        limits: &Arc<Limits>,
        budget: &Arc<Budget>,
        crowd: &Rc<Crowd>,
    ) -> Store<Self> {
        let most_ticks = u32::try_from(limits.cpu_timeout.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u32::MAX);
        let state = Self {
            host,
            limits: Arc::clone(limits),
            taken: Taken { budget: Arc::clone(budget), memory: 0, elements: 0 },
            is_made: false,
            refused: None,
            member: Member::new(crowd),
            ticks: 0,
            most_ticks,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(usize::try_from(limits.host_call_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(limits.handles as usize);
        store.epoch_deadline_callback(tick);
        store.set_epoch_deadline(1);
        store
    }

    /// Takes the VU's side out of a store that is of no more use.
    pub(super) fn into_host(self) -> Host {
        self.host
    }

    /// From now on there is a guest that is told when it gets no more.
    pub(super) fn is_made(&mut self) {
        self.is_made = true;
    }

    /// The guest is one of those of its thread that run iterations.
    pub(super) fn join(&mut self) {
        self.member.join();
    }

    /// A new iteration begins: what was computed and refused before counts for another.
    pub(super) fn begin(&mut self) {
        self.ticks = 0;
        self.refused = None;
        self.member.rest();
    }

    /// What the guest was refused since the last call, which may be why it broke.
    pub(super) fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take().map(|refused| *refused)
    }

    /// A guest that grows is told no; one that is only to be made has nobody to tell.
    fn refuse(&mut self, refused: Refused) -> wasmtime::Result<bool> {
        if !self.is_made {
            return Err(refused.into());
        }
        self.refused = Some(Box::new(refused));
        Ok(false)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.memory.give_back(self.memory);
        self.budget.elements.give_back(self.elements);
    }
}

/// Called where the guest is when the clock has ticked: lets others have their turn, and ends a guest that never will.
///
/// It changes nothing of the store but its data, and the store is dropped after it returns an error.
fn tick(mut context: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let state = context.data_mut();
    let activity = state.host.take_activity();
    if activity.called {
        state.ticks = 0;
    }
    if activity.waited {
        // It has just come back from waiting, so the others have had their turn.
        state.member.rest();
        return Ok(UpdateDeadline::Continue(1));
    }
    state.ticks += 1;
    if state.ticks > state.most_ticks {
        return Err(Overrun::AtOnce(TICK * state.most_ticks).into());
    }
    let pause = state.member.tick();
    if !pause.is_zero() {
        return Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(pause))));
    }
    // tokio polls its timers before it wakes a task that yielded this way; wasmtime's own yield would let them wait for
    // 61 polls.
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.host.ctx()
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.host.http()
    }
}

/// What was granted stays taken until the store is dropped, even if the system then had no memory to give: a guest that
/// could have it taken back could have it taken back twice.
impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let (had, more) = (self.taken.memory, desired.saturating_sub(current) as u64);
        let refused = |what, option, had, limit| Refused { what, option, had, more, limit, is_bytes: true };
        let own = self.limits.memory;
        if had.saturating_add(more) > own {
            return self.refuse(refused("the memory of a virtual user", "memory", had, own));
        }
        if let Err((had, limit)) = self.taken.budget.memory.take(more) {
            return self.refuse(refused("the memory of all virtual users", "run-memory", had, limit));
        }
        self.taken.memory = had + more;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let (had, more) = (self.taken.elements, desired.saturating_sub(current) as u64);
        let refused = |what, option, had, limit| Refused { what, option, had, more, limit, is_bytes: false };
        let own = u64::from(self.limits.table_elements);
        if had.saturating_add(more) > own {
            return self.refuse(refused("the table elements of a virtual user", "table-elements", had, own));
        }
        if let Err((had, limit)) = self.taken.budget.elements.take(more) {
            return self.refuse(refused("the table elements of all virtual users", "run-table-elements", had, limit));
        }
        self.taken.elements = had + more;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}
