//! Reads whole bodies of `BYTES` bytes (1 MiB unless set), and looks into JSON without reading it.

use std::sync::LazyLock;

use squall_sdk::http::{self, Request};
use squall_sdk::{Error, check, env_or};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));
static BYTES: LazyLock<u32> = LazyLock::new(|| env_or("BYTES", "").parse().unwrap_or(1 << 20));

fn read() -> Result<(), Error> {
    let big = http::get(format!("{}/bytes/{}", *BASE_URL, *BYTES))?;
    check!("length is what was asked for", big.body_len() == *BYTES);
    let body = big.body()?;
    check!("body is as long as its length says", body.len() == *BYTES as usize);
    big.release();

    let list = Request::get(format!("{}/workflows?page=1&limit=20", *BASE_URL)).name("/workflows").send()?;
    let limit: Option<u32> = list.json_pointer("/limit")?;
    let whole: serde_json::Value = list.json()?;
    check!("pointer finds what the whole holds", limit.map(Into::into) == whole.get("limit").cloned());
    check!("pointer finds nothing where nothing is", list.json_text("/no/such/value")?.is_none());
    Ok(())
}

squall_sdk::journey!(read);
