//! Components that no compiler would write: what they do happens while they are loaded, or needs an instruction that Rust
//! has no word for.

use std::fmt::Write as _;

use super::row::Row;
use crate::support::{Behaviour, Guest, build_component, write};

fn row(name: &'static str, guest: impl Fn() -> Guest + 'static) -> Row {
    Row::made(name, move |folder| guest().build(folder))
}

fn text(name: &'static str, make: impl Fn() -> String + 'static) -> Row {
    Row::made(name, move |folder| build_component(folder, "made.wasm", &make()))
}

/// Guests that run, and do what they should not.
pub fn running() -> Vec<Row> {
    let spin = "(func $spin (loop $for_ever (br $for_ever))) (start $spin)";
    vec![
        row("loop in a start function", move || Guest::idle().core(spin)).code(107).says_one_of(&["instantiated", "computed for"]),
        row("trap in a start function", || Guest::idle().core("(func $trap unreachable) (start $trap)"))
            .code(107)
            .says("instantiated"),
        row("deep recursion, without a stack of its own", || {
            Guest::idle().core("(func $deep (result i32) (call $deep))").iterate_with("(call $deep)")
        })
        .says("trapped: wasm trap: call stack exhausted"),
        row("memory.fill of 64 MiB, for ever", || {
            Guest::idle().iterate_with(
                "(drop (memory.grow (i32.const 1000))) (loop $l (memory.fill (i32.const 1048576) (i32.const 7) \
                 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1048576))) (br $l)) unreachable",
            )
        })
        .says("timed out"),
        row("memory.copy and table.fill, for ever", || {
            Guest::idle().core("(table $t 15000 funcref)").iterate_with(
                "(loop $l (table.fill $t (i32.const 0) (ref.null func) (i32.const 15000)) (memory.copy (i32.const 0) \
                 (i32.const 65536) (i32.const 65536)) (br $l)) unreachable",
            )
        })
        .says("timed out"),
        row("table.grow to the end", || {
            Guest::idle().core("(table $t 1 funcref)").iterate_with(
                "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (call $return)",
            )
        })
        .says("iterations_failed....: 0.00%"),
        row("resource.new, for ever", resources).says("trapped"),
        row("name of 1 MB with ANSI in it", || {
            let name = format!("\\1b[31m{}", "n".repeat(1 << 20));
            Guest::idle().core(&format!("(func $x (@name \"{name}\") unreachable)")).iterate_with("(call $x) unreachable")
        })
        .says("trapped")
        .never("\u{1b}"),
    ]
}

fn resources() -> Guest {
    Guest::idle()
        .imports("(type $r (resource (rep i32))) (core func $new (canon resource.new $r))")
        .core("(import \"host\" \"new\" (func $new (param i32) (result i32)))")
        .given("(with \"host\" (instance (export \"new\" (func $new))))")
        .iterate_with("(loop $l (drop (call $new (i32.const 1))) (br $l)) unreachable")
}

/// Guests that cannot be instantiated within the limits.
pub fn large() -> Vec<Row> {
    vec![
        row("100 memories of 64 MiB", || Guest::idle().core(&"(memory 1024)".repeat(99))).code(107).says("memor"),
        row("a memory of 4 GiB", || Guest::idle().core("(memory 65536)")).code(107).says("memory"),
        row("a table of 10,000,000", || Guest::idle().core("(table 10000000 funcref)")).code(107).says("table"),
        row("90 tables of 20,000", || Guest::idle().core(&"(table 20000 funcref)".repeat(90))).code(107).says("table"),
        row("900 core instances with a memory each", || {
            let mut text = "(core module $m (memory 1024))".to_owned();
            (0..900).for_each(|number| {
                let _ = write!(text, "(core instance $i{number} (instantiate $m))");
            });
            Guest::idle().imports(&text)
        })
        .code(107)
        .says_one_of(&["memor", "instances"]),
    ]
}

/// Components that are hard to compile, or only pretend to be one.
pub fn bombs() -> Vec<Row> {
    vec![
        text("100,000 functions", || {
            Guest::idle()
                .core(&"(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))".repeat(100_000))
                .text()
        })
        .code(107)
        .says("limits.functions"),
        text("function of 1,000,000 locals", || {
            Guest::idle().core(&format!("(func (local {}))", "i64 ".repeat(1_000_000))).text()
        })
        .code(107)
        .says("local variables"),
        text("function of 1,000,000 blocks", || {
            Guest::idle().core(&format!("(func {})", "block br 0 end ".repeat(1_000_000))).text()
        })
        .code(107)
        .says("limits.functionBytes"),
        text("br_table of 500,000", || {
            Guest::idle().core(&format!("(func (param i32) (br_table {} (local.get 0)))", "0 ".repeat(500_000))).text()
        })
        .code(107)
        .says("br_table"),
        text("arithmetic of 1,000,000 values", || {
            let core =
                format!("(func (param i64) (result i64) local.get 0 {})", "local.get 0 i64.mul ".repeat(1_000_000));
            Guest::idle().core(&core).text()
        })
        .code(107)
        .says("limits.functionBytes"),
        Row::made("data of 40 MB", |folder| {
            let data = "x".repeat(40 << 20);
            let text = Guest::idle().imports(&format!("(core module (memory 2000) (data (i32.const 0) \"{data}\"))"));
            build_component(folder, "made.wasm", &text.text())
        })
        .code(107)
        .says("limits.componentBytes"),
        Row::made("section of 100 MB that means nothing", |folder| {
            let path = Guest::idle().build(folder);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.push(0);
            let content = [&[1_u8, b'x'][..], &vec![0; 100 << 20]].concat();
            leb(&mut bytes, content.len());
            bytes.extend(content);
            write(folder, "large.wasm", bytes)
        })
        .code(107)
        .says("bytes"),
        text("types 500 deep", || nested_types(500)).code(107).says("nesting is too deep"),
        text("a type of 10^30 parts", || {
            let mut types = "(type $t0 (list u8))".to_owned();
            for level in 1..=30 {
                let below = level - 1;
                let parts = format!("$t{below} ").repeat(10);
                let _ = write!(types, "(type $t{level} (tuple {parts}))");
            }
            Guest::idle().imports(&types).text()
        })
        .code(107)
        .says("type"),
        text("components 60 deep", || {
            let (open, close) = ("(component ".repeat(60), ")".repeat(60));
            Guest::idle().imports(&format!("{open}{close}")).text()
        })
        .code(107)
        .says_one_of(&["deep", "nest"]),
        text("blocks 100,000 deep", || {
            let depth = 100_000;
            Guest::idle().core(&format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth))).text()
        })
        .code(107)
        .says("blocks nested 5001 deep"),
        text("10^9 instances of components", multiplied).code(107).says("instances, those inside others counted"),
    ]
}

/// Nine components in each other, each with ten instances of the next.
fn multiplied() -> String {
    let mut all = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=9 {
        let below = level - 1;
        let inner = format!("(instance (instantiate $c{below}))").repeat(10);
        all = format!("(component $c{level} {all} {inner})");
    }
    Guest::idle().imports(&format!("{all} (instance (instantiate $c9))")).text()
}

fn nested_types(depth: u32) -> String {
    let mut types = "(type $t0 (list u8))".to_owned();
    for level in 1..=depth {
        let _ = write!(types, "(type $t{level} (list $t{}))", level - 1);
    }
    Guest::idle().imports(&types).text()
}

fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Components that want what they were not granted, or whose options are no options.
pub fn refused() -> Vec<Row> {
    let import = |name: &str| format!("(import \"{name}\" (instance))");
    let (evil, sockets) = (import("evil:corp/steal@1.0.0"), import("wasi:sockets/tcp@0.2.0"));
    let deep = "[".repeat(200_000);
    vec![
        row("an import that nobody has", move || Guest::idle().imports(&evil)).code(107).says("evil:corp/steal@1.0.0"),
        row("an import that was not granted", move || Guest::idle().imports(&sockets))
            .code(113)
            .says("wasi:sockets/tcp@0.2.0"),
        row("options 200,000 deep", move || Guest::with_options(&deep)).code(107).says("options"),
        row("trap in every iteration, by hand", || Guest::idle().iterate(Behaviour::Traps)).says("trapped"),
    ]
}
