//! `cargo xtask journeys`: every example and test journey as `target/journeys/NAME.wasm`.
//!
//! The Rust journeys need nothing but rustup's cargo. `--proof` also builds the journeys in C, JavaScript and Python that
//! prove the contract in `wit/`; it installs what they need into `target/tools`, pinned, and says what it left out.

mod proof;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

pub use proof::proof;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "journey";

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
    add_target()?;
    let crates = journey_crates()?;
    let mut cargo = Command::new(env_or("CARGO", "cargo"));
    cargo.current_dir(root()).args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET]);
    for package in &crates {
        cargo.args(["--package", &package.package]);
    }
    execute(&mut cargo).context("the journeys do not build")?;
    let built = target_directory().join(TARGET).join(PROFILE);
    crates
        .iter()
        .map(|journey| {
            let component = built.join(format!("{}.wasm", journey.package.replace('-', "_")));
            publish(&component, &journey.name)
        })
        .collect()
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

/// Makes sure that Rust can compile to components.
fn add_target() -> anyhow::Result<()> {
    let help = format!("journeys are components, which need the target `{TARGET}`: run `rustup target add {TARGET}`");
    let output = Command::new("rustup").current_dir(root()).args(["target", "add", TARGET]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("rustup refused to add the target `{TARGET}`\n  hint: {help}\n\n{}", words.trim())
        }
        // A toolchain without rustup may have the target all the same.
        Err(_) if has_target() => Ok(()),
        Err(error) => Err(error).context(format!("rustup could not be started\n  hint: {help}")),
    }
}

fn has_target() -> bool {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Puts a component where everyone looks for it. One that did not change is left alone, so that what was compiled from
/// it stays good.
fn publish(component: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let bytes = fs::read(component).with_context(|| format!("`{}` was not built", component.display()))?;
    let directory = target_directory().join("journeys");
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

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path))
}

fn env_or(name: &str, default: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_else(|| default.into())
}

/// Runs a command to its end; one that fails is an error that shows it.
fn execute(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("`{}` could not be started", shown(command)))?;
    ensure!(status.success(), "`{}` failed ({status})", shown(command));
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
