//! `squall new`: a journey crate that builds.
//!
//! The crate brings the SDK and the contract of this very squall along, in `.squall/`, so that it builds wherever
//! cargo finds serde and wit-bindgen.

use std::fs;
use std::path::{Path, PathBuf};

use super::exit;
use super::message::{Style, say};

/// Make a journey crate
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of the crate, and of the folder that is made
    name: String,

    /// A folder with `squall-sdk` to build against, instead of a copy of the one that belongs to this squall
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// The files of the SDK and the contract, by their place in squall's repository.
const SDK: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
/// Where they lie in a new crate.
const SDK_FOLDER: &str = ".squall";

/// Makes the crate, says how to build and run it, and returns the exit code.
pub fn run(args: &Args) -> u8 {
    if let Err(Failure { message, code }) = make(args) {
        Style::detect(false).error(&message, None, None);
        return code;
    }
    let name = &args.name;
    say(&format!(
        "made `{name}`; build and run it with

    cd {name}
    cargo build --release
    squall run target/wasm32-wasip2/release/{}.wasm --env BASE_URL=http://127.0.0.1:8080

`squall target --listen 127.0.0.1:8080` starts a server to try it on
`rustup target add wasm32-wasip2` installs the target, if it is not there yet
",
        name.replace('-', "_")
    ));
    exit::PASSED
}

/// Why there is no crate.
struct Failure {
    message: String,
    code: u8,
}

fn make(args: &Args) -> Result<(), Failure> {
    let usage = |message| Failure { message, code: exit::USAGE };
    let name = &args.name;
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(char));
    if !is_name {
        return Err(usage(format!("`{name}` is not a crate name: it must match `[a-z][a-z0-9_-]*`")));
    }
    let folder = PathBuf::from(name);
    if folder.exists() {
        return Err(usage(format!("`{name}` exists already: nothing was written")));
    }
    let sdk = match &args.sdk {
        Some(path) => {
            let found = path.canonicalize();
            let found = found.map_err(|error| usage(format!("`{}` is not a folder: {error}", path.display())))?;
            found.display().to_string()
        }
        None => format!("{SDK_FOLDER}/guest-sdk/rust"),
    };
    write(&folder.join("Cargo.toml"), &manifest(name, &sdk))?;
    write(&folder.join("src/lib.rs"), JOURNEY)?;
    write(&folder.join(".cargo/config.toml"), CARGO_CONFIG)?;
    write(&folder.join(".gitignore"), "/target\n")?;
    if args.sdk.is_none() {
        for (path, text) in SDK {
            // The lints are those of squall's workspace, which the copy is no member of.
            write(&folder.join(SDK_FOLDER).join(path), &text.replace("\n[lints]\nworkspace = true\n", ""))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    let message = |error| format!("`{}` cannot be written: {error}", path.display());
    written.map_err(|error| Failure { message: message(error), code: exit::OUTPUT })
}

fn manifest(name: &str, sdk: &str) -> String {
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib"]

[dependencies]
squall-sdk = {{ path = {sdk:?} }}

# Small first: squall compiles the component again for the machine it runs on.
[profile.release]
opt-level = "s"
lto = "fat"
codegen-units = 1
panic = "abort"
strip = true

# The crate stands for itself, also inside of another workspace.
[workspace]
"#
    )
}

/// The target, and the layout of a guest's memory (ADR 0004): 2 KiB short of a mebibyte leaves half of the stack's last page
/// to the data.
const CARGO_CONFIG: &str = r#"[build]
target = "wasm32-wasip2"

# The guest's stack ends in the middle of a 4 KiB page and its data begins there, so that a VU touches one page less.
[target.wasm32-wasip2]
rustflags = ["-C", "link-arg=-zstack-size=1046528"]
"#;

const JOURNEY: &str = include_str!("new/journey.rs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_journey_is_linked_as_our_own_are() {
        let ours = include_str!("../../../.cargo/config.toml");
        let line = CARGO_CONFIG.lines().find(|line| line.starts_with("rustflags")).unwrap();
        assert!(ours.contains(line), "{ours}");
    }
}
