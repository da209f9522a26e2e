//! Which module uses which: rules 1 to 3 of `docs/architecture.md`, "Dependency rules".
//!
//! Reads the text of `host/src` and nothing else. What it knows of Rust is small: names joined by `::`, `use` trees, inline
//! modules, and that tests are exempt. A name that reaches a file only through a macro is not seen.

mod paths;
mod rules;
mod source;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace::root;

/// Checks `host/src` and prints every breach.
pub fn run() -> Result<()> {
    let files = read(&root().join("host").join("src"))?;
    let problems = rules::check(&files);
    for problem in &problems {
        eprintln!("{problem}\n");
    }
    if !problems.is_empty() {
        bail!("{} of the dependency rules broken; see docs/architecture.md", problems.len());
    }
    println!("{} files keep to the layers", files.len());
    Ok(())
}

/// A source file: its path below `host/src`, with `/`, and its text.
struct File {
    path: String,
    text: String,
}

fn read(folder: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = fs::read_dir(&next).with_context(|| format!("cannot read `{}`", next.display()))?;
        let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                let below = path.strip_prefix(folder).expect("every path starts at the folder");
                files.push(File { path: below.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
