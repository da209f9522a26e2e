//! gRPC: calls to the practice server, and peers that misbehave by the frame.

mod calls;
mod hostile;
mod trial;

use serde_json::{Value, json};

use crate::support::{Squall, journey};

/// Prepares one iteration of the journey `grpc`, which does these steps and logs what came of each.
fn grpc(steps: &Value) -> Squall {
    Squall::run(journey("grpc")).grant("STEPS", steps.to_string())
}

/// The step that opens a connection without TLS to where a URL is.
fn connect(url: &str) -> Value {
    json!({ "connect": { "address": address(url), "plaintext": true } })
}

/// Host and port of a URL.
fn address(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}
