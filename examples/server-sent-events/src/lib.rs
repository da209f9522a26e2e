//! Follows a stream of server-sent events through a connection that breaks, then reads lines of JSON.
//!
//! `BASE_URL` says where (`squall target` has both streams).

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use squall_sdk::events::Request;
use squall_sdk::{Error, check, env_or, events, journey};

static BASE_URL: LazyLock<String> = LazyLock::new(|| env_or("BASE_URL", "http://127.0.0.1:8080"));

/// What the practice server sends.
#[derive(Deserialize)]
struct Tick {
    number: u32,
}

fn follow() -> Result<(), Error> {
    // The server breaks off after four events, and says to come back after 20 ms.
    let mut stream = Request::get(format!("{}/sse?count=10&every=10&drop=4&retry=20", *BASE_URL))
        .name("/sse")
        .reconnect(5)
        .timeout(Duration::from_secs(10))
        .open()?;
    let mut numbers = Vec::new();
    while let Some(event) = stream.next_event()? {
        numbers.push(event.json::<Tick>()?.number);
    }
    let summary = stream.summary()?;
    check!("no event is missing and none came twice", numbers == (1..=10).collect::<Vec<_>>());
    check!("it came back", summary.reconnects > 0);
    check!("the last event is known", summary.last_event_id == "10");
    Ok(())
}

fn read_lines() -> Result<(), Error> {
    let lines = Request::get(format!("{}/jsonl?count=5&every=5", *BASE_URL)).name("/jsonl").json_lines().open()?;
    let ticks = lines.map(|line| line?.json()).collect::<Result<Vec<Tick>, Error>>()?;
    check!("five lines came", ticks.len() == 5);
    Ok(())
}

fn visit() -> Result<(), Error> {
    follow()?;
    read_lines()?;
    // The short form: a GET whose events are read one after another.
    for event in events::open(format!("{}/sse?count=2", *BASE_URL))? {
        check!("it has data", !event?.data.is_empty());
    }
    Ok(())
}

journey!(visit);
