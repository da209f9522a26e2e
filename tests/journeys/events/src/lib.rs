//! Opens the streams that the variable `STEPS` names, and logs what came of each as JSON.
//!
//! ```json
//! [{ "url": "http://h/sse", "method": "POST", "headers": { "a": "b" }, "body": "text", "timeout_ms": 500, "name": "n",
//!    "tags": { "a": "b" }, "format": "jsonl", "tokens": "openai", "reconnects": 2, "retry_ms": 10, "last_event_id": "7",
//!    "any_content_type": true, "most": 3, "within_ms": 20, "leave": true }]
//! ```
//!
//! `tokens` is `openai`, `anthropic` or `{"text": "/a", "count": "/b"}`. `most` ends after so many events, `within_ms` waits
//! for each event no longer, and counts how often nothing came; `leave` neither reads nor closes the stream. `secret` is a
//! header's value that stands for a secret.
//!
//! Each stream is one line, `answer {"step": 0, "status": 200, "events": [...], "end": "end", "summary": {...}}`; `end` is
//! what ended it: `end`, `most`, or an error.

use std::time::Duration;

use serde_json::{Value, json};
use squall_sdk::events::{Coming, Events, Request, Summary, Tokens};
use squall_sdk::{Error, env, log, secret};

fn follow() -> Result<(), Error> {
    let text = env("STEPS").ok_or_else(|| Error::new("the variable `STEPS` is missing"))?;
    let steps: Vec<Value> = serde_json::from_str(&text)?;
    for (number, step) in steps.iter().enumerate() {
        let mut told = match request(step)?.open() {
            Ok(stream) => read(step, stream)?,
            Err(error) => json!({ "error": format!("{error:?}"), "message": error.to_string() }),
        };
        told["step"] = json!(number);
        log::info(&format!("answer {told}"));
    }
    Ok(())
}

fn read(step: &Value, mut stream: Events) -> Result<Value, Error> {
    let body = String::from_utf8_lossy(stream.body()).into_owned();
    let mut told = json!({
        "status": stream.status(), "streams": stream.is_stream(), "body": body, "waiting": milliseconds(stream.waiting()),
        "content_type": stream.header("content-type"),
    });
    if step["leave"] == true {
        for _ in 0..step["most"].as_u64().unwrap_or(0) {
            stream.next_event()?;
        }
        // What an iteration leaves open the host ends.
        std::mem::forget(stream);
        return Ok(told);
    }
    let most = step["most"].as_u64().unwrap_or(u64::MAX);
    let within = step["within_ms"].as_u64().map(Duration::from_millis);
    let (mut events, mut nothing) = (Vec::new(), 0);
    let end = loop {
        if events.len() as u64 >= most {
            break "most".to_owned();
        }
        let coming = match within {
            Some(within) => stream.next_within(within),
            None => stream.next_event().map(|event| event.map_or(Coming::End, Coming::Event)),
        };
        match coming {
            Ok(Coming::Event(event)) => events.push(json!({
                "id": event.id, "kind": event.kind, "data": shortened(&event.data), "size": event.data.len(),
                "retry": event.retry.map(milliseconds), "arrived": milliseconds(event.arrived),
                "connection": event.connection, "token": event.token,
            })),
            Ok(Coming::Nothing) => nothing += 1,
            Ok(Coming::End) => break "end".to_owned(),
            Err(error) => break format!("{error:?}"),
        }
    };
    told["events"] = json!(events);
    told["end"] = json!(end);
    told["nothing"] = json!(nothing);
    told["summary"] = summary(&stream.summary()?);
    Ok(told)
}

fn summary(summary: &Summary) -> Value {
    json!({
        "events": summary.events,
        "first_event": summary.time_to_first_event.map(milliseconds),
        "last_event": summary.last_event.map(milliseconds),
        "reconnects": summary.reconnects,
        "last_event_id": summary.last_event_id,
        "tokens": summary.tokens,
        "first_token": summary.time_to_first_token.map(milliseconds),
        "tokens_per_second": summary.tokens_per_second,
        "ended": summary.ended,
    })
}

fn request(step: &Value) -> Result<Request<'_>, Error> {
    let text = |name: &str| step[name].as_str();
    let mut request = Request::new(text("method").unwrap_or("GET"), text("url").unwrap_or_default());
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    for (name, value) in step["tags"].as_object().into_iter().flatten() {
        request = request.tag(name, value.as_str().unwrap_or_default());
    }
    if let Some(name) = text("secret") {
        request = request.header("x-secret", secret(name)?);
    }
    if let Some(body) = text("body") {
        request = request.body(body.as_bytes());
    }
    if let Some(timeout) = step["timeout_ms"].as_u64() {
        request = request.timeout(Duration::from_millis(timeout));
    }
    if let Some(name) = text("name") {
        request = request.name(name);
    }
    if text("format") == Some("jsonl") {
        request = request.json_lines();
    }
    request = request.reconnect(step["reconnects"].as_u64().unwrap_or(0) as u32);
    if let Some(retry) = step["retry_ms"].as_u64() {
        request = request.retry(Duration::from_millis(retry));
    }
    if let Some(id) = text("last_event_id") {
        request = request.last_event_id(id);
    }
    if step["any_content_type"] == true {
        request = request.any_content_type();
    }
    Ok(match &step["tokens"] {
        Value::String(name) if name == "openai" => request.tokens(Tokens::OpenAi),
        Value::String(name) if name == "anthropic" => request.tokens(Tokens::Anthropic),
        Value::Object(pointers) => {
            let pointer = |name: &str| pointers.get(name).and_then(Value::as_str);
            let text = pointer("text").unwrap_or_default().into();
            request.tokens(Tokens::At { text, count: pointer("count").map(Into::into) })
        }
        _ => request,
    })
}

/// Log messages are cut, and no test looks at more.
fn shortened(data: &str) -> String {
    data.chars().take(200).collect()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

squall_sdk::journey!(follow);
