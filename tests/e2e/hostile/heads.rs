//! Heads that are too large, or wrong.

use super::trial::Trial;

#[track_caller]
fn refused(name: &'static str, answer: impl AsRef<[u8]>, why: &str) {
    // What is wrong is wrong at once, whether or not the connection ends.
    Trial::says_and_holds(name, answer).run().fails_with(1000, why).soon();
}

fn head(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok")
}

#[test]
fn a_header_of_1_mib_is_refused() {
    let headers = format!("a: {}\r\n", "x".repeat(1 << 20));
    refused("a header of 1 MiB", head(&headers), "the head is larger than 262144 bytes");
}

#[test]
fn a_hundred_thousand_headers_are_refused() {
    refused("100,000 headers", head(&"a: b\r\n".repeat(100_000)), "too many headers");
}

#[test]
fn a_huge_reason_is_read_or_refused() {
    let with = |size: usize| format!("HTTP/1.1 200 {}\r\ncontent-length: 2\r\n\r\nok", "x".repeat(size));
    Trial::says("a reason of 64 KiB", with(64 << 10)).run().is(200, "ok");
    refused("a reason of 1 MiB", with(1 << 20), "the head is larger than 262144 bytes");
}

#[test]
fn a_reason_in_no_alphabet_is_read() {
    let answer = b"HTTP/1.1 200 \xff\xfe\xe9\r\ncontent-length: 2\r\n\r\nok";
    Trial::says("a reason that is not ASCII", answer).run().is(200, "ok");
    let answer = head("a: \u{e9}\u{fe}\r\n");
    Trial::says("a header that is not ASCII", answer).run().is(200, "ok");
}

#[test]
fn statuses_that_are_none_are_refused() {
    let with = |status: &str| format!("HTTP/1.1 {status} Odd\r\ncontent-length: 2\r\n\r\nok");
    refused("status 000", with("000"), "`000` is not a status");
    refused("status 99", with("99"), "invalid response status");
    refused("status 1000", with("1000"), "invalid response status");
    Trial::says("status 999", with("999")).run().is(999, "ok");
}

#[test]
fn control_characters_in_headers_are_refused() {
    refused("a NUL in a header", head("a: b\0c\r\n"), "invalid header value");
    refused("a NUL in a header's name", head("a\0b: c\r\n"), "invalid header name");
    refused("a CR alone in a header", head("a: b\rc: d\r\n"), "invalid header value");
    refused("a folded header (obs-fold)", head("a: b\r\n c\r\n"), "invalid header name");
    // A recipient may take LF alone for the end of a line (RFC 9112, 2.2).
    Trial::says("lines that end with LF alone", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok").run().is(200, "ok");
}

#[test]
fn what_is_not_http_is_refused() {
    refused("HTTP/0.9: just text", "hello, world\n", "invalid HTTP version");
    refused("another protocol's banner", "SSH-2.0-OpenSSH_9.6\r\n", "invalid HTTP version");
    refused("HTTP/2.0 in a status line", "HTTP/2.0 200 OK\r\n\r\n", "invalid HTTP version");
}

#[test]
fn interim_answers_are_skipped_and_an_upgrade_is_refused() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_owned() + &head("");
    Trial::says("100 and 103, then 200", answer).run().is(200, "ok");
    let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    refused("101 without a request to upgrade", answer, "status 101");
}

#[test]
fn http_1_0_is_spoken() {
    let answer = "HTTP/1.0 200 OK\r\n\r\nok";
    Trial::says("HTTP/1.0 without a length", answer).run().is(200, "ok");
    for (name, headers, connections) in [
        ("HTTP/1.0 with a length", "", 2),
        ("HTTP/1.0 with a length and `connection: keep-alive`", "connection: keep-alive\r\n", 1),
    ] {
        let answer = crate::support::say(format!("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n{headers}\r\nok"));
        let read = crate::support::Act::Head;
        let trial = Trial::new(name, [read.clone(), answer.clone(), read, answer]).with("repeat", 2);
        let outcome = trial.run().is(200, "ok");
        assert_eq!(outcome.server().connections(), connections);
    }
}

#[test]
fn a_connection_is_kept_only_where_the_answer_allows_it() {
    for (name, headers, connections) in [
        ("`connection: close, keep-alive`", "connection: close, keep-alive\r\n", 2),
        ("`connection: keep-alive`, then `close`", "connection: keep-alive\r\nconnection: close\r\n", 2),
        ("`keep-alive: timeout=0, max=-1`", "keep-alive: timeout=0, max=-1\r\n", 1),
    ] {
        let answer = crate::support::say(head(headers));
        let read = crate::support::Act::Head;
        let trial = Trial::new(name, [read.clone(), answer.clone(), read, answer]).with("repeat", 2);
        let outcome = trial.run().is(200, "ok");
        assert_eq!((outcome.server().connections(), outcome.server().requests()), (connections, 2));
    }
}
