//! Connections that end when they should not, and ones that say more than they were asked.

use std::time::Duration;

use serde_json::json;

use super::trial::Trial;
use crate::support::{Act, Hostile, Squall, exit, say};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
const RESET: &str = "connection reset by peer";
/// More than the buffers of both sockets hold.
const LARGE: u64 = 16_000_000;

#[test]
fn an_empty_answer_is_an_error() {
    Trial::new("an empty answer: closed at once", [Act::Head]).run().fails_with(1220, RESET).soon();
    Trial::new("closed before the request is read", []).run().fails_with(1220, RESET).soon();
}

#[test]
fn a_half_close_is_the_end_of_the_answer() {
    let acts = [Act::Head, Act::HalfClose, Act::Hold];
    Trial::new("half close before the head", acts).run().fails_with(1220, RESET).soon();
    let acts = [Act::Head, say("HTTP/1.1 200 OK\r\ncont"), Act::HalfClose, Act::Hold];
    Trial::new("half close in the head", acts).run().fails_with(1220, RESET).soon();
    let acts = [Act::Head, say(HEAD.to_owned() + "half"), Act::HalfClose, Act::Hold];
    Trial::new("half close in the body", acts).run().fails_with(1220, RESET).soon();
    let acts = [Act::Head, say("HTTP/1.1 200 OK\r\n\r\nall of it"), Act::HalfClose, Act::Hold];
    Trial::new("half close after a body without a length", acts).run().is(200, "all of it").soon();
}

#[test]
fn a_reset_is_an_error_in_every_phase() {
    let pause = Act::Pause(Duration::from_millis(50));
    for (name, acts) in [
        ("reset on accept", vec![Act::Reset]),
        ("reset after the request", vec![Act::Head, Act::Reset]),
        ("reset in the head", vec![Act::Head, say("HTTP/1.1 200 OK\r\ncont"), pause.clone(), Act::Reset]),
        ("reset in the body", vec![Act::Head, say(HEAD.to_owned() + "half"), pause.clone(), Act::Reset]),
        ("reset in a body without a length", vec![Act::Head, say("HTTP/1.1 200 OK\r\n\r\nha"), pause, Act::Reset]),
    ] {
        Trial::new(name, acts).run().fails_with(1220, RESET).soon();
    }
}

#[test]
fn a_reset_while_a_body_is_written_is_an_error() {
    let acts = [Act::Head, Act::Read(1_000_000), Act::Reset];
    let trial = Trial::new("reset while a body of 16 MB is written", acts).posts(LARGE);
    trial.run().fails_with(1220, RESET).soon();
}

#[test]
fn an_answer_that_comes_before_the_body_was_read_counts() {
    let too_large = "HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
    let pause = Act::Pause(Duration::from_millis(300));
    for (name, acts) in [
        ("413 before the body is read, then nothing", vec![Act::Head, say(too_large), Act::Hold]),
        ("413 before the body is read, then close", vec![Act::Head, say(too_large), pause.clone()]),
        ("413 before the body is read, then reset", vec![Act::Head, say(too_large), pause, Act::Reset]),
    ] {
        let trial = Trial::new(name, acts).posts(LARGE);
        trial.run().is(413, "no").soon();
    }
}

#[test]
fn a_server_that_answers_and_reads_no_further_is_not_waited_for() {
    let acts = [Act::Head, say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), Act::Hold];
    let trial = Trial::new("200 before the body is read, then nothing", acts).posts(LARGE);
    trial.run().is(200, "ok").soon();
}

// A server that takes its time may still want the body, for whatever its answer leaves to be said.
#[test]
fn a_server_that_answers_and_reads_on_gets_the_whole_body() {
    let read = Act::Read(LARGE as usize - 5000);
    let answer = say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let acts = [Act::Head, answer.clone(), read, Act::Pause(Duration::from_millis(50)), Act::Head, answer];
    let server = Hostile::script(acts);
    let post = json!({ "url": server.url(), "method": "POST", "body_size": LARGE });
    let run = Squall::fetch(&json!([post, { "url": server.url() }])).finish().expect(exit::PASSED);
    assert_eq!(server.connections(), 1, "the connection is good for the next request\n{run}");
    assert!(run.summary().value("data_sent", "count") > LARGE as f64);
}

#[test]
fn a_redirect_to_itself_ends_at_the_limit() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let outcome = Trial::says("a redirect to itself", answer).run().is(302, "").soon();
    assert_eq!(outcome.server().requests(), 11);
}

/// Answers a request, then says this without being asked; the same on every connection.
fn unasked(pause: u64) -> Hostile {
    Hostile::script([
        Act::Head,
        say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nasked"),
        Act::Pause(Duration::from_millis(pause)),
        say("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nunasked"),
        Act::Hold,
    ])
}

// What arrives before the next request is known to be nobody's. What arrives while that is written cannot be told from its
// answer, by any client.
#[test]
fn an_answer_that_nobody_asked_for_is_not_the_next_requests() {
    for pause in [0, 30] {
        let server = unasked(pause);
        let get = json!({ "url": server.url(), "show": ["body"] });
        let sleep = json!({ "sleep_ms": 200 });
        let run = Squall::fetch(&json!([get, sleep, get, sleep, get])).finish().expect(exit::PASSED);
        let bodies: Vec<_> = run.answers().iter().map(|answer| answer["body"].clone()).collect();
        assert_eq!(bodies, ["asked", "asked", "asked"], "{run}");
        assert_eq!((server.connections(), server.requests()), (3, 3), "{run}");
    }
}
