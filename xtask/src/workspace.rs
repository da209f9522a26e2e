//! Where things are, and whether a program is there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` where set, else `target`.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(chosen) => root().join(chosen),
        None => root().join("target"),
    }
}

/// Where journeys are built to.
pub fn journey(name: &str) -> PathBuf {
    target().join("journeys").join(format!("{name}.wasm"))
}

/// Where programs that this project installs for itself are.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The cargo that runs this program.
///
/// What `cargo run` says of xtask's own package is taken away: build scripts that ask for it (ring's does) would run again
/// whenever cargo is called once from here and once by hand.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let is_of_xtask = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME"
        });
        if is_of_xtask {
            command.env_remove(name);
        }
    }
    command
}

/// The full path of a program: among the project's own tools, else on `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let own = [tools().join("bin"), tools().join("venv").join("bin")];
    let path = env::var_os("PATH").unwrap_or_default();
    own.into_iter()
        .chain(env::split_paths(&path))
        // Debian keeps servers in `sbin`, which is not on everyone's path.
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(format!("{name}{}", env::consts::EXE_SUFFIX)))
        .find(|candidate| candidate.is_file())
}

/// Installs a program from the crate registry into [`tools`], unless that version is there.
pub fn install(name: &str, version: &str, profile: &[&str]) -> Result<PathBuf> {
    let binary = tools().join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let stamp = tools().join("bin").join(format!(".{name}-{version}"));
    if binary.is_file() && stamp.is_file() {
        return Ok(binary);
    }
    println!("installing {name} {version} into {}", tools().display());
    let mut command = cargo();
    command
        // Nobody debugs it, and without the information it builds sooner.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .args(["install", "--locked", "--force", "--root"])
        .arg(tools())
        .args(profile)
        .arg(format!("{name}@{version}"));
    call(&mut command)?;
    std::fs::write(&stamp, "").with_context(|| format!("cannot write `{}`", stamp.display()))?;
    Ok(binary)
}

/// Makes a compile target's standard library available; the error says what rustup said.
pub fn add_rust_target(target: &str) -> Result<()> {
    if has_std(target) {
        return Ok(());
    }
    let output = Command::new("rustup").args(["target", "add", target]).output().context("`rustup` did not start")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("`rustup target add {target}` failed: {}", words.trim().lines().last().unwrap_or("no reason given"));
    }
    Ok(())
}

/// Whether the compiler in use has a standard library for `target`, however it came there.
fn has_std(target: &str) -> bool {
    let printed =
        Command::new("rustc").args(["--print", "target-libdir", "--target", target]).stderr(Stdio::null()).output();
    printed.is_ok_and(|output| {
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok()))
    })
}

/// Runs a command to its end; a failure names the command.
pub fn call(command: &mut Command) -> Result<()> {
    let words = show(command);
    let status = command.status().with_context(|| format!("`{words}` did not start"))?;
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    Ok(())
}

/// A command as one would type it at the root of the workspace.
pub fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![match program.file_stem() {
        Some(stem) if stem == "cargo" => "cargo".to_owned(),
        _ => plain(&program.to_string_lossy()),
    }];
    words.extend(command.get_args().map(|word| plain(&word.to_string_lossy())));
    words.join(" ")
}

fn plain(word: &str) -> String {
    let prefix = format!("{}{}", root().display(), std::path::MAIN_SEPARATOR);
    let word = word.replace(&prefix, "");
    if word.contains(char::is_whitespace) { format!("'{word}'") } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["test", "--", "a b"]).arg(root().join("x"));
        assert_eq!(show(&command), "cargo test -- 'a b' x");
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        assert_eq!(find("surely-no-such-program"), None);
    }
}
