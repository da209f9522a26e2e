//! The same answers given to our decoder whole, to it in pieces, and to hyper's client: all three must see the same.
//!
//! `cargo xtask fuzz` does so for minutes. Where we differ from hyper, we mean to, and [`ON_PURPOSE`] says why.

mod answers;
mod clients;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestError, TestRunner};

use answers::{Case, good, hostile};
use clients::{Fault, Headers, Outcome, Seen, hypers, ours, same};

/// How many seconds each test takes; without it, a thousand cases.
const SECONDS: &str = "SQUALL_FUZZ_SECONDS";

/// Whether what we and hyper made of an answer differs in a certain way.
type Differs = fn(&Outcome, &Outcome) -> bool;

/// Where we and hyper differ, and why.
const ON_PURPOSE: &[(&str, Differs)] = &[
    ("nobody asked for another protocol, so we do not take one", |ours, theirs| {
        says(ours, "status 101") && theirs.as_ref().is_ok_and(|seen| seen.status == 101)
    }),
    (
        "hyper does not look at a length where there is no body, or where there are chunks; we refuse a wrong one anywhere",
        |ours, _| {
            let wrong = ["is not a length", "an empty `content-length`", "of HTTP/1.0", "two different"];
            wrong.iter().any(|why| says(ours, why))
        },
    ),
    ("hyper lets a line of the trailers end with LF alone, and waits for the next CR", |ours, _| {
        says(ours, "does not end with CRLF")
    }),
    ("we drop trailers without looking at what they are, or how many", |ours, theirs| {
        ours.is_ok()
            && ["HeaderName", "HeaderValue", "trailers count", "invalid header"].iter().any(|why| says(theirs, why))
    }),
    (
        "hyper looks at a head that comes in pieces only when it is complete; we now and then, and at the end",
        |ours, theirs| {
            let later = matches!((ours, theirs), (Err(Fault::Invalid(_)), Err(Fault::Waiting | Fault::Incomplete)));
            later && !says(ours, "chunk")
        },
    ),
    ("a body that is announced to be larger than the limit is not read", |ours, _| says(ours, "response body larger")),
    ("we take 256 headers, hyper 100", |_, theirs| says(theirs, "TooLarge")),
    ("hyper does not look at a `connection` that is not ASCII", |ours, theirs| {
        only_reuse_differs(ours, theirs, |headers| {
            headers.iter().any(|(name, value)| name == "connection" && !value.is_ascii())
        })
    }),
    ("we do not trust a connection whose answer has a length and chunks at once (RFC 9112, 6.3)", |ours, theirs| {
        only_reuse_differs(ours, theirs, |headers| {
            ["content-length", "transfer-encoding"].iter().all(|one| headers.iter().any(|(name, _)| name == one))
        })
    }),
];

/// Whether both saw the same answer, whose headers are like this, and only one would use the connection again.
fn only_reuse_differs(ours: &Outcome, theirs: &Outcome, is_so: fn(&Headers) -> bool) -> bool {
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return false };
    is_so(&ours.headers) && *theirs == Seen { reusable: theirs.reusable, ..ours.clone() }
}

fn says(outcome: &Outcome, text: &str) -> bool {
    matches!(outcome, Err(Fault::Invalid(why)) if why.contains(text))
}

fn compare(case: &Case) -> TestCaseResult {
    let Case { method, answer, ends, .. } = case;
    let whole = ours(method, &[answer], *ends);
    let pieces = case.pieces();
    let cut = ours(method, &pieces, *ends);
    // Nor do we look at every piece of a head, so what is wrong in one that never ends may not be told.
    let unseen = matches!((&cut, &whole), (Err(Fault::Waiting), Err(Fault::Invalid(_)))) && pieces.len() > 1;
    prop_assert!(same(&cut, &whole) || unseen, "in pieces {cut:?}, whole {whole:?}");
    let theirs = hypers(method, &pieces, *ends);
    prop_assert!(
        same(&theirs, &whole) || ON_PURPOSE.iter().any(|(_, applies)| applies(&whole, &theirs)),
        "{:?}\nhyper {theirs:?}\nours {whole:?}",
        String::from_utf8_lossy(answer)
    );
    Ok(())
}

/// Compares a thousand cases, or as many as the time allows.
#[track_caller]
fn compare_many(cases: &impl Strategy<Value = Case>) {
    let config = || ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) };
    let seconds = std::env::var(SECONDS).ok().map(|text| text.parse().expect("a number of seconds"));
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let mut rounds = 0;
    loop {
        // Every runner has a seed of its own.
        if let Err(TestError::Fail(why, case)) = TestRunner::new(config()).run(cases, |case| compare(&case)) {
            panic!("{why}\n{case:?}");
        }
        rounds += 1;
        if Instant::now() >= until {
            break;
        }
    }
    println!("{rounds},000 answers");
}

#[test]
fn good_answers_are_the_same_to_us_and_to_hyper() {
    compare_many(&good());
}

#[test]
fn hostile_answers_are_the_same_to_us_and_to_hyper() {
    compare_many(&hostile());
}
