//! `cargo xtask check`: the whole gate, cheap stages first.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::stage::Stages;
use crate::workspace::{add_rust_target, call, cargo, target};
use crate::{deny, journeys, layers};

/// Systems that squall must build on beside Linux.
const ELSEWHERE: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Runs every stage and prints their times and what was left out.
pub fn run() -> Result<()> {
    let mut stages = Stages::default();
    let done = all(&mut stages);
    println!("{}", stages.finish());
    done?;
    println!("check passed");
    Ok(())
}

fn all(stages: &mut Stages) -> Result<()> {
    stages.command("format", cargo().args(["fmt", "--all", "--check"]))?;
    stages.stage("layers", "cargo xtask layers", |_| layers::run())?;
    stages.stage("wasm target", "rustup target add wasm32-wasip2", |_| {
        add_rust_target("wasm32-wasip2").context("journeys cannot be built without the target `wasm32-wasip2`")
    })?;
    stages.command(
        "clippy",
        cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    // The documents need what clippy has just made of the dependencies, and nothing more.
    stages.command(
        "docs",
        cargo().env("RUSTDOCFLAGS", "-D warnings").args([
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ]),
    )?;
    stages.stage("licences and sources", "cargo deny check", deny::run)?;
    stages.stage("journeys", "cargo xtask journeys", |_| journeys::run(&[]))?;
    stages.stage("guests in other languages", "cargo xtask journeys --proof", |left_out| {
        left_out.extend(journeys::proof()?.skipped);
        Ok(())
    })?;
    stages.command("tests", cargo().args(["test", "--locked", "--workspace"]))?;
    // `cargo test` has built it; `cargo run` would build the dependencies again with fewer features.
    stages.command("example `embed`", &mut Command::new(embed()))?;
    for system in ELSEWHERE {
        let repeat = format!("cargo check --package squall --target {system}");
        stages.stage(system, &repeat, |left_out| elsewhere(system, left_out))?;
    }
    Ok(())
}

fn embed() -> PathBuf {
    let name = format!("embed{}", std::env::consts::EXE_SUFFIX);
    target().join("debug").join("examples").join(name)
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
    call(
        cargo()
            .env(format!("CC_{name}"), &compiler)
            .env(format!("CXX_{name}"), &compiler)
            .env(format!("AR_{name}"), &compiler)
            .args(["check", "--locked", "--package", "squall", "--target", system]),
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
