//! One GET, and one field of its JSON by a pointer that the host follows. `json-guest` reads the same field in the guest.

use std::sync::LazyLock;

use squall_sdk::{Error, check, env_or, http, journey};

static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080/json/large"));

fn visit() -> Result<(), Error> {
    let list = http::get(&*URL)?;
    check!("has the field", list.json_text("/items/41/owner/name")?.as_deref() == Some(r#""user 42""#));
    Ok(())
}

journey!(visit);
