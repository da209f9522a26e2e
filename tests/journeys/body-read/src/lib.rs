//! One GET, whose body enters the guest.

use std::sync::LazyLock;

use squall_sdk::{Error, check, env_or, http, journey};

static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

fn visit() -> Result<(), Error> {
    let page = http::get(&*URL)?;
    let body = page.body()?;
    check!("has the whole body", body.len() == page.body_len() as usize);
    Ok(())
}

journey!(visit);
