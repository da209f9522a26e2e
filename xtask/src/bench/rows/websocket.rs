//! Rows about WebSocket: what a message costs, and what an open socket holds.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Bench, remove};
use crate::bench::measure::{Cost, file_limit};
use crate::bench::peers::{Amount, Load, Tool, squall_run, value, words};
use crate::bench::server::Server;
use crate::child::get;
use crate::workspace::journey;

/// The journey, and k6's script.
const NAME: &str = "ws-load";
const USER: &str = "user µs/message";
const TOTAL: &str = "user+kernel µs/message";
const PER_SECOND: &str = "messages per CPU second";
const USER_INSTRUCTIONS: &str = "user instructions/message";
const PER_SOCKET: &str = "KiB per socket";

/// 64 VUs, each with a socket on which it sends 100 bytes and awaits them, 1,000 times per iteration.
pub fn echo(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "websocket";
    let server = Server::practice(&bench.squall)?;
    let url = socket_url(&server);
    for round in 1..=bench.rounds {
        for tool in [Tool::Squall, Tool::K6] {
            let Some(program) = bench.program(tool) else { continue };
            let (export, script) = (bench.export(), bench.scripts.join(format!("{NAME}.js")));
            let load = Load {
                journey: &journey(NAME),
                script: &script,
                url: &url,
                connections: 64,
                streams: 1,
                amount: Amount::Seconds(bench.seconds),
                environment: &[("MESSAGES", "1000"), ("SIZE", "100")],
                flags: &[],
                export: &export,
            };
            remove(&export)?;
            let before = bench.meter.cpu_so_far(server.id());
            let cost = bench.meter.run(&program, &load.arguments(tool), &[])?;
            let target = bench.meter.cpu_so_far(server.id()) - before;
            let messages = counted(bench, &cost, "ws_msgs_received")?;
            let each = |seconds: f64| seconds / messages * 1e6;
            let mut figures = vec![
                (USER, each(cost.user)),
                (TOTAL, each(cost.total())),
                (PER_SECOND, messages / cost.total()),
                ("messages/s", messages / f64::from(bench.seconds)),
                ("peak RSS MiB", cost.peak_kib / 1024.0),
                ("target's µs/message", each(target)),
            ];
            figures.extend(cost.user_instructions.map(|count| (USER_INSTRUCTIONS, count / messages)));
            for (measure, value) in figures {
                bench.results.add(ROW, tool.name(), measure, value);
            }
        }
        println!("round {round} of {}", bench.rounds);
    }
    count(bench, ROW, &url)?;
    bench.results.ratio(ROW, USER, "squall", "k6", 1.0 / 3.0);
    bench.results.ratio(ROW, TOTAL, "squall", "k6", 1.0 / 2.0);
    Ok(())
}

/// squall's own instructions per message under valgrind, where that is what counts.
fn count(bench: &mut Bench, row: &'static str, url: &str) -> Result<()> {
    const COUNTED: (u32, u32) = (2_000, 6_000);
    let run = |messages: u32| {
        let mut arguments = squall_run(&journey(NAME).to_string_lossy(), &bench.export().to_string_lossy());
        arguments.extend(words(&["--vus", "1", "--iterations", "1", "--threads", "1"]));
        for (name, value) in [("BASE_URL", url), ("MESSAGES", &messages.to_string()), ("SIZE", "100")] {
            arguments.extend(words(&["--env", &format!("{name}={value}")]));
        }
        bench.meter.under_valgrind(&bench.squall, &arguments)
    };
    // valgrind shows another processor, for which squall compiles the component anew, once.
    if run(COUNTED.0)?.is_none() {
        return Ok(());
    }
    if let (Some(fewer), Some(more)) = (run(COUNTED.0)?, run(COUNTED.1)?) {
        bench.results.add(row, "squall", USER_INSTRUCTIONS, (more - fewer) / f64::from(COUNTED.1 - COUNTED.0));
    }
    Ok(())
}

/// 5,000 VUs, each with a socket that is open for 30 s.
pub fn held(bench: &mut Bench) -> Result<()> {
    const ROW: &str = "sockets";
    const SOCKETS: u32 = 5_000;
    if file_limit() < u64::from(SOCKETS) + 500 {
        bail!("{SOCKETS} sockets need as many files; `ulimit -Hn` is {}", file_limit());
    }
    for _ in 0..bench.few_rounds {
        for tool in [Tool::Squall, Tool::K6] {
            let Some(base) = hold(bench, tool, 1, 3)? else { continue };
            let Some(many) = hold(bench, tool, SOCKETS, 30)? else { continue };
            let results = &mut bench.results;
            results.add(ROW, tool.name(), PER_SOCKET, (many.kib - base.kib) / f64::from(SOCKETS));
            results.add(ROW, tool.name(), "peak RSS MiB", many.kib / 1024.0);
            results.add(ROW, tool.name(), "open at once", many.open);
            results.add(ROW, tool.name(), "CPU seconds", many.cpu);
        }
    }
    // A VU with a connection, and little more.
    bench.results.limit(ROW, "squall", PER_SOCKET, 60.0);
    bench.results.ratio(ROW, PER_SOCKET, "squall", "k6", 1.0 / 2.0);
    Ok(())
}

struct Held {
    kib: f64,
    open: f64,
    cpu: f64,
}

fn hold(bench: &Bench, tool: Tool, sockets: u32, seconds: u32) -> Result<Option<Held>> {
    let Some(program) = bench.program(tool) else { return Ok(None) };
    // A server for each run, whose own count says how many were open at once.
    let server = Server::practice(&bench.squall)?;
    let export = bench.export();
    remove(&export)?;
    let mut arguments = match tool {
        Tool::Squall => squall_run(&journey(NAME).to_string_lossy(), &export.to_string_lossy()),
        _ => words(&["run", "--quiet", "--no-usage-report", "--summary-export", &export.to_string_lossy()]),
    };
    let (sockets_text, seconds) = (sockets.to_string(), seconds.to_string());
    arguments.extend(words(&["--vus", &sockets_text, "--iterations", &sockets_text]));
    let environment = [("BASE_URL", &*socket_url(&server)), ("MESSAGES", "1"), ("SIZE", "100"), ("HOLD", &seconds)];
    for (name, value) in environment {
        arguments.extend(words(&["--env", &format!("{name}={value}")]));
    }
    if tool == Tool::K6 {
        arguments.push(bench.scripts.join(format!("{NAME}.js")).to_string_lossy().into_owned());
    }
    let cost = bench.meter.run(&program, &arguments, &[])?;
    let received = counted(bench, &cost, "ws_msgs_received")?;
    if received < f64::from(sockets) {
        bail!("{} had {received} of {sockets} sockets:\n{}", tool.name(), cost.last_words());
    }
    Ok(Some(Held { kib: cost.peak_kib, open: open_at_once(&server)?, cpu: cost.total() }))
}

fn counted(bench: &Bench, cost: &Cost, metric: &str) -> Result<f64> {
    match value(&bench.export(), metric, "count") {
        Ok(count) if count > 0.0 => Ok(count),
        _ => bail!("there is no `{metric}` (exit code {:?}):\n{}", cost.code, cost.last_words()),
    }
}

fn socket_url(server: &Server) -> String {
    server.url.replacen("http:", "ws:", 1) + "/ws/echo"
}

/// The most sockets that the practice server had open at the same time.
fn open_at_once(server: &Server) -> Result<f64> {
    let counts = get(server.url.trim_start_matches("http://"), "/__stats")?;
    let stats: Value = serde_json::from_str(&counts).context("the practice server's counts are not JSON")?;
    stats["max_open_sockets"].as_f64().context("the practice server counts no sockets")
}
