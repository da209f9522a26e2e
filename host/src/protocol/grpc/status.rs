//! How a call ended: what the server said of it, or what the specification gives to what happened instead
//! ("gRPC over HTTP2", "HTTP to gRPC Status Code Mapping").

use ::h2::Reason;
use base64::Engine as _;
use http::{HeaderMap, StatusCode};

use super::metadata::LENIENT;
use crate::protocol::Error;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The status code.
    pub code: Code,
    /// The server's words, or ours where it had none.
    pub message: String,
    /// `grpc-status-details-bin`, decoded.
    pub details: Vec<u8>,
    /// What happened where the server sent no status.
    pub cause: Option<Error>,
}

/// A status code. Servers may send others than those that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

impl Code {
    /// All went well.
    pub const OK: Self = Self(0);
    /// The call was given up.
    pub const CANCELLED: Self = Self(1);
    /// Nobody knows.
    pub const UNKNOWN: Self = Self(2);
    /// Not within the deadline.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// The caller may not do that.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// Something is used up.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// There is no such method.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// Something is broken.
    pub const INTERNAL: Self = Self(13);
    /// The server cannot be used now.
    pub const UNAVAILABLE: Self = Self(14);
    /// Nobody knows who the caller is.
    pub const UNAUTHENTICATED: Self = Self(16);
}

impl Status {
    /// A status of our own making.
    pub(super) fn of(code: Code, cause: Error) -> Self {
        Self { code, message: cause.to_string(), details: Vec::new(), cause: Some(cause) }
    }

    /// A peer that does not speak gRPC as it is written.
    pub(super) fn wrong(code: Code, what: impl Into<String>) -> Self {
        Self::of(code, Error::Protocol(what.into()))
    }

    /// The time is up.
    pub(super) fn too_late() -> Self {
        Self { message: "the deadline is over".to_owned(), ..Self::of(Code::DEADLINE_EXCEEDED, Error::Timeout) }
    }

    /// What the server says in its trailers; `None` where it says nothing.
    pub(super) fn from_trailers(trailers: &HeaderMap) -> Option<Self> {
        let said = trailers.get("grpc-status")?;
        let code = said.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(code) = code.and_then(|text| text.parse().ok()) else {
            let said = String::from_utf8_lossy(said.as_bytes());
            let said = said.chars().take(20).collect::<String>();
            return Some(Self::wrong(Code::UNKNOWN, format!("`grpc-status` is `{said}`, which is no number")));
        };
        let message = trailers.get("grpc-message").map(|text| percent_decoded(text.as_bytes())).unwrap_or_default();
        let details = trailers.get("grpc-status-details-bin");
        let details = details.and_then(|text| LENIENT.decode(text.as_bytes()).ok()).unwrap_or_default();
        Some(Self { code: Code(code), message, details, cause: None })
    }

    /// What an answer of plain HTTP stands for.
    pub(super) fn from_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => Code::INTERNAL,
            401 => Code::UNAUTHENTICATED,
            403 => Code::PERMISSION_DENIED,
            404 => Code::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Code::UNAVAILABLE,
            _ => Code::UNKNOWN,
        };
        Self::wrong(code, format!("the server answered with HTTP status {}", status.as_u16()))
    }

    /// What a stream that broke stands for. `cause` is the error in our words.
    pub(super) fn from_broken(error: &::h2::Error, cause: Error) -> Self {
        let code = match error.reason() {
            Some(reason) if error.is_reset() => from_reset(reason),
            // The connection is gone, or the server has said goodbye.
            _ => Code::UNAVAILABLE,
        };
        Self::of(code, cause)
    }
}

/// What `RST_STREAM` stands for.
fn from_reset(reason: Reason) -> Code {
    match reason {
        Reason::REFUSED_STREAM => Code::UNAVAILABLE,
        Reason::CANCEL => Code::CANCELLED,
        Reason::ENHANCE_YOUR_CALM => Code::RESOURCE_EXHAUSTED,
        Reason::INADEQUATE_SECURITY => Code::PERMISSION_DENIED,
        Reason::STREAM_CLOSED | Reason::HTTP_1_1_REQUIRED => Code::UNKNOWN,
        reason if u32::from(reason) > u32::from(Reason::HTTP_1_1_REQUIRED) => Code::UNKNOWN,
        _ => Code::INTERNAL,
    }
}

/// Undoes the percent-encoding of `grpc-message`. What is not encoded as it should be stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn trailers_say_how_a_call_ended() {
        let status = Status::from_trailers(&trailers(&[
            ("grpc-status", "8"),
            ("grpc-message", "100%25 voll: %C3%A4%zz%4"),
            ("grpc-status-details-bin", "CAg"),
        ]));
        let status = status.unwrap();
        assert_eq!((status.code, status.message.as_str()), (Code::RESOURCE_EXHAUSTED, "100% voll: ä%zz%4"));
        assert_eq!((status.details, status.cause), (vec![8, 8], None));
        assert_eq!(Status::from_trailers(&trailers(&[("grpc-message", "x")])), None);
        assert_eq!(Status::from_trailers(&trailers(&[("grpc-status", "42")])).unwrap().code, Code(42));
        for bad in ["", "x", "-1", "+1", "99999999999", "0x0"] {
            let status = Status::from_trailers(&trailers(&[("grpc-status", bad)])).unwrap();
            assert_eq!(status.code, Code::UNKNOWN, "{bad}");
            assert!(matches!(status.cause, Some(Error::Protocol(_))), "{bad}");
        }
    }

    #[test]
    fn answers_of_plain_http_have_a_code() {
        for (status, code) in [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (503, 14), (200, 2), (500, 2)] {
            assert_eq!(Status::from_http(StatusCode::from_u16(status).unwrap()).code.0, code, "{status}");
        }
    }

    #[test]
    fn resets_have_a_code() {
        for (reason, code) in [(0, 13), (1, 13), (2, 13), (5, 2), (7, 14), (8, 1), (11, 8), (12, 7), (99, 2)] {
            assert_eq!(from_reset(Reason::from(reason)).0, code, "{reason}");
        }
    }
}
