//! Sleeps `SLEEP` seconds (1 unless set): a virtual user that only waits.

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::{env_seconds, sleep};

static PAUSE: LazyLock<Duration> = LazyLock::new(|| env_seconds("SLEEP").unwrap_or(Duration::from_secs(1)));

fn wait() {
    sleep(*PAUSE);
}

squall_sdk::journey!(wait);
