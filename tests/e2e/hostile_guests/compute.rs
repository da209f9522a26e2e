//! Guests that take the processor, the stack and the memory.

use super::row::Row;

pub fn rows() -> Vec<Row> {
    vec![
        Row::attack("loop in iterate", "loop").says("timed out: the guest computed for"),
        Row::attack("loop that calls the host", "loop-with-calls").says("timed out"),
        Row::attack("loop of memory.fill", "fill").says("timed out: the guest computed for"),
        Row::attack("deep recursion", "recursion").says("trapped: wasm trap: call stack exhausted"),
        Row::attack("memory to the end", "grow").says("trapped: wasm trap: wasm `unreachable` instruction executed"),
        Row::attack("memory.grow by hand", "grow-by-hand").says("result grow-by-hand: refused after 6"),
        Row::attack("panic", "panic").says("trapped: wasm trap").says("item 7 is in the \\u{1b}[31mcart"),
        Row::attack("wait for ever", "wait-for-ever").says("timed out: the iteration took longer than 6s"),
        Row::attack("sleep 1,000,000 times", "sleep-flood").says("timed out"),
    ]
}

/// What starts nothing, or ends the run.
pub fn alone() -> Vec<Row> {
    vec![
        Row::attack("loop in setup", "nothing")
            .flag("--env")
            .flag("SETUP_ATTACK=loop")
            .code(107)
            .says("`setup` trapped"),
        Row::attack("loop in teardown", "nothing")
            .flag("--env")
            .flag("TEARDOWN_ATTACK=loop")
            .code(107)
            .says("`teardown` trapped"),
        Row::attack("wait for ever in setup", "nothing")
            .flag("--env")
            .flag("SETUP_ATTACK=wait-for-ever")
            .config("setupTimeout = \"1s\"\n")
            .code(100)
            .says("`setup` took too long"),
        Row::attack("40 MB from setup", "nothing")
            .flag("--env")
            .flag("SETUP_ATTACK=setup-data")
            .scenario("executor = \"per-vu-iterations\"\nvus = 20\niterations = 1\nmaxDuration = \"5s\"\n")
            .code(107)
            .says("`setup`"),
        Row::attack("trap in every iteration", "panic")
            .scenario("executor = \"constant-vus\"\nvus = 10\nduration = \"10s\"\n")
            .limits("maxTraps = 500\n")
            .code(107)
            .says("more like it")
            .within(10),
    ]
}
