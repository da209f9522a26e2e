//! What QUIC and the `h3` crate report, with numbers of their own: k6 has no HTTP/3 and so no codes for it.

use ::h3::error::{ConnectionError, LocalError, StreamError};
use quinn::{ConnectError, ConnectionError as Quic};

use super::Connection;
use super::quic::Flood;
use crate::protocol::http::multiplexed::{Again, Failure};
use crate::protocol::{Error, tls};

/// Anything else.
const OTHER: u16 = 1800;
/// What answers does not speak HTTP/3.
const UNSPOKEN: u16 = 1801;
/// It speaks no version of QUIC that we do.
const VERSION: u16 = 1802;
/// It ended the connection for a reason of QUIC's.
const TRANSPORT: u16 = 1810;
/// We did.
const OUR_TRANSPORT: u16 = 1811;
/// It has forgotten the connection (RFC 9000, 10.3).
const FORGOTTEN: u16 = 1812;
/// Nothing was heard of it for too long.
const SILENT: u16 = 1813;
/// The first of each kind stands for a reason that HTTP/3 does not define, the defined ones follow.
const STREAM: u16 = 1820;
const CONNECTION: u16 = 1850;
const OURS: u16 = 1880;

/// The reasons that HTTP/3 defines, without the `H3_` (RFC 9114, 8.1), from 0x100 on.
const REASONS: [&str; 17] = [
    "NO_ERROR",
    "GENERAL_PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "STREAM_CREATION_ERROR",
    "CLOSED_CRITICAL_STREAM",
    "FRAME_UNEXPECTED",
    "FRAME_ERROR",
    "EXCESSIVE_LOAD",
    "ID_ERROR",
    "SETTINGS_ERROR",
    "MISSING_SETTINGS",
    "REQUEST_REJECTED",
    "REQUEST_CANCELLED",
    "REQUEST_INCOMPLETE",
    "MESSAGE_ERROR",
    "CONNECT_ERROR",
    "VERSION_FALLBACK",
];
/// Those of the compression of heads (RFC 9204, 6), from 0x200 on.
const COMPRESSION: [&str; 3] =
    ["QPACK_DECOMPRESSION_FAILED", "QPACK_ENCODER_STREAM_ERROR", "QPACK_DECODER_STREAM_ERROR"];
const REJECTED: u64 = 0x10b;
const MESSAGE: u64 = 0x10e;
/// QUIC's reasons for a handshake of TLS that failed: the alert is in the last byte (RFC 9001, 4.8).
const ALERTS: std::ops::Range<u64> = 0x100..0x200;
/// TLS's alert of a server that speaks nothing of what was offered.
const NO_PROTOCOL: u8 = 120;

/// HTTP/3 was asked for where there is no TLS.
pub(in super::super) fn needs_tls() -> Error {
    Error::InvalidRequest("HTTP/3 needs `https:`".to_owned())
}

/// The body has another length than its head says.
pub(super) fn cut(announced: u64, came: u64) -> Error {
    let Error::Http3 { code, reason } = by_reason(OURS, "message error", MESSAGE) else { return Error::Reset };
    Error::Http3 { code, reason: format!("{reason}: the body has {came} bytes, and {announced} were announced") }
}

/// Sorts why a request could not be sent.
pub(super) fn unsent(error: &StreamError, connection: &Connection) -> Failure {
    let again = match error {
        StreamError::RemoteClosing | StreamError::ConnectionError(_) => Again::NotProcessed,
        _ => Again::No,
    };
    Failure { error: cause(error, connection), again }
}

/// Sorts what came instead of a head.
pub(super) fn before_answer(error: &StreamError, connection: &Connection) -> Failure {
    let again = match error {
        StreamError::RemoteTerminate { code } if code.value() == REJECTED => {
            // A server that says goodbye rejects what it has not begun, and its goodbye may come later than that.
            connection.state.closed.set(true);
            Again::NotProcessed
        }
        StreamError::ConnectionError(error) if is_theirs(error) => Again::Closed,
        _ => Again::No,
    };
    Failure { error: cause(error, connection), again }
}

/// Whether the connection ended without any fault that was found in it.
fn is_theirs(error: &ConnectionError) -> bool {
    !matches!(error, ConnectionError::Local { error: LocalError::Application { .. } })
}

/// The error of a stream; where the connection ended, the reason of that.
pub(super) fn cause(error: &StreamError, connection: &Connection) -> Error {
    if connection.state.refused.get() {
        return Error::Reset;
    }
    match error {
        StreamError::RemoteTerminate { code } => by_reason(STREAM, "the server ended the stream", code.value()),
        StreamError::StreamError { code, reason } => with_reason(by_reason(OURS, "stream error", code.value()), reason),
        StreamError::HeaderTooBig { max_size, .. } => Error::Protocol(Flood::OfBytes(*max_size).to_string()),
        StreamError::RemoteClosing => Error::Http3 { code: CONNECTION, reason: "the server said goodbye".to_owned() },
        StreamError::ConnectionError(ConnectionError::Local {
            error: LocalError::Application { code, reason, .. },
            ..
        }) if code.value() != 0x100 => with_reason(by_reason(OURS, "connection error", code.value()), reason),
        StreamError::ConnectionError(_) => match connection.reason() {
            Some(reason) => of_quic(&reason, &mut || None),
            None => other(error.to_string()),
        },
        StreamError::Undefined(inner) => match inner.downcast_ref::<Flood>() {
            Some(flood) => Error::Protocol(flood.to_string()),
            None => other(inner.to_string()),
        },
        other_error => other(other_error.to_string()),
    }
}

/// Why a connection could not even be begun.
pub(super) fn of_connect(error: &ConnectError) -> Error {
    match error {
        ConnectError::InvalidServerName(name) => Error::Tls(format!("`{name}` is no name of a server")),
        other => Error::Dial(other.to_string()),
    }
}

/// Why a connection ended. `refusal` tells what was wrong with the server's certificate, if that is known.
pub(super) fn of_quic(error: &Quic, refusal: &mut dyn FnMut() -> Option<Error>) -> Error {
    match error {
        Quic::VersionMismatch => {
            Error::Http3 { code: VERSION, reason: "the server speaks no version of QUIC that we do".to_owned() }
        }
        Quic::TransportError(found) => {
            let code = u64::from(found.code);
            if let Some(refused) = refusal() {
                return refused;
            }
            if ALERTS.contains(&code) {
                return Error::Tls(found.reason.clone());
            }
            Error::Http3 { code: OUR_TRANSPORT, reason: format!("connection error: {}", found.code) }
        }
        Quic::ConnectionClosed(closed) => {
            let code = u64::from(closed.error_code);
            if ALERTS.contains(&code) {
                return of_alert(code as u8);
            }
            let reason = format!("the server closed the connection: {}", closed.error_code);
            Error::Http3 { code: TRANSPORT, reason }
        }
        Quic::ApplicationClosed(closed) => {
            by_reason(CONNECTION, "the server closed the connection", closed.error_code.into_inner())
        }
        Quic::Reset => Error::Http3 { code: FORGOTTEN, reason: "the server does not know the connection".to_owned() },
        Quic::TimedOut => {
            Error::Http3 { code: SILENT, reason: "nothing was heard of the server for too long".to_owned() }
        }
        Quic::LocallyClosed => Error::Reset,
        Quic::CidsExhausted => other(error.to_string()),
    }
}

fn of_alert(alert: u8) -> Error {
    if alert == NO_PROTOCOL {
        return unspoken();
    }
    tls::of_alert(alert)
}

/// The server took part in the handshake and does not speak HTTP/3.
pub(super) fn unspoken() -> Error {
    Error::Http3 { code: UNSPOKEN, reason: "the server does not speak HTTP/3".to_owned() }
}

fn other(reason: String) -> Error {
    Error::Http3 { code: OTHER, reason }
}

fn with_reason(error: Error, more: &str) -> Error {
    match error {
        Error::Http3 { code, reason } if !more.is_empty() => Error::Http3 { code, reason: format!("{reason}: {more}") },
        error => error,
    }
}

/// The error of one kind for a reason of HTTP/3's.
fn by_reason(first: u16, what: &str, reason: u64) -> Error {
    let at = |from: u64| usize::try_from(reason.checked_sub(from)?).ok();
    let known = at(0x100).and_then(|at| Some((at, *REASONS.get(at)?)));
    let known = known.or_else(|| at(0x200).and_then(|at| Some((REASONS.len() + at, *COMPRESSION.get(at)?))));
    match known {
        Some((at, name)) => Error::Http3 { code: first + 1 + at as u16, reason: format!("{what} with {name}") },
        None => Error::Http3 { code: first, reason: format!("{what} with unknown code {reason}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_code_of_its_own() {
        let code = |first, reason| by_reason(first, "", reason).code();
        assert_eq!(
            [0x100, 0x10c, 0x110, 0x200, 0x202, 0x203, 0, 0x111].map(|reason| code(STREAM, reason)),
            [1821, 1833, 1837, 1838, 1840, 1820, 1820, 1820]
        );
        assert_eq!((code(CONNECTION, 0x202), code(OURS, 0x100), code(OURS, 0x202)), (1870, 1881, 1900));
        assert_eq!(cut(5, 3).code(), 1895);
    }
}
