//! Loops for ever, without a call to the host: on the virtual user `SPIN_VU`, or on every one where it is not set.
//! The others sleep 5 ms and record how late they woke, as `sleep-probe` does.

use std::hint::black_box;
use std::time::Duration;

use squall_sdk::metric::Trend;
use squall_sdk::{env, sleep, vu};

static SLEEP_LATE: Trend = Trend::time("sleep_late");

fn spin() {
    const PAUSE: Duration = Duration::from_millis(5);
    let spins = env("SPIN_VU").is_none_or(|text| text.parse() == Ok(vu::id()));
    if spins {
        let mut turns = 0_u32;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }
    let start = vu::now();
    sleep(PAUSE);
    SLEEP_LATE.add(vu::now().saturating_sub(start + PAUSE));
}

squall_sdk::journey!(spin);
