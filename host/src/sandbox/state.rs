//! What a store holds: the VU's side of every interface, and what its limits are checked against.

use std::time::Duration;

use wasmtime::{Engine, ResourceLimiter, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::engine::TICK;
use crate::capability::Host;

/// The most elements all tables of an instance may have.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// A store's data.
pub(super) struct State {
    pub(super) host: Host,
    memory: usize,
    /// Ticks that the guest computed without calling the host.
    ticks: u32,
    most_ticks: u32,
}

/// A guest computed for too long without calling the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest computed for {0:?} without calling the host (`cpu-timeout`)")]
pub(super) struct ComputedTooLong(pub(super) Duration);

impl State {
    /// Makes a store of a VU.
    pub(super) fn store(engine: &Engine, host: Host, memory: usize, cpu: Duration) -> Store<Self> {
        let most_ticks = u32::try_from(cpu.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u32::MAX);
        let mut store = Store::new(engine, Self { host, memory, ticks: 0, most_ticks });
        store.limiter(|state| state);
        store.epoch_deadline_callback(tick);
        store.set_epoch_deadline(1);
        store
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
        return Ok(UpdateDeadline::Continue(1));
    }
    state.ticks += 1;
    if state.ticks > state.most_ticks {
        return Err(ComputedTooLong(TICK * state.most_ticks).into());
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

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.memory)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}
