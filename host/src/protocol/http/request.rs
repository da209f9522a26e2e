//! A request onto the wire.

use std::borrow::Cow;

use super::Target;
use crate::plan::Http;
use crate::plan::http::Connections;
use crate::protocol::Error;
use crate::protocol::dial::Via;

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

/// The most headers of a request.
const MOST_HEADERS: usize = 1000;
/// The longest head of a request, in bytes: as long as that of an answer may be.
const LONGEST_HEAD: usize = 256 << 10;

/// How many characters are shown of what cannot be sent.
const SHOWN: usize = 100;

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
        self.check_line()?;
        let begun = out.len();
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
            check_length(out.len() - begun + header.name.len() + header.value.len())?;
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
        self.check_line()?;
        let mut length = self.method.len() + self.target.path_and_query().len();
        self.headers.iter().try_for_each(|header| {
            length += header.name.len() + header.value.len();
            check_length(length)?;
            check(header)
        })
    }

    /// What there is to check before the headers, so that nothing grows with what is refused.
    fn check_line(&self) -> Result<(), Error> {
        if self.headers.len() > MOST_HEADERS {
            return Err(Error::InvalidRequest(format!("it has more than {MOST_HEADERS} headers")));
        }
        check_length(self.method.len() + self.target.path_and_query().len())?;
        self.check_method()
    }

    fn check_method(&self) -> Result<(), Error> {
        if is_token(self.method) {
            return Ok(());
        }
        Err(Error::InvalidRequest(format!("`{}` is not a method", shown(self.method))))
    }
}

fn check_length(head: usize) -> Result<(), Error> {
    if head <= LONGEST_HEAD {
        return Ok(());
    }
    Err(Error::InvalidRequest(format!("its line and headers have more than {LONGEST_HEAD} bytes")))
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
        return Err(Error::InvalidRequest(format!("`{}` is not a header name", shown(header.name))));
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

/// The beginning of what cannot be sent: enough to find it by.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
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
        let framing = ["content-length", "Content-Length", "transfer-encoding", "Host", "TE", "trailer", "upgrade"];
        let smuggled = [
            ("a\r\nb", "c"),
            ("a", "b\r\nc: d"),
            ("a", "b\nc: d"),
            ("a", "b\r"),
            ("a", "b\0c"),
            ("a\0", "b"),
            ("a ", "b"),
            (" a", "b"),
            ("a:", "b"),
            (":authority", "b"),
            ("content-length ", "3"),
            ("", "x"),
            ("ä", "x"),
        ];
        for (name, value) in framing.map(|name| (name, "3")).into_iter().chain(smuggled) {
            let error = written("GET", &[Header { name, value }], None).unwrap_err();
            assert!(matches!(error, Error::InvalidRequest(_)), "{name:?}: {error}");
        }
        for method in ["GET /\r\n", "GET /x HTTP/1.1\r\na: b", "GE T", "GET\0", "", "G\u{201c}T"] {
            assert!(matches!(written(method, &[], None), Err(Error::InvalidRequest(_))), "{method:?}");
        }
    }

    #[test]
    fn no_url_writes_more_than_its_own_line() {
        let odd: String = (0..=0x9f).filter_map(char::from_u32).chain("\u{2028}\u{ffff}ä🦀 \\".chars()).collect();
        for place in
            ["http://a.test/{}", "http://a.test/?{}", "http://a.test/#{}", "http://{}@a.test/", "http://a.test{}"]
        {
            for odd in odd.chars().map(String::from).chain([odd.clone(), "\r\nx: y\r\n\r\nGET /2 HTTP/1.1".to_owned()])
            {
                let Ok(target) = Target::parse(&place.replace("{}", &odd)) else { continue };
                let request = Request { method: "GET", target: &target, headers: &[], body: None, keep_body: true };
                let head = String::from_utf8(request.head(&settings()).unwrap()).unwrap();
                let lines: Vec<&str> = head.split("\r\n").collect();
                assert_eq!((lines.len(), lines[0].split(' ').count()), (5, 3), "{head:?}");
                let is_plain = |line: &str| line.bytes().all(|byte| (0x20..0x7f).contains(&byte));
                assert!(lines.iter().all(|line| is_plain(line)), "{head:?}");
            }
        }
    }

    #[test]
    fn a_head_that_is_too_large_is_refused_before_anything_grows() {
        let long = "x".repeat(1 << 20);
        let many = vec![Header { name: "a", value: "" }; 1001];
        let heavy = vec![Header { name: "a", value: &long[..1000] }; 300];
        for headers in [&[Header { name: "a", value: &long }][..], &[Header { name: &long, value: "" }], &many, &heavy]
        {
            let target = Target::parse("http://a.test/").unwrap();
            let request = Request { method: "GET", target: &target, headers, body: None, keep_body: true };
            let mut out = Vec::new();
            assert!(matches!(request.write(&settings(), None, &mut out), Err(Error::InvalidRequest(_))));
            assert!(out.capacity() <= 512 << 10, "{}", out.capacity());
            let error = request.check().unwrap_err().to_string();
            assert!(error.len() < 200, "{error}");
        }
        assert!(written("GET", &many[1..], None).is_ok());
        assert!(written(&long, &[], None).is_err());
        assert!(
            matches!(Target::parse(&format!("http://a.test/{long}")), Err(Error::InvalidUrl(text)) if text.len() < 100)
        );
    }
}
