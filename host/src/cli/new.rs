//! `squall new`: a journey crate that builds.

use std::fs;
use std::path::PathBuf;

use super::exit;
use super::message::Style;

/// Make a journey crate
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of the crate, and of the folder that is made
    name: String,

    /// The folder of `squall-sdk`, until it is on the crate registry
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Makes the crate, says how to build and run it, and returns the exit code.
pub fn run(args: &Args) -> u8 {
    match make(args) {
        Ok(()) => {
            let (name, library) = (&args.name, args.name.replace('-', "_"));
            println!("made `{name}`; build and run it with\n");
            println!("    cd {name}");
            println!("    cargo build --release --target wasm32-wasip2");
            println!(
                "    squall run target/wasm32-wasip2/release/{library}.wasm --env BASE_URL=http://127.0.0.1:8080\n"
            );
            println!("`squall target` starts a server to try it on");
            exit::PASSED
        }
        Err(Failure { message, code }) => {
            Style::detect(false).error(&message, None, None);
            code
        }
    }
}

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
            let path = path.canonicalize().map_err(|error| usage(format!("`{}`: {error}", path.display())))?;
            format!("{{ path = {:?} }}", path.display().to_string())
        }
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
    };
    let files = [
        ("Cargo.toml", manifest(name, &sdk)),
        ("src/lib.rs", JOURNEY.to_owned()),
        (".gitignore", "/target\n".to_owned()),
        (".cargo/config.toml", LINKER.to_owned()),
    ];
    for (path, text) in files {
        let path = folder.join(path);
        let made = fs::create_dir_all(path.parent().unwrap_or(&folder)).and_then(|()| fs::write(&path, text));
        made.map_err(|error| {
            let message = format!("`{}` cannot be written: {error}", path.display());
            Failure { message, code: exit::OUTPUT }
        })?;
    }
    Ok(())
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
squall-sdk = {sdk}

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

const JOURNEY: &str = include_str!("new/journey.rs");

/// 2 KiB short of a mebibyte, which leaves half of the stack's last page to the data.
const LINKER: &str = r#"# The guest's stack ends in the middle of a 4 KiB page and its data begins there, so that a virtual user touches one page
# less.
[target.wasm32-wasip2]
rustflags = ["-C", "link-arg=-zstack-size=1046528"]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_journey_is_linked_as_our_own_are() {
        let ours = include_str!("../../../.cargo/config.toml");
        let line = LINKER.lines().find(|line| line.starts_with("rustflags")).unwrap();
        assert!(ours.contains(line), "{ours}");
    }
}
