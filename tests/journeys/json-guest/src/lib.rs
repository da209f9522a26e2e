//! One GET, whose body enters the guest and is read there into types. `json-host` has the host find the same field.

use std::sync::LazyLock;

use serde::Deserialize;
use squall_sdk::{Error, check, env_or, http, journey};

static URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080/json/large"));

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    name: String,
}

fn visit() -> Result<(), Error> {
    let list: List = http::get(&*URL)?.json()?;
    check!("has the field", list.items.get(41).is_some_and(|item| item.owner.name == "user 42"));
    Ok(())
}

journey!(visit);
