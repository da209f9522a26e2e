//! gRPC: a unary call, a stream of numbers, and a chat in both directions.
//!
//! ```sh
//! squall target --listen 127.0.0.1:8080
//! squall run target/journeys/grpc-echo.wasm --file echo.proto=examples/grpc-echo/echo.proto --env GRPC_ADDR=127.0.0.1:8080
//! ```
//!
//! The methods are those of `echo.proto`, which is compiled when the run starts. With [`Connect::reflect`] the server
//! would be asked for them instead.
//!
//! [`Connect::reflect`]: squall_sdk::grpc::Connect::reflect

use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use squall_sdk::grpc::{self, Code, Connection};
use squall_sdk::metric::Trend;
use squall_sdk::{Error, check, env_or, journey};

static ECHO_TIME: Trend = Trend::time("chat_echo_time");

static ADDRESS: LazyLock<String> = LazyLock::new(|| env_or("GRPC_ADDR", "127.0.0.1:8080"));

#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
}

fn talk() -> Result<(), Error> {
    grpc::load(&["echo.proto"])?;
    // The connection is opened once for each virtual user and waits for the next iteration.
    let server = Connection::to(ADDRESS.as_str()).plaintext().open()?;

    let said =
        server.call("squall.practice.v1.Echo/Say").metadata("x-user", "ada").json(&json!({ "text": "hello" }))?;
    check!("the text came back", said.is_ok() && said.message::<Line>()?.text == "hello");

    let missing = json!({ "ending": { "code": 5, "message": "no such thing" } });
    let missing = server.call("squall.practice.v1.Echo/Say").name("missing").json(&missing)?;
    check!("what is not there is not found", missing.status().code() == Code::NOT_FOUND);

    let mut numbers = server.call("squall.practice.v1.Echo/Count").timeout(Duration::from_secs(5)).stream()?;
    numbers.send(&json!({ "to": 5 }))?;
    numbers.end()?;
    let mut sum = 0;
    while let Some(number) = numbers.message::<serde_json::Value>()? {
        sum += number["number"].as_u64().unwrap_or_default();
    }
    check!("five numbers came", sum == 15);

    let mut chat = server.call("squall.practice.v1.Echo/Chat").timeout(Duration::from_secs(5)).stream()?;
    let mut before = Duration::ZERO;
    for word in ["one", "two", "three"] {
        chat.send(&Line { text: word.to_owned() })?;
        let answer = chat.message::<Line>()?;
        check!("the word came back", answer.is_some_and(|line| line.text == word));
        ECHO_TIME.add(chat.arrived().saturating_sub(before));
        before = chat.arrived();
    }
    chat.end()?;
    check!("the chat ended well", chat.message::<Line>()?.is_none());
    Ok(())
}

journey!(talk);
