//! Traps in setup: the run must not start.

use squall_sdk::Error;

fn break_down() -> Result<(), Error> {
    panic!("setup is broken on purpose");
}

fn nothing() {}

squall_sdk::journey! {
    setup: break_down,
    scenarios: { default: nothing },
}
