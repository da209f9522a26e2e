//! How a call begins: the head of its request.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use tokio::time::Instant;

use super::metadata::Metadata;
use crate::protocol::Error;

/// The longest deadline that eight digits of microseconds can tell.
const IN_MICROSECONDS: Duration = Duration::from_micros(99_999_999);
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What begins a call.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// Where the method is.
    pub uri: &'a Uri,
    /// What goes with it.
    pub metadata: &'a Metadata,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// The largest message that is taken, in bytes.
    pub limit: u64,
    /// Whether messages are thrown away, unread.
    pub discard: bool,
}

impl Head<'_> {
    /// Makes the head of the request.
    pub(super) fn request(&self, user_agent: &str) -> Result<Request<()>, Error> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        let mut headers = HeaderMap::with_capacity(self.metadata.0.len() + 5);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let value = HeaderValue::from_maybe_shared(Bytes::from(timeout(left)));
            headers.insert(GRPC_TIMEOUT, value.expect("digits and a letter are a header's value"));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity, deflate, gzip"));
        if !user_agent.is_empty() && !self.metadata.0.contains_key(USER_AGENT) {
            let agent = HeaderValue::from_str(user_agent)
                .map_err(|_| Error::InvalidRequest(format!("`{user_agent}` is not a user agent")))?;
            headers.insert(USER_AGENT, agent);
        }
        for (name, value) in &self.metadata.0 {
            headers.append(name, value.clone());
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Whether a content type is gRPC's: itself, or with what the messages are made of behind `+` or `;`.
pub(super) fn is_grpc(kind: &[u8]) -> bool {
    const NAME: &[u8] = b"application/grpc";
    let Some((name, rest)) = kind.split_at_checked(NAME.len()) else { return false };
    name.eq_ignore_ascii_case(NAME) && matches!(rest, [] | [b'+' | b';', ..])
}

/// A timeout as `grpc-timeout` has it: at most eight digits and a unit, and never less than there is.
fn timeout(left: Duration) -> String {
    if left <= IN_MICROSECONDS {
        return format!("{}u", left.as_nanos().div_ceil(1_000).max(1));
    }
    format!("{}m", left.as_nanos().div_ceil(1_000_000).min(99_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_eight_digits_at_most() {
        for (left, text) in [
            (Duration::ZERO, "1u"),
            (Duration::from_nanos(1), "1u"),
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_hours(24), "86400000m"),
            (Duration::from_hours(100_000), "99999999m"),
        ] {
            assert_eq!(timeout(left), text);
        }
    }

    #[test]
    fn a_content_type_is_grpcs_or_not() {
        for good in ["application/grpc", "application/grpc+proto", "Application/gRPC;charset=utf-8"] {
            assert!(is_grpc(good.as_bytes()), "{good}");
        }
        for bad in ["", "application/grpc-web", "application/json", "text/html", "application/grp"] {
            assert!(!is_grpc(bad.as_bytes()), "{bad}");
        }
    }
}
