//! Rows about memory per VU: what many VUs hold above what one does.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::{Bench, remove};
use crate::bench::measure::{file_limit, memory, settled_memory, unlimited};
use crate::bench::peers::{Amount, Load, Tool, squall_run, words};
use crate::bench::server::Server;
use crate::child::Beside;
use crate::workspace::journey;

const PER_VU: &str = "KiB per VU";

/// VUs that sleep: instantiated, parked, nothing else.
pub fn parked(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "parked";
    for _ in 0..bench.few_rounds {
        let (one, _) = asleep(bench, 1)?;
        for (subject, vus) in [("10,000 VUs", 10_000_u32), ("100,000 VUs", 100_000)] {
            let (many, page_tables) = asleep(bench, vus)?;
            bench.results.add(ROW, subject, PER_VU, (many - one) / f64::from(vus));
            bench.results.add(ROW, subject, "RSS MiB", many / 1024.0);
            bench.results.add(ROW, subject, "page tables MiB", page_tables / 1024.0);
        }
    }
    bench.results.limit(ROW, "10,000 VUs", PER_VU, 32.0);
    bench.results.limit(ROW, "100,000 VUs", PER_VU, 32.0);
    bench.results.limit(ROW, "100,000 VUs", "RSS MiB", 4_000.0);
    Ok(())
}

/// KiB of memory and of page tables while `vus` sleep.
fn asleep(bench: &Bench, vus: u32) -> Result<(f64, f64)> {
    let (export, vus) = (bench.export(), vus.to_string());
    let mut command = unlimited(&bench.squall);
    command
        .args(squall_run(&journey("sleeper").to_string_lossy(), &export.to_string_lossy()))
        .args(["--vus", &vus, "--duration", "10m", "--env", "SLEEP=600"])
        .stdout(Stdio::null());
    // Ended by its id as soon as it has been measured.
    let running = Beside::start(&mut command)?;
    let resident = settled_memory(running.id()).with_context(|| format!("{vus} VUs asleep"))?;
    Ok((resident, memory(running.id(), "VmPTE:").unwrap_or(0.0)))
}

/// VUs that hold a connection: a GET, then a second of sleep.
pub fn connected(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "connected";
    const VUS: u32 = 10_000;
    if file_limit() < u64::from(VUS) + 500 {
        bail!("{VUS} connections need as many files; `ulimit -Hn` is {}", file_limit());
    }
    let server = Server::plain(&bench.squall, &bench.folder)?;
    for _ in 0..bench.few_rounds {
        for tool in [Tool::Squall, Tool::K6] {
            let Some(base) = peak(bench, tool, &server, 1, 3)? else {
                continue;
            };
            let many = peak(bench, tool, &server, VUS, 20)?.unwrap_or_default();
            let results = &mut bench.results;
            results.add(ROW, tool.name(), PER_VU, (many.kib - base.kib) / f64::from(VUS));
            results.add(ROW, tool.name(), "peak RSS MiB", many.kib / 1024.0);
            results.add(ROW, tool.name(), "req/s", many.requests / 20.0);
        }
    }
    bench.results.limit(ROW, "squall", PER_VU, 48.0);
    Ok(())
}

#[derive(Default)]
struct Peak {
    kib: f64,
    requests: f64,
}

fn peak(bench: &Bench, tool: Tool, server: &Server, vus: u32, seconds: u32) -> Result<Option<Peak>> {
    let Some(program) = bench.program(tool) else {
        return Ok(None);
    };
    let (export, journey) = (bench.export(), journey("quickstart"));
    let script = bench.scripts.join("quickstart.js");
    remove(&export)?;
    let load = Load {
        journey: &journey,
        script: &script,
        url: &server.url,
        connections: vus,
        streams: 1,
        amount: Amount::Seconds(seconds),
        environment: &[("SLEEP", "1")],
        flags: &[],
        export: &export,
    };
    let mut arguments = load.arguments(tool);
    if tool == Tool::K6 {
        // Its default waits 30 s for iterations that have no reason to be late.
        arguments.splice(1..1, words(&["--summary-trend-stats", "avg,max"]));
    }
    let cost = bench.meter.run(&program, &arguments, &[])?;
    match load.requests(tool, &cost.stdout) {
        Ok(requests) => Ok(Some(Peak { kib: cost.peak_kib, requests })),
        Err(error) => bail!("{error:#} (exit code {:?}):\n{}", cost.code, cost.last_words()),
    }
}
