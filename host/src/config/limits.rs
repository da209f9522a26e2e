//! The limits of a journey, lowered: what a VU may use, and what a run may.

use std::time::Duration;

use super::fields::{Decode, Given};
use super::findings::Findings;
use super::lower::Lowering;
use super::node::{Node, Value};
use super::values::{Bytes, Shown};
use crate::plan::{ComponentLimits, Limits};

/// A page of linear memory, of which any journey has one.
const LEAST_MEMORY: Bytes = Bytes(64 << 10);
/// What the frames of any guest fit in that is compiled from a language, and of any host call.
const LEAST_STACK: Bytes = Bytes(64 << 10);
/// Every fiber has a stack of its own, and address space ends somewhere.
const MOST_STACK: Bytes = Bytes(256 << 20);
/// A short text and what stands beside it.
const LEAST_HOST_CALL: Bytes = Bytes(64 << 10);
/// What the standard streams, clocks and pollables of a runtime take.
const LEAST_HANDLES: u32 = 16;
/// A line and a few headers.
const LEAST_MESSAGE: Bytes = Bytes(1 << 10);
/// What `_other` and the names of squall's own tags fit in.
const LEAST_NAME: u32 = 16;

/// A limit that one can do without: a value, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Optional<T>(pub Option<T>);

impl<T: Decode> Decode for Optional<T> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.trim() == "none" => Some(Self(None)),
            _ => T::decode(node, findings).map(|value| Self(Some(value))),
        }
    }
}

impl<T: Shown> Shown for Optional<T> {
    fn shown(&self) -> String {
        self.0.as_ref().map_or_else(|| "none".to_owned(), Shown::shown)
    }
}

/// What journeys may use where nothing is said.
pub(super) fn default_limits(untrusted: bool) -> Limits {
    if untrusted { Limits::untrusted() } else { Limits::default() }
}

impl Lowering<'_> {
    pub(super) fn limits(&mut self, untrusted: bool) -> Limits {
        let mut limits = default_limits(untrusted);
        self.limits_of_the_sandbox(&mut limits);
        self.limits_of_time(&mut limits);
        self.limits_of_requests(&mut limits);
        self.limits_of_names(&mut limits);
        self.limits_of_the_component(&mut limits.component);
        limits
    }

    fn limits_of_the_sandbox(&mut self, limits: &mut Limits) {
        let layer = self.layer;
        let memory = Bytes(limits.memory);
        limits.memory = self.no_less("limits.memory", layer.memory.as_ref(), memory, LEAST_MEMORY).0;
        let memory = limits.run_memory.map(Bytes);
        let memory = self.optional("limits.runMemory", layer.run_memory.as_ref(), memory, LEAST_MEMORY);
        limits.run_memory = memory.map(|bytes| bytes.0);
        let elements = layer.table_elements.as_ref();
        limits.table_elements = self.at_least_one("limits.tableElements", elements, limits.table_elements);
        let elements = layer.run_table_elements.as_ref();
        limits.run_table_elements = self.optional("limits.runTableElements", elements, limits.run_table_elements, 1);
        limits.stack = self.stack(limits.stack);
        let call = Bytes(limits.host_call_bytes);
        let call = self.no_less("limits.hostCallBytes", layer.host_call_bytes.as_ref(), call, LEAST_HOST_CALL);
        limits.host_call_bytes = call.0;
        limits.handles = self.no_less("limits.handles", layer.handles.as_ref(), limits.handles, LEAST_HANDLES);
    }

    fn stack(&mut self, default: u32) -> u32 {
        let given = self.layer.stack.as_ref();
        let stack = self.no_less("limits.stack", given, Bytes(default.into()), LEAST_STACK);
        if let Some(given) = given.filter(|given| given.value.0 > MOST_STACK.0) {
            self.refuse(given, &format!("is {}, but must be at most {}", given.value.shown(), MOST_STACK.shown()));
        }
        u32::try_from(stack.0).unwrap_or(default)
    }

    fn limits_of_time(&mut self, limits: &mut Limits) {
        let (layer, zero) = (self.layer, Duration::ZERO);
        limits.interrupt = self.pick("limits.interrupt", layer.interrupt.as_ref(), limits.interrupt);
        limits.cpu_timeout = self.positive("limits.cpuTimeout", layer.cpu_timeout.as_ref(), limits.cpu_timeout);
        let iteration = layer.iteration_cpu.as_ref();
        limits.iteration_cpu = self.or_zero("limits.iterationCpu", iteration, limits.iteration_cpu, zero);
        limits.run_cpu = self.or_zero("limits.runCpu", layer.run_cpu.as_ref(), limits.run_cpu, zero);
        let iteration = layer.iteration_timeout.as_ref();
        limits.iteration_timeout = self.or_zero("limits.iterationTimeout", iteration, limits.iteration_timeout, zero);
        limits.max_traps = self.or_zero("limits.maxTraps", layer.max_traps.as_ref(), limits.max_traps, 0);
    }

    fn limits_of_requests(&mut self, limits: &mut Limits) {
        let layer = self.layer;
        let in_flight = layer.requests_in_flight.as_ref();
        limits.requests_in_flight = self.at_least_one("limits.requestsInFlight", in_flight, limits.requests_in_flight);
        let connections = layer.vu_connections.as_ref();
        limits.connections = self.at_least_one("limits.maxConnections", connections, limits.connections);
        let connections = layer.run_connections.as_ref();
        limits.run_connections = self.optional("limits.runConnections", connections, limits.run_connections, 1);
        let (request, response) = (Bytes(limits.request_bytes), Bytes(limits.response_bytes));
        let request = self.no_less("limits.requestBytes", layer.request_bytes.as_ref(), request, LEAST_MESSAGE);
        let response = self.no_less("limits.responseBytes", layer.response_bytes.as_ref(), response, LEAST_MESSAGE);
        (limits.request_bytes, limits.response_bytes) = (request.0, response.0);
    }

    fn limits_of_names(&mut self, limits: &mut Limits) {
        let layer = self.layer;
        // 0 is silence, and a journey without metrics of its own.
        limits.log_bytes = self.pick("limits.logBytes", layer.log_bytes.as_ref(), Bytes(limits.log_bytes)).0;
        limits.metrics = self.pick("limits.metrics", layer.metrics.as_ref(), limits.metrics);
        limits.series = self.at_least_one("limits.series", layer.series.as_ref(), limits.series);
        limits.tag_values = self.at_least_one("limits.tagValues", layer.tag_values.as_ref(), limits.tag_values);
        limits.name_bytes = self.no_less("limits.nameBytes", layer.name_bytes.as_ref(), limits.name_bytes, LEAST_NAME);
        limits.names = self.at_least_one("limits.names", layer.names.as_ref(), limits.names);
    }

    fn limits_of_the_component(&mut self, limits: &mut ComponentLimits) {
        let layer = self.layer;
        limits.bytes = self.pick("limits.componentBytes", layer.component_bytes.as_ref(), Bytes(limits.bytes)).0;
        limits.functions = self.at_least_one("limits.functions", layer.functions.as_ref(), limits.functions);
        let function = Bytes(limits.function_bytes.into());
        let function = self.pick("limits.functionBytes", layer.function_bytes.as_ref(), function);
        limits.function_bytes = u32::try_from(function.0).unwrap_or(u32::MAX);
    }

    /// A limit that must not be lower than `least`.
    fn no_less<T>(&mut self, key: &str, given: Option<&Given<T>>, default: T, least: T) -> T
    where
        T: Copy + PartialOrd + Shown,
    {
        if let Some(given) = given.filter(|given| given.value < least) {
            self.refuse(given, &format!("is {}, but must be at least {}", given.value.shown(), least.shown()));
        }
        self.pick(key, given, default)
    }

    /// The same, for a limit that `none` takes back.
    fn optional<T>(&mut self, key: &str, given: Option<&Given<Optional<T>>>, default: Option<T>, least: T) -> Option<T>
    where
        T: Copy + PartialOrd + Shown,
    {
        if let Some((given, value)) = given.and_then(|given| Some((given, given.value.0?)))
            && value < least
        {
            let message = format!("`{}` is {}, but must be at least {}", given.spot.name, value.shown(), least.shown());
            self.findings.refuse(&given.spot, &message, "write `none` for no limit");
        }
        self.pick(key, given, Optional(default)).0
    }

    /// A limit that `none` takes back, and `zero` as well: no iteration takes no time, and k6's word for no limit is 0.
    fn or_zero<T>(&mut self, key: &str, given: Option<&Given<Optional<T>>>, default: Option<T>, zero: T) -> Option<T>
    where
        T: Copy + PartialEq + Shown,
    {
        let given = given.map(|given| {
            let value = Optional(given.value.0.filter(|value| *value != zero));
            Given { value, spot: given.spot.clone() }
        });
        self.pick(key, given.as_ref(), Optional(default)).0
    }
}
