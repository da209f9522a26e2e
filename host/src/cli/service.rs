//! `squall target --component`: a component as the target.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use squall::plan::duration;
use squall::practice::Stats;
use squall::service::{self, Options, ServeError};

use super::exit;
use super::message::say;
use super::signals::StopSignals;
use super::target::describe;

/// Bytes of a MiB.
const MIB: usize = 1 << 20;

/// What it is told of a component.
#[derive(Debug, Clone, clap::Args)]
pub struct ServiceArgs {
    /// Serve a component that exports `wasi:http/incoming-handler`, instead of all this
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["tls", "http3", "cert_out", "tcp", "udp", "latency", "error_rate", "stalls", "rate_limit", "seed"]
    )]
    pub component: Option<PathBuf>,
    /// A variable that the component sees (repeatable)
    #[arg(long, value_name = "NAME=VALUE", requires = "component")]
    env: Vec<String>,
    /// The memory that each request of the component may use, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "component")]
    memory: usize,
    /// How long each request of the component may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse, requires = "component")]
    timeout: Duration,
}

/// Serves a component until Ctrl-C or SIGTERM, says what it saw and returns the exit code.
pub fn run(component: &Path, args: &ServiceArgs, listen: SocketAddr, threads: NonZeroUsize) -> anyhow::Result<u8> {
    let shown = component.display();
    let bytes = match std::fs::read(component) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("error: `{shown}` cannot be read: {error}");
            return Ok(exit::JOURNEY);
        }
    };
    let mut env = Vec::new();
    for text in &args.env {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            eprintln!("error: `--env {text}` is no variable");
            eprintln!("  hint: write `NAME=VALUE`");
            return Ok(exit::USAGE);
        };
        env.push((name.to_owned(), value.to_owned()));
    }
    let options = Options {
        listen,
        threads,
        memory: args.memory.saturating_mul(MIB),
        timeout: args.timeout,
        env,
        tell: Arc::new(|text| eprintln!("warning: {text}")),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot wait for signals")?;
    // Signals are watched before the URL is out: whoever reads it may send one at once.
    let mut signals =
        runtime.block_on(async { StopSignals::watch() }).context("cannot watch for Ctrl-C and SIGTERM")?;
    let server = match service::serve(&bytes, &options) {
        Ok(server) => server,
        Err(error) => return Ok(refused(&shown.to_string(), error)),
    };
    say(&format!("listening on {}\n", server.url()));
    runtime.block_on(signals.next());
    say(&told(&server.stop()));
    Ok(exit::PASSED)
}

/// Says why a component is not served.
fn refused(component: &str, error: ServeError) -> u8 {
    let hint = match &error {
        ServeError::Listen { .. } | ServeError::Thread { .. } => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            return exit::CONFIGURATION;
        }
        ServeError::NoHandler { .. } => Some("a journey or a program is for `squall run`; a service exports a handler"),
        _ => None,
    };
    eprintln!("error: `{component}` cannot be served: {error}");
    if let Some(hint) = hint {
        eprintln!("  hint: {hint}");
    }
    exit::JOURNEY
}

fn told(stats: &service::Stats) -> String {
    let mut text = describe(&Stats {
        requests: stats.requests,
        connections: stats.connections,
        max_in_flight: stats.max_in_flight,
        by_status: stats.by_status.clone(),
        ..Stats::default()
    });
    let failed = [("traps", stats.traps), ("timeouts", stats.timeouts), ("unanswered", stats.unanswered)];
    for (what, count) in failed.into_iter().filter(|(_, count)| *count > 0) {
        let _ = writeln!(text, "  {what:<10}{count}");
    }
    text
}
