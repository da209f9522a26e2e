//! Traps in every `EVERY`-th iteration of an instance (in each one unless set), and checks that a trapped instance is
//! replaced by one whose memory is new.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use squall_sdk::{check, env, vu};

static EVERY: LazyLock<u32> = LazyLock::new(|| env("EVERY").and_then(|text| text.parse().ok()).unwrap_or(1));
static RUNS: AtomicU32 = AtomicU32::new(0);

fn trap() {
    let run = RUNS.fetch_add(1, Relaxed) + 1;
    check!("memory is as old as the instance", run <= *EVERY);
    assert!(run < *EVERY, "run {run} of instance {} is broken on purpose", vu::instance());
}

squall_sdk::journey!(trap);
