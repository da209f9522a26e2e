//! Guests that do their worst, each with what must become of it: how it ended, within what time and memory, and that a
//! user that behaves, beside it, lost nothing.
//!
//! The tests run what they can in one process, so that they take seconds. `cargo xtask hostile` runs every guest alone,
//! with the figures of its neighbour before and meanwhile, and writes the table in `docs/security.md`.

mod compute;
mod floods;
mod made;
mod network;
mod row;
mod table;
mod traps;

use std::time::Duration;

use crate::support::Hostile;
use row::{Row, run_alone, run_together, target};

/// How often a neighbour may be disturbed by something else on the machine.
const ATTEMPTS: u32 = 4;
/// What a percentile may move by on a machine that also runs other tests.
const NOISE: f64 = 10.0;

/// Runs guests together and asserts on each, and on the user beside them.
#[track_caller]
fn together(rows: &[Row]) {
    let (alone, beside) = (Duration::from_secs(1), Duration::from_secs(2));
    let mut moved = Vec::new();
    for _ in 0..ATTEMPTS {
        let server = target();
        let result = run_together(rows, &server, alone, beside);
        rows.iter().for_each(|row| row.check(&result.run, &server, false, alone));
        if result.meanwhile <= result.before * 1.1 + NOISE {
            return;
        }
        moved.push((result.before, result.meanwhile));
    }
    panic!("the neighbour's 99th percentile moved every time, in ms: {moved:?}");
}

#[track_caller]
fn each_alone(rows: &[Row]) {
    for row in rows {
        let server = target();
        row.check(&run_alone(row, &server), &server, true, Duration::ZERO);
    }
}

#[test]
fn guests_that_compute_are_ended() {
    together(&compute::rows());
}

#[test]
fn guests_that_compute_where_nothing_runs_beside_them_are_ended() {
    each_alone(&compute::alone());
}

#[test]
fn floods_of_calls_are_bounded() {
    together(&floods::rows());
}

#[test]
fn floods_of_names_are_bounded() {
    together(&floods::names());
}

#[test]
fn floods_of_words_are_bounded() {
    each_alone(&floods::alone());
}

#[test]
fn requests_that_no_server_should_see_are_refused() {
    together(&network::rows());
}

#[test]
fn answers_that_no_client_should_wait_for_are_refused() {
    together(&network::Peers::start().rows());
}

#[test]
fn hosts_that_were_not_granted_are_not_reached() {
    let denied = Hostile::never_answers();
    together(&network::reach(&denied));
    assert_eq!(denied.connections(), 0);
}

#[test]
fn what_was_not_granted_cannot_be_reached() {
    together(&network::guarded());
}

#[test]
fn components_that_do_in_loading_what_they_should_not_are_ended() {
    each_alone(&made::running());
}

#[test]
fn components_that_are_too_large_are_refused() {
    each_alone(&made::large());
}

#[test]
fn components_that_are_hard_to_compile_end_soon() {
    each_alone(&made::bombs());
}

#[test]
fn components_that_want_too_much_are_refused() {
    each_alone(&made::refused());
}
