//! Repeats a request that fails at once, for ever, on the virtual user 1. The others sleep 5 ms.

use std::time::Duration;

use squall_sdk::{http, sleep, vu};

fn retry() {
    if vu::id() == 1 {
        while http::get("not-http:").is_err() {}
    }
    sleep(Duration::from_millis(5));
}

squall_sdk::journey!(retry);
