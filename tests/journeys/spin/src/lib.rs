//! Loops for ever, without a call to the host: on the virtual users of `SPIN_VU`, like `1,200`, or on every one where it is
//! not set. The others get `BASE_URL`; where that is not set they sleep 5 ms and record how late they woke, as
//! `sleep-probe` does.

use std::hint::black_box;
use std::time::Duration;

use squall_sdk::metric::Trend;
use squall_sdk::{env, http, sleep, vu};

static SLEEP_LATE: Trend = Trend::time("sleep_late");

fn spin() {
    const PAUSE: Duration = Duration::from_millis(5);
    let spins = env("SPIN_VU").is_none_or(|text| text.split(',').any(|id| id.parse() == Ok(vu::id())));
    if spins {
        let mut turns = 0_u32;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }
    if let Some(url) = env("BASE_URL") {
        // A failed request shows in the metrics, and nobody asks for more here.
        let _ = http::get(url);
        return;
    }
    let start = vu::now();
    sleep(PAUSE);
    SLEEP_LATE.add(vu::now().saturating_sub(start + PAUSE));
}

squall_sdk::journey!(spin);
