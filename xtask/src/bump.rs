//! `cargo xtask bump`: the newest release of wasmtime's long-term branch, all its crates together.
//!
//! An advisory of wasmtime is met by a patch release, which may be taken without a change of ours. What must not happen is
//! that some of its crates move and others stay, so the lock file is looked at afterwards.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::{call, cargo, root};

/// A package of the lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    dependencies: Vec<String>,
}

pub fn run(arguments: &[String]) -> Result<()> {
    let dry = match arguments {
        [] => false,
        [option] if option == "--dry-run" => true,
        other => bail!("unexpected arguments `{}`\n  hint: `cargo xtask bump [--dry-run]`", other.join(" ")),
    };
    let before = locked()?;
    let names: BTreeSet<&str> =
        before.iter().map(|one| one.name.as_str()).filter(|name| family(name).is_some()).collect();
    let mut command = cargo();
    command.arg("update");
    if dry {
        command.arg("--dry-run");
    }
    // Within what Cargo.toml asks for: the branch stays what it is.
    command.args(names.iter().flat_map(|name| ["--package", name]));
    call(&mut command)?;
    let after = locked()?;
    check(&after)?;
    println!("{}", told(&version(&before, "wasmtime"), &version(&after, "wasmtime"), dry));
    Ok(())
}

fn locked() -> Result<Vec<Package>> {
    let path = root().join("Cargo.lock");
    Ok(read(&fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?))
}

/// Which crates have one version together: wasmtime's, and its code generator's.
fn family(name: &str) -> Option<&'static str> {
    let starts = |start: &str| name == start || name.strip_prefix(start).is_some_and(|rest| rest.starts_with('-'));
    if starts("wasmtime") || starts("pulley") || name == "wiggle" {
        Some("wasmtime")
    } else {
        starts("cranelift").then_some("cranelift")
    }
}

fn read(lock: &str) -> Vec<Package> {
    let packages = lock.split("[[package]]").skip(1);
    packages
        .map(|text| {
            let value = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
                line.unwrap_or_default().trim_matches('"').to_owned()
            };
            let dependencies = text.split("dependencies = [").nth(1).and_then(|rest| rest.split(']').next());
            let names = dependencies.unwrap_or_default().lines().map(|line| line.trim().trim_matches([',', '"']));
            let dependencies = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
            Package { name: value("name"), version: value("version"), dependencies }
        })
        .collect()
}

fn version(packages: &[Package], name: &str) -> String {
    packages.iter().find(|one| one.name == name).map_or_else(String::new, |one| one.version.clone())
}

/// Returns an error unless every family has one version, and we read components with the parser that wasmtime has.
fn check(packages: &[Package]) -> Result<()> {
    for name in ["wasmtime", "cranelift"] {
        let versions: BTreeSet<&str> =
            packages.iter().filter(|one| family(&one.name) == Some(name)).map(|one| one.version.as_str()).collect();
        if versions.len() != 1 {
            let versions: Vec<&str> = versions.into_iter().collect();
            bail!(
                "the crates of {name} have different versions: {}\n  hint: the registry may not have all of a release \
                 yet; `git checkout Cargo.lock` and try again later",
                versions.join(", ")
            );
        }
    }
    let parser = |name: &str| {
        let package = packages.iter().find(|one| one.name == name);
        package.and_then(|one| one.dependencies.iter().find(|one| one.starts_with("wasmparser")).cloned())
    };
    if parser("squall") != parser("wasmtime") {
        bail!(
            "squall reads components with `{}` and wasmtime with `{}`\n  hint: set `wasmparser` in host/Cargo.toml to \
             wasmtime's",
            parser("squall").unwrap_or_default(),
            parser("wasmtime").unwrap_or_default()
        );
    }
    Ok(())
}

fn told(before: &str, after: &str, dry: bool) -> String {
    if dry {
        return format!("wasmtime is {before}; nothing was changed");
    }
    if before == after {
        return format!("wasmtime {before} is the newest there is of its branch; nothing is to be done");
    }
    format!(
        "wasmtime {before} -> {after}, all its crates together. Next:\n  cargo xtask check\n  cargo xtask fuzz components \
         --seconds 300\n  a line in CHANGELOG.md that names the advisories, under Security\n  a release of squall"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(wasi: &str, ours: &str) -> Vec<Package> {
        read(&format!(
            r#"version = 4

[[package]]
name = "cranelift-codegen"
version = "0.135.8"
dependencies = [
 "cranelift-entity",
]

[[package]]
name = "squall"
version = "0.1.0"
dependencies = [
 "anyhow",
 "wasmparser {ours}",
 "wasmtime",
]

[[package]]
name = "wasmtime"
version = "48.0.8"
source = "registry"
dependencies = [
 "wasmparser 0.254.2",
]

[[package]]
name = "wasmtime-wasi"
version = "{wasi}"
"#
        ))
    }

    #[test]
    fn the_crates_of_wasmtime_move_together_or_it_is_an_error() {
        assert_eq!(lock("48.0.8", "0.254.2").len(), 4);
        check(&lock("48.0.8", "0.254.2")).unwrap();
        let apart = check(&lock("48.0.9", "0.254.2")).unwrap_err().to_string();
        assert!(apart.starts_with("the crates of wasmtime have different versions: 48.0.8, 48.0.9"), "{apart}");
        let parsers = check(&lock("48.0.8", "0.258.3")).unwrap_err().to_string();
        assert!(parsers.contains("`wasmparser 0.258.3`") && parsers.contains("`wasmparser 0.254.2`"), "{parsers}");
    }

    #[test]
    fn a_crate_belongs_to_a_family_by_its_whole_word() {
        assert_eq!(family("wasmtime-internal-cranelift"), Some("wasmtime"));
        assert_eq!(family("pulley-interpreter"), Some("wasmtime"));
        assert_eq!(family("cranelift-codegen"), Some("cranelift"));
        assert_eq!((family("wasmtimer"), family("wasmparser")), (None, None));
    }

    #[test]
    fn the_lock_file_of_this_workspace_passes() {
        check(&locked().unwrap()).unwrap();
    }
}
