//! Programs: components that export `wasi:cli/run` and nothing of squall's.

use std::sync::Arc;
use std::time::Duration;

use super::guest::{LOOP, Run, block_on};
use crate::plan::{Kind, Limits, Policy};
use crate::sandbox::{Component, MemoryMode};
use crate::vu::{Instance as _, Iteration, Lifecycle as _, Outcome};

/// A program whose main function does this, and returns success unless it says otherwise.
fn program(body: &str, data: usize) -> Vec<u8> {
    let pages = 1 + data / (64 << 10);
    let data = "x".repeat(data);
    let text = format!(
        r#"(component
  (import "wasi:cli/exit@0.2.6" (instance $exit (export "exit-with-code" (func (param "status-code" u8)))))
  (core func $exit (canon lower (func $exit "exit-with-code")))
  (core module $module
    (import "host" "exit" (func $exit (param i32)))
    (memory (export "memory") {pages})
    (data (i32.const 0) "{data}")
    (global $runs (mut i32) (i32.const 0))
    (func (export "run") (result i32) (local $n i32) {body} (i32.const 0)))
  (core instance $instance (instantiate $module (with "host" (instance (export "exit" (func $exit))))))
  (func $run (result (result)) (canon lift (core func $instance "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.6" (instance $exported)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn load(bytes: Vec<u8>, limits: &Limits) -> Component {
    Component::load_within(bytes, None, limits, &Policy::default()).unwrap()
}

/// How each of so many runs of one VU ends.
fn runs(component: &Component, limits: Limits, count: u32) -> Vec<Outcome> {
    let run = Run::new(component, limits).unwrap();
    block_on(async {
        let mut instance = run.instance(1).await.unwrap();
        let mut outcomes = Vec::new();
        for number in 0..count {
            outcomes.push(instance.iterate(&Iteration { number, index: number.into(), stream: number.into() }).await);
        }
        outcomes
    })
}

fn once(body: &str, limits: Limits) -> Outcome {
    runs(&load(program(body, 0), &limits), limits, 1).remove(0)
}

#[test]
fn how_a_program_exits_is_how_its_iteration_ends() {
    let failed = |status| Outcome::Failed { message: format!("exited with status {status}") };
    assert_eq!(once("", Limits::default()), Outcome::Completed);
    assert_eq!(once("(call $exit (i32.const 0))", Limits::default()), Outcome::Completed);
    assert_eq!(once("(call $exit (i32.const 3))", Limits::default()), failed(3));
    assert_eq!(once("(return (i32.const 1))", Limits::default()), failed(1));
    let trapped = once("unreachable", Limits::default());
    assert!(matches!(&trapped, Outcome::Trapped { message } if message.contains("unreachable")), "{trapped:?}");
    let quick = Limits { cpu_timeout: Duration::from_millis(20), ..Limits::default() };
    let late = once(LOOP, quick);
    assert!(matches!(&late, Outcome::TimedOut { message } if message.contains("cpu-timeout")), "{late:?}");
}

#[test]
fn what_is_to_be_said_of_a_failure_is_said_once() {
    let run = Run::new(&load(program("(call $exit (i32.const 3))", 0), &Limits::default()), Limits::default()).unwrap();
    block_on(async {
        let mut instance = run.instance(1).await.unwrap();
        assert!(instance.detail().is_none());
        instance.go().await;
        assert!(instance.detail().unwrap().text().starts_with("iteration 0 failed: exited with status 3"));
        assert!(instance.detail().is_none());
    });
}

#[test]
fn every_run_begins_anew_and_has_its_memory_for_itself() {
    let counts = "(global.set $runs (i32.add (global.get $runs) (i32.const 1)))
        (if (i32.ne (global.get $runs) (i32.const 1)) (then unreachable))
        (if (i32.load (i32.const 60000)) (then unreachable))
        (i32.store (i32.const 60000) (i32.const 1))
        (if (i32.eq (memory.grow (i32.const 3)) (i32.const -1)) (then unreachable))";
    for data in [0, 300 << 10] {
        let pages = 4 + data as u64 / (64 << 10);
        // As much as one run takes: what is not given back is missed by the next.
        let limits = Limits { run_memory: Some(pages << 16), run_table_elements: Some(0), ..Limits::default() };
        let counts = if data == 0 { counts.to_owned() } else { counts.replace("60000", "319488") };
        let component = load(program(&counts, data), &limits);
        let mode = if data == 0 { MemoryMode::Dense } else { MemoryMode::CopyOnWrite };
        assert!(cfg!(not(target_os = "linux")) || component.memory_mode() == mode);
        let outcomes = runs(&component, limits, 50);
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Completed), "{data}: {outcomes:?}");
    }
}

#[test]
fn a_run_that_broke_gives_its_memory_back_as_well() {
    let limits = Limits { run_memory: Some(2 << 16), ..Limits::default() };
    let component = load(program("(drop (memory.grow (i32.const 1))) unreachable", 0), &limits);
    let run = Run::new(&component, limits).unwrap();
    block_on(async {
        for vu in 1..=20 {
            let outcome = run.instance(vu).await.unwrap().go().await;
            assert!(matches!(&outcome, Outcome::Trapped { message } if message.contains("unreachable")), "{outcome:?}");
        }
    });
    let small = Limits { run_memory: Some(1 << 15), ..Limits::default() };
    let outcome = once("", small);
    assert!(matches!(&outcome, Outcome::Trapped { message } if message.contains("`run-memory`")), "{outcome:?}");
}

#[test]
fn a_program_has_nothing_that_happens_once() {
    let component = load(program("unreachable", 0), &Limits::default());
    assert_eq!(component.kind(), Kind::Program);
    let inspection = component.inspect();
    assert_eq!((inspection.kind, inspection.world.as_str()), (Kind::Program, "wasi:cli/command@0.2.6"));
    let run = Run::new(&component, Limits::default()).unwrap();
    block_on(async {
        assert_eq!(component.options(std::collections::BTreeMap::new(), |_| {}).await.unwrap(), "");
        assert!(run.worker.setup().await.unwrap().is_empty());
        run.worker.teardown(&Arc::from([])).await.unwrap();
        assert!(run.worker.handle_summary("{}").await.unwrap().is_empty());
    });
}

#[test]
fn what_is_neither_journey_nor_program_is_told_what_there_is() {
    let refused = |exports: &str| {
        let text = format!("(component (instance $empty) {exports})");
        let error = Component::load(wat::parse_str(text).unwrap(), None).err().expect("it is neither");
        (error.to_string(), error.hint().unwrap())
    };
    let (message, hint) = refused("");
    assert_eq!(message, "exports neither what a journey does nor `wasi:cli/run`, as a program does");
    assert!(hint.contains("`squall:journey/journey@0.1.1`") && hint.contains("`wasi:cli/command@0.2`"), "{hint}");
    let (message, _) = refused(r#"(export "wasi:cli/run@0.3.0" (instance $empty))"#);
    assert_eq!(message, "is a program that exports `wasi:cli/run@0.3.0`, and squall runs those of WASI 0.2");
    let (message, hint) = refused(r#"(export "wasi:http/incoming-handler@0.2.3" (instance $empty))"#);
    assert!(message.contains("it is a service") && hint.contains("squall target --component"), "{message} {hint}");
}
