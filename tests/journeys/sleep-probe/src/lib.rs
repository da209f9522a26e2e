//! Sleeps 5 ms and records how late it woke: what a neighbour in a loop does to others shows here.

use std::time::Duration;

use squall_sdk::metric::Trend;
use squall_sdk::{sleep, vu};

static SLEEP_LATE: Trend = Trend::time("sleep_late");

fn probe() {
    const PAUSE: Duration = Duration::from_millis(5);
    let start = vu::now();
    sleep(PAUSE);
    SLEEP_LATE.add(vu::now().saturating_sub(start + PAUSE));
}

squall_sdk::journey!(probe);
