//! `cargo xtask demo`: a journey drives a real server and comes back with numbers and a verdict.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::child::Beside;
use crate::journeys;
use crate::stage::Stages;
use crate::workspace::{self, cargo, target};

/// Builds everything, runs `login-flow` against the practice server and passes squall's exit code on.
pub fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.stage("wasm target", "rustup target add wasm32-wasip2", |_| workspace::add_rust_target("wasm32-wasip2"))?;
    let squall = build(&mut stages)?;
    stages.stage("journeys", "cargo xtask journeys", |_| journeys::run(&[]))?;

    let folder = target().join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let (summary, samples) = (folder.join("summary.json"), folder.join("samples.json"));
    let (server, url) = Beside::server(Command::new(&squall).args(["target", "--listen", "127.0.0.1:0"]))?;
    let mut command = Command::new(&squall);
    command
        .arg("run")
        .arg(workspace::journey("login-flow"))
        .args(["--vus", "20", "--duration", "10s", "--env"])
        .arg(format!("BASE_URL={url}"))
        .arg("--summary-export")
        .arg(&summary)
        .arg("--out")
        .arg(format!("json={}", samples.display()));
    println!("\n=== 20 virtual users for 10 seconds\n    {}\n", workspace::show(&command));
    let status = command.status().context("squall did not start")?;
    drop(server);
    println!("\nsummary as JSON: {}", summary.display());
    println!("every sample:    {}", samples.display());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A release build takes minutes longer, so it is used only where one was made before; either is brought up to date.
fn build(stages: &mut Stages) -> Result<PathBuf> {
    let name = format!("squall{}", std::env::consts::EXE_SUFFIX);
    let release = target().join("release").join(&name);
    let mut command = cargo();
    command.args(["build", "--locked"]);
    if release.is_file() {
        println!("a release build is there, so the demo uses it");
        stages.command("squall, release", command.args(["--release", "--package", "squall", "--bin", "squall"]))?;
        return Ok(release);
    }
    println!("the demo uses the dev profile: a release build takes minutes longer (`cargo build --release`)");
    dev_squall(|command| stages.command("squall, dev", command))
}

/// Builds squall for development and returns where it is.
///
/// Cargo builds dependencies again when their features change. These are what `check` builds, down to the features that
/// only tests and examples switch on.
pub fn dev_squall(build: impl FnOnce(&mut Command) -> Result<()>) -> Result<PathBuf> {
    build(cargo().args(["build", "--locked", "--workspace", "--bin", "squall", "--example", "embed"]))?;
    Ok(target().join("debug").join(format!("squall{}", std::env::consts::EXE_SUFFIX)))
}
