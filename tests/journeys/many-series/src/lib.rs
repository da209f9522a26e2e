//! Feeds `SERIES` series (100 unless set) of one metric, with a GET of `BASE_URL` and `SLEEP` seconds between two samples:
//! what the collector makes of many series shows here.

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::metric::Trend;
use squall_sdk::{Error, env, env_or, env_seconds, http, sleep, vu};

static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));
static PAUSE: LazyLock<Duration> = LazyLock::new(|| env_seconds("SLEEP").unwrap_or(Duration::from_secs(1)));
// A virtual user feeds one series, all of them together feed all.
static SERIES: LazyLock<String> = LazyLock::new(|| {
    let count = env("SERIES").and_then(|text| text.parse().ok());
    (vu::id() % count.unwrap_or(100).max(1)).to_string()
});

static TURN: Trend = Trend::time("turn");

fn feed() -> Result<(), Error> {
    let page = http::get(&*URL)?;
    TURN.add_tagged(page.duration(), &[("series", &SERIES)]);
    sleep(*PAUSE);
    Ok(())
}

squall_sdk::journey!(feed);
