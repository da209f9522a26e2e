//! Does on WebSockets what the variable `STEPS` says, and logs what came of each step as JSON: `answer {…}`.
//!
//! ```json
//! [{ "connect": "ws://h/", "headers": {}, "subprotocols": [], "timeout_ms": 100, "max_message": 10, "name": "n", "tags": {} },
//!  { "send": "text" }, { "send_size": 1000 }, { "send_bytes": "text" }, { "ping": "p" }, { "receive": 100 },
//!  { "receive_any": 100 }, { "count": true }, { "close": 1000, "reason": "why" }, { "facts": true }, { "headers": true },
//!  { "drop": true }, { "sleep_ms": 10 }, { "get": "http://h/" }]
//! ```
//!
//! `on` says which socket, counted from 0; the last one where it says nothing. `repeat` does a step several times, `quiet`
//! logs only what went wrong, and `count` receives to the end and says how much came.

use std::time::Duration;

use serde_json::{Value, json};
use squall_sdk::websocket::{self, Connect, Content, Error as Problem, Event, Socket};
use squall_sdk::{Error, env, http, log, sleep, vu};

fn steps() -> Result<(), Error> {
    let steps = env("STEPS").ok_or_else(|| Error::new("the variable `STEPS` is missing"))?;
    let steps: Vec<Value> = serde_json::from_str(&steps)?;
    let mut sockets = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        for _ in 0..step["repeat"].as_u64().unwrap_or(1) {
            let before = vu::now();
            let did = run(&mut sockets, step);
            let failed = did.is_err();
            let mut told = did.unwrap_or_else(|problem| json!({ "error": problem.to_string() }));
            told["step"] = json!(number);
            told["took"] = json!(vu::now().saturating_sub(before).as_secs_f64() * 1e3);
            if failed || step["quiet"] != true {
                log::info(&format!("answer {told}"));
            }
        }
    }
    Ok(())
}

fn run(sockets: &mut Vec<Option<Socket>>, step: &Value) -> Result<Value, Problem> {
    let on = step["on"].as_u64().map_or(sockets.len().saturating_sub(1), |on| on as usize);
    let timeout = |key: &str| step[key].as_u64().map(Duration::from_millis);
    if let Some(url) = step["connect"].as_str() {
        sockets.push(None);
        let socket = connect(url, step).open()?;
        let told = json!({ "connected": true, "subprotocol": socket.subprotocol() });
        *sockets.last_mut().expect("one was pushed") = Some(socket);
        return Ok(told);
    }
    if let Some(milliseconds) = timeout("sleep_ms") {
        sleep(milliseconds);
        return Ok(json!({ "slept": true }));
    }
    if let Some(url) = step["get"].as_str() {
        let got = http::get(url).map_err(|error| Problem::Other(error.to_string()))?;
        return Ok(json!({ "status": got.status() }));
    }
    if step.get("receive_any").is_some() {
        let event = timeout("receive_any").map_or_else(websocket::next, websocket::next_within)?;
        let from = event.as_ref().and_then(|event| {
            sockets.iter().position(|socket| socket.as_ref().is_some_and(|socket| event.is_of(socket)))
        });
        let mut told = shown(event);
        told["from"] = json!(from);
        return Ok(told);
    }
    if step["drop"] == true {
        sockets[on] = None;
        return Ok(json!({ "dropped": on }));
    }
    let socket = sockets.get(on).and_then(Option::as_ref).ok_or(Problem::Closed)?;
    if let Some(text) = step["send"].as_str() {
        socket.send(text)?;
    } else if let Some(text) = step["send_bytes"].as_str() {
        socket.send_bytes(text.as_bytes())?;
    } else if let Some(size) = step["send_size"].as_u64() {
        socket.send(&"x".repeat(size as usize))?;
    } else if let Some(payload) = step["ping"].as_str() {
        socket.ping(payload.as_bytes())?;
    } else if let Some(code) = step["close"].as_u64() {
        socket.say_close(code as u16, step["reason"].as_str().unwrap_or_default())?;
    } else if step.get("receive").is_some() {
        return Ok(shown(timeout("receive").map_or_else(|| socket.next(), |timeout| socket.next_within(timeout))?));
    } else if step["count"] == true {
        return count(socket);
    } else if step["headers"] == true {
        return Ok(json!({ "headers": socket.headers() }));
    } else if step["facts"] == true {
        let facts = socket.facts()?;
        return Ok(json!({
            "phase": format!("{:?}", facts.phase), "held": facts.held, "sent": facts.sent, "received": facts.received,
            "connecting": facts.connecting.as_secs_f64() * 1e3,
        }));
    } else {
        return Err(Problem::Other(format!("nobody knows what to do with {step}")));
    }
    Ok(json!({ "done": true }))
}

fn connect(url: &str, step: &Value) -> Connect {
    let mut connect = Connect::to(url);
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        connect = connect.header(name, value.as_str().unwrap_or_default());
    }
    for name in step["subprotocols"].as_array().into_iter().flatten() {
        connect = connect.subprotocol(name.as_str().unwrap_or_default());
    }
    for (name, value) in step["tags"].as_object().into_iter().flatten() {
        connect = connect.tag(name, value.as_str().unwrap_or_default());
    }
    if let Some(name) = step["name"].as_str() {
        connect = connect.name(name);
    }
    if let Some(timeout) = step["timeout_ms"].as_u64() {
        connect = connect.timeout(Duration::from_millis(timeout));
    }
    if let Some(most) = step["max_message"].as_u64() {
        connect = connect.max_message(most as u32);
    }
    connect
}

/// Receives to the end.
fn count(socket: &Socket) -> Result<Value, Problem> {
    let (mut messages, mut bytes) = (0_u64, 0);
    loop {
        let end = socket.next()?.ok_or(Problem::Timeout)?;
        match &end.content {
            Content::Text(text) => bytes += text.len(),
            Content::Binary(binary) => bytes += binary.len(),
            _ => {
                let mut told = shown(Some(end));
                (told["messages"], told["bytes"]) = (json!(messages), json!(bytes));
                return Ok(told);
            }
        }
        messages += 1;
    }
}

fn shown(event: Option<Event>) -> Value {
    let Some(event) = event else { return json!({ "nothing": true }) };
    let mut told = match event.content {
        Content::Text(text) => json!({ "length": text.len(), "text": text.chars().take(200).collect::<String>() }),
        Content::Binary(bytes) => {
            json!({ "length": bytes.len(), "binary": String::from_utf8_lossy(&bytes[..bytes.len().min(200)]) })
        }
        Content::Pong { payload, round_trip } => {
            json!({ "pong": String::from_utf8_lossy(&payload), "round_trip": round_trip.as_secs_f64() * 1e3 })
        }
        Content::Closed { code, reason } => json!({ "closed": code, "reason": reason }),
        Content::Failed(error) => json!({ "failed": error.to_string() }),
    };
    told["arrived"] = json!(event.arrived.as_secs_f64() * 1e3);
    told["now"] = json!(vu::now().as_secs_f64() * 1e3);
    told
}

squall_sdk::journey!(steps);
