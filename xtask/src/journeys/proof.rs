//! The journeys that prove the contract in other languages, and the toolchains that build them.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::publish;
use crate::workspace::{call, cargo, root, show, tools};

/// Versions that were seen to work together. A change builds the journeys again.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
const ZIGLANG: &str = "ziglang==0.15.2";
const COMPONENTIZE_QJS: &str = "componentize-qjs@0.4.5";
const WIT_BINDGEN: &str = "wit-bindgen-cli@0.63.0";
const WASM_TOOLS: &str = "wasm-tools@1.263.0";

/// Servers and clients of others that the end-to-end tests talk to, each in a Python of its own: `target/tools/venv-NAME`.
const PEERS: &[(&str, &[&str])] = &[
    ("grpcio", &["grpcio==1.85.1", "grpcio-tools==1.85.1", "grpcio-reflection==1.85.1", "grpcio-status==1.85.1"]),
    ("aioquic", &["aioquic==1.2.0"]),
];

/// What became of the proof.
#[derive(Debug, Default)]
pub struct Proof {
    /// The components that were built, or were there already.
    pub built: Vec<PathBuf>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

/// Builds the journeys in C, JavaScript and Python, and installs the peers of the tests.
pub fn proof() -> anyhow::Result<Proof> {
    let mut proof = Proof::default();
    let python = ["python3", "-m", "venv", "--help"];
    proof.add("c", &python, "python3 (with venv)", &[ZIGLANG, WIT_BINDGEN, WASM_TOOLS], c)?;
    proof.add("js", &["npm", "--version"], "npm", &[COMPONENTIZE_QJS], javascript)?;
    proof.add("python", &python, "python3 (with venv)", &[COMPONENTIZE_PY], python_journey)?;
    for (name, packages) in PEERS {
        if runs(&python) {
            install_venv(name, packages)?;
        } else {
            proof.skipped.push(format!("tests against {name}: they need python3 (with venv)"));
        }
    }
    Ok(proof)
}

impl Proof {
    /// Builds one journey, unless its sources, the contract and the tools are those it was built from before.
    fn add(
        &mut self,
        name: &str,
        probe: &[&str],
        needs: &str,
        versions: &[&str],
        build: fn(&Path, &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let sources = root().join("tests/journeys").join(name);
        let work = tools().join("proof").join(name);
        let stamp = work.join("stamp");
        let component = work.join("journey.wasm");
        let fingerprint = fingerprint(&[&sources, &root().join("wit")], versions)?;
        let is_fresh = component.is_file() && fs::read_to_string(&stamp).is_ok_and(|known| known == fingerprint);
        if !is_fresh {
            if !runs(probe) {
                self.skipped.push(format!("the journey in `tests/journeys/{name}`: it needs {needs}"));
                return Ok(());
            }
            println!("building {name}.wasm");
            fs::create_dir_all(&work)?;
            build(&sources, &work).with_context(|| format!("the journey in `tests/journeys/{name}` does not build"))?;
            fs::write(&stamp, fingerprint)?;
        }
        self.built.push(publish(&component, name)?);
        Ok(())
    }
}

fn c(sources: &Path, work: &Path) -> anyhow::Result<()> {
    let python = venv(ZIGLANG)?;
    let bindgen = cargo_tool(WIT_BINDGEN, "wit-bindgen", "c")?;
    let wasm_tools = cargo_tool(WASM_TOOLS, "wasm-tools", "component")?;
    let wit = root().join("wit");
    quietly(Command::new(bindgen).args(["c", "--world", "journey", "--out-dir"]).arg(work).arg(wit))?;
    let core = work.join("core.wasm");
    let mut compiler = Command::new(python);
    compiler.args(["-m", "ziglang", "cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-s", "-Wall"]);
    compiler.arg("-I").arg(work).arg(sources.join("journey.c"));
    compiler.arg(work.join("journey.c")).arg(work.join("journey_component_type.o")).arg("-o").arg(&core);
    call(&mut compiler)?;
    call(Command::new(wasm_tools).args(["component", "new"]).arg(&core).arg("-o").arg(work.join("journey.wasm")))
}

fn javascript(sources: &Path, work: &Path) -> anyhow::Result<()> {
    let tools = tools().join("node");
    let program = tools.join("node_modules/.bin/componentize-qjs");
    if !has_version(&tools.join("version"), COMPONENTIZE_QJS) || !program.exists() {
        fs::create_dir_all(&tools)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&tools).arg(COMPONENTIZE_QJS);
        call(&mut npm)?;
        fs::write(tools.join("version"), COMPONENTIZE_QJS)?;
    }
    let mut componentize = Command::new(program);
    componentize.arg("-w").arg(root().join("wit")).args(["-n", "journey", "--sync", "--stub-wasi"]);
    componentize.arg("-j").arg(sources.join("journey.js")).arg("-o").arg(work.join("journey.wasm"));
    quietly(&mut componentize)
}

fn python_journey(sources: &Path, work: &Path) -> anyhow::Result<()> {
    let python = venv(COMPONENTIZE_PY)?;
    let mut componentize = Command::new(python.with_file_name("componentize-py"));
    componentize.arg("-d").arg(root().join("wit")).args(["-w", "journey", "componentize", "--stub-wasi", "-p"]);
    componentize.arg(sources).arg("app").arg("-o").arg(work.join("journey.wasm"));
    quietly(&mut componentize)
}

/// A Python with `package` in it; returns the interpreter.
fn venv(package: &str) -> anyhow::Result<PathBuf> {
    install_venv(package.split("==").next().unwrap_or(package), &[package])
}

/// A Python with these packages in it; returns the interpreter.
fn install_venv(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let directory = tools().join(format!("venv-{name}"));
    let python = directory.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let versions = packages.join(" ");
    if !has_version(&directory.join("version"), &versions) || !python.exists() {
        println!("installing {versions} into target/tools");
        call(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        call(Command::new(&python).args(["-m", "pip", "--quiet", "install"]).args(packages))?;
        fs::write(directory.join("version"), versions)?;
    }
    Ok(python)
}

/// A program from the crate registry; returns where it is. A debug build takes a quarter of the time of a release.
fn cargo_tool(package: &str, program: &str, features: &str) -> anyhow::Result<PathBuf> {
    let tools = tools();
    let path = tools.join("bin").join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    let version = tools.join(format!("{program}.version"));
    if !has_version(&version, package) || !path.exists() {
        println!("installing {package} into target/tools");
        let mut command = cargo();
        command.args(["install", "--quiet", "--locked", "--debug", "--force", package]);
        command.args(["--no-default-features", "--features", features, "--root"]).arg(&tools);
        command.env("CARGO_PROFILE_DEV_DEBUG", "false").arg("--target-dir").arg(tools.join("build"));
        call(&mut command)?;
        fs::write(version, package)?;
    }
    Ok(path)
}

fn has_version(file: &Path, version: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|known| known == version)
}

/// Whether a program is there and works.
fn runs(words: &[&str]) -> bool {
    let [program, args @ ..] = words else {
        return false;
    };
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a program that talks without need; what it said is shown when it fails.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    let output = command.output().with_context(|| format!("`{shown}` could not be started"))?;
    let said = [output.stdout, output.stderr].concat();
    anyhow::ensure!(output.status.success(), "`{shown}` failed\n{}", String::from_utf8_lossy(&said));
    Ok(())
}

/// What a component was built from, as a short text.
fn fingerprint(directories: &[&Path], versions: &[&str]) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    versions.hash(&mut hasher);
    for directory in directories {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(directory).with_context(|| format!("`{}` cannot be read", directory.display()))? {
            let path = entry?.path();
            if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        for file in files {
            file.file_name().hash(&mut hasher);
            fs::read(&file)?.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}
