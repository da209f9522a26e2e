//! Guests that take the processor, the stack and the memory.

use super::row::Row;

pub fn rows() -> Vec<Row> {
    vec![
        Row::attack("loop in iterate", "loop").says("timed out"),
        Row::attack("loop that calls the host", "loop-with-calls").says("timed out"),
        Row::attack("loop of memory.fill", "fill").says("timed out"),
        Row::attack("deep recursion", "recursion")
            .says_one_of(&["call stack exhausted", "trapped: wasm trap: out of bounds memory access"]),
        Row::attack("memory to the end", "grow").says("trapped: wasm trap: wasm `unreachable` instruction executed"),
        Row::attack("memory.grow by hand", "grow-by-hand").says("result grow-by-hand: refused after 6"),
        Row::attack("panic", "panic").says("trapped: wasm trap").never("\u{1b}"),
        Row::attack("wait for ever", "wait-for-ever").says("timed out: the iteration took longer than 3s"),
        Row::attack("sleep 1,000,000 times", "sleep-flood").says_one_of(&["timed out", "slept 1,000,000 times"]),
    ]
}

/// What starts nothing, or ends the run.
pub fn alone() -> Vec<Row> {
    vec![
        Row::attack("loop in setup", "nothing")
            .flag("--env")
            .flag("SETUP_ATTACK=loop")
            .code(107)
            .says_one_of(&["`setup` trapped", "`setup` took too long"]),
        Row::attack("loop in teardown", "nothing")
            .flag("--env")
            .flag("TEARDOWN_ATTACK=loop")
            .code(107)
            .says_one_of(&["`teardown` trapped", "`teardown` took too long"]),
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
            .limits("maxTraps = 100\n")
            .code(107)
            .says("more like it")
            .within(10),
    ]
}
