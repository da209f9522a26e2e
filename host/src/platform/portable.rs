//! Where squall knows nothing better.

use std::time::Duration;

/// The CPU time this thread has used: not known, so never a reason to call a run invalid.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    Duration::ZERO
}

/// How long the machine's CPUs were busy, and how long they were there at all: not known.
#[must_use]
pub fn machine_cpu() -> Option<(u64, u64)> {
    None
}

/// Asks for timers of this thread that are not delayed to save power: there is nothing to ask.
pub fn precise_timers() {}

/// Raises the limit of open files as far as this process may, and returns it; `None` stands for no limit.
#[must_use]
pub fn raise_file_limit() -> Option<u64> {
    None
}
