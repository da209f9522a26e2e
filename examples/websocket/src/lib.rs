//! A chat over WebSocket: talks on one socket, listens to another at the same time, pings, and says goodbye.
//!
//! ```text
//! squall target --listen 127.0.0.1:8080
//! squall run websocket.wasm --vus 10 --duration 10s --env BASE_URL=ws://127.0.0.1:8080
//! ```

use std::time::Duration;

use squall_sdk::websocket::{self, Connect, Content};
use squall_sdk::{Error, check, env_or};

fn chat() -> Result<(), Error> {
    let base = env_or("BASE_URL", "ws://127.0.0.1:8080");
    let chat = Connect::to(format!("{base}/ws/echo")).subprotocol("chat").name("chat").open()?;
    check!("the server speaks our subprotocol", chat.subprotocol() == "chat");

    // A question, and its answer.
    chat.send("hello")?;
    check!("the answer is what was asked", chat.text()? == "hello");

    // Another socket has news now and then; what comes first goes first, whichever socket it comes on.
    let news = Connect::to(format!("{base}/ws/ticks?every=10ms&count=3")).name("news").open()?;
    chat.send_bytes(&[1, 2, 3])?;
    chat.ping(b"are you there?")?;
    let (mut ticks, mut answers, mut pongs) = (0, 0, 0);
    while ticks < 3 || answers < 1 || pongs < 1 {
        let Some(event) = websocket::next_within(Duration::from_secs(5))? else {
            return Err(Error::new("nothing came for 5 seconds"));
        };
        match event.content {
            Content::Text(_) if event.is_of(&news) => ticks += 1,
            Content::Binary(bytes) if event.is_of(&chat) && bytes == [1, 2, 3] => answers += 1,
            Content::Pong { .. } => pongs += 1,
            other => return Err(Error::new(format!("nobody expected {other:?}"))),
        }
    }
    check!("all news came", ticks == 3);

    // The server closes the one; the journey closes the other.
    let end = news.next()?.map(|event| event.content);
    check!("the news end with code 1000", matches!(end, Some(Content::Closed { code: 1000, .. })));
    chat.close()?;
    Ok(())
}

squall_sdk::journey!(chat);
