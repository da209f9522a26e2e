//! One GET through `wasi:http`, whose body enters the guest: what `body-read` does, by another way.

use std::sync::LazyLock;

use squall_sdk::{Error, check, env_or, journey};
use waki::Client;

static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

fn visit() -> Result<(), Error> {
    let page = Client::new().get(&URL).send().map_err(|error| Error::new(error.to_string()))?;
    let length = page.header("content-length").and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let body = page.body().map_err(|error| Error::new(error.to_string()))?;
    check!("has the whole body", length.is_none_or(|length| body.len() == length));
    Ok(())
}

journey!(visit);
