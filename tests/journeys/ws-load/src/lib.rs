//! One socket per iteration: sends `MESSAGES` texts of `SIZE` bytes and awaits each, then holds the socket for `HOLD` seconds.

use squall_sdk::{Error, env_or, env_seconds, sleep, websocket};

fn load() -> Result<(), Error> {
    let url = env_or("BASE_URL", "ws://127.0.0.1:8080/ws/echo");
    let messages: u32 = env_or("MESSAGES", "1000").parse()?;
    let text = "x".repeat(env_or("SIZE", "100").parse()?);
    let socket = websocket::connect(&url)?;
    for _ in 0..messages {
        socket.send(&text)?;
        if socket.text()?.len() != text.len() {
            return Err(Error::new("what came back is not what was sent"));
        }
    }
    sleep(env_seconds("HOLD").unwrap_or_default());
    socket.close()?;
    Ok(())
}

squall_sdk::journey!(load);
