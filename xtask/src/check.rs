//! `cargo xtask check`: the whole gate, cheap stages first.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stage::Stages;
use crate::workspace::{add_rust_target, call, cargo, journey, show, target};
use crate::{deny, examples, journeys, layers};

type Work = fn(&mut Vec<String>) -> Result<()>;

/// Name and work of every stage, cheap ones first. The work adds what it had to leave out.
const STAGES: &[(&str, Work)] = &[
    ("format", |_| shown(cargo().args(["fmt", "--all", "--check"]))),
    ("layers", |_| layers::run()),
    ("wasm-target", |_| {
        add_rust_target("wasm32-wasip2").context("journeys cannot be built without the target `wasm32-wasip2`")
    }),
    ("clippy", |_| clippy()),
    // The documents need what clippy has just made of the dependencies, and nothing more.
    ("docs", |_| docs()),
    ("deny", deny::run),
    ("journeys", |_| journeys::run(&[])),
    ("proof", |left_out| {
        left_out.extend(journeys::proof()?.skipped);
        Ok(())
    }),
    ("tests", |_| shown(cargo().args(["test", "--locked", "--workspace"]))),
    ("embed", |_| embed()),
    ("examples", |_| examples::run(&[])),
    ("windows", |left_out| elsewhere("x86_64-pc-windows-gnu", left_out)),
    ("macos", |left_out| elsewhere("aarch64-apple-darwin", left_out)),
];

/// Runs the stages named, or all of them, and prints their times and what was left out.
pub fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STAGES.iter().all(|(known, _)| known != name)) {
        let known: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
        bail!("there is no stage `{unknown}`\n  hint: the stages are `{}`", known.join("`, `"));
    }
    let mut stages = Stages::default();
    let mut wanted = STAGES.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name));
    let done = wanted.try_for_each(|(name, work)| stages.stage(name, &format!("cargo xtask check {name}"), work));
    println!("{}", stages.finish());
    done?;
    match names {
        [] => println!("check passed"),
        some => println!("passed, of the whole check only: {}", some.join(", ")),
    }
    Ok(())
}

/// Prints a command, then runs it to its end.
fn shown(command: &mut Command) -> Result<()> {
    println!("    $ {}", show(command));
    call(command)
}

fn clippy() -> Result<()> {
    let what = ["clippy", "--locked", "--workspace", "--all-targets"];
    shown(cargo().args(what).args(["--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    let what = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    shown(cargo().env("RUSTDOCFLAGS", "-D warnings").args(what))
}

/// Runs the example that `cargo test` has built; `cargo run` would build the dependencies again with fewer features.
fn embed() -> Result<()> {
    let name = format!("embed{}", std::env::consts::EXE_SUFFIX);
    let path = target().join("debug").join("examples").join(name);
    if !path.is_file() {
        bail!("the example `embed` is not built\n  hint: `cargo xtask check tests` builds it");
    }
    shown(Command::new(path).arg(journey("quickstart")))
}

/// Checks that squall compiles for another system, where the standard library for it can be had.
fn elsewhere(system: &str, left_out: &mut Vec<String>) -> Result<()> {
    if let Err(error) = add_rust_target(system) {
        left_out.push(format!("compiling for {system}: {error:#}"));
        return Ok(());
    }
    if !cfg!(unix) {
        left_out.push(format!("compiling for {system}: the stand-in C compiler is a shell script"));
        return Ok(());
    }
    let compiler = stand_in()?;
    let name = system.replace('-', "_");
    shown(
        cargo()
            .env(format!("CC_{name}"), &compiler)
            .env(format!("CXX_{name}"), &compiler)
            .env(format!("AR_{name}"), &compiler)
            .args(["clippy", "--locked", "--workspace", "--target", system, "--", "-D", "warnings"]),
    )
}

/// A C compiler and archiver that write empty files.
///
/// Build scripts compile a little C and assembly for the target, which needs a cross compiler that few machines have.
/// `cargo check` links nothing, so nobody reads what they would write.
fn stand_in() -> Result<PathBuf> {
    const SCRIPT: &str = r#"#!/bin/sh
# Writes the file named after -o (a compiler), or the first *.a or *.lib (an archiver).
while [ $# -gt 0 ]; do
  case "$1" in
    -o) : > "$2"; exit 0 ;;
    -o*) : > "${1#-o}"; exit 0 ;;
    *.a|*.lib) : > "$1"; exit 0 ;;
  esac
  shift
done
"#;
    let folder = target().join("xtask");
    let path = folder.join("stand-in-cc");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    std::fs::write(&path, SCRIPT).with_context(|| format!("cannot write `{}`", path.display()))?;
    call(Command::new("chmod").arg("+x").arg(&path))?;
    Ok(path)
}
