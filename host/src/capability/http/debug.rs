//! `httpDebug`: what went over the wire, as text, without secrets.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::plan::Http;
use crate::plan::http::Debug;
use crate::protocol::http::{Exchange, Request, Response, without_userinfo};
use crate::redact::Redactor;

/// The most of a body that is shown, in bytes.
const SHOWN: usize = 8 << 10;
/// Parts of names that make a value secret, of headers and in queries.
const SECRET: &[&str] = &["auth", "token", "secret", "passw", "key", "session", "credential", "signature"];

/// One hop: the request in the form of HTTP/1.1, and what it came to. A line starts with `>`, `<`, or `|` for a body's;
/// whoever prints it escapes what is not text.
pub(in super::super) fn hop(
    debug: Debug,
    settings: &Http,
    request: &Request<'_>,
    exchange: &Exchange,
    redactor: Option<&Redactor>,
) -> String {
    let mut text = String::new();
    match request.head(settings) {
        Ok(head) => show_request(&String::from_utf8_lossy(&head), &mut text),
        Err(error) => {
            let _ = writeln!(text, "> a request was not sent: {error}");
        }
    }
    if let (Debug::Full, Some(body)) = (debug, request.body) {
        show_body(&mut text, &body.whole(), redactor);
    }
    match &exchange.result {
        Ok(response) => show_answer(debug, response, exchange, redactor, &mut text),
        Err(error) => {
            let _ = writeln!(text, "< no answer: {error}");
        }
    }
    text
}

fn show_request(head: &str, text: &mut String) {
    let mut lines = head.lines().filter(|line| !line.is_empty());
    let _ = writeln!(text, "> {}", masked_url(lines.next().unwrap_or_default()));
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        let _ = writeln!(text, "> {name}: {}", masked(name, value));
    }
}

fn show_answer(debug: Debug, response: &Response, exchange: &Exchange, redactor: Option<&Redactor>, text: &mut String) {
    let (_, reason) = response.status_line();
    let line = format!("{} {} {reason}", exchange.peer.protocol.as_str(), response.status);
    let _ = writeln!(text, "< {}", line.trim_end());
    for (name, value) in response.headers() {
        let _ = writeln!(text, "< {name}: {}", masked(&name, &value));
    }
    if debug == Debug::Full {
        show_body(text, response.body(), redactor);
    }
}

fn show_body(text: &mut String, body: &[u8], redactor: Option<&Redactor>) {
    // Before it is cut, or the beginning of a secret would be left.
    let body = &*redactor.map_or(Cow::Borrowed(body), |redactor| redactor.bytes(body));
    // What is cut in the middle of a character is still text.
    let cut = &body[..body.len().min(SHOWN)];
    let shown = match std::str::from_utf8(cut) {
        Ok(shown) => Some(shown),
        Err(error) if error.error_len().is_none() && cut.len() < body.len() => {
            std::str::from_utf8(&cut[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let Some(shown) = shown.filter(|shown| !shown.contains('\0')) else {
        let _ = writeln!(text, "| ({} bytes that are not text)", body.len());
        return;
    };
    for line in shown.lines() {
        let _ = writeln!(text, "| {line}");
    }
    if shown.len() < body.len() {
        let _ = writeln!(text, "| ({} bytes more)", body.len() - shown.len());
    }
}

/// A header's value without what is secret in it.
fn masked<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "cookie" => {
            let names = value.split(';').map(|pair| pair.split_once('=').map_or("", |(name, _)| name.trim()));
            Cow::Owned(names.map(|name| format!("{name}=***")).collect::<Vec<_>>().join("; "))
        }
        "set-cookie" => {
            let (pair, attributes) = value.split_at(value.find(';').unwrap_or(value.len()));
            let name = pair.split_once('=').map_or("", |(name, _)| name.trim());
            Cow::Owned(format!("{name}=***{attributes}"))
        }
        // What a server asks for is no secret.
        "www-authenticate" | "proxy-authenticate" => Cow::Borrowed(value),
        "authorization" | "proxy-authorization" => {
            let scheme = value.split_once(' ').map(|(scheme, _)| scheme);
            Cow::Owned(scheme.map_or_else(|| "***".to_owned(), |scheme| format!("{scheme} ***")))
        }
        name if is_secret(name) => Cow::Borrowed("***"),
        "location" | "content-location" | "referer" | "origin" => match without_userinfo(value) {
            Cow::Borrowed(url) => masked_url(url),
            Cow::Owned(url) => Cow::Owned(masked_url(&url).into_owned()),
        },
        _ => Cow::Borrowed(value),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// A URL, or a line with one, without the values of secret parameters in its query.
fn masked_url(url: &str) -> Cow<'_, str> {
    let Some((start, query)) = url.split_once('?') else { return Cow::Borrowed(url) };
    let ends = |char| matches!(char, '#' | ' ');
    let (query, rest) = query.split_at(query.find(ends).unwrap_or(query.len()));
    let mask = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    };
    let query = query.split('&').map(mask).collect::<Vec<_>>().join("&");
    Cow::Owned(format!("{start}?{query}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Error;
    use crate::protocol::http::{Body, Header, Peer, Target, Timings};

    fn exchange(result: Result<Response, Error>) -> Exchange {
        let timings = Timings::default();
        Exchange { result, timings, sent: 0, received: 0, peer: Peer::default(), retried: false }
    }

    fn shown(debug: Debug, url: &str, headers: &[(&str, &str)], body: &[u8], answer: &Exchange) -> String {
        let target = Target::parse(url).unwrap();
        let headers: Vec<_> = headers.iter().map(|&(name, value)| Header { name, value }).collect();
        let request = Request {
            method: "POST",
            target: &target,
            headers: &headers,
            body: Some(Body::Whole(body)),
            keep_body: true,
        };
        let settings = Http { user_agent: "squall".to_owned(), ..Http::default() };
        hop(debug, &settings, &request, answer, None)
    }

    #[test]
    fn a_hop_is_shown_as_it_went_over_the_wire() {
        let answer = exchange(Ok(Response::of("HTTP/1.1 201 Created\ncontent-type: text/plain", b"one\ntwo")));
        let text = shown(Debug::Headers, "http://h.test/a?b=c", &[("accept", "x")], b"body", &answer);
        let expected = "> POST /a?b=c HTTP/1.1\n> host: h.test\n> accept: x\n> user-agent: squall\n> content-length: 4\n\
                        < HTTP/1.1 201 Created\n< content-type: text/plain\n";
        assert_eq!(text, expected);
        let text = shown(Debug::Full, "http://h.test/a?b=c", &[("accept", "x")], b"body", &answer);
        assert!(text.contains("content-length: 4\n| body\n< HTTP"), "{text}");
        assert!(text.ends_with("text/plain\n| one\n| two\n"), "{text}");
        let text = shown(Debug::Full, "http://h.test/", &[], b"", &exchange(Err(Error::Refused)));
        assert!(text.ends_with("< no answer: connection refused\n"), "{text}");
    }

    #[test]
    fn no_secret_comes_through() {
        let given = [
            ("Authorization", "Bearer hidden"),
            ("authorization", "hidden"),
            ("authorization", "Digest username=\"u\", response=\"hidden\""),
            ("Proxy-Authorization", "Basic hidden"),
            ("Cookie", "a=hidden; b=hid=hidden; hidden"),
            ("X-Api-Key", "hidden"),
            ("x-auth", "hidden"),
            ("X-CSRF-Token", "hidden hidden"),
            ("client-secret", "hidden"),
            ("old-password", "hidden"),
            ("referer", "http://u:hidden@h.test/?api_key=hidden"),
        ];
        let answer = "HTTP/1.1 302 Found\nset-cookie: sid=hidden; Path=/\nset-cookie: hidden\n\
                      location: https://u:hidden@h.test/?x=1&access_token=hidden#f\n\
                      authentication-info: rspauth=hidden\nx-session-id: hidden\nwww-authenticate: Digest nonce=\"n\"";
        let answer = exchange(Ok(Response::of(answer, b"")));
        for debug in [Debug::Headers, Debug::Full] {
            let text = shown(debug, "http://u:hidden@h.test/p?token=hidden&q=1", &given, b"", &answer);
            assert!(!text.contains("hidden"), "{text}");
            for seen in [
                "> POST /p?token=***&q=1 HTTP/1.1",
                "> Authorization: Bearer ***",
                "> Cookie: a=***; b=***; =***",
                "< set-cookie: sid=***; Path=/",
                "< location: https://***@h.test/?x=1&access_token=***#f",
                "< www-authenticate: Digest nonce=\"n\"",
            ] {
                assert!(text.contains(seen), "`{seen}` is missing in\n{text}");
            }
        }
    }

    #[test]
    fn a_long_body_is_cut_and_one_that_is_not_text_is_counted() {
        let answer = |body: &[u8]| exchange(Ok(Response::of("HTTP/1.1 200 OK", body)));
        let long = shown(Debug::Full, "http://h.test/", &[], b"", &answer("ü".repeat(8 << 10).as_bytes()));
        assert!(long.ends_with("| (8192 bytes more)\n"), "{}", &long[long.len() - 80..]);
        let odd = format!("x{}", "ü".repeat(8 << 10));
        let odd = shown(Debug::Full, "http://h.test/", &[], b"", &answer(odd.as_bytes()));
        assert!(odd.ends_with("| (8194 bytes more)\n"), "{}", &odd[odd.len() - 80..]);
        for binary in [&b"\x89PNG\r\n\x1a\n\0"[..], b"a\0b", b"\xff"] {
            let text = shown(Debug::Full, "http://h.test/", &[], b"", &answer(binary));
            assert!(text.ends_with(&format!("| ({} bytes that are not text)\n", binary.len())), "{text}");
        }
    }

    #[test]
    fn a_request_that_cannot_be_written_says_why() {
        let text = shown(Debug::Headers, "http://h.test/", &[("host", "x")], b"", &exchange(Err(Error::Timeout)));
        assert!(text.starts_with("> a request was not sent: invalid request: header `host`"), "{text}");
    }
}
