//! What the `h2` crate reports, in k6's codes.

use std::task::{Context, Poll, Waker};

use ::h2::Reason;
use ::h2::client::SendRequest;
use bytes::Bytes;

use crate::protocol::Error;
use crate::protocol::http::multiplexed::{Again, Failure};

/// k6's codes (`lib/netext/httpext/error_codes.go`): the first of each kind stands for a reason that HTTP/2 does not
/// define, the defined ones follow.
const OTHER: u16 = 1600;
const GO_AWAY: u16 = 1610;
const STREAM: u16 = 1630;
const CONNECTION: u16 = 1650;

impl Failure {
    /// Sorts why a stream could not even be opened.
    pub(in crate::protocol) fn unsent(error: &::h2::Error) -> Self {
        let again = if error.is_io() || error.is_go_away() { Again::NotProcessed } else { Again::No };
        Self { error: named(error), again }
    }

    /// Sorts what came instead of a head. `send` knows whether the server had said goodbye.
    pub(in crate::protocol) fn before_answer(error: &::h2::Error, send: &mut SendRequest<Bytes>) -> Self {
        let refused = error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
        // A GOAWAY is an error of those streams alone that are above its last one.
        let unseen = error.is_go_away() && error.is_remote();
        let again = match error {
            _ if refused || unseen => Again::NotProcessed,
            _ if error.is_io() => Again::Closed,
            _ => Again::No,
        };
        Self { error: cause(error, send), again }
    }
}

/// The server was asked for HTTP/2 and does not speak it.
pub(in super::super) fn unspoken() -> Error {
    Error::Http2 { code: OTHER, reason: "the server did not agree to speak HTTP/2".to_owned() }
}

/// The error of a stream; where the connection ended after a GOAWAY, that is the reason.
pub(in crate::protocol) fn cause(error: &::h2::Error, send: &mut SendRequest<Bytes>) -> Error {
    if error.is_io()
        && let Poll::Ready(Err(goodbye)) = send.poll_ready(&mut Context::from_waker(Waker::noop()))
        && goodbye.is_go_away()
    {
        return named(&goodbye);
    }
    named(error)
}

/// An error in our words.
pub(super) fn named(error: &::h2::Error) -> Error {
    if let Some(io) = error.get_io() {
        return Error::from_io(io);
    }
    let (first, what) = match error {
        _ if error.is_go_away() && error.is_remote() => (GO_AWAY, "received GoAway"),
        _ if error.is_go_away() => (CONNECTION, "connection error"),
        _ if error.is_reset() => (STREAM, "stream error"),
        _ => return Error::Http2 { code: OTHER, reason: error.to_string() },
    };
    let reason = error.reason().unwrap_or(Reason::NO_ERROR);
    let number = u32::from(reason);
    if number > u32::from(Reason::HTTP_1_1_REQUIRED) {
        return Error::Http2 { code: first, reason: format!("{what} with unknown ErrCode {number}") };
    }
    Error::Http2 { code: first + 1 + number as u16, reason: format!("{what} with http2 ErrCode {reason:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_reason_is_a_generic_error() {
        let error = named(&Reason::PROTOCOL_ERROR.into());
        assert_eq!(error.code(), 1600);
        assert!(error.to_string().starts_with("http2: "), "{error}");
    }
}
