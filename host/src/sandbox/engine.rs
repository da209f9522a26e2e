//! How wasmtime is set up, and the clock that interrupts guests.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use super::{LoadError, proposals};
use crate::plan::{Limits, Policy};

/// How often guests are interrupted so that others have their turn.
pub(super) const TICK: Duration = Duration::from_micros(500);
/// What a fiber's stack has for the host's frames, on top of the guest's.
const HOST_STACK: usize = 512 << 10;
/// A component with more initial data than this is given copy-on-write memories.
const HEAVY_DATA: usize = 256 << 10;

/// How the memories of instances come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryMode {
    /// Slots of a slab, filled by copying: the least per VU for small guests, at any number of VUs.
    Dense,
    /// Mappings that share what a guest did not write: for guests that carry an interpreter, up to some 10,000 VUs.
    CopyOnWrite,
}

impl fmt::Display for MemoryMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dense => "dense slots, for a guest with little initial data",
            Self::CopyOnWrite => "copy-on-write images, for a guest with much initial data",
        })
    }
}

impl MemoryMode {
    /// Chooses by the bytes of initial data that every instance would copy.
    pub(super) fn of(data: usize) -> Self {
        if data > HEAVY_DATA || cfg!(not(target_os = "linux")) { Self::CopyOnWrite } else { Self::Dense }
    }
}

/// Whether an engine that was made for `made` serves guests with the limits `wanted`.
pub(super) fn serves(made: &Limits, wanted: &Limits) -> bool {
    wanted.memory <= made.memory && wanted.stack == made.stack && wanted.interrupt == made.interrupt
}

/// Makes an engine for guests with these limits.
pub(super) fn engine(mode: MemoryMode, limits: &Limits, policy: &Policy) -> Result<Engine, LoadError> {
    let (memory, stack) = (usize::try_from(limits.memory).unwrap_or(usize::MAX), limits.stack as usize);
    let mut config = Config::new();
    config
        // Without it, entering a guest costs 260 ns instead of 1,266 (measured in the prototype).
        .concurrency_support(false)
        .epoch_interruption(limits.interrupt)
        .max_wasm_stack(stack)
        .async_stack_size(stack + HOST_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // One core is what a component of a stranger may keep busy.
        .parallel_compilation(!policy.untrusted);
    proposals::configure(&mut config, policy)?;
    use_slabs(&mut config, mode, memory, stack + HOST_STACK);
    Engine::new(&config).map_err(|error| LoadError::Engine { message: format!("{error:#}") })
}

/// Takes stacks, and in dense mode memories, from slabs.
#[cfg(target_os = "linux")]
fn use_slabs(config: &mut Config, mode: MemoryMode, memory: usize, fiber: usize) {
    use std::sync::Arc;

    use super::slab::{Memories, Stacks};

    config.with_host_stack(Arc::new(Stacks::new(fiber)));
    if mode == MemoryMode::Dense {
        config
            .with_host_memory(Arc::new(Memories::new(memory)))
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_reservation_for_growth(0)
            .guard_before_linear_memory(false)
            .memory_init_cow(false);
    }
}

/// Other systems have no slabs: every stack and memory is a mapping of its own.
#[cfg(not(target_os = "linux"))]
fn use_slabs(_: &mut Config, _: MemoryMode, _: usize, _: usize) {}

/// Lets the engine's clock tick for as long as the engine lives.
pub(super) fn start_clock(engine: &Engine) {
    let engine = engine.weak();
    let clock = thread::Builder::new().name("squall-epoch".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
    // Without the clock a guest that loops could not be stopped, and a machine that starts no thread runs no load either.
    clock.expect("the system starts a thread");
}
