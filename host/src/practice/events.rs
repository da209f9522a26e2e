//! Answers that are streams of events, each at its time: server-sent events, lines of JSON, the tokens of a chat.
//!
//! Each event says at which millisecond of the answer it was sent (`sent`), so that whoever reads it can tell how long it
//! was on its way.

use std::fmt::Write as _;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, StatusCode};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{Request, bad, json as json_answer, query};

/// The most events of a stream.
const MAX_EVENTS: u32 = 1_000_000;
/// The longest wait between two events, in milliseconds.
const MAX_WAIT: u64 = 600_000;
/// From the last event to the end of a connection that breaks off.
const BREATH: Duration = Duration::from_millis(10);
/// What the tokens of a chat are made of.
const WORDS: &[&str] = &["The", " storm", " came", " at", " night", ",", " and", " nobody", " slept", "."];

/// When the events of a stream are due, and which.
#[derive(Debug, Clone, Copy)]
struct Script {
    /// Milliseconds before the first event.
    first: u64,
    /// Milliseconds between two events.
    every: u64,
    /// The number of the next event, from 1.
    next: u32,
    /// The number of the last one.
    last: u32,
    /// The connection breaks off after so many.
    drop: Option<u32>,
}

/// A body whose parts come when they are due.
struct Timed<F> {
    script: Script,
    began: Instant,
    sent: u32,
    timer: Pin<Box<Sleep>>,
    /// Writes the event of a number, given the milliseconds since the answer began.
    event: F,
    /// What follows the last event.
    end: Option<Bytes>,
}

/// `/sse`: goes on after `Last-Event-ID`, and answers 204 where nothing is left.
pub(super) fn server_sent(request: &Request<'_>) -> Response {
    let mut script = match Script::of(request, 10) {
        Ok(script) => script,
        Err(message) => return bad(message),
    };
    let seen = request.parts.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u32>().ok());
    script.next = seen.map_or(1, |seen| seen.saturating_add(1));
    if seen.is_some() && script.next > script.last {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    let retry = number(request, "retry").map(|retry| format!("retry: {retry}\n")).unwrap_or_default();
    let kind = text(request, "event").map(|kind| format!("event: {}\n", kind.replace(['\r', '\n'], " ")));
    let kind = kind.unwrap_or_default();
    let event = move |number: u32, at: f64| {
        let data = json!({ "number": number, "sent": at });
        format!("{retry}{kind}id: {number}\ndata: {data}\n\n")
    };
    stream("text/event-stream", Timed::new(script, event, None))
}

/// `/jsonl`: a line for each event.
pub(super) fn json_lines(request: &Request<'_>) -> Response {
    match Script::of(request, 10) {
        Ok(script) => {
            let event = |number: u32, at: f64| format!("{}\n", json!({ "number": number, "sent": at }));
            stream("application/x-ndjson", Timed::new(script, event, None))
        }
        Err(message) => bad(message),
    }
}

/// `/v1/chat/completions`: a token for each event, then why it ends, then what it cost if that was asked for.
pub(super) fn chat(request: &Request<'_>) -> Response {
    let Ok(asked) = serde_json::from_slice::<Value>(&request.body) else { return bad("the body is not JSON") };
    let wanted = asked["max_tokens"].as_u64().or(asked["max_completion_tokens"].as_u64());
    let wanted = wanted.and_then(|wanted| u32::try_from(wanted).ok()).unwrap_or(WORDS.len() as u32);
    let mut script = match Script::of(request, wanted) {
        Ok(script) => script,
        Err(message) => return bad(message),
    };
    script.last = number(request, "tokens").and_then(|tokens| u32::try_from(tokens).ok()).unwrap_or(script.last);
    let (last, model) = (script.last.min(MAX_EVENTS), asked["model"].as_str().unwrap_or("practice").to_owned());
    script.last = last;
    let usage = json!({ "prompt_tokens": 8, "completion_tokens": last, "total_tokens": u64::from(last) + 8 });
    if asked["stream"] != Value::Bool(true) {
        let content: String = (0..last.min(10_000)).map(word).collect();
        let message = json!({ "role": "assistant", "content": content });
        let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
        let answer = json!({
            "id": "chatcmpl-practice", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage,
        });
        return json_answer(StatusCode::OK, &answer);
    }
    let chunk = move |delta: Value, finish: Value, at: Option<f64>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let chunk = json!({
            "id": "chatcmpl-practice", "object": "chat.completion.chunk", "model": model, "sent": at, "choices": [choice],
        });
        format!("data: {chunk}\n\n")
    };
    let mut end = chunk(json!({}), json!("stop"), None);
    if asked["stream_options"]["include_usage"] == Value::Bool(true) {
        let chunk = json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage });
        let _ = write!(end, "data: {chunk}\n\n");
    }
    end.push_str("data: [DONE]\n\n");
    let event = move |number: u32, at: f64| chunk(json!({ "content": word(number - 1) }), Value::Null, Some(at));
    stream("text/event-stream", Timed::new(script, event, Some(Bytes::from(end))))
}

fn word(index: u32) -> &'static str {
    WORDS[index as usize % WORDS.len()]
}

fn stream<F>(content_type: &'static str, body: Timed<F>) -> Response
where
    F: Fn(u32, f64) -> String + Send + Unpin + 'static,
{
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What stands between is not to collect events (nginx).
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn text(request: &Request<'_>, name: &str) -> Option<String> {
    query(request).find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
}

fn number(request: &Request<'_>, name: &str) -> Option<u64> {
    text(request, name)?.parse().ok()
}

impl Script {
    fn of(request: &Request<'_>, count: u32) -> Result<Self, &'static str> {
        let number = |name: &str, default: u64, most: u64| match text(request, name) {
            None => Some(default),
            Some(text) => text.parse().ok().filter(|number| *number <= most),
        };
        let every = number("every", 0, MAX_WAIT).ok_or("`every` is not a number of milliseconds up to 600000")?;
        let first = number("first", every, MAX_WAIT).ok_or("`first` is not a number of milliseconds up to 600000")?;
        let count = number("count", count.into(), MAX_EVENTS.into()).ok_or("`count` is not a number up to 1000000")?;
        let drop = number("drop", u64::MAX, u64::MAX).ok_or("`drop` is not a number of events")?;
        let narrow = |number: u64| u32::try_from(number).ok();
        Ok(Self { first, every, next: 1, last: narrow(count).unwrap_or(MAX_EVENTS), drop: narrow(drop) })
    }
}

impl<F: Fn(u32, f64) -> String> Timed<F> {
    fn new(script: Script, event: F, end: Option<Bytes>) -> Self {
        let began = Instant::now();
        let timer = Box::pin(sleep_until(began + Duration::from_millis(script.first)));
        Self { script, began, sent: 0, timer, event, end }
    }
}

impl<F: Fn(u32, f64) -> String + Unpin> http_body::Body for Timed<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.script.drop.is_some_and(|most| self.sent >= most) {
            // What was written is on its way by then; else it would be lost with the connection.
            ready!(self.timer.as_mut().poll(context));
            return Poll::Ready(Some(Err(io::Error::other("broken off, as ordered"))));
        }
        if self.script.next > self.script.last {
            return Poll::Ready(self.end.take().map(|end| Ok(Frame::data(end))));
        }
        ready!(self.timer.as_mut().poll(context));
        let at = self.began.elapsed().as_secs_f64() * 1e3;
        let event = (self.event)(self.script.next, at);
        self.script.next += 1;
        self.sent += 1;
        // Due times come from the begin alone, so that a late event does not make those after it late.
        let due = self.script.first + u64::from(self.sent) * self.script.every;
        let mut due = self.began + Duration::from_millis(due);
        if self.script.drop == Some(self.sent) {
            due = Instant::now() + BREATH;
        }
        self.timer.as_mut().reset(due);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }
}
