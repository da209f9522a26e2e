//! Heads: a request's for HTTP/2 and HTTP/3, an answer's into the form of HTTP/1.1.

use http::header::{CONTENT_LENGTH, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Response};

use super::h1::MAX_HEADERS;
use super::{Header, Request};
use crate::plan::Http;
use crate::protocol::Error;

/// Headers about a connection of HTTP/1.1, which later versions do not have (RFC 9113, 8.2.2; RFC 9114, 4.2). The others belong to the client
/// in all versions and cannot be given at all.
const OF_CONNECTIONS: &[&str] = &["keep-alive", "proxy-connection"];

/// A request's head. It is checked as one of HTTP/1.1 is.
pub(super) fn request(settings: &Http, request: &Request<'_>) -> Result<http::Request<()>, Error> {
    request.check()?;
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| Error::InvalidRequest(format!("`{}` is not a method", request.method)))?;
    let mut head = http::Request::new(());
    *head.uri_mut() = request.target.uri()?.clone();
    *head.method_mut() = method;
    let headers = head.headers_mut();
    for header in request.headers {
        if OF_CONNECTIONS.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| invalid(header))?;
        // Blanks around a value are not part of it, and HTTP/2 forbids them (RFC 9113, 8.2.1).
        let value = header.value.trim_matches([' ', '\t']);
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid(header))?);
    }
    if !settings.user_agent.is_empty() && !headers.contains_key(USER_AGENT) {
        let agent = HeaderValue::from_bytes(settings.user_agent.as_bytes())
            .map_err(|_| Error::InvalidRequest(format!("`{}` is not a user agent", settings.user_agent)))?;
        headers.insert(USER_AGENT, agent);
    }
    if let Some(length) = request.content_length() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(head)
}

fn invalid(header: &Header<'_>) -> Error {
    Error::InvalidRequest(format!("header `{}` has a value that HTTP does not take", header.name))
}

/// How long an answer's head is in the form of HTTP/1.1.
pub(super) fn length<B>(answer: &Response<B>) -> usize {
    let reason = answer.status().canonical_reason().unwrap_or_default();
    let headers = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    "HTTP/1.1 200 \r\n\r\n".len() + reason.len() + headers.sum::<usize>()
}

/// Writes an answer's head in the form of HTTP/1.1.
pub(super) fn write<B>(answer: &Response<B>, out: &mut Vec<u8>) -> Result<(), Error> {
    if answer.headers().len() > MAX_HEADERS {
        return Err(Error::Protocol(format!("the head has more than {MAX_HEADERS} headers")));
    }
    let status = answer.status();
    // Neither HTTP/2 nor HTTP/3 has a reason phrase; the usual one stands in, as in other clients.
    let reason = status.canonical_reason().unwrap_or_default();
    for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in answer.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}
