//! Random answers, most of them hostile, to our HTTP/1.1 decoder and to hyper's client.
//!
//! The tests of `protocol::http::h1::differential` compare two thousand of them; here they go on for a while.

use anyhow::{Context, Result, bail};

use crate::workspace::{call, cargo};

/// The tests, as cargo's filter has them.
const TESTS: &str = "protocol::http::h1::differential";

pub fn run(arguments: &[String]) -> Result<()> {
    let seconds = seconds(arguments)?;
    let mut command = cargo();
    command.args(["test", "--package", "squall", "--lib", TESTS, "--", "--nocapture"]);
    call(command.env("SQUALL_FUZZ_SECONDS", seconds.to_string()))
}

fn seconds(arguments: &[String]) -> Result<u32> {
    match arguments {
        [] => Ok(60),
        [option, value] if option == "--seconds" => {
            value.parse().with_context(|| format!("`{value}` is not a number of seconds"))
        }
        other => bail!("unexpected arguments `{}`; try `cargo xtask fuzz --seconds 300`", other.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_a_minute_or_what_is_asked_for() {
        let given = |words: &str| seconds(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!((given("").unwrap(), given("--seconds 300").unwrap()), (60, 300));
        assert!(given("--seconds x").is_err() && given("--seconds").is_err() && given("300").is_err());
    }
}
