//! How a trap looks to the person who has to mend it.

use crate::support::{Behaviour, Guest, Squall, exit, journey, journey_if_built, left_out};

#[test]
fn a_trap_names_the_functions_of_a_guest_that_has_names() {
    let folder = tempfile::tempdir().unwrap();
    let core = "(func $check_out (result i32) unreachable) (func $visit_shop (result i32) (call $check_out))";
    let guest = Guest::idle().core(core).iterate_with("(call $visit_shop)").build(folder.path());
    let run = Squall::run(guest).flags("--vus 1 --iterations 1").finish().expect(exit::JOURNEY);
    run.says(&[
        "error: default VU 1: iteration 0 trapped: wasm trap: wasm `unreachable` instruction executed\n",
        "      at check_out\n      at visit_shop\n",
        "      in `hand-made.wasm`\n",
    ]);
}

#[test]
fn a_trap_names_file_and_line_of_a_guest_that_has_them_and_what_it_said_before() {
    let Some(guest) = journey_if_built("trap-iterate-debug") else {
        left_out("file and line of a trap: `cargo xtask journeys` builds the guest");
        return;
    };
    let run = Squall::run(guest).grant("EVERY", "2").flags("--vus 1 --iterations 2").finish().expect(exit::JOURNEY);
    let run = run.says(&[
        "error: default VU 1: iteration 1 trapped: wasm trap: wasm `unreachable` instruction executed\n",
        "tests/journeys/trap-iterate/src/lib.rs:15)\n",
        "      in `trap-iterate-debug.wasm`\n",
        "    it had logged:\n      error: panicked at tests/journeys/trap-iterate/src/lib.rs:15:5: run 2 of",
    ]);
    assert!(!run.stderr.contains("/rustc/"), "frames of Rust's own libraries are folded\n{run}");
}

#[test]
fn a_trap_of_setup_tells_as_much() {
    let run = Squall::run(journey("trap-setup")).finish().expect(exit::JOURNEY);
    run.says(&["`setup` trapped: wasm trap", "in `trap-setup.wasm`", "it had logged:", "setup is broken on purpose"]);
}

#[test]
fn traps_that_are_alike_are_one_line_with_a_count() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::idle().iterate(Behaviour::Traps).build(folder.path());
    let run = Squall::run(guest).flags("--vus 20 --iterations 60").finish().expect(exit::JOURNEY);
    let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains("trapped")).collect();
    assert!(lines.last().unwrap().ends_with(" … and 59 more like it"), "{run}");
    assert!(lines.len() < 10, "{run}");
}
