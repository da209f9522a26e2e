//! Bodies that are not as long as they say, and codings that are none.

use super::trial::Trial;
use crate::support::{Act, say};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[track_caller]
fn refused(name: &'static str, answer: String, why: &str) {
    Trial::says_and_holds(name, answer).run().fails_with(1000, why).soon();
}

fn with_length(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nhello")
}

#[test]
fn chunks_that_are_none_are_refused() {
    let chunked = |rest: &str| CHUNKED.to_owned() + rest;
    refused("a chunk size that is no number", chunked("xyz\r\n"), "`xyz` is not a chunk size");
    refused("a negative chunk size", chunked("-5\r\nhello\r\n"), "`-5` is not a chunk size");
    refused("no CRLF after a chunk", chunked("5\r\nhello5\r\n"), "a chunk does not end where its size says");
    refused("a chunk size line with LF alone", chunked("5\nhello\r\n"), "does not end with CRLF");
    refused("a chunk size of 17 digits", chunked("fffffffffffffffff\r\n"), "is not a chunk size");
    let answer = chunked("ffffffffffffffff\r\nhello");
    Trial::says("a chunk of 16 EiB, cut off", answer).run().fails_with(1220, "connection reset by peer");
    Trial::says("chunks without an end", chunked("5\r\nhello\r\n")).run().fails_with(1220, "connection reset by peer");
    Trial::says("chunks with trailers", chunked("5\r\nhello\r\n0\r\na: b\r\n\r\n")).run().is(200, "hello");
}

#[test]
fn lengths_that_are_none_are_refused() {
    for (name, header) in [
        ("`content-length: -5`", "content-length: -5"),
        ("`content-length: +5`", "content-length: +5"),
        ("`content-length: 5, 6`", "content-length: 5, 6"),
        ("`content-length: 0x5`", "content-length: 0x5"),
        ("an empty `content-length`", "content-length:"),
        ("`content-length` above 2^64", "content-length: 18446744073709551621"),
    ] {
        refused(name, with_length(header), "is not a length");
    }
    let two = with_length("content-length: 5\r\ncontent-length: 6");
    refused("two different `content-length` headers", two, "two different `content-length` headers");
    let large = with_length("content-length: 18446744073709551615");
    refused("`content-length` of 16 EiB", large, "response body larger than");
    Trial::says("`content-length: 5, 5`", with_length("content-length: 5, 5")).run().is(200, "hello");
    let twice = with_length("content-length: 5\r\ncontent-length: 5");
    Trial::says("`content-length: 5` twice", twice).run().is(200, "hello");
}

#[test]
fn a_body_that_is_shorter_than_it_says_is_an_error() {
    let trial = Trial::says("a body shorter than its length", with_length("content-length: 1000"));
    trial.run().fails_with(1220, "connection reset by peer");
}

#[test]
fn a_body_that_is_longer_than_it_says_ends_the_connection() {
    let answer = say(with_length("content-length: 4"));
    let acts = [Act::Head, answer.clone(), Act::Head, answer];
    let outcome = Trial::new("a body longer than its length", acts).with("repeat", 2).run().is(200, "hell");
    assert_eq!((outcome.server().connections(), outcome.server().requests()), (2, 2));
}

#[test]
fn both_framings_at_once_are_read_as_chunks_and_end_the_connection() {
    let headers = "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = say(format!("HTTP/1.1 200 OK\r\n{headers}"));
    let acts = [Act::Head, answer.clone(), Act::Head, answer];
    let outcome = Trial::new("a length and chunks at once", acts).with("repeat", 2).run().is(200, "hello");
    assert_eq!(outcome.server().connections(), 2);
}

#[test]
fn other_transfer_codings_end_where_they_must() {
    let with = |coding: &str, body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n{body}");
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    Trial::says("`transfer-encoding: gzip, chunked`", with("gzip, chunked", chunks)).run().is(200, "hello");
    Trial::says("`transfer-encoding: identity`", with("identity", "hello")).run().is(200, "hello");
    let twice = with("chunked\r\ntransfer-encoding: chunked", chunks);
    Trial::says("`transfer-encoding: chunked` twice", twice).run().is(200, "hello");
    let answer = with("chunked", chunks).replace("HTTP/1.1", "HTTP/1.0");
    refused("chunks in HTTP/1.0", answer, "`transfer-encoding` in an answer of HTTP/1.0");
}

#[test]
fn answers_that_have_no_body_have_none_whatever_they_say() {
    for (name, method, status, rest, connections) in [
        ("204 with a body", "GET", 204, "content-length: 5\r\n\r\nhello", 2),
        ("304 with a length", "GET", 304, "content-length: 5\r\n\r\n", 1),
        ("HEAD with a length", "HEAD", 200, "content-length: 5\r\n\r\n", 1),
        ("HEAD with chunks announced", "HEAD", 200, "transfer-encoding: chunked\r\n\r\n", 1),
        ("HEAD with a body", "HEAD", 200, "content-length: 5\r\n\r\nhello", 2),
    ] {
        let answer = say(format!("HTTP/1.1 {status} X\r\n{rest}"));
        let trial = Trial::new(name, [Act::Head, answer.clone(), Act::Head, answer]);
        let outcome = trial.with("method", method).with("repeat", 2).run().is(status, "");
        assert_eq!((outcome.server().connections(), outcome.server().requests()), (connections, 2), "{name}");
    }
}
