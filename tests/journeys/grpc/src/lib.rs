//! Makes the gRPC calls that the variable `STEPS` asks for, and logs every answer as JSON: what tests of gRPC are written with.
//!
//! `STEPS` is a list of objects. `{vu}` and `{iteration}` in any text of it are the numbers of the VU and the iteration.
//!
//! ```json
//! [{ "load": ["echo.proto"] }, { "load_set": "echo.pb" }, { "methods": true }, { "sleep_ms": 10 },
//!  { "connect": { "address": "127.0.0.1:80", "plaintext": true, "reflect": true, "reflect_metadata": { "a": "b" },
//!                 "timeout_ms": 500, "authority": "h" } },
//!  { "call": "p.S/M", "json": { "a": 1 }, "metadata": { "a": "b" }, "timeout_ms": 500, "name": "n", "tags": { "a": "b" },
//!    "raw_answer": true, "discard": true, "show": ["x-a"], "repeat": 3 },
//!  { "call": "p.S/M", "hex": "0a00" },
//!  { "stream": "p.S/M", "send": [{ "a": 1 }, "0a00"], "pause_ms": 5, "keep_open": true, "receive_ms": 100, "most": 3,
//!    "leave_open": true },
//!  { "close": true }]
//! ```
//!
//! Calls go over the connection that was opened last. A stream sends, says that no more will come (unless it is kept
//! open), and receives to its end, or so many messages, or until nothing comes for so long; then it is cancelled, or left
//! open for the host to end. Messages to be sent are JSON, or bytes where they are a text of hexadecimal digits, or so
//! many zeros where they are a number.
//!
//! Every answer is one line: `answer {"step": 0, "status": 0, "json": {...}, ...}` or `answer {"step": 0, "error": "..."}`.
//! Metadata is in it by the names in `show`.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use squall_sdk::grpc::{self, Answer, Call, Connection, Event, Status, Stream};
use squall_sdk::{Error, env, log, sleep, vu};

/// Log messages are cut at 8 KiB; no test shows more of a message than this, or of each of a stream's.
const SHOWN: usize = 2000;
const SHOWN_OF_EACH: usize = 200;

fn iterate() -> Result<(), Error> {
    let text = env("STEPS").ok_or_else(|| Error::new("the variable `STEPS` is missing"))?;
    let text = text.replace("{vu}", &vu::id().to_string()).replace("{iteration}", &vu::iteration().to_string());
    let steps: Vec<Value> = serde_json::from_str(&text)?;
    let mut connection = None;
    let mut left_open = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        for _ in 0..step["repeat"].as_u64().unwrap_or(1) {
            let told = follow(step, &mut connection, &mut left_open);
            let mut told = told.unwrap_or_else(|error| object(&json!({ "error": error.to_string() })));
            told.insert("step".to_owned(), number.into());
            log::info(&format!("answer {}", Value::Object(told)));
        }
    }
    // Only the host ends them.
    left_open.into_iter().for_each(std::mem::forget);
    Ok(())
}

fn follow(
    step: &Value,
    connection: &mut Option<Connection>,
    left_open: &mut Vec<Stream>,
) -> Result<Map<String, Value>, Error> {
    if let Some(milliseconds) = step["sleep_ms"].as_u64() {
        sleep(Duration::from_millis(milliseconds));
    } else if let Some(files) = step["load"].as_array() {
        grpc::load(&files.iter().filter_map(Value::as_str).collect::<Vec<_>>())?;
    } else if let Some(file) = step["load_set"].as_str() {
        grpc::load_set(file)?;
    } else if step["methods"].is_boolean() {
        return Ok(object(&json!({ "methods": grpc::methods() })));
    } else if step["connect"].is_object() {
        *connection = Some(connect(&step["connect"])?);
    } else if step["close"].is_boolean() {
        connection.take().ok_or_else(|| Error::new("there is no connection"))?.close();
    } else {
        let connection = connection.as_ref().ok_or_else(|| Error::new("there is no connection"))?;
        return match step["stream"].as_str() {
            Some(method) => stream(step, options(step, connection.call(method)), left_open),
            None => unary(step, options(step, connection.call(step["call"].as_str().unwrap_or_default()))),
        };
    }
    Ok(Map::new())
}

fn connect(step: &Value) -> Result<Connection, Error> {
    let mut connect = Connection::to(step["address"].as_str().unwrap_or_default());
    if step["plaintext"] == true {
        connect = connect.plaintext();
    }
    if step["reflect"] == true {
        connect = connect.reflect();
    }
    for (name, value) in pairs(&step["reflect_metadata"]) {
        connect = connect.reflect_metadata(name, value);
    }
    if let Some(limit) = milliseconds(&step["timeout_ms"]) {
        connect = connect.timeout(limit);
    }
    if let Some(name) = step["authority"].as_str() {
        connect = connect.authority(name.to_owned());
    }
    connect.open()
}

fn options<'a>(step: &Value, mut call: Call<'a>) -> Call<'a> {
    for (name, value) in pairs(&step["metadata"]) {
        call = call.metadata(name, value);
    }
    for (name, value) in pairs(&step["tags"]) {
        call = call.tag(name, value);
    }
    if let Some(limit) = milliseconds(&step["timeout_ms"]) {
        call = call.timeout(limit);
    }
    if let Some(name) = step["name"].as_str() {
        call = call.name(name.to_owned());
    }
    if step["discard"] == true {
        call = call.discard_messages();
    }
    if step["raw_answer"] == true {
        call = call.raw_answer();
    }
    call
}

fn unary(step: &Value, call: Call<'_>) -> Result<Map<String, Value>, Error> {
    let answer = match step["hex"].as_str() {
        Some(hex) => call.raw(&bytes(hex)?)?,
        None => call.json(&step["json"])?,
    };
    let mut told = status(answer.status());
    if let Some(text) = answer.json() {
        told.insert("json".to_owned(), shown(text, SHOWN));
    }
    if let Some(bytes) = answer.bytes() {
        told.insert("hex".to_owned(), hex(bytes, SHOWN).into());
    }
    told.insert("duration".to_owned(), (answer.duration().as_secs_f64() * 1e3).into());
    let look_up = |of: fn(&Answer, &str) -> Option<String>| metadata(step, |name| of(&answer, name));
    told.insert("headers".to_owned(), look_up(|answer, name| answer.header(name).map(str::to_owned)));
    told.insert("trailers".to_owned(), look_up(|answer, name| answer.trailer(name).map(str::to_owned)));
    Ok(told)
}

fn stream(step: &Value, call: Call<'_>, left_open: &mut Vec<Stream>) -> Result<Map<String, Value>, Error> {
    let mut stream = call.stream()?;
    let mut told = Map::new();
    for message in step["send"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let sent = match message {
            Value::String(hex) => stream.send_raw(&bytes(hex)?),
            Value::Number(size) => stream.send_raw(&vec![0; size.as_u64().unwrap_or_default() as usize]),
            message => stream.send(message),
        };
        if let Err(error) = sent {
            told.insert("send_error".to_owned(), error.to_string().into());
            break;
        }
        if let Some(pause) = milliseconds(&step["pause_ms"]) {
            sleep(pause);
        }
    }
    if step["keep_open"] != true {
        stream.end()?;
    }
    let most = step["most"].as_u64().map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let (mut messages, mut arrived) = (Vec::new(), Vec::new());
    while messages.len() < most {
        let Some(event) = stream.receive(milliseconds(&step["receive_ms"]))? else {
            told.insert("nothing_came".to_owned(), true.into());
            break;
        };
        match event {
            Event::Headers(_) => {}
            Event::Json(text) => messages.push(shown(&text, SHOWN_OF_EACH)),
            Event::Raw(bytes) => messages.push(hex(&bytes, SHOWN_OF_EACH).into()),
            Event::End(end) => {
                told.append(&mut status(&end));
                break;
            }
        }
        arrived.push(Value::from(stream.arrived().as_secs_f64() * 1e3));
    }
    told.insert("count".to_owned(), messages.len().into());
    messages.truncate(20);
    told.insert("messages".to_owned(), messages.into());
    arrived.truncate(20);
    told.insert("arrived".to_owned(), arrived.into());
    told.insert("headers".to_owned(), metadata(step, |name| stream.header(name).map(str::to_owned)));
    told.insert("trailers".to_owned(), metadata(step, |name| stream.trailer(name).map(str::to_owned)));
    if step["leave_open"] == true {
        left_open.push(stream);
    }
    Ok(told)
}

fn status(status: &Status) -> Map<String, Value> {
    let mut told = object(&json!({
        "status": status.code().number(),
        "message": status.message().chars().take(SHOWN).collect::<String>(),
        "details": hex(status.details(), SHOWN),
    }));
    if let Some(failure) = status.failure() {
        told.insert("failure".to_owned(), failure.to_string().into());
    }
    told
}

/// The metadata that is to be shown.
fn metadata(step: &Value, look_up: impl Fn(&str) -> Option<String>) -> Value {
    let names = step["show"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = names.iter().filter_map(|name| Some((name.as_str()?.to_owned(), look_up(name.as_str()?)?.into())));
    Value::Object(found.collect())
}

/// A message as JSON, or the beginning of its text where it is long.
fn shown(text: &str, most: usize) -> Value {
    let short = || text.chars().take(most).collect::<String>().into();
    if text.len() > most { short() } else { serde_json::from_str(text).unwrap_or_else(|_| short()) }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}

fn bytes(hex: &str) -> Result<Vec<u8>, Error> {
    let pair = |at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or("?"), 16);
    (0..hex.len()).step_by(2).map(pair).collect::<Result<_, _>>().map_err(|_| Error::new("not hexadecimal digits"))
}

fn hex(bytes: &[u8], most: usize) -> String {
    bytes.iter().take(most / 2).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

squall_sdk::journey! {
    scenarios: { default: iterate },
}
