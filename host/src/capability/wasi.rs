//! WASI as far as language runtimes need it: no variables, no arguments, no files, no sockets, no names. Output goes to
//! the log, random numbers are the VU's, and clocks are no finer than the VU's.
//!
//! The context is made when a guest first calls WASI; most journeys never do, and then it costs nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::time::Clock;
use super::{Host, Run};
use crate::wit::log::Level;

/// The longest line that is kept together, in bytes.
const LONGEST_LINE: usize = 8 << 10;
/// The most random bytes given at once; asking for more is a trap.
const MOST_RANDOM: u64 = 1 << 20;

/// One VU's WASI.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.activity.called = true;
        let wasi = self.wasi.get_or_insert_with(|| {
            let log = |level| Log {
                run: Arc::clone(&self.run),
                vu: self.identity.vu,
                scenario: Arc::clone(&self.identity.scenario),
                level,
            };
            let vu = u64::from(self.identity.vu) << 32 | u64::from(self.identity.instance);
            let mut builder = WasiCtx::builder();
            builder
                .stdout(log(Level::Info))
                .stderr(log(Level::Warn))
                .secure_random(self.random.fork(vu))
                .insecure_random(self.random.fork(vu ^ 1))
                .insecure_random_seed(u128::from(self.run.seed) << 64 | u128::from(vu))
                .max_random_size(MOST_RANDOM)
                // As by default; written down because it is promised.
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false);
            if self.clock == Clock::Coarse {
                builder.monotonic_clock(Coarse { started: self.run.started }).wall_clock(CoarseWall);
            }
            let mut table = ResourceTable::new();
            table.set_max_capacity(self.run.limits.handles as usize);
            Box::new(Wasi { context: builder.build(), table })
        });
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

/// The run's clock as a guest that is not trusted sees it.
struct Coarse {
    started: Instant,
}

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(Clock::Coarse.show(self.started.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The time of day as such a guest sees it.
struct CoarseWall;

impl HostWallClock for CoarseWall {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        // A clock set before 1970 shows 1970.
        Clock::Coarse.show(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

/// Turns what a guest writes to its standard output into log messages, a line each.
#[derive(Clone)]
struct Log {
    run: Arc<Run>,
    vu: u32,
    scenario: Arc<str>,
    level: Level,
}

/// One stream onto the log, with the line that is not finished yet.
struct Lines {
    log: Log,
    line: Vec<u8>,
}

impl Lines {
    fn take_in(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.pass_on();
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            }
        }
    }

    fn pass_on(&mut self) {
        if !self.line.is_empty() {
            let text = String::from_utf8_lossy(&self.line).into_owned();
            self.log.run.sink.log(self.log.vu, &self.log.scenario, self.log.level, text);
            self.line.clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.pass_on();
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { log: self.clone(), line: Vec::new() })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { log: self.clone(), line: Vec::new() })
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take_in(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.take_in(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
