//! An answer: what came back at once, and what is fetched when asked for.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::squall::journey::http as host;
use crate::vu::duration;

/// An answer that the host keeps until the iteration ends.
///
/// Kept longer, its look-ups fail with [`Error::Stale`].
#[derive(Debug)]
pub struct Response {
    pub(super) id: u32,
    body_len: u32,
    duration: f64,
    status: u16,
}

impl Response {
    #[inline]
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    #[inline]
    pub(super) fn new(response: host::Response) -> Self {
        let host::Response { id, status, body_length, duration } = response;
        Self { id, body_len: body_length, duration, status }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Bytes of the body as received.
    #[must_use]
    pub fn body_len(&self) -> u32 {
        self.body_len
    }

    /// Sending, waiting and receiving of the last hop (`http_req_duration`).
    #[must_use]
    pub fn duration(&self) -> Duration {
        duration(self.duration)
    }

    /// The first value of a header. Names are case-insensitive.
    pub fn header(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(host::header(self.id, name)?)
    }

    /// All headers, in the order received, names in lower case.
    pub fn headers(&self) -> Result<Vec<(String, String)>, Error> {
        let pairs = host::headers(self.id)?;
        Ok(pairs.into_iter().map(|pair| (pair.name, pair.value)).collect())
    }

    /// The body as received.
    pub fn body(&self) -> Result<Vec<u8>, Error> {
        Ok(host::body(self.id)?)
    }

    /// The body as text. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> Result<String, Error> {
        let lossy = |error: std::string::FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
        Ok(String::from_utf8(self.body()?).unwrap_or_else(lossy))
    }

    /// The body, read from JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.body()?)?)
    }

    /// The value at a JSON pointer (RFC 6901, `/items/0/id`), or none. The host evaluates it: the rest of the body
    /// stays outside the guest.
    pub fn json_pointer<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>, Error> {
        match host::json(self.id, pointer)? {
            Some(text) => Ok(Some(serde_json::from_str(&text)?)),
            None => Ok(None),
        }
    }

    /// The JSON text of the value at a pointer, or none.
    pub fn json_text(&self, pointer: &str) -> Result<Option<String>, Error> {
        Ok(host::json(self.id, pointer)?)
    }

    /// Where the time of the last hop went.
    pub fn timings(&self) -> Result<Timings, Error> {
        let timings = host::timings_of(self.id)?;
        Ok(Timings {
            blocked: duration(timings.blocked),
            looking_up: duration(timings.looking_up),
            connecting: duration(timings.connecting),
            tls_handshaking: duration(timings.tls_handshaking),
            sending: duration(timings.sending),
            waiting: duration(timings.waiting),
            receiving: duration(timings.receiving),
            duration: duration(timings.duration),
        })
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> Result<String, Error> {
        Ok(host::url_of(self.id)?)
    }

    /// Facts that few ask for: protocol, address, TLS, redirects.
    pub fn details(&self) -> Result<Details, Error> {
        let details = host::details_of(self.id)?;
        Ok(Details {
            status_text: details.status_text,
            protocol: details.protocol,
            remote_ip: details.remote_ip,
            remote_port: details.remote_port,
            tls_version: details.tls_version,
            tls_cipher_suite: details.tls_cipher_suite,
            reused: details.reused,
            encoded_len: details.encoded_length,
            redirects: details.redirects,
        })
    }

    /// Frees the answer before the iteration ends; worth it in iterations that fetch many large bodies.
    pub fn release(self) {
        host::release(self.id);
    }
}

/// Facts about an answer that few ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The reason phrase; empty in HTTP/2.
    pub status_text: String,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    /// The address that answered; empty over a Unix socket.
    pub remote_ip: String,
    /// Its port; 0 over a Unix socket.
    pub remote_port: u16,
    /// `tls1.2` or `tls1.3`; empty without TLS.
    pub tls_version: String,
    /// The cipher suite by its IANA name; empty without TLS.
    pub tls_cipher_suite: String,
    /// Whether the connection had carried a request before.
    pub reused: bool,
    /// Bytes of the body on the wire, before it was decoded.
    pub encoded_len: u32,
    /// The redirects that were followed.
    pub redirects: u32,
}

/// The phases of a request's last hop. One that did not happen is 0.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting for a free connection, resolving and connecting included.
    pub blocked: Duration,
    /// Resolving the host name.
    pub looking_up: Duration,
    /// Opening the TCP connection.
    pub connecting: Duration,
    /// The TLS handshake.
    pub tls_handshaking: Duration,
    /// Writing the request.
    pub sending: Duration,
    /// From the last byte written to the first byte received.
    pub waiting: Duration,
    /// From the first byte to the last.
    pub receiving: Duration,
    /// Sending, waiting and receiving.
    pub duration: Duration,
}
