//! The table of `docs/security.md`: every guest alone, beside a user that behaves.

use std::fmt::Write as _;
use std::time::Duration;

use super::row::{Beside, Guest, Row, Servers, peak_mebibytes, run_apart, run_together};
use super::{compute, floods, made, network};
use crate::support::{Finished, Hostile};

/// Names the file that the whole table goes to, which takes many minutes; `cargo xtask hostile` does. Without it one row
/// is measured, so that the way is tested.
const FILE: &str = "SQUALL_HOSTILE_TABLE";
/// How long the neighbour is alone, and how long it is beside a guest.
const ALONE: Duration = Duration::from_secs(2);
const BESIDE: Duration = Duration::from_secs(3);
/// Of so many attempts the middle one counts.
const ATTEMPTS: usize = if cfg!(debug_assertions) { 1 } else { 3 };

#[test]
fn the_table_of_hostile_guests() {
    let path = std::env::var_os(FILE);
    let (peers, denied) = (network::Peers::start(), Hostile::never_answers());
    let (mut inside, mut apart) = (compute::rows(), compute::alone());
    inside.extend(floods::rows());
    inside.extend(floods::names());
    inside.extend(network::rows());
    inside.extend(peers.rows());
    inside.extend(network::guarded());
    inside.extend(network::reach(&denied));
    apart.extend(network::wasi());
    apart.extend(floods::alone());
    apart.extend(made::running());
    apart.extend(made::large());
    apart.extend(made::bombs());
    apart.extend(made::refused());
    let mut table = "| guest | outcome | exit code | ms | peak RSS, MiB | neighbour's p99, ms | change |\n\
                     |---|---|---|---|---|---|---|\n"
        .to_owned();
    let rows = inside.iter().map(|row| (row, true)).chain(apart.iter().map(|row| (row, false)));
    for (row, is_inside) in rows.take(if path.is_some() { usize::MAX } else { 1 }) {
        let line = measure(row, is_inside);
        println!("{line}");
        let _ = writeln!(table, "{line}");
    }
    match path {
        Some(path) => std::fs::write(path, table).unwrap(),
        None => assert!(table.contains("| loop in iterate | iteration 0 timed out: "), "{table}"),
    }
}

fn measure(row: &Row, is_inside: bool) -> String {
    let mut runs: Vec<(Finished, f64, f64)> = Vec::new();
    for _ in 0..ATTEMPTS {
        let servers = Servers::start();
        let lost: Vec<String>;
        let (run, beside) = if is_inside {
            let Beside { run, faults, before, meanwhile } =
                run_together(std::slice::from_ref(row), &servers, ALONE, BESIDE);
            lost = faults;
            (run, (before, meanwhile))
        } else {
            let (run, beside) = run_apart(row, &servers, ALONE, BESIDE);
            lost = beside.faults;
            (run, (beside.before, beside.meanwhile))
        };
        for fault in lost.into_iter().chain(row.faults(&run, &servers.target, !is_inside)) {
            println!("FAULT {fault}");
        }
        runs.push((run, beside.0, beside.1));
        if beside.1 <= beside.0 * 1.1 {
            break;
        }
    }
    runs.sort_by(|a, b| (a.2 / a.1).total_cmp(&(b.2 / b.1)));
    let (run, before, meanwhile) = &runs[(runs.len() - 1) / 2];
    let took = if is_inside { row.duration(run) } else { Some(run.took) };
    let took = took.map_or_else(|| "–".to_owned(), |took| took.as_millis().to_string());
    let code =
        if is_inside { "–".to_owned() } else { run.code.map_or_else(|| "none".to_owned(), |code| code.to_string()) };
    let change = (meanwhile / before - 1.0) * 100.0;
    format!(
        "| {} | {} | {code} | {took} | {} | {before:.1} → {meanwhile:.1} | {change:+.0} % |",
        row.name,
        outcome(row, run),
        peak_mebibytes(run)
    )
}

/// What was said of it, in a few words.
fn outcome(row: &Row, run: &Finished) -> String {
    let key = row.key();
    let of_it = |line: &&str| line.contains(&format!("{key} VU ")) || matches!(row.guest, Guest::Made(_));
    let texts = row.ends.says.iter().flat_map(|texts| texts.iter());
    let found = texts
        .filter(|text| !text.is_empty())
        .find_map(|text| run.stderr.lines().filter(of_it).find(|line| line.contains(text)));
    let ends = ["iteration", "`setup`", "`teardown`"];
    let found = found.or_else(|| run.stderr.lines().find(|line| line.starts_with("error: ")));
    let line = found.unwrap_or("completed");
    let line = ends.iter().find_map(|end| line.find(end).map(|at| &line[at..])).unwrap_or(line);
    let line = line.find("result ").map_or(line, |at| &line[at + "result ".len()..]);
    // Names of files without the folders of this machine.
    let words = line.split(' ').map(|word| match word.strip_prefix("`/") {
        Some(path) => format!("`{}", path.rsplit('/').next().unwrap_or_default()),
        None => word.to_owned(),
    });
    let line = words.collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(110).filter(|char| !char.is_control()).collect();
    short.replace('|', "\\|").replace('<', "&lt;").trim().to_owned()
}
