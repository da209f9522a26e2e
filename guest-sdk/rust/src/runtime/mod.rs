//! What a guest needs from a process: a place for the words of a panic, and for text that it prints.

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod libc;
#[cfg(any(test, all(target_os = "wasi", target_env = "p2")))]
mod lines;

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::log;

/// Prepares the instance at its first call: no import may be called while a component is being built.
#[inline]
pub(crate) fn enter() {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    if cfg!(target_family = "wasm") && !PREPARED.swap(true, Relaxed) {
        panic::set_hook(Box::new(tell));
    }
}

/// Tells the host where and why, before the trap that can tell neither.
fn tell(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(place) => log::error(&format!("panicked at {place}: {message}")),
        None => log::error(&format!("panicked: {message}")),
    }
}
