//! Rows that send requests as fast as they can and divide what that cost by their number.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Bench, remove};
use crate::bench::peers::{Load, Tool};
use crate::bench::server::Server;
use crate::workspace::journey;

const USER_INSTRUCTIONS: &str = "user instructions/req";
const KERNEL_INSTRUCTIONS: &str = "kernel instructions/req";
const USER: &str = "user µs/req";
const TOTAL: &str = "user+kernel µs/req";
const MICROSECONDS: f64 = 1e6;

/// One GET and two checks, beside everything that can send a GET.
pub fn quickstart(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "quickstart";
    let server = Server::plain(&bench.squall, &bench.folder)?;
    println!("served by {}", server.name);
    for round in 1..=bench.rounds {
        for tool in Tool::ALL {
            one(bench, ROW, tool.name(), tool, &server, &Shape::new("quickstart", 64))?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    let results = &mut bench.results;
    if bench.meter.counts_instructions() {
        results.ratio(ROW, USER_INSTRUCTIONS, "squall", "oha", 1.7);
        results.ratio(ROW, USER_INSTRUCTIONS, "squall", "k6", 1.0 / 6.0);
    } else {
        results.left_out.push(no_counters(ROW));
        results.ratio(ROW, USER, "squall", "k6", 1.0 / 6.0);
    }
    results.ratio(ROW, USER, "squall", "oha", 1.5);
    results.ratio(ROW, TOTAL, "squall", "oha", 1.2);
    Ok(())
}

/// The login flow without think time, beside the same script in k6.
pub fn login_flow(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "login-flow";
    let server = Server::practice(&bench.squall)?;
    let shape = Shape { environment: &[("THINK", "0")], ..Shape::new(ROW, 64) };
    for round in 1..=bench.rounds {
        for tool in [Tool::Squall, Tool::K6] {
            one(bench, ROW, tool.name(), tool, &server, &shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    if bench.meter.counts_instructions() {
        bench.results.ratio(ROW, USER_INSTRUCTIONS, "squall", "k6", 1.0 / 6.0);
    } else {
        bench.results.left_out.push(no_counters(ROW));
        bench.results.ratio(ROW, USER, "squall", "k6", 1.0 / 6.0);
    }
    Ok(())
}

/// Many VUs touch much memory: the same work at 4,000 VUs and at 64.
pub fn crowd(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "crowd";
    let server = Server::plain(&bench.squall, &bench.folder)?;
    for round in 1..=bench.rounds {
        for (subject, connections) in [("64 VUs", 64), ("4,000 VUs", 4_000)] {
            let shape = Shape::new("quickstart", connections);
            one(bench, ROW, subject, Tool::Squall, &server, &shape)?;
        }
        println!("round {round} of {}", bench.rounds);
    }
    bench.results.ratio(ROW, TOTAL, "4,000 VUs", "64 VUs", 3.5);
    Ok(())
}

fn no_counters(row: &str) -> String {
    format!("{row}: instructions per request: this machine has no counters for `perf stat`; judged by CPU time alone")
}

/// The work of one run.
struct Shape<'a> {
    /// Names the journey and k6's script.
    name: &'a str,
    connections: u32,
    environment: &'a [(&'a str, &'a str)],
}

impl<'a> Shape<'a> {
    fn new(name: &'a str, connections: u32) -> Self {
        Self { name, connections, environment: &[] }
    }
}

/// Runs one tool once and adds its figures; a tool that is not installed adds nothing.
fn one(bench: &mut Bench, row: &'static str, subject: &str, tool: Tool, server: &Server, shape: &Shape) -> Result<()> {
    let Some(program) = bench.program(tool) else {
        return Ok(());
    };
    let (export, journey) = (bench.export(), journey(shape.name));
    let script = bench.scripts.join(format!("{}.js", shape.name));
    remove(&export)?;
    let load = Load {
        journey: &journey,
        script: &script,
        url: &server.url,
        connections: shape.connections,
        seconds: bench.seconds,
        environment: shape.environment,
        export: &export,
    };
    let cpu_before = bench.meter.cpu_so_far(server.id());
    let cost = bench.meter.run(Path::new(&program), &load.arguments(tool), &[])?;
    let target_cpu = bench.meter.cpu_so_far(server.id()) - cpu_before;
    let requests = match load.requests(tool, &cost.stdout) {
        Ok(requests) => requests,
        Err(error) => bail!("{error:#} (exit code {:?}):\n{}", cost.code, cost.last_words()),
    };
    let per_request = |seconds: f64| seconds / requests * MICROSECONDS;
    let mut figures = Vec::new();
    figures.extend(cost.user_instructions.map(|count| (USER_INSTRUCTIONS, count / requests)));
    figures.extend(cost.kernel_instructions.map(|count| (KERNEL_INSTRUCTIONS, count / requests)));
    figures.extend([
        (USER, per_request(cost.user)),
        (TOTAL, per_request(cost.total())),
        ("req/s", requests / f64::from(bench.seconds)),
        ("peak RSS MiB", cost.peak_kib / 1024.0),
        ("target's µs/req", per_request(target_cpu)),
    ]);
    for (measure, value) in figures {
        bench.results.add(row, subject, measure, value);
    }
    Ok(())
}
