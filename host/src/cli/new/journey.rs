//! A journey: what one virtual user does, again and again.

use std::sync::LazyLock;
use std::time::Duration;

use squall_sdk::{Error, check, env_or, http, journey, sleep};

// Read once for each virtual user, not for each iteration.
static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

fn visit() -> Result<(), Error> {
    let page = http::get(&*URL)?;
    check!("status is 200", page.status() == 200);
    sleep(Duration::from_secs(1));
    Ok(())
}

journey!(visit);
