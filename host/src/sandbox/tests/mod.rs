//! Each limit, held against a guest that wants more.

mod guest;
mod program;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guest::{Guest, LOOP, block_on, seat};

use crate::metrics::Recorder;
use crate::plan::Limits;
use crate::vu::{End, Exhausted, Journey as _, Lifecycle as _, Outcome, Worker as _};

const MS: Duration = Duration::from_millis(1);

/// What a guest says that trapped.
fn trap(outcome: Result<Outcome, String>) -> String {
    match outcome {
        Ok(Outcome::Trapped { message }) => message,
        other => panic!("{other:?}"),
    }
}

/// What is said of a guest that ran past a limit of time.
fn overrun(outcome: Result<Outcome, String>) -> String {
    match outcome {
        Ok(Outcome::TimedOut { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_memories_of_a_vu_count_together() {
    let after = r#"(core module $other (memory (export "memory") 2)) (core instance (instantiate $other))"#;
    let guest = Guest { pages: 2, after: after.to_owned(), ..Guest::default() };
    let within = |memory| guest.iterate(Limits { memory, ..Limits::default() });
    assert_eq!(within(256 << 10), Ok(Outcome::Completed));
    assert_eq!(
        within(192 << 10).unwrap_err(),
        "the journey could not be instantiated: the memory of a virtual user would be 256KiB with 128KiB more, over the \
         limit of 192KiB (`memory`)"
    );
}

const GROW: &str = "(if (i32.eq (memory.grow (i32.const 10)) (i32.const -1)) (then unreachable)) (call $return)";

#[test]
fn a_guest_that_grows_too_far_is_told_so_and_its_trap_says_why() {
    let guest = Guest::iterating(GROW);
    assert_eq!(guest.iterate(Limits { memory: 11 << 16, ..Limits::default() }), Ok(Outcome::Completed));
    let message = trap(guest.iterate(Limits { memory: 10 << 16, ..Limits::default() }));
    assert!(message.contains("unreachable"), "{message}");
    assert!(message.contains("over the limit of 640KiB (`memory`)"), "{message}");
}

#[test]
fn more_than_the_default_memory_makes_room_for_it() {
    let guest = Guest::iterating(
        "(if (i32.eq (memory.grow (i32.const 1100)) (i32.const -1)) (then unreachable)) (call $return)",
    );
    assert!(trap(guest.iterate(Limits::default())).contains("over the limit of 64MiB"));
    assert_eq!(guest.iterate(Limits { memory: 128 << 20, ..Limits::default() }), Ok(Outcome::Completed));
}

#[test]
fn all_vus_of_all_threads_share_the_memory_of_the_run_and_give_it_back() {
    let run = Guest::iterating(GROW).run(Limits { run_memory: Some(13 << 16), ..Limits::default() });
    let other_thread = run.sandbox.worker(&run.context, &Recorder::discard());
    block_on(async {
        let mut first = run.instance(1).await.unwrap();
        let mut second = run.instance(2).await.unwrap();
        assert_eq!(first.go().await, Outcome::Completed);
        let Outcome::Trapped { message } = second.go().await else { panic!("12 of 13 pages are taken") };
        assert!(message.contains("the memory of all virtual users"), "{message}");
        drop(second);
        let third = other_thread.instantiate(&seat(3)).await.unwrap();
        let fourth = run.instance(4).await.unwrap();
        let Err(error) = run.instance(5).await else { panic!("13 of 13 pages are taken") };
        assert!(error.to_string().ends_with("over the limit of 832KiB (`run-memory`)"), "{error}");
        drop((first, third, fourth));
        assert_eq!(run.instance(6).await.unwrap().go().await, Outcome::Completed);
    });
}

#[test]
fn the_tables_of_a_vu_and_of_a_run_are_limited() {
    let guest = Guest {
        inside: "(table $one 40 funcref) (table $two 40 funcref)",
        iterate: "(if (i32.eq (table.grow $one (ref.null func) (i32.const 20)) (i32.const -1)) (then unreachable)) (call $return)",
        ..Guest::default()
    };
    let limits = |vu, run| Limits { table_elements: vu, run_table_elements: run, ..Limits::default() };
    assert_eq!(guest.iterate(limits(100, None)), Ok(Outcome::Completed));
    assert!(trap(guest.iterate(limits(99, None))).contains("`table-elements`"));
    assert!(trap(guest.iterate(limits(100, Some(99)))).contains("`run-table-elements`"));
    let message = guest.iterate(limits(79, None)).unwrap_err();
    assert!(message.ends_with("would be 80 with 40 more, over the limit of 79 (`table-elements`)"), "{message}");
}

#[test]
fn a_component_of_very_many_instances_or_memories_is_refused() {
    let many = |module: &str, count: usize| {
        let instances = "(core instance (instantiate $other))".repeat(count);
        let guest = Guest { after: format!("(core module $other {module}) {instances}"), ..Guest::default() };
        guest.iterate(Limits::default())
    };
    assert_eq!(many("", 90), Ok(Outcome::Completed));
    assert!(many("", 100).unwrap_err().contains("instance count too high"));
    assert_eq!(many("(memory 0)", 19), Ok(Outcome::Completed));
    assert!(many("(memory 0)", 20).unwrap_err().contains("memory count too high"));
    assert!(many("(table 0 funcref)", 101).unwrap_err().contains("count too high"));
}

#[test]
fn recursion_ends_where_the_stack_does_and_a_larger_stack_goes_deeper() {
    let guest = Guest {
        inside: "(func $deep (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                (else (i32.const 0))))",
        iterate: "(drop (call $deep (i32.const 40000))) (call $return)",
        ..Guest::default()
    };
    let within = |stack| guest.iterate(Limits { stack, ..Limits::default() });
    assert!(trap(within(64 << 10)).contains("stack exhausted"));
    assert!(trap(within(512 << 10)).contains("stack exhausted"));
    assert_eq!(within(8 << 20), Ok(Outcome::Completed));
}

#[test]
fn one_call_passes_no_more_to_the_host_than_it_may() {
    let guest = Guest {
        before: r#"(import "squall:journey/test@0.1.1" (instance $test (export "fail" (func (param "reason" string)))))
  (core module $data (memory (export "memory") 40))
  (core instance $data (instantiate $data))
  (alias core export $data "memory" (core memory $other))
  (core func $fail (canon lower (func $test "fail") (memory $other)))"#,
        with: r#"(with "test" (instance (export "fail" (func $fail))))"#,
        imports: r#"(import "test" "fail" (func $fail (param i32 i32)))"#,
        iterate: "(call $fail (i32.const 0) (i32.const 2000000)) (call $return)",
        ..Guest::default()
    };
    let within = |host_call_bytes| guest.iterate(Limits { host_call_bytes, ..Limits::default() });
    assert_eq!(within(4 << 20), Ok(Outcome::Completed));
    let message = trap(within(1 << 20));
    assert!(message.contains("fuel"), "{message}");
}

#[test]
fn a_guest_holds_no_more_handles_than_it_may() {
    let guest = Guest {
        before: "(type $thing (resource (rep i32))) (core func $new (canon resource.new $thing))",
        with: r#"(with "own" (instance (export "new" (func $new))))"#,
        imports: r#"(import "own" "new" (func $new (param i32) (result i32)))"#,
        iterate: "(local.set $n (i32.const 500))
            (loop $more
                (drop (call $new (i32.const 1)))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (call $return)",
        ..Guest::default()
    };
    let within = |handles| guest.iterate(Limits { handles, ..Limits::default() });
    assert_eq!(within(600), Ok(Outcome::Completed));
    let message = trap(within(400));
    assert!(message.contains("handle"), "{message}");
}

#[test]
fn a_guest_that_computes_without_end_is_ended_wherever_it_does_so() {
    let limits = Limits { cpu_timeout: 100 * MS, ..Limits::default() };
    let begin = Instant::now();
    let message = overrun(Guest::iterating(LOOP).iterate(limits.clone()));
    assert!(message.starts_with("the guest computed for 100ms without calling the host (`cpu-timeout`)"), "{message}");
    let at_start = Guest { start: LOOP, ..Guest::default() }.iterate(limits.clone()).unwrap_err();
    assert!(at_start.starts_with("the journey could not be instantiated: the guest computed for 100ms"), "{at_start}");
    let run = Guest { setup: LOOP, ..Guest::default() }.run(limits.clone());
    let in_setup = block_on(run.worker.setup()).unwrap_err().to_string();
    assert!(in_setup.starts_with("`setup` trapped: the guest computed for 100ms"), "{in_setup}");
    let component = Guest { options: LOOP, ..Guest::default() }.load_within(&limits);
    let in_options = block_on(component.options(BTreeMap::new(), |_| {})).unwrap_err().to_string();
    assert!(in_options.starts_with("`options` trapped: the guest computed for 100ms"), "{in_options}");
    // Filling all memory is one instruction, between two looks at the clock.
    let fill = "(drop (memory.grow (i32.const 1023)))
        (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864)) (br $again)) unreachable";
    overrun(Guest::iterating(fill).iterate(limits));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

// The ticks of earlier iterations once counted, so that a journey that never calls the host was ended after some time.
#[test]
fn what_one_iteration_computes_does_not_count_for_the_next() {
    let guest = Guest::iterating(
        "(local.set $n (i32.const 20000000))
        (loop $more (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (call $return)",
    );
    let run = guest.run(Limits { cpu_timeout: 200 * MS, ..Limits::default() });
    block_on(async {
        let mut instance = run.instance(1).await.unwrap();
        let begin = Instant::now();
        while begin.elapsed() < 600 * MS {
            assert_eq!(instance.go().await, Outcome::Completed);
        }
    });
}

#[test]
fn a_guest_that_computes_for_long_pauses_where_others_are() {
    let limits = Limits { cpu_timeout: 300 * MS, ..Limits::default() };
    let begin = Instant::now();
    let run = Guest::iterating(LOOP).run(limits);
    block_on(async {
        let (mut looper, _other) = (run.instance(1).await.unwrap(), run.instance(2).await.unwrap());
        assert!(matches!(looper.go().await, Outcome::TimedOut { .. }));
    });
    // 160 ticks with a pause of 1 ms after each, and 400 with 2 ms.
    assert!(begin.elapsed() > 900 * MS, "{:?}", begin.elapsed());
}

/// Calls the host again and again, so that it never computes for long without.
const CALLS: &str = "(loop $for_ever (call $sleep (f64.const 0)) (br $for_ever)) unreachable";

#[test]
fn the_computing_time_of_an_iteration_has_calls_of_the_host_in_it() {
    let limits = Limits { iteration_cpu: Some(100 * MS), ..Limits::default() };
    let message = overrun(Guest::iterating(CALLS).with_sleep().iterate(limits.clone()));
    assert_eq!(message, "the guest computed for more than 100ms in all (`iteration-cpu`)");
    let run = Guest { setup: CALLS, ..Guest::default() }.with_sleep().run(limits.clone());
    let in_setup = block_on(run.worker.setup()).unwrap_err().to_string();
    assert!(in_setup.contains("`iteration-cpu`"), "{in_setup}");
    // Waiting is not computing.
    let waits = Guest::iterating("(call $sleep (f64.const 300)) (call $return)").with_sleep();
    assert_eq!(waits.iterate(limits), Ok(Outcome::Completed));
}

#[test]
fn the_computing_time_of_a_run_is_that_of_all_its_iterations() {
    let guest = Guest::iterating(
        "(local.set $n (i32.const 3000000))
        (loop $more (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (call $return)",
    );
    let run = guest.run(Limits { run_cpu: Some(50 * MS), ..Limits::default() });
    block_on(async {
        let mut instances = [run.instance(1).await.unwrap(), run.instance(2).await.unwrap()];
        let begin = Instant::now();
        while begin.elapsed() < 100 * MS {
            for instance in &mut instances {
                assert_eq!(instance.go().await, Outcome::Completed);
            }
        }
    });
    assert_eq!(run.context.control.end(), Some(End::Exhausted(Exhausted::Cpu { limit: 50 * MS })));
    let run = guest.run(Limits { run_cpu: Some(Duration::from_secs(100)), ..Limits::default() });
    block_on(async { run.instance(1).await.unwrap().go().await });
    assert_eq!(run.context.control.end(), None);
}

#[test]
fn the_wall_time_of_an_iteration_has_its_waiting_in_it() {
    let limits = Limits { iteration_timeout: Some(50 * MS), ..Limits::default() };
    let guest = Guest::iterating("(call $sleep (f64.const 60000)) (call $return)").with_sleep();
    let message = overrun(guest.iterate(limits));
    assert_eq!(message, "the iteration took longer than 50ms (`iteration-timeout`)");
}

#[test]
fn without_interruption_a_guest_computes_as_ever() {
    let guest = Guest::iterating("(call $return)");
    assert_eq!(guest.iterate(Limits { interrupt: false, ..Limits::default() }), Ok(Outcome::Completed));
}

#[test]
fn options_are_held_to_the_limits_that_a_run_has() {
    let guest = Guest {
        options: "(if (i32.eq (memory.grow (i32.const 10)) (i32.const -1)) (then unreachable))",
        ..Guest::default()
    };
    let ask = |limits: Limits| {
        let component = guest.load_within(&limits);
        block_on(component.options(BTreeMap::new(), |_| {})).map_err(|error| error.to_string())
    };
    assert_eq!(ask(Limits::default()), Ok(String::new()));
    assert_eq!(ask(Limits { memory: 128 << 20, ..Limits::default() }), Ok(String::new()));
    assert!(ask(Limits { memory: 1 << 16, ..Limits::default() }).is_err());
}

#[test]
fn a_thousand_vus_at_the_cap_are_one_cap() {
    let run = Guest::default().run(Limits { run_memory: Some(300 << 16), ..Limits::default() });
    let held = block_on(async {
        let mut held = Vec::new();
        for vu in 1..=1000 {
            held.extend(run.instance(vu).await.ok());
        }
        held
    });
    assert_eq!(held.len(), 300);
    drop(held);
    assert!(block_on(run.instance(1)).is_ok());
}
