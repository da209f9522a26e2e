//! WASI as far as language runtimes and ordinary programs need it: the variables and arguments that were granted, no input,
//! no files. Output goes to the log, random numbers are the VU's, and clocks are no finer than the VU's.
//!
//! The context is made when a guest first calls WASI; most journeys never do, and then it costs nothing. A program has a
//! new one for each run.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rand_xoshiro::rand_core::Rng as _;
use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::time::Clock;
use super::wasi_sockets::{self, Sockets};
use super::{Host, Recent, Run};
use crate::wit::log::Level;

/// The longest line that is kept together, in bytes.
const LONGEST_LINE: usize = 8 << 10;
/// The most random bytes given at once; asking for more is a trap.
const MOST_RANDOM: u64 = 1 << 20;

/// One VU's WASI.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    /// If they were granted.
    sockets: Option<Box<Sockets>>,
}

impl Wasi {
    pub(super) fn sockets(&mut self) -> Option<&mut Sockets> {
        self.sockets.as_deref_mut()
    }
}

impl Wasi {
    /// What its guest holds handles of.
    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.activity.called = true;
        let wasi = self.wasi.get_or_insert_with(|| {
            let recent = self.recent.get_or_insert_default();
            let log = |level| Log {
                run: Arc::clone(&self.run),
                recent: recent.clone(),
                vu: self.identity.vu,
                scenario: Arc::clone(&self.identity.scenario),
                level,
            };
            // A program is new in every iteration, and so has the same numbers in the same one, whoever runs it.
            let vu = match &self.identity.arguments {
                Some(_) => 0,
                None => u64::from(self.identity.vu) << 32 | u64::from(self.identity.instance),
            };
            let seed = u128::from(self.random.fork(vu ^ 2).next_u64());
            let mut builder = WasiCtx::builder();
            builder
                .stdout(log(Level::Info))
                .stderr(log(Level::Warn))
                .secure_random(self.random.fork(vu))
                .insecure_random(self.random.fork(vu ^ 1))
                .insecure_random_seed(seed << 64 | u128::from(vu))
                .max_random_size(MOST_RANDOM);
            let granted = self.run.policy.sockets;
            wasi_sockets::allow(&mut builder, granted);
            for (name, value) in &*self.identity.env {
                builder.env(name, value);
            }
            if let Some(arguments) = &self.identity.arguments {
                builder.args(arguments);
            }
            if self.clock == Clock::Coarse {
                builder.monotonic_clock(Coarse { started: self.run.started }).wall_clock(CoarseWall);
            }
            let mut table = ResourceTable::new();
            table.set_max_capacity(self.run.limits.handles as usize);
            let sockets = granted.then(|| Box::new(Sockets::new(self.client.connector().reach())));
            Box::new(Wasi { context: builder.build(), table, sockets })
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
    recent: Recent,
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
            self.log.recent.remember(self.log.level, &text);
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

#[cfg(test)]
mod tests {
    use wasmtime_wasi::cli::WasiCliView as _;
    use wasmtime_wasi::clocks::WasiClocksView as _;
    use wasmtime_wasi::filesystem::WasiFilesystemView as _;
    use wasmtime_wasi::p2::bindings::cli::{environment, stdout};
    use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
    use wasmtime_wasi::p2::bindings::filesystem::preopens;
    use wasmtime_wasi::p2::bindings::random::{insecure, random};
    use wasmtime_wasi::p2::bindings::sockets::network::IpAddressFamily;
    use wasmtime_wasi::p2::bindings::sockets::{
        instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket,
    };
    use wasmtime_wasi::random::WasiRandomView as _;
    use wasmtime_wasi::sockets::WasiSocketsView as _;

    use super::super::tests::host;
    use super::*;
    use crate::plan::{Limits, Policy};

    #[test]
    fn nothing_of_the_process_can_be_seen() {
        let (mut host, ..) = host(Limits::default(), Policy::default());
        assert!(environment::Host::get_environment(&mut host.cli()).unwrap().is_empty());
        assert!(environment::Host::get_arguments(&mut host.cli()).unwrap().is_empty());
        assert_eq!(environment::Host::initial_cwd(&mut host.cli()).unwrap(), None);
        assert!(preopens::Host::get_directories(&mut host.filesystem()).unwrap().is_empty());
    }

    #[test]
    fn what_was_granted_can_be_read() {
        let (mut host, ..) = host(Limits::default(), Policy::default());
        let granted = [("A".to_owned(), "1".to_owned())];
        host.identity.env = Arc::new(granted.clone().into());
        host.identity.arguments = Some(["client.wasm", "-v"].map(str::to_owned).into());
        assert_eq!(environment::Host::get_environment(&mut host.cli()).unwrap(), granted);
        assert_eq!(environment::Host::get_arguments(&mut host.cli()).unwrap(), ["client.wasm", "-v"]);
    }

    #[test]
    fn a_program_has_the_same_random_numbers_in_the_same_iteration_and_others_in_the_next() {
        let drawn = |vu, stream| {
            let (mut host, ..) = host(Limits::default(), Policy::default());
            (host.identity.vu, host.identity.arguments) = (vu, Some(Arc::default()));
            host.begin(0, 0, stream);
            random::Host::get_random_bytes(host.random(), 16).unwrap()
        };
        assert_eq!(drawn(1, 7), drawn(2, 7));
        assert_ne!(drawn(1, 7), drawn(1, 8));
    }

    #[tokio::test]
    async fn no_socket_is_made_and_no_name_is_looked_up() {
        let (mut host, ..) = host(Limits::default(), Policy::default());
        for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
            assert!(tcp_create_socket::Host::create_tcp_socket(&mut host, family).is_err());
            assert!(udp_create_socket::Host::create_udp_socket(&mut host, family).await.is_err());
        }
        let network = instance_network::Host::instance_network(&mut host.sockets()).unwrap();
        let looked_up = ip_name_lookup::Host::resolve_addresses(&mut host, network, "localhost".to_owned());
        assert!(looked_up.is_err());
    }

    #[test]
    fn random_numbers_and_handles_have_a_limit() {
        let (mut host, ..) = host(Limits { handles: 10, ..Limits::default() }, Policy::default());
        assert_eq!(random::Host::get_random_bytes(host.random(), 1 << 20).unwrap().len(), 1 << 20);
        for length in [(1 << 20) + 1, 1 << 40, u64::MAX] {
            assert!(random::Host::get_random_bytes(host.random(), length).is_err());
            assert!(insecure::Host::get_insecure_random_bytes(host.random(), length).is_err());
        }
        let opened = (0..1000).take_while(|_| stdout::Host::get_stdout(&mut host.cli()).is_ok()).count();
        assert!(opened <= 10, "{opened}");
    }

    #[test]
    fn the_clocks_of_a_guest_that_is_not_trusted_are_coarse() {
        let untrusted = Policy { untrusted: true, ..Policy::default() };
        for (policy, is_coarse) in [(untrusted, true), (Policy::default(), false)] {
            let (mut host, ..) = host(Limits::default(), policy);
            let (mut fine, mut last) = (0, 0);
            for _ in 0..50 {
                std::thread::sleep(Duration::from_micros(37));
                let now = monotonic_clock::Host::now(&mut host.clocks()).unwrap();
                let wall = wall_clock::Host::now(&mut host.clocks()).unwrap();
                assert!(now >= last && wall.seconds > 1_700_000_000);
                last = now;
                fine += u64::from(now % 1_000_000 != 0) + u64::from(wall.nanoseconds % 1_000_000 != 0);
            }
            assert_eq!(fine == 0, is_coarse);
            let resolution = monotonic_clock::Host::resolution(&mut host.clocks()).unwrap();
            assert_eq!(resolution == 1_000_000, is_coarse);
        }
    }

    #[test]
    fn lines_of_standard_output_are_messages_and_none_is_long() {
        let (mut host, _, heard) = host(Limits::default(), Policy::default());
        let _ = host.ctx();
        let run = Arc::clone(&host.run);
        let log = Log { run, recent: Recent::default(), vu: 1, scenario: "s".into(), level: Level::Info };
        let mut lines = Lines { log, line: Vec::new() };
        lines.take_in(b"one\ntwo\n\n");
        lines.take_in(&vec![b'x'; 10 << 20]);
        lines.take_in(b"\n\xff");
        drop(lines);
        let heard = heard.0.lock().unwrap();
        assert_eq!((heard.len(), &heard[..2], heard[2].len()), (4, &["one".to_owned(), "two".to_owned()][..], 8 << 10));
        assert_eq!(heard[3], "\u{fffd}");
    }
}
