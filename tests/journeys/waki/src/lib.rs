//! Does what the variable `STEPS` says through `wasi:http`, and logs every answer as JSON: what tests of that are written
//! with. The client is `waki`, as any program would use it, and for what that cannot do the bindings under it.
//!
//! `STEPS` is a list of objects. `{vu}` and `{iteration}` in any text of it are the numbers of the VU and the iteration.
//! A step is a request by the client, several requests at once by the bindings, or a wait by WASI's clock:
//!
//! ```json
//! [{ "url": "http://h/", "method": "POST", "headers": { "a": "b" }, "body": "text", "repeat": 2 },
//!  { "at_once": [{ "url": "http://h/1", "pieces": ["text", 1000000], "length": 1000004, "read": 10 }] },
//!  { "sleep_ms": 10 }]
//! ```
//!
//! A piece is a text, or so many bytes. `length` announces them all. `connect_ms`, `first_byte_ms` and
//! `between_bytes_ms` are a request's timeouts. `read` reads no more than so many bytes of an answer. `leave` says what is
//! left open beyond the iteration: `answer` for one that nobody waits for, `body` for one of which `read` bytes were read,
//! `upload` for a body that was not finished.
//!
//! Every answer is one line, `answer {"step": 0, "status": 200, ...}` or `answer {"step": 0, "error": "..."}`.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use squall_sdk::{Error, env, log, vu};
use waki::bindings::wasi::http::outgoing_handler::handle;
use waki::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, InputStream, Method, OutgoingBody,
    OutgoingRequest, OutputStream, RequestOptions, Scheme,
};
use waki::bindings::wasi::io::poll::poll;
use waki::bindings::wasi::io::streams::StreamError;
use waki::{Client, RequestBuilder};

/// No test shows more of a body than this.
const SHOWN: usize = 300;
/// What is written and read at once, in bytes.
const AT_ONCE: usize = 64 << 10;

thread_local! {
    static LEFT: RefCell<Vec<Left>> = const { RefCell::new(Vec::new()) };
}

/// What is kept open beyond an iteration.
#[expect(dead_code, reason = "kept, and never looked at")]
enum Left {
    Answer(FutureIncomingResponse),
    Body(InputStream, IncomingBody, IncomingResponse),
    Upload(OutputStream, OutgoingBody, FutureIncomingResponse),
}

fn go() -> Result<(), Error> {
    let text = env("STEPS").ok_or_else(|| Error::new("the variable `STEPS` is missing"))?;
    let text = text.replace("{vu}", &vu::id().to_string()).replace("{iteration}", &vu::iteration().to_string());
    let steps: Vec<Value> = serde_json::from_str(&text)?;
    for (number, step) in steps.iter().enumerate() {
        for _ in 0..step["repeat"].as_u64().unwrap_or(1) {
            if let Some(milliseconds) = step["sleep_ms"].as_u64() {
                std::thread::sleep(Duration::from_millis(milliseconds));
            } else if let Some(requests) = step["at_once"].as_array() {
                at_once(number, requests);
            } else {
                tell(number, by_client(step));
            }
        }
    }
    Ok(())
}

fn tell(number: usize, told: Result<Value, String>) {
    let mut told = told.unwrap_or_else(|error| json!({ "error": error }));
    told["step"] = json!(number);
    log::info(&format!("answer {told}"));
}

/// A request as any program makes it.
fn by_client(step: &Value) -> Result<Value, String> {
    let url = step["url"].as_str().unwrap_or_default();
    let mut request: RequestBuilder = Client::new().request(method(step), url);
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        let name = waki::header::HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if let Some(body) = step["body"].as_str() {
        request = request.body(body.as_bytes().to_vec());
    }
    let response = request.send().map_err(|error| format!("{error:#}"))?;
    let status = response.status_code();
    let headers: serde_json::Map<_, _> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let body = response.body().map_err(|error| format!("{error:#}"))?;
    let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    Ok(
        json!({ "status": status, "length": body.len(), "sum": sum(0x811c_9dc5, &body), "body": shown, "headers": headers }),
    )
}

fn method(step: &Value) -> Method {
    match step["method"].as_str() {
        None | Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("DELETE") => Method::Delete,
        Some(other) => Method::Other(other.to_owned()),
    }
}

/// Starts all requests before it waits for the first, and tells of each as its head comes.
fn at_once(number: usize, requests: &[Value]) {
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for request in requests {
        match start(request) {
            Ok(Some(future)) => waiting.push((request, future)),
            Ok(None) => {}
            Err(error) => tell(number, Err(error)),
        }
    }
    while !waiting.is_empty() {
        let pollables: Vec<_> = waiting.iter().map(|(_, future)| future.subscribe()).collect();
        let mut ready = poll(&pollables.iter().collect::<Vec<_>>());
        drop(pollables);
        ready.sort_unstable();
        for at in ready.into_iter().rev() {
            let (request, future) = waiting.swap_remove(at as usize);
            let answer = future.get().expect("it is ready").expect("it is asked once");
            let told = answer.map_err(|error| named(&error)).and_then(|answer| read(request, answer));
            tell(
                number,
                told.map(|mut told| {
                    told["url"] = request["url"].clone();
                    told["after_ms"] = json!(begun.elapsed().as_secs_f64() * 1e3);
                    told
                })
                .map_err(|error| format!("{error} ({:.0} ms)", begun.elapsed().as_secs_f64() * 1e3)),
            );
        }
    }
}

/// Starts a request and writes its body; `None` where its answer is not waited for.
fn start(step: &Value) -> Result<Option<FutureIncomingResponse>, String> {
    let headers = Fields::new();
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().as_bytes().to_vec();
        headers.append(name, &value).map_err(|error| format!("{error:?}"))?;
    }
    if let Some(length) = step["length"].as_u64() {
        headers
            .append(&"content-length".to_owned(), &length.to_string().into_bytes())
            .map_err(|error| format!("{error:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let url = step["url"].as_str().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_method(&method(step)).map_err(|()| "a bad method")?;
    request.set_scheme(Some(&scheme)).map_err(|()| "a bad scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "a bad authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "a bad path")?;
    let pieces = step["pieces"].as_array();
    let body = pieces.map(|_| request.body().map_err(|()| "no body")).transpose()?;
    let options = RequestOptions::new();
    let timeout = |name: &str| step[name].as_u64().map(|milliseconds| milliseconds * 1_000_000);
    let _ = options.set_connect_timeout(timeout("connect_ms"));
    let _ = options.set_first_byte_timeout(timeout("first_byte_ms"));
    let _ = options.set_between_bytes_timeout(timeout("between_bytes_ms"));
    let future = handle(request, Some(options)).map_err(|error| named(&error))?;
    if let (Some(body), Some(pieces)) = (body, pieces) {
        let stream = body.write().map_err(|()| "no stream")?;
        let written = pieces.iter().try_for_each(|piece| write(&stream, piece));
        if step["leave"] == "upload" {
            LEFT.with_borrow_mut(|left| left.push(Left::Upload(stream, body, future)));
            return Ok(None);
        }
        drop(stream);
        // What went wrong is in the answer's place.
        if written.is_ok()
            && let Err(error) = OutgoingBody::finish(body, None)
        {
            return Err(named(&error));
        }
    }
    if step["leave"] == "answer" {
        LEFT.with_borrow_mut(|left| left.push(Left::Answer(future)));
        return Ok(None);
    }
    Ok(Some(future))
}

fn write(stream: &OutputStream, piece: &Value) -> Result<(), StreamError> {
    let bytes = match piece {
        Value::String(text) => text.as_bytes().to_vec(),
        size => vec![b'x'; AT_ONCE.min(size.as_u64().unwrap_or_default() as usize)],
    };
    let mut left = piece.as_u64().unwrap_or(bytes.len() as u64);
    let ready = stream.subscribe();
    while left > 0 {
        ready.block();
        let room = stream.check_write()?;
        let now = room.min(left).min(bytes.len() as u64);
        stream.write(&bytes[..now as usize])?;
        left -= now;
    }
    Ok(())
}

/// Reads an answer to its end, or as much of it as is wanted.
fn read(step: &Value, answer: IncomingResponse) -> Result<Value, String> {
    let most = step["read"].as_u64().unwrap_or(u64::MAX);
    let body = answer.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let (mut length, mut total, mut shown) = (0, 0x811c_9dc5, Vec::new());
    let mut error = Value::Null;
    while length < most {
        match stream.blocking_read((most - length).min(AT_ONCE as u64)) {
            Ok(bytes) => {
                length += bytes.len() as u64;
                total = sum(total, &bytes);
                shown.extend_from_slice(&bytes[..bytes.len().min(SHOWN - shown.len())]);
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(failed)) => {
                error = json!(failed.to_debug_string());
                break;
            }
        }
    }
    let shown = String::from_utf8_lossy(&shown);
    let told = json!({ "status": answer.status(), "length": length, "sum": total, "body": shown, "body_error": error });
    if step["leave"] == "body" {
        LEFT.with_borrow_mut(|left| left.push(Left::Body(stream, body, answer)));
    }
    Ok(told)
}

fn named(error: &ErrorCode) -> String {
    format!("{error:?}")
}

/// FNV-1a, going on from `sum`.
fn sum(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

squall_sdk::journey! {
    scenarios: { default: go },
}
