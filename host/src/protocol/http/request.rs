//! A request onto the wire.

use std::borrow::Cow;

use super::dial::Via;
use super::{Error, Target};
use crate::plan::Http;
use crate::plan::http::Connections;

/// One header.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// The name, in any case.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
}

/// One request, one hop.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Where it goes.
    pub target: &'a Target,
    /// Headers as given by the user.
    pub headers: &'a [Header<'a>],
    /// The body, if it has one.
    pub body: Option<Body<'a>>,
    /// Whether the answer's body is kept, or only counted.
    pub keep_body: bool,
}

/// What a request's body is.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// These bytes.
    Whole(&'a [u8]),
    /// These, one after the other. Large ones are not copied on their way.
    Pieces(&'a [Cow<'a, [u8]>]),
    /// Bytes that follow later: so many, or as many as come.
    Later(Option<u64>),
}

impl<'a> Body<'a> {
    /// A piece of it; `None` after the last.
    pub(super) fn piece(self, index: usize) -> Option<&'a [u8]> {
        match self {
            Self::Whole(bytes) => (index == 0).then_some(bytes),
            Self::Pieces(pieces) => pieces.get(index).map(|piece| &**piece),
            Self::Later(_) => None,
        }
    }

    /// Its pieces in order.
    pub(super) fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        (0..).map_while(move |index| self.piece(index))
    }

    /// How many bytes of it are here.
    #[must_use]
    pub fn length(self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// All of it in one piece.
    #[must_use]
    pub fn whole(self) -> Cow<'a, [u8]> {
        match self {
            Self::Whole(bytes) => Cow::Borrowed(bytes),
            Self::Pieces(pieces) => Cow::Owned(pieces.concat()),
            Self::Later(_) => Cow::Borrowed(&[]),
        }
    }
}

/// Headers that decide how a message is framed or routed; they belong to the client.
const RESERVED: &[&str] = &["host", "content-length", "connection", "transfer-encoding", "upgrade", "te", "trailer"];

impl Request<'_> {
    /// Whether the method may be sent again when a reused connection turned out to be closed (RFC 9110, 9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
    }

    /// The request line and the headers in the form of HTTP/1.1.
    pub fn head(&self, settings: &Http) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.write(settings, None, &mut out)?;
        Ok(out)
    }

    /// Appends the request line and the headers in HTTP/1.1 form (RFC 9112), to a proxy with the whole URL (RFC 9112,
    /// 3.2.2).
    pub(super) fn write(&self, settings: &Http, via: Option<&Via>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check_method()?;
        let (path, authority) = (self.target.path_and_query().as_bytes(), self.target.authority().as_bytes());
        match via {
            None => put(out, &[self.method.as_bytes(), b" ", path, b" HTTP/1.1\r\nhost: "]),
            Some(via) => {
                put(out, &[self.method.as_bytes(), b" http://", authority, path, b" HTTP/1.1\r\n"]);
                if let Some(authorization) = &via.authorization {
                    put(out, &[b"proxy-authorization: ", authorization.as_bytes(), b"\r\n"]);
                }
                put(out, &[b"host: "]);
            }
        }
        put(out, &[authority, b"\r\n"]);
        let mut has_agent = settings.user_agent.is_empty();
        for header in self.headers {
            check(header)?;
            has_agent |= header.name.eq_ignore_ascii_case("user-agent");
            put(out, &[header.name.as_bytes(), b": ", header.value.as_bytes(), b"\r\n"]);
        }
        if !has_agent {
            put(out, &[b"user-agent: ", settings.user_agent.as_bytes(), b"\r\n"]);
        }
        if settings.connections == Connections::PerRequest {
            out.extend_from_slice(b"connection: close\r\n");
        }
        match self.content_length() {
            Some(length) => {
                put(out, &[b"content-length: ", decimal(length, &mut [0; 20]), b"\r\n\r\n"]);
            }
            None if self.body.is_some() => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
            None => out.extend_from_slice(b"\r\n"),
        }
        Ok(())
    }

    /// What the `content-length` header says, if there is one.
    pub(super) fn content_length(&self) -> Option<usize> {
        match self.body {
            Some(Body::Later(length)) => length.map(|length| length as usize),
            Some(body) => Some(body.length()),
            // Methods that usually have a body say that this one has none (RFC 9110, 8.6).
            None => matches!(self.method, "POST" | "PUT" | "PATCH").then_some(0),
        }
    }

    /// Refuses what could not be sent as it is, or would make another request of it.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_method()?;
        self.headers.iter().try_for_each(check)
    }

    fn check_method(&self) -> Result<(), Error> {
        if is_token(self.method) {
            return Ok(());
        }
        Err(Error::InvalidRequest(format!("`{}` is not a method", self.method.escape_debug())))
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

fn check(header: &Header<'_>) -> Result<(), Error> {
    if !is_token(header.name) {
        return Err(Error::InvalidRequest(format!("`{}` is not a header name", header.name.escape_debug())));
    }
    if RESERVED.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
        return Err(Error::InvalidRequest(format!("header `{}` is set by squall and cannot be given", header.name)));
    }
    // A line break in a value would let it write further headers (RFC 9110, 5.5).
    if header.value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        // The value may be a secret, and this text becomes a tag.
        return Err(Error::InvalidRequest(format!("header `{}` has a line break or a NUL in its value", header.name)));
    }
    Ok(())
}

/// A token of RFC 9110, 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Http {
        Http { user_agent: "squall".to_owned(), ..Http::default() }
    }

    fn written(method: &str, headers: &[Header<'_>], body: Option<&[u8]>) -> Result<String, Error> {
        let target = Target::parse("http://a.test/b").unwrap();
        let mut out = Vec::new();
        let body = body.map(Body::Whole);
        Request { method, target: &target, headers, body, keep_body: true }.write(&settings(), None, &mut out)?;
        out.extend_from_slice(&body.map(Body::whole).unwrap_or_default());
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_get_has_no_body_and_a_post_says_how_long_its_is() {
        assert_eq!(written("GET", &[], None).unwrap(), "GET /b HTTP/1.1\r\nhost: a.test\r\nuser-agent: squall\r\n\r\n");
        assert!(written("POST", &[], Some(b"0123456789")).unwrap().ends_with("content-length: 10\r\n\r\n0123456789"));
        assert!(written("POST", &[], None).unwrap().ends_with("content-length: 0\r\n\r\n"));
    }

    #[test]
    fn a_proxy_is_told_the_whole_url() {
        let target = Target::parse("http://a.test:81/b?c#d").unwrap();
        let request = Request { method: "GET", target: &target, headers: &[], body: None, keep_body: true };
        let mut out = Vec::new();
        let via = Via { authorization: Some("Basic eA==".to_owned()) };
        request.write(&settings(), Some(&via), &mut out).unwrap();
        let expected = "GET http://a.test:81/b?c HTTP/1.1\r\nproxy-authorization: Basic eA==\r\n\
                        host: a.test:81\r\nuser-agent: squall\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_given_user_agent_replaces_the_default() {
        let text = written("GET", &[Header { name: "User-Agent", value: "me" }], None).unwrap();
        assert_eq!(text.to_ascii_lowercase().matches("user-agent").count(), 1, "{text}");
    }

    #[test]
    fn what_could_smuggle_a_request_is_refused() {
        for (name, value) in [("a\r\nb", "c"), ("a", "b\r\nc: d"), ("content-length", "3"), ("Host", "x"), ("", "x")] {
            let error = written("GET", &[Header { name, value }], None).unwrap_err();
            assert!(matches!(error, Error::InvalidRequest(_)), "{name:?}: {error}");
        }
        assert!(written("GET /\r\n", &[], None).is_err());
    }
}
