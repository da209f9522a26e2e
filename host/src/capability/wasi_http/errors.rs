//! Why a request has no answer, in the words of `wasi:http`.

use wasmtime_wasi_http::p2::bindings::http::types::{DnsErrorPayload, ErrorCode as Wasi};

use crate::protocol::Error;

/// What a guest is told. Words that a server or the run's settings gave are left out: they may hold a secret, and are in
/// the metrics' `error` tag, without it.
pub(super) fn to_wasi(error: &Error) -> Wasi {
    match error {
        Error::Timeout => Wasi::ConnectionReadTimeout,
        Error::DialTimeout => Wasi::ConnectionTimeout,
        Error::Dns(_) => dns("lookup failed"),
        Error::NoSuchHost(_) => dns("NXDOMAIN"),
        Error::Refused => Wasi::ConnectionRefused,
        Error::TooManyConnections { .. } => Wasi::ConnectionLimitReached,
        Error::Dial(_) | Error::Proxy(_) => Wasi::DestinationUnavailable,
        Error::Reset | Error::BrokenPipe | Error::Closed => Wasi::ConnectionTerminated,
        Error::Tls(_) | Error::NotTls(_) => Wasi::TlsProtocolError,
        Error::UnknownAuthority(_) | Error::WrongHost(_) => Wasi::TlsCertificateError,
        Error::Http2 { .. } | Error::Http3 { .. } | Error::Protocol(_) => Wasi::HttpProtocolError,
        Error::Decoding(_) => Wasi::HttpResponseContentCoding(None),
        Error::NotAllowed(refusal) if refusal.is_of_address() => Wasi::DestinationIpProhibited,
        Error::Denied(_) | Error::NotAllowed(_) => Wasi::HttpRequestDenied,
        Error::InvalidUrl(_) => Wasi::HttpRequestUriInvalid,
        Error::TooLarge(limit) => Wasi::HttpResponseBodySize(Some(*limit)),
        Error::InvalidRequest(_) | Error::Other(_) => Wasi::InternalError(Some(error.to_string())),
    }
}

fn dns(rcode: &str) -> Wasi {
    Wasi::DnsError(DnsErrorPayload { rcode: Some(rcode.to_owned()), info_code: None })
}

/// The same for an answer whose head has come.
pub(super) fn of_body(error: &Error) -> Wasi {
    match error {
        Error::Reset | Error::BrokenPipe | Error::Closed => Wasi::HttpResponseIncomplete,
        other => to_wasi(other),
    }
}
