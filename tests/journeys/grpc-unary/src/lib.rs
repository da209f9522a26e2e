//! One unary call of the practice server's echo service, and a check: what the bench measures beside k6's
//! `bench/grpc-unary.js`.

use serde_json::json;
use squall_sdk::grpc::{self, Connection};
use squall_sdk::{Error, check, env};

fn iterate() -> Result<(), Error> {
    let url = env("BASE_URL").ok_or_else(|| Error::new("the variable `BASE_URL` is missing"))?;
    let address = url.strip_prefix("http://").unwrap_or(&url);
    grpc::load(&["echo.proto"])?;
    // The virtual user keeps the connection from one iteration to the next.
    let server = Connection::to(address).plaintext().open()?;
    let answer = server.call("squall.practice.v1.Echo/Say").json(&json!({ "text": "hello" }))?;
    check!("status is OK", answer.is_ok());
    Ok(())
}

squall_sdk::journey! {
    scenarios: { default: iterate },
}
