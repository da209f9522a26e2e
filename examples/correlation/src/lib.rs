//! What one answer says is used in the next request: a token from a page, an item from its links, an id from JSON.
//!
//! The host reads the answers, so no body enters the guest. `BASE_URL` says where (`squall target` has all pages).

use std::sync::LazyLock;

use squall_sdk::http::{self, Request};
use squall_sdk::{Error, check, env_or, journey};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

fn order() -> Result<(), Error> {
    let page = http::get(format!("{}/html", *BASE_URL))?;
    let token = page.css("#order input[name=csrf]").attribute("value").or("NOT_FOUND")?;
    let item = page.css("#items .item").attribute("data-id").random().or("1")?;
    check!("page has a token", token != "NOT_FOUND");

    let ordered = Request::post(format!("{}/html", *BASE_URL))
        .form(&[("csrf", &token), ("item", &item)])
        .name("/html (order)")
        .expect_status(201)
        .send()?;
    check!("order was taken", ordered.status() == 201);
    let order = ordered.json_path("$.order.id").or("NOT_FOUND")?;

    let echo = Request::get(format!("{}/echo?order={order}", *BASE_URL)).name("/echo?order={id}").send()?;
    check!("order is for the item", echo.json_path("$.query.order").or("")? == format!("order-{item}"));
    Ok(())
}

journey!(order);
