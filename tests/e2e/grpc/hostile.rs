//! Peers that misbehave: each call ends with a named status, in time, and costs no memory.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::trial::{head, trailers, trial, trial_with};
use super::{connect, grpc};
use crate::support::hostile_http2::{
    self, CANCEL, DATA, END_STREAM, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM,
};
use crate::support::{Act, Hostile, exit, say};

/// A message with its prefix.
fn message(compressed: u8, bytes: &[u8]) -> Vec<u8> {
    [&[compressed][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

#[test]
fn a_peer_that_never_answers_is_given_up_at_the_deadline() {
    let step = json!({ "call": "a.B/C", "hex": "", "timeout_ms": 500 });
    trial_with("never answers", &step, "", |_| true).ends_with(4, "timed out").after(500.0).cancelled();
    let answers = |turn: &mut hostile_http2::Turn<'_>| head(turn, &[]) && turn.frame(DATA, 0, &[0, 0, 0, 0, 9, 1]);
    trial_with("stops inside a message", &step, "", answers).ends_with(4, "timed out").after(500.0).cancelled();
}

#[test]
fn a_reset_has_the_status_that_the_specification_gives() {
    trial("`RST_STREAM` with `CANCEL` inside a stream", |turn| head(turn, &[]) && turn.reset(CANCEL))
        .ends_with(1, "reset");
    trial("`RST_STREAM` with `INTERNAL_ERROR`", |turn| turn.reset(INTERNAL_ERROR)).ends_with(13, "reset");
    trial("`RST_STREAM` with `ENHANCE_YOUR_CALM`", |turn| turn.reset(ENHANCE_YOUR_CALM)).ends_with(8, "reset");
    let refused = trial("`RST_STREAM` with `REFUSED_STREAM`", |turn| turn.reset(REFUSED_STREAM)).ends_with(14, "reset");
    assert_eq!(refused.seen(), 2, "a call that was not seen is sent once more");
}

#[test]
fn a_goodbye_inside_a_stream_is_unavailable() {
    let said = trial("`GOAWAY` that has not seen the call", |turn| {
        turn.go_away(0, NO_ERROR);
        false
    });
    assert_eq!(said.ends_with(14, "").seen(), 2, "a call that was not seen is sent once more");
    let said = trial("`GOAWAY` and the end inside a stream", |turn| {
        head(turn, &[]);
        turn.go_away(turn.number as u32, ENHANCE_YOUR_CALM);
        false
    });
    assert_eq!(said.ends_with(14, "").seen(), 1);
    trial("closes inside a message", |turn| {
        head(turn, &[]);
        turn.frame(DATA, 0, &[0, 0, 0, 0, 9, 1]);
        false
    })
    .ends_with(14, "reset");
}

#[test]
fn a_connection_that_said_goodbye_is_replaced() {
    let server = hostile_http2::HostileHttp2::start(100, |turn| {
        let number = turn.number as u32;
        super::trial::answer(turn) && turn.go_away(number, NO_ERROR)
    });
    let steps = json!([connect(&server.url()), { "call": "a.B/C", "hex": "", "repeat": 3 }]);
    let run = grpc(&steps).finish().expect(exit::PASSED);
    let statuses: Vec<_> = run.answers()[1..].iter().map(|answer| answer["status"].clone()).collect();
    assert_eq!((server.connections(), statuses), (3, vec![json!(0); 3]), "{run}");
}

#[test]
fn what_is_no_grpc_is_named() {
    trial("another content type", |turn| {
        turn.headers(0, &[(":status", "200"), ("content-type", "text/html")]) && turn.frame(DATA, END_STREAM, b"<html>")
    })
    .ends_with(2, "`text/html`");
    trial("HTTP status 503", |turn| turn.headers(END_STREAM, &[(":status", "503")])).ends_with(14, "503");
    trial("HTTP status 404", |turn| turn.headers(END_STREAM, &[(":status", "404")])).ends_with(12, "404");
    trial("trailers without a status", |turn| {
        head(turn, &[]) && turn.frame(DATA, 0, &message(0, b"")) && trailers(turn, &[("x", "y")])
    })
    .ends_with(2, "no `grpc-status`");
    trial("a status that is no number", |turn| trailers(turn, &[(":status", "200"), ("grpc-status", "0x0")]))
        .ends_with(2, "`0x0`");
    trial("no trailers", |turn| head(turn, &[]) && turn.frame(DATA, END_STREAM, &message(0, b"")))
        .ends_with(13, "trailers");
    trial("an end inside a message", |turn| head(turn, &[]) && turn.frame(DATA, END_STREAM, &[0, 0, 0, 0, 9, 1]))
        .ends_with(13, "inside a message");
}

#[test]
fn messages_that_lie_cost_nothing() {
    trial("announces 4 GiB", |turn| head(turn, &[]) && turn.frame(DATA, 0, &[0, 0xff, 0xff, 0xff, 0xff, 1]))
        .ends_with(8, "larger than")
        .cancelled();
    let step = json!({ "call": "a.B/C", "hex": "", "timeout_ms": 8000 });
    trial_with("a message over the limit", &step, "--response-bytes 1MiB", |turn| {
        let large = message(0, &vec![1; 2 << 20]);
        head(turn, &[]) && large.chunks(16 << 10).all(|piece| turn.frame(DATA, 0, piece))
    })
    .ends_with(8, "larger than 1048576 bytes");
    trial("compressed, and nobody says how", |turn| head(turn, &[]) && turn.frame(DATA, 0, &message(1, b"x")))
        .ends_with(13, "compressed");
    trial("compressed in an unknown way", |turn| {
        head(turn, &[("grpc-encoding", "snappy")]) && turn.frame(DATA, 0, &message(1, b"x"))
    })
    .ends_with(13, "compressed");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = message(1, &bomb.finish().unwrap());
    trial_with("64 MiB of zeros as gzip", &step, "--response-bytes 1MiB", move |turn| {
        head(turn, &[("grpc-encoding", "gzip")]) && bomb.chunks(16 << 10).all(|piece| turn.frame(DATA, 0, piece))
    })
    .ends_with(8, "larger than 1048576 bytes");
    trial("a flag that is none", |turn| head(turn, &[]) && turn.frame(DATA, 0, b"HTTP/1.1 200 OK"))
        .ends_with(13, "no flag");
}

#[test]
fn heads_that_are_too_large_are_refused() {
    trial("a head of 1 MiB", hostile_http2::header_bomb).ends_with(13, "");
    trial("a head without end", hostile_http2::endless_head).ends_with(14, "");
    let words = "%41".repeat(50_000);
    let said = trial("150 kB of `grpc-message`", move |turn| {
        trailers(turn, &[(":status", "200"), ("grpc-status", "9"), ("grpc-message", &words)])
    });
    assert!(said.ends_with(9, "AAAA").answer()["failure"].is_null());
    trial("settings without end", |turn| turn.flood_settings(Duration::from_secs(2))).ends_with(14, "");
}

#[test]
fn streams_are_held_by_neither_side_for_longer_than_the_deadline() {
    let step = json!({ "stream": "a.B/C", "raw_answer": true, "send": [30_000, 30_000, 30_000], "timeout_ms": 700 });
    trial_with("takes no more of a stream", &step, "", |turn| head(turn, &[]))
        .ends_with(4, "timed out")
        .after(700.0)
        .cancelled();
    // While the journey waits, messages come that nobody takes.
    let step =
        json!({ "stream": "a.B/C", "raw_answer": true, "send": [""], "pause_ms": 1000, "most": 5, "timeout_ms": 5000 });
    let flood = trial_with("800,000 empty messages, a frame each", &step, "", |turn| {
        head(turn, &[]) && (0..800_000).all(|_| turn.frame(DATA, 0, &[0; 5]))
    });
    assert!(flood.answer()["count"].as_u64().unwrap_or_default() <= 5);
}

#[test]
fn what_does_not_speak_http_2_is_found_out_when_connecting() {
    let cases = [
        ("HTTP/1.1", Hostile::script([say("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"), Act::Hold])),
        ("noise", Hostile::script([say([0xff; 64]), Act::Hold])),
    ];
    for (name, server) in cases {
        let run = grpc(&json!([connect(&server.url())])).finish().expect(exit::PASSED).without_panic();
        let error = run.answers()[0]["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("does not speak HTTP/2"), "{name}: {error}\n{run}");
        println!("\n| speaks {name} | {error} | {:.0} ms | - |", run.summary().value("iteration_duration", "max"));
    }
    let server = Hostile::script([Act::Hold]);
    let mut step = connect(&server.url());
    step["connect"]["timeout_ms"] = json!(300);
    let run = grpc(&json!([step])).finish().expect(exit::PASSED);
    assert_eq!(run.answers()[0]["error"], "the request timed out", "{run}");
    let run = grpc(&json!([connect(&Hostile::refuses())])).finish().expect(exit::PASSED);
    assert_eq!(run.answers()[0]["error"], "the connection was refused", "{run}");
}
