//! What the walls around a journey cost: the quickstart with each of them and with none.

use std::fs;

use anyhow::Result;

use super::Bench;
use super::compare::{Shape, TOTAL, USER_INSTRUCTIONS, one};
use crate::bench::peers::Tool;
use crate::bench::result::Results;
use crate::bench::server::Server;

const ROW: &str = "price";
/// What all others are compared with: nothing interrupts the guest, nobody asks where it goes.
const BASE: &str = "all off";
/// How much more CPU per request everything together may cost.
const MOST: f64 = 1.05;

/// The limits of `--untrusted`, for a journey that is trusted otherwise.
const TIGHT: &[&str] = &[
    "--run-memory=4GiB",
    "--table-elements=20000",
    "--run-table-elements=20000000",
    "--cpu-timeout=1s",
    "--iteration-cpu=10s",
    "--run-cpu=4h",
    "--iteration-timeout=10m",
    "--host-call-bytes=16MiB",
    "--handles=1000",
    "--requests-in-flight=100",
    "--max-connections=100",
    "--run-connections=20000",
    "--request-bytes=16MiB",
    "--response-bytes=64MiB",
    "--log-bytes=64KiB",
    "--series=1000",
    "--tag-values=500",
    "--name-bytes=256",
    "--names=500",
    "--metrics=100",
    "--max-traps=1000",
    "--component-bytes=32MB",
    "--function-bytes=1MiB",
];

/// The quickstart with the walls on and off, each alone and all together.
pub fn price(bench: &mut Bench) -> Result<()> {
    let server = Server::plain(&bench.squall, &bench.folder)?;
    // The address that the journey asks for is not public, so it has to be granted as one.
    let origin = server.url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let policy = format!("--allow-net={origin}");
    let with = |more: &[&'static str]| [more, &[policy.as_str()]].concat();
    let uninterrupted = "--interrupt=false";
    let walls = [
        (BASE, vec![uninterrupted]),
        ("interrupted", Vec::new()),
        ("network policy", with(&[uninterrupted])),
        ("tight limits", TIGHT.to_vec()),
        ("all limits", with(TIGHT)),
        ("untrusted, one process", with(&["--untrusted", "--no-wall"])),
        ("untrusted", with(&["--untrusted"])),
    ];
    for round in 1..=bench.rounds {
        for (subject, flags) in &walls {
            let flags: &[(Tool, &[&str])] = &[(Tool::Squall, flags)];
            // valgrind and the second wall do not go together: the child may not do what valgrind does.
            let is_counted = *subject != "untrusted";
            let shape = Shape { flags, is_counted, ..Shape::new("quickstart", 64) };
            one(bench, ROW, subject, Tool::Squall, &server, &shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    let results = &mut bench.results;
    if results.get(ROW, BASE, USER_INSTRUCTIONS).is_some() {
        results.ratio(ROW, USER_INSTRUCTIONS, "all limits", BASE, MOST);
    }
    results.ratio(ROW, TOTAL, "all limits", BASE, MOST);
    results.ratio(ROW, TOTAL, "untrusted", BASE, MOST);
    let table = markdown(results, &walls.map(|(subject, _)| subject));
    println!("for `docs/security.md`:\n\n{table}");
    fs::write(bench.folder.join("price.md"), table)?;
    Ok(())
}

/// The table of `docs/security.md`: each wall, and what it adds to a request without any.
fn markdown(results: &Results, subjects: &[&str]) -> String {
    let mut table = "| the quickstart with | user+kernel µs/request | more CPU | user instructions/request | more |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for subject in subjects {
        table.push_str("| ");
        table.push_str(subject);
        table.push_str(" |");
        for measure in [TOTAL, USER_INSTRUCTIONS] {
            let cells = match (results.get(ROW, subject, measure), results.get(ROW, BASE, measure)) {
                (Some(measured), Some(base)) => {
                    let digits = if measure == TOTAL { 2 } else { 0 };
                    let more = (measured.over(base).median() - 1.0) * 100.0;
                    format!(" {:.digits$} | {more:+.1} % |", measured.median())
                }
                _ => " – | – |".to_owned(),
            };
            table.push_str(&cells);
        }
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_each_wall_adds() {
        let mut results = Results::default();
        for round in [1.0, 2.0] {
            results.add(ROW, BASE, TOTAL, 10.0 * round);
            results.add(ROW, "untrusted", TOTAL, 10.3 * round);
            results.add(ROW, BASE, USER_INSTRUCTIONS, 20_000.0);
        }
        let table = markdown(&results, &[BASE, "untrusted"]);
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            ["| all off | 15.00 | +0.0 % | 20000 | +0.0 % |", "| untrusted | 15.45 | +3.0 % | – | – |"],
            "{table}"
        );
    }
}
