//! How a call ends, as headers.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::wire::Ending;

/// How a call ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
    pub(super) details: Vec<u8>,
}

impl Status {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// Puts it into trailers, or into headers where there is nothing else.
    pub(super) fn put(&self, into: &mut HeaderMap) {
        into.insert("grpc-status", HeaderValue::from(self.code));
        if !self.message.is_empty() {
            into.insert("grpc-message", encoded(&self.message));
        }
        if !self.details.is_empty() {
            let details = STANDARD_NO_PAD.encode(&self.details);
            let details = HeaderValue::from_str(&details).expect("base64 is visible ASCII");
            into.insert("grpc-status-details-bin", details);
        }
    }

    /// An answer of nothing but this.
    pub(super) fn alone(&self) -> Response {
        let mut response = head();
        self.put(response.headers_mut());
        response
    }
}

impl From<Ending> for Status {
    fn from(ending: Ending) -> Self {
        Self { code: ending.code, message: ending.message, details: ending.details }
    }
}

/// An answer's beginning.
pub(super) fn head() -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// Copies metadata.
pub(super) fn copy(metadata: &[(HeaderName, HeaderValue)], into: &mut HeaderMap) {
    for (name, value) in metadata {
        into.append(name.clone(), value.clone());
    }
}

/// The words of a status, percent-encoded as the specification has it.
fn encoded(message: &str) -> HeaderValue {
    let mut text = String::new();
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a text grows"),
        }
    }
    HeaderValue::from_str(&text).expect("it is visible ASCII")
}
