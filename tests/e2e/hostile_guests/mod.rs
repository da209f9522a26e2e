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
use row::{Beside, Row, Servers, run_alone, run_together};

/// How often a neighbour may be disturbed by something else on the machine.
const ATTEMPTS: u32 = 4;
/// What a percentile may move by, in milliseconds, on a machine that also runs other tests; a host that is not optimised
/// takes ten times as long to read what a guest passes it in one call.
const NOISE: f64 = if cfg!(debug_assertions) { 300.0 } else { 20.0 };

/// Guests of which one process tells apart how they ended: it shows the first five failures that differ.
const AT_ONCE: usize = 5;

/// Runs guests together and asserts on each, and on the user beside them.
#[track_caller]
fn together(rows: &[Row]) {
    let faults: Vec<String> = rows.chunks(AT_ONCE).flat_map(few_together).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn few_together(rows: &[Row]) -> Vec<String> {
    let (alone, beside) = (Duration::from_secs(1), Duration::from_secs(2));
    for attempt in 1.. {
        let servers = Servers::start();
        let Beside { faults: mut disturbed, run, before, meanwhile } = run_together(rows, &servers, alone, beside);
        if meanwhile > before * 1.1 + NOISE {
            disturbed.push(format!("the neighbour's 99th percentile moved: {before:.1} → {meanwhile:.1} ms"));
        }
        let mut faults: Vec<_> = rows.iter().flat_map(|row| row.faults(&run, &servers.target, false)).collect();
        // What else runs on the machine may disturb a neighbour, but not every time.
        if !disturbed.is_empty() && attempt < ATTEMPTS && faults.is_empty() {
            continue;
        }
        faults.extend(disturbed);
        if !faults.is_empty() {
            println!("{run}");
        }
        return faults;
    }
    unreachable!("the last attempt returns")
}

/// Runs each guest in a process of its own and asserts on it.
#[track_caller]
fn each_alone(rows: &[Row]) {
    let of_row = |row: &Row| {
        let servers = Servers::start();
        let run = run_alone(row, &servers.target);
        let faults = row.faults(&run, &servers.target, true);
        if !faults.is_empty() {
            println!("{}\n{run}", row.name);
        }
        faults
    };
    let faults: Vec<String> = rows.iter().flat_map(of_row).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
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
fn what_wasi_would_give_is_not_given() {
    each_alone(&network::wasi());
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
