//! Ends a run early: `HOW=abort` (the default) stops it, `HOW=fail` marks it as failed; both in the first iteration
//! of the first virtual user.

use std::time::Duration;

use squall_sdk::{env_or, sleep, test, vu};

fn end() {
    if vu::id() == 1 && vu::iteration() == 0 {
        match env_or("HOW", "abort").as_str() {
            "fail" => test::fail("failed on purpose"),
            _ => test::abort("aborted on purpose"),
        }
    }
    sleep(Duration::from_millis(10));
}

squall_sdk::journey!(end);
