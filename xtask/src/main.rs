//! The project's own chores, run as `cargo xtask NAME`.
//!
//! `check` is the whole gate, `demo` shows squall at work, `journeys` builds the guests, `examples` runs those that are
//! examples, `bench` measures squall beside its peers, `fuzz` tries answers, components and values that nobody thought of,
//! `bump` takes wasmtime's newest patch, `layers` checks which module uses which.
//! Everything here is plain processes and text, so that it compiles in seconds.

mod bench;
mod bump;
mod check;
mod child;
mod demo;
mod deny;
mod examples;
mod fuzz;
mod hostile;
mod journeys;
mod layers;
mod stage;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask COMMAND

  check [STAGE..]      the whole gate, or these stages of it: format, layers, wasm-target, clippy, docs, deny, journeys,
                       proof, tests, embed, examples, windows, macos
  demo                 a practice server and 20 virtual users for 10 seconds
  journeys [--proof]   examples and test guests into target/journeys; with the proof in C, JavaScript and Python
  examples [NAME..]    every example against a practice server of its own
  bench [OPTIONS]      squall beside its peers; `cargo xtask bench --help` lists the options
  fuzz [TARGET..]      cases that nobody thought of, for `--seconds N` (60) each: `answers` to our HTTP/1.1 and to hyper's,
                       which must see the same; `components` to load and inspect; `values` for the host's functions.
                       `--seed N` makes one case again
  bump [--dry-run]     the newest release of wasmtime's long-term branch, all its crates together
  hostile [--release]  every hostile guest beside a user that behaves; writes the table in docs/security.md
  layers               which module uses which";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("no command given\n{HELP}");
    };
    std::env::set_current_dir(workspace::root())?;
    match command.as_str() {
        "check" => check::run(rest)?,
        "demo" => return none(rest).and_then(|()| demo::run()),
        "journeys" => journeys::run(rest)?,
        "examples" => examples::run(rest)?,
        "bench" => bench::run(rest)?,
        "fuzz" => fuzz::run(rest)?,
        "bump" => bump::run(rest)?,
        "hostile" => hostile::run(rest)?,
        "layers" => none(rest).and_then(|()| layers::run())?,
        "help" | "--help" | "-h" => println!("{HELP}"),
        other => bail!("unknown command `{other}`\n{HELP}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn none(rest: &[String]) -> Result<()> {
    match rest.first() {
        Some(extra) => bail!("unexpected argument `{extra}`\n{HELP}"),
        None => Ok(()),
    }
}
