//! What is asked for: the request as HTTP knows it, with the headers of its format.

pub(super) mod content_type;

use std::borrow::Cow;

use crate::wit::events::{Format, Options, Request, Tokens};
use crate::wit::http;

/// The request of a stream's first connection.
pub(super) fn to_http(request: Request, options: &Options) -> http::Request {
    let pairs = |pairs: Vec<crate::wit::events::Pair>| {
        pairs.into_iter().map(|pair| http::Pair { name: pair.name, value: pair.value }).collect::<Vec<_>>()
    };
    let mut headers = pairs(request.headers);
    if !headers.iter().any(|header| header.name.eq_ignore_ascii_case("accept")) {
        let value = match options.format {
            Format::ServerSentEvents => "text/event-stream",
            Format::JsonLines => "application/x-ndjson, application/jsonl;q=0.9, application/json;q=0.8",
        };
        headers.push(http::Pair { name: "accept".to_owned(), value: value.to_owned() });
    }
    name_last_event(&mut headers, options.last_event_id.as_deref().unwrap_or_default());
    http::Request {
        method: request.method,
        url: request.url,
        headers,
        body: request.body,
        timeout: request.timeout,
        name: request.name,
        tags: pairs(request.tags),
        redirects: None,
        expected_statuses: Vec::new(),
    }
}

/// Says which event was the last, if one is known; an empty id is none.
pub(super) fn name_last_event(headers: &mut Vec<http::Pair>, id: &str) {
    if id.is_empty() {
        return;
    }
    headers.retain(|header| !header.name.eq_ignore_ascii_case("last-event-id"));
    headers.push(http::Pair { name: "Last-Event-ID".to_owned(), value: id.to_owned() });
}

/// The options of a stream's requests.
pub(super) fn options(throw: Option<bool>) -> http::RequestOptions {
    http::RequestOptions {
        auth: None,
        cookies: Vec::new(),
        jar: 0,
        body: None,
        compression: Vec::new(),
        discard_body: Some(false),
        throw,
        version: None,
    }
}

/// Refuses options that make no sense.
pub(super) fn check(options: &Options) -> Result<(), String> {
    if !(options.retry.is_finite() && options.retry >= 0.0) {
        return Err(format!("a wait of {} ms before a reconnect is not possible", options.retry));
    }
    if let Tokens::Pointers(pointers) = &options.tokens {
        let all = std::iter::once(&pointers.text).chain(&pointers.count);
        for pointer in all {
            if !(pointer.is_empty() || pointer.starts_with('/')) {
                return Err(format!("`{pointer}` is not a JSON Pointer: one begins with `/`"));
            }
        }
    }
    Ok(())
}

/// A URL as it stands in a tag.
pub(super) fn without_userinfo(url: &str) -> String {
    let url: Cow<'_, str> = crate::protocol::http::without_userinfo(url);
    url.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::events::TokenPointers;

    fn plain() -> Options {
        Options {
            format: Format::ServerSentEvents,
            tokens: Tokens::None,
            reconnects: 0,
            retry: 0.0,
            last_event_id: None,
            any_content_type: false,
        }
    }

    fn request(headers: &[(&str, &str)]) -> Request {
        let pair = |(name, value): &(&str, &str)| crate::wit::events::Pair {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        Request {
            method: "GET".to_owned(),
            url: "http://a.test/".to_owned(),
            headers: headers.iter().map(pair).collect(),
            body: None,
            timeout: None,
            name: None,
            tags: Vec::new(),
        }
    }

    fn header(request: &http::Request, name: &str) -> Vec<String> {
        let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.clone()).collect()
    }

    #[test]
    fn a_format_is_asked_for_unless_the_journey_asks_otherwise() {
        assert_eq!(header(&to_http(request(&[]), &plain()), "accept"), ["text/event-stream"]);
        assert_eq!(header(&to_http(request(&[("Accept", "*/*")]), &plain()), "accept"), ["*/*"]);
    }

    #[test]
    fn the_last_event_is_named_once_and_only_if_there_is_one() {
        let options = Options { last_event_id: Some("7".to_owned()), ..plain() };
        let mut asked = to_http(request(&[("last-event-id", "1")]), &options);
        assert_eq!(header(&asked, "last-event-id"), ["7"]);
        name_last_event(&mut asked.headers, "");
        assert_eq!(header(&asked, "last-event-id"), ["7"]);
        assert!(header(&to_http(request(&[]), &plain()), "last-event-id").is_empty());
    }

    #[test]
    fn options_that_make_no_sense_are_named() {
        assert_eq!(check(&plain()), Ok(()));
        for retry in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(check(&Options { retry, ..plain() }).unwrap_err().contains("before a reconnect"));
        }
        let pointers = TokenPointers { text: "/a".to_owned(), count: Some("b".to_owned()) };
        assert!(check(&Options { tokens: Tokens::Pointers(pointers), ..plain() }).unwrap_err().contains("`b`"));
    }
}
