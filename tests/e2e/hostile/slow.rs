//! Servers that never come to an end.

use std::time::Duration;

use super::trial::Trial;
use crate::support::{Act, say};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";

#[test]
fn an_answer_of_one_byte_per_200_ms_ends_at_the_timeout() {
    let acts = [Act::Head, Act::Trickle(HEAD.into(), Duration::from_millis(200)), Act::Hold];
    let trial = Trial::new("slowloris: a byte of the head every 200 ms, timeout 1 s", acts);
    trial.with("timeout_ms", 1000).run().fails_with(1050, "request timeout").after(1000.0);
}

#[test]
fn a_body_of_one_byte_per_200_ms_ends_at_the_timeout() {
    let acts = [Act::Head, say(HEAD), Act::Trickle(vec![b'x'; 1000], Duration::from_millis(200)), Act::Hold];
    let trial = Trial::new("slowloris: a byte of the body every 200 ms, timeout 1 s", acts);
    trial.with("timeout_ms", 1000).run().fails_with(1050, "request timeout").after(1000.0);
}

#[test]
fn an_answer_that_stops_ends_at_the_timeout() {
    let trial = Trial::says_and_holds("an answer that stops half way, timeout 1 s", HEAD.to_owned() + "half");
    trial.with("timeout_ms", 1000).run().fails_with(1050, "request timeout").after(1000.0);
}

#[test]
fn an_answer_that_stops_ends_when_it_was_silent_for_too_long() {
    let trial = Trial::says_and_holds("an answer that stops half way, read timeout 500 ms", HEAD.to_owned() + "half");
    trial.flags("--read-timeout 500ms").run().fails_with(1050, "request timeout").after(500.0);
}

#[test]
fn a_server_that_never_answers_ends_at_the_timeout() {
    let trial = Trial::new("no answer at all, timeout 1 s", [Act::Head, Act::Hold]);
    trial.with("timeout_ms", 1000).run().fails_with(1050, "request timeout").after(1000.0);
}

#[test]
fn a_server_that_does_not_read_ends_at_the_timeout() {
    let trial = Trial::new("a server that does not read a body of 8 MB, timeout 1 s", [Act::Hold]);
    let trial = trial.posts(8_000_000).with("timeout_ms", 1000);
    trial.run().fails_with(1050, "request timeout").after(1000.0);
}

#[test]
fn endless_interim_answers_are_refused() {
    let trial =
        Trial::new("`100 Continue` for ever", [Act::Head, Act::Forever(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(40))]);
    trial.run().fails_with(1000, "more than 100 interim answers").soon();
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".to_owned();
    let trial = Trial::new("`103 Early Hints` for ever", [Act::Head, Act::Forever(hints.into())]);
    trial.run().fails_with(1000, "more than 100 interim answers").soon();
}

#[test]
fn an_endless_head_is_refused() {
    let trial =
        Trial::new("an endless header", [Act::Head, say("HTTP/1.1 200 OK\r\na: "), Act::Forever(vec![b'x'; 16 << 10])]);
    trial.run().fails_with(1000, "the head is larger than 262144 bytes").soon();
    let trial = Trial::new("empty lines for ever", [Act::Head, Act::Forever(b"\r\n".repeat(1000))]);
    trial.run().fails_with(1000, "the head is larger than 262144 bytes").soon();
}

#[test]
fn an_endless_chunk_extension_and_endless_trailers_are_refused() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let trial = Trial::new(
        "an endless chunk extension",
        [Act::Head, say(head.to_owned() + "5;"), Act::Forever(vec![b'x'; 1000])],
    );
    trial.run().fails_with(1000, "chunk extensions and trailers of more than 16384 bytes").soon();
    let trial = Trial::new(
        "a chunk extension of 1,000 bytes on every chunk, for ever",
        [Act::Head, say(head), Act::Forever(format!("1;{}\r\na\r\n", "x".repeat(1000)).into())],
    );
    trial.run().fails_with(1000, "chunk extensions and trailers of more than 16384 bytes").soon();
    let trial = Trial::new(
        "trailers for ever",
        [Act::Head, say(head.to_owned() + "0\r\n"), Act::Forever(b"a: b\r\n".repeat(100))],
    );
    trial.run().fails_with(1000, "chunk extensions and trailers of more than 16384 bytes").soon();
}
