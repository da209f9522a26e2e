//! `cargo xtask journeys`: every example and test journey as `target/journeys/NAME.wasm`.
//!
//! The Rust journeys need nothing but rustup's cargo. `--proof` also builds the journeys in C, JavaScript and Python that
//! prove the contract in `wit/`; it installs what they need into `target/tools`, pinned, and says what it left out.

mod proof;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

pub use proof::proof;

use crate::workspace::{add_rust_target, call, cargo, root, target};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "journey";
/// Test journeys that are also built with debug information, as `NAME-debug`.
const WITH_DEBUG: &[&str] = &["trap-iterate"];
const DEBUG_PROFILE: &str = "journey-debug";

/// Runs the command with its arguments.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let with_proof = match args {
        [] => false,
        [flag] if flag == "--proof" => true,
        _ => bail!("usage: cargo xtask journeys [--proof]"),
    };
    let built = build()?;
    print_sizes(&built)?;
    if with_proof {
        let proof = proof()?;
        print_sizes(&proof.built)?;
        for skipped in &proof.skipped {
            println!("SKIPPED: {skipped}");
        }
    }
    Ok(())
}

/// Builds all Rust journeys and returns where they are, by name.
pub fn build() -> anyhow::Result<Vec<PathBuf>> {
    add_rust_target(TARGET).context("journeys are components, which need a target of their own")?;
    let crates = journey_crates()?;
    let with_debug: Vec<_> = crates.iter().filter(|journey| WITH_DEBUG.contains(&&*journey.name)).collect();
    let mut components = build_as(PROFILE, &crates.iter().collect::<Vec<_>>(), "")?;
    components.extend(build_as(DEBUG_PROFILE, &with_debug, "-debug")?);
    Ok(components)
}

/// Builds journeys with a profile and returns where they are, by their name and this at its end.
fn build_as(profile: &str, crates: &[&JourneyCrate], end: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = cargo();
    command.args(["build", "--locked", "--quiet", "--profile", profile, "--target", TARGET]);
    for package in crates {
        command.args(["--package", &package.package]);
    }
    call(&mut command).context("the journeys do not build")?;
    let built = target().join(TARGET).join(profile);
    let publish = |journey: &&JourneyCrate| {
        let component = built.join(format!("{}.wasm", journey.package.replace('-', "_")));
        publish(&component, &format!("{}{end}", journey.name))
    };
    crates.iter().map(publish).collect()
}

/// A crate that becomes a component.
struct JourneyCrate {
    /// The folder's name, and the component's.
    name: String,
    package: String,
}

/// The crates in `examples/` and `tests/journeys/`, by name.
fn journey_crates() -> anyhow::Result<Vec<JourneyCrate>> {
    let mut crates = Vec::new();
    for (folder, prefix) in [("examples", ""), ("tests/journeys", "journey-")] {
        let path = root().join(folder);
        for entry in fs::read_dir(&path).with_context(|| format!("`{}` cannot be read", path.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().join("Cargo.toml").is_file() {
                crates.push(JourneyCrate { package: format!("{prefix}{name}"), name });
            }
        }
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

/// Puts a component where everyone looks for it. One that did not change is left alone, so that what was compiled from
/// it stays good.
fn publish(component: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let bytes = fs::read(component).with_context(|| format!("`{}` was not built", component.display()))?;
    let directory = target().join("journeys");
    fs::create_dir_all(&directory)?;
    let published = directory.join(format!("{name}.wasm"));
    if fs::read(&published).ok().as_deref() != Some(&*bytes) {
        fs::write(&published, bytes).with_context(|| format!("`{}` cannot be written", published.display()))?;
    }
    Ok(published)
}

fn print_sizes(components: &[PathBuf]) -> anyhow::Result<()> {
    for component in components {
        let name = component.file_stem().unwrap_or_default().to_string_lossy();
        let bytes = fs::metadata(component)?.len();
        println!("{name:20} {:>9.1} KB", bytes as f64 / 1e3);
    }
    Ok(())
}
