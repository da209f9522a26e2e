//! An answer as it came.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::h1::MAX_HEADERS;

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Bytes of the body, decoded once it was.
    pub body_length: u64,
    /// Bytes of the body as received.
    pub encoded_length: u64,
    /// Whether the body is still encoded as `content-encoding` says.
    pub is_encoded: bool,
    /// Whether it has a `set-cookie` header.
    pub has_cookies: bool,
    /// The head, then the body. What came by HTTP/2 is written in the form of HTTP/1.1.
    pub(super) raw: Vec<u8>,
    pub(super) head_length: usize,
}

impl Response {
    /// An answer made of its text, for tests of those who read answers.
    #[cfg(test)]
    pub(crate) fn of(head: &str, body: &[u8]) -> Self {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let head = head.replace('\n', "\r\n") + "\r\n\r\n";
        let has_cookies = head.contains("set-cookie");
        let raw = [head.as_bytes(), body].concat();
        let body_length = body.len() as u64;
        Self {
            status,
            body_length,
            encoded_length: body_length,
            is_encoded: false,
            has_cookies,
            raw,
            head_length: head.len(),
        }
    }

    /// An answer of which only the head was read.
    pub(in crate::protocol) fn of_head(status: u16, head: Vec<u8>) -> Self {
        let head_length = head.len();
        let answer = Self { raw: head, head_length, ..Self::bare(status) };
        Self { has_cookies: answer.header("set-cookie").is_some(), ..answer }
    }

    /// An answer of which only the status is known any more.
    pub(super) fn bare(status: u16) -> Self {
        Self {
            status,
            body_length: 0,
            encoded_length: 0,
            is_encoded: false,
            has_cookies: false,
            raw: Vec::new(),
            head_length: 0,
        }
    }

    /// The body; empty if it was thrown away.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.raw[self.head_length..]
    }

    /// All of it as it came, head and body, to be changed where it is.
    pub fn raw_mut(&mut self) -> &mut [u8] {
        &mut self.raw
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.raw.capacity()
    }

    /// The first value of a header, whatever the case of its name. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.parsed(|headers| {
            let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        })
    }

    /// All values of a header in the order received, whatever the case of its name.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<String> {
        self.parsed(|headers| {
            let found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect()
        })
    }

    /// The version and the reason phrase of the status line: `HTTP/1.0`, `Not Found`.
    #[must_use]
    pub fn status_line(&self) -> (&str, &str) {
        let line = self.raw[..self.head_length].split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut parts = std::str::from_utf8(line).unwrap_or_default().trim_end().splitn(3, ' ');
        let (version, _status) = (parts.next().unwrap_or_default(), parts.next());
        (version, parts.next().unwrap_or_default())
    }

    /// All headers in the order received, names in lower case.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        self.parsed(|headers| {
            let pair = |header: &httparse::Header<'_>| {
                (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
            };
            headers.iter().map(pair).collect()
        })
    }

    /// All headers as they came. A name or a value that nobody may send is left out.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        self.parsed(|headers| {
            let pair = |header: &httparse::Header<'_>| {
                let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(header.value).ok()?))
            };
            let mut map = HeaderMap::with_capacity(headers.len());
            for (name, value) in headers.iter().filter_map(pair) {
                map.append(name, value);
            }
            map
        })
    }

    /// Parses the head anew: most journeys never ask.
    fn parsed<R>(&self, look: impl FnOnce(&[httparse::Header<'_>]) -> R) -> R {
        let lines = memchr::memchr_iter(b'\n', &self.raw[..self.head_length]).count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines.min(MAX_HEADERS)];
        let mut response = httparse::Response::new(&mut headers);
        // The head was parsed once already, so this cannot fail; if it did, there would be no header to show.
        let _ = response.parse(&self.raw[..self.head_length]);
        look(response.headers)
    }
}
