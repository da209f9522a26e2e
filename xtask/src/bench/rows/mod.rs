//! The rows of the table: one function each, one file per kind.

mod compare;
mod memory;
mod price;
mod timing;
mod websocket;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::measure::{Cost, Meter};
use super::peers::{Tool, squall_run, words};
use super::result::Results;
use crate::workspace::journey;

/// A row: its name, what it measures, and how.
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&mut Bench) -> Result<()>,
}

/// In the order they run.
pub const ROWS: &[Row] = &[
    Row { name: "quickstart", about: "one GET and two checks, 64 VUs, beside every peer", run: compare::quickstart },
    Row { name: "login-flow", about: "login-flow without think time, 64 VUs, beside k6", run: compare::login_flow },
    Row { name: "body-unread", about: "10 KB that nobody reads, 64 VUs, beside its peers", run: compare::body_unread },
    Row { name: "body-read", about: "10 KB read by the journey, 64 VUs, beside k6", run: compare::body_read },
    Row { name: "json", about: "one value of 10 KB of JSON: by the host, by the guest, by k6", run: compare::json },
    Row {
        name: "wasi-http",
        about: "one GET through wasi:http, by a journey and by a program",
        run: compare::wasi_http,
    },
    Row { name: "tls", about: "quickstart over TLS 1.3, 64 VUs, beside its peers", run: compare::tls },
    Row { name: "http2-one", about: "HTTP/2, 64 VUs on one connection, beside its peers", run: compare::http2_one },
    Row { name: "http2-many", about: "HTTP/2, 64 VUs on 64 connections, beside its peers", run: compare::http2_many },
    Row { name: "http3", about: "HTTP/3, 64 VUs on 64 connections, beside HTTP/2 over TLS", run: compare::http3 },
    Row { name: "connections", about: "a new connection per request, beside its peers", run: compare::connections },
    Row { name: "grpc-unary", about: "a unary gRPC call, 64 VUs, beside k6", run: compare::grpc_unary },
    Row { name: "crowd", about: "quickstart at 4,000 VUs beside itself at 64", run: compare::crowd },
    Row {
        name: "price",
        about: "quickstart with the walls around a journey, beside itself without",
        run: price::price,
    },
    Row { name: "parked", about: "memory per VU asleep, 10,000 and 100,000 VUs", run: memory::parked },
    Row { name: "connected", about: "memory per VU with a connection, 10,000 VUs, beside k6", run: memory::connected },
    Row { name: "websocket", about: "messages that come back on a WebSocket, 64 VUs, beside k6", run: websocket::echo },
    Row {
        name: "sockets",
        about: "memory per open WebSocket, 5,000 of them for 30 s, beside k6",
        run: websocket::held,
    },
    Row { name: "lateness", about: "how late arrivals start at 10,000/s", run: timing::lateness },
    Row { name: "neighbour", about: "a 5 ms sleep beside a guest that loops for ever", run: timing::neighbour },
    Row { name: "neighbours", about: "198 VUs at a slow target beside 2 that loop for ever", run: timing::neighbours },
    Row { name: "cold-start", about: "process start to first request, component cached", run: timing::cold_start },
    Row { name: "collector", about: "the collector at 100 series and 10,000 VUs", run: timing::collector },
];

/// What every row needs.
pub struct Bench {
    pub meter: Meter,
    pub squall: PathBuf,
    pub tools: Vec<(Tool, PathBuf)>,
    /// Where configurations, summaries and logs of the runs go.
    pub folder: PathBuf,
    /// k6's scripts.
    pub scripts: PathBuf,
    pub rounds: usize,
    /// Rounds of what hardly varies, such as memory.
    pub few_rounds: usize,
    /// Seconds per run.
    pub seconds: u32,
    pub results: Results,
}

impl Bench {
    /// Where this round's summary goes.
    pub fn export(&self) -> PathBuf {
        self.folder.join("last-summary.json")
    }

    /// The program of a peer, if it is installed.
    pub fn program(&self, tool: Tool) -> Option<PathBuf> {
        self.tools.iter().find(|(known, _)| *known == tool).map(|(_, program)| program.clone())
    }

    /// Runs squall on a journey to its end and insists on a summary.
    pub fn squall(&self, name: &str, more: &[&str], environment: &[(&str, &str)]) -> Result<Cost> {
        let export = self.export();
        remove(&export)?;
        let mut arguments = squall_run(&journey(name).to_string_lossy(), &export.to_string_lossy());
        arguments.extend(words(more));
        let cost = self.meter.run(&self.squall, &arguments, environment)?;
        if !export.is_file() {
            bail!("squall wrote no summary for `{name}` (exit code {:?}):\n{}", cost.code, cost.last_words());
        }
        Ok(cost)
    }
}

/// Takes away the last round's file, so that it is never read as this round's.
pub fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
