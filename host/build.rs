//! Lists the files of the Rust SDK and of the contract, which `squall new` writes beside a new journey: a journey is
//! built against the contract of the squall that made it, and needs no registry for that.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What is written, seen from the root of the repository.
const TREES: [&str; 2] = ["guest-sdk/rust", "wit"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let mut list = String::from("&[\n");
    for tree in TREES {
        println!("cargo::rerun-if-changed={}", root.join(tree).display());
        add(&root, Path::new(tree), &mut list)?;
    }
    list.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("sdk.rs"), list)
}

fn add(root: &Path, path: &Path, list: &mut String) -> io::Result<()> {
    let full = root.join(path);
    if full.is_dir() {
        let mut names: Vec<_> =
            fs::read_dir(full)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
        names.sort();
        return names.iter().try_for_each(|name| add(root, &path.join(name), list));
    }
    let name = path.to_string_lossy().replace('\\', "/");
    let full = full.canonicalize()?.display().to_string();
    writeln!(list, "    ({name:?}, include_str!({full:?})),").map_err(io::Error::other)
}
