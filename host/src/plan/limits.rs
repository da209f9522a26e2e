//! What a journey may use, and what it may reach.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NetPolicy;
use super::component::ComponentLimits;
use super::imports::{ImportPattern, UNTRUSTED_IMPORTS};

/// What a journey may use. What a VU may use, it may use however many there are; what a run may use, all its VUs share.
///
/// A run on several machines has each limit of a run on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of linear memory per VU.
    pub memory: u64,
    /// Bytes of linear memory of all VUs of a run together.
    pub run_memory: Option<u64>,
    /// Elements of all tables of a VU.
    pub table_elements: u32,
    /// Elements of all tables of all VUs of a run together.
    pub run_table_elements: Option<u64>,
    /// Bytes of stack that a guest's own frames may take.
    pub stack: u32,
    /// Whether guests are interrupted, so that others have their turn. Without it no other limit of time holds while a
    /// guest computes: it is there to measure what interrupting costs.
    pub interrupt: bool,
    /// The longest a guest may compute without calling the host.
    pub cpu_timeout: Duration,
    /// Computing time of one iteration, calls of the host included; `None` for no limit.
    pub iteration_cpu: Option<Duration>,
    /// Computing time of all iterations of a run together; the run ends when it is used up.
    pub run_cpu: Option<Duration>,
    /// The wall time of one iteration; `None` for no limit.
    pub iteration_timeout: Option<Duration>,
    /// Bytes that a guest may pass to the host in one call.
    pub host_call_bytes: u64,
    /// Handles of the host's resources that a VU may hold at once.
    pub handles: u32,
    /// Requests of one VU under way at once.
    pub requests_in_flight: u32,
    /// Connections of one VU.
    pub connections: u32,
    /// Connections of all VUs of a run together.
    pub run_connections: Option<u32>,
    /// Bytes of one request: its line, headers and body.
    pub request_bytes: u64,
    /// Bytes of responses held at once by one iteration.
    pub response_bytes: u64,
    /// Bytes of log messages per second, all VUs of a run together; more are dropped and counted.
    pub log_bytes: u64,
    /// Series per worker; more fold into series tagged `_other`.
    pub series: u32,
    /// Different values of one tag per worker; more fold into `_other`.
    pub tag_values: u32,
    /// Bytes of one name or tag value; the rest is cut off.
    pub name_bytes: u32,
    /// Names of checks and of groups, each, per worker; more fold into `_other`.
    pub names: u32,
    /// Metrics that a journey may declare.
    pub metrics: u32,
    /// Iterations that may end in a trap or a missed deadline before the run ends; `None` for no limit.
    pub max_traps: Option<u64>,
    /// What a component may be made of; looked at before it is compiled.
    #[serde(default)]
    pub component: ComponentLimits,
}

impl Default for Limits {
    /// For journeys of one's own: they stop mistakes, not attacks.
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            run_memory: None,
            table_elements: 100_000,
            run_table_elements: None,
            stack: 512 << 10,
            interrupt: true,
            cpu_timeout: Duration::from_secs(10),
            iteration_cpu: None,
            run_cpu: None,
            iteration_timeout: None,
            host_call_bytes: 128 << 20,
            handles: 10_000,
            requests_in_flight: 1_000,
            connections: 1_000,
            run_connections: None,
            request_bytes: 256 << 20,
            response_bytes: 256 << 20,
            log_bytes: 1 << 20,
            series: 10_000,
            tag_values: 10_000,
            name_bytes: 1 << 10,
            names: 10_000,
            metrics: 1_000,
            max_traps: None,
            component: ComponentLimits::default(),
        }
    }
}

impl Limits {
    /// For journeys of people one does not trust: what a run may use is bounded as well.
    #[must_use]
    pub fn untrusted() -> Self {
        Self {
            run_memory: Some(4 << 30),
            table_elements: 20_000,
            run_table_elements: Some(20_000_000),
            cpu_timeout: Duration::from_secs(1),
            iteration_cpu: Some(Duration::from_secs(10)),
            run_cpu: Some(Duration::from_hours(4)),
            iteration_timeout: Some(Duration::from_mins(10)),
            host_call_bytes: 16 << 20,
            handles: 1_000,
            requests_in_flight: 100,
            connections: 100,
            run_connections: Some(20_000),
            request_bytes: 16 << 20,
            response_bytes: 64 << 20,
            log_bytes: 64 << 10,
            series: 1_000,
            tag_values: 500,
            name_bytes: 256,
            names: 500,
            metrics: 100,
            max_traps: Some(1_000),
            component: ComponentLimits::untrusted(),
            ..Self::default()
        }
    }
}

/// Whom the run trusts, and what the journey may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Whether the journey is of somebody who is not trusted: its clocks are coarse, and what is not granted is refused.
    pub untrusted: bool,
    /// Which proposals of WebAssembly it may use beside those that are always there.
    pub proposals: BTreeSet<Proposal>,
    /// Which imports are granted; `None` for all in a run that trusts its journey, and for [`UNTRUSTED_IMPORTS`] in one
    /// that does not.
    #[serde(default)]
    pub imports: Option<BTreeSet<ImportPattern>>,
    /// Whether the guest may have sockets of its own (`wasi:sockets`). To import them is not enough: runtimes do that whether
    /// they need them or not.
    #[serde(default)]
    pub sockets: bool,
    /// Whom the journey may reach.
    pub net: NetPolicy,
}

impl Policy {
    /// Whether a component may import this, such as `wasi:clocks/monotonic-clock@0.2.6`.
    #[must_use]
    pub fn grants_import(&self, import: &str) -> bool {
        match &self.imports {
            Some(granted) => granted.iter().any(|pattern| pattern.matches(import)),
            None => !self.untrusted || UNTRUSTED_IMPORTS.iter().any(|pattern| super::imports::matches(pattern, import)),
        }
    }

    /// Whether a component may use this proposal. A journey that is trusted has those that are harmless enough as well.
    #[must_use]
    pub fn grants_proposal(&self, proposal: Proposal) -> bool {
        let harmless = matches!(proposal, Proposal::Memory64 | Proposal::RelaxedSimd);
        self.proposals.contains(&proposal) || (harmless && !self.untrusted)
    }
}

/// A proposal of WebAssembly that widens what the compiler has to get right, and is off unless granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proposal {
    /// Garbage-collected types.
    Gc,
    /// Exceptions.
    Exceptions,
    /// Shared memories and atomics.
    Threads,
    /// Memories of more than 4 GiB.
    Memory64,
    /// SIMD whose results depend on the machine.
    RelaxedSimd,
}

impl Proposal {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Gc, Self::Exceptions, Self::Threads, Self::Memory64, Self::RelaxedSimd];

    /// Its name, as one writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gc => "gc",
            Self::Exceptions => "exceptions",
            Self::Threads => "threads",
            Self::Memory64 => "memory64",
            Self::RelaxedSimd => "relaxed-simd",
        }
    }
}
