//! The smallest journey that does something: one GET, two checks, a pause.

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::{Error, check, env_or, env_seconds, http, journey, sleep};

// Read once for each virtual user, not for each iteration.
static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));
static PAUSE: LazyLock<Option<Duration>> = LazyLock::new(|| env_seconds("SLEEP"));

fn visit() -> Result<(), Error> {
    let page = http::get(&*URL)?;
    check!("status is 200", page.status() == 200);
    check!("has a body", page.body_len() > 0);
    PAUSE.map(sleep);
    Ok(())
}

journey!(visit);
