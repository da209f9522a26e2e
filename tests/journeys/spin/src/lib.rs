//! Loops for ever, without a call to the host: on the virtual user `SPIN_VU`, or on every one where it is not set.
//! The others sleep 5 ms and record how late they woke, as `sleep-probe` does.
//!
//! The entry `visit` is for its neighbours: it gets `BASE_URL`, and waits for about `SLEEP` seconds. `calls` loops as well,
//! but calls the host in each turn; `compute` does so for 20 ms.

use std::hint::black_box;
use std::time::Duration;

use squall_sdk::metric::Trend;
use squall_sdk::{Error, env, env_or, env_seconds, http, random, sleep, vu};

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

fn visit() -> Result<(), Error> {
    http::get(env_or("BASE_URL", "http://127.0.0.1:8080"))?;
    // Visitors who wait equally long come all at once.
    sleep(env_seconds("SLEEP").unwrap_or_default().mul_f64(0.5 + random()));
    Ok(())
}

fn calls() {
    loop {
        sleep(Duration::ZERO);
    }
}

fn compute() {
    let end = vu::now() + Duration::from_millis(20);
    while black_box(vu::now()) < end {}
}

squall_sdk::journey! { scenarios: { default: spin, visit: visit, calls: calls, compute: compute } }
