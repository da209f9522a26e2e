//! The project's own chores.

mod journeys;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, rest)) if command == "journeys" => journeys::run(rest),
        _ => bail!("usage: cargo xtask journeys [--proof]"),
    }
}
