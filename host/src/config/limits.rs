//! The limits of a journey, lowered: what a VU may use, and what a run may.

use std::time::Duration;

use super::fields::{Decode, Given};
use super::findings::Findings;
use super::lower::Lowering;
use super::node::{Node, Value};
use super::values::{Bytes, Shown};
use crate::plan::Limits;

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
        let limits = self.limits_of_the_sandbox(default_limits(untrusted));
        let limits = self.limits_of_time(limits);
        let limits = self.limits_of_requests(limits);
        let limits = self.limits_of_names(limits);
        self.limits_of_the_component(limits)
    }

    fn limits_of_the_sandbox(&mut self, default: Limits) -> Limits {
        let layer = self.layer;
        let memory = Bytes(default.memory);
        let memory = self.no_less("limits.memory", layer.memory.as_ref(), memory, LEAST_MEMORY).0;
        let run_memory = default.run_memory.map(Bytes);
        let run_memory = self.optional("limits.runMemory", layer.run_memory.as_ref(), run_memory, LEAST_MEMORY);
        let elements = layer.table_elements.as_ref();
        let run_elements = layer.run_table_elements.as_ref();
        let call = Bytes(default.host_call_bytes);
        let call = self.no_less("limits.hostCallBytes", layer.host_call_bytes.as_ref(), call, LEAST_HOST_CALL);
        Limits {
            memory,
            run_memory: run_memory.map(|bytes| bytes.0),
            table_elements: self.at_least_one("limits.tableElements", elements, default.table_elements),
            run_table_elements: self.optional("limits.runTableElements", run_elements, default.run_table_elements, 1),
            stack: self.stack(default.stack),
            host_call_bytes: call.0,
            handles: self.no_less("limits.handles", layer.handles.as_ref(), default.handles, LEAST_HANDLES),
            ..default
        }
    }

    fn stack(&mut self, default: u32) -> u32 {
        let given = self.layer.stack.as_ref();
        let stack = self.no_less("limits.stack", given, Bytes(default.into()), LEAST_STACK);
        if let Some(given) = given.filter(|given| given.value.0 > MOST_STACK.0) {
            self.refuse(given, &format!("is {}, but must be at most {}", given.value.shown(), MOST_STACK.shown()));
        }
        u32::try_from(stack.0).unwrap_or(default)
    }

    fn limits_of_time(&mut self, default: Limits) -> Limits {
        let layer = self.layer;
        let (iteration, run) = (layer.iteration_cpu.as_ref(), layer.run_cpu.as_ref());
        Limits {
            interrupt: self.pick("limits.interrupt", layer.interrupt.as_ref(), default.interrupt),
            cpu_timeout: self.positive("limits.cpuTimeout", layer.cpu_timeout.as_ref(), default.cpu_timeout),
            iteration_cpu: self.or_zero("limits.iterationCpu", iteration, default.iteration_cpu, Duration::ZERO),
            run_cpu: self.or_zero("limits.runCpu", run, default.run_cpu, Duration::ZERO),
            iteration_timeout: self.or_zero(
                "limits.iterationTimeout",
                layer.iteration_timeout.as_ref(),
                default.iteration_timeout,
                Duration::ZERO,
            ),
            max_traps: self.or_zero("limits.maxTraps", layer.max_traps.as_ref(), default.max_traps, 0),
            ..default
        }
    }

    fn limits_of_requests(&mut self, default: Limits) -> Limits {
        let layer = self.layer;
        let in_flight = layer.requests_in_flight.as_ref();
        let (vu, run) = (layer.vu_connections.as_ref(), layer.run_connections.as_ref());
        let (request, response) = (Bytes(default.request_bytes), Bytes(default.response_bytes));
        Limits {
            requests_in_flight: self.at_least_one("limits.requestsInFlight", in_flight, default.requests_in_flight),
            connections: self.at_least_one("limits.maxConnections", vu, default.connections),
            run_connections: self.optional("limits.runConnections", run, default.run_connections, 1),
            request_bytes: self.no_less("limits.requestBytes", layer.request_bytes.as_ref(), request, LEAST_MESSAGE).0,
            response_bytes: self
                .no_less("limits.responseBytes", layer.response_bytes.as_ref(), response, LEAST_MESSAGE)
                .0,
            ..default
        }
    }

    fn limits_of_names(&mut self, default: Limits) -> Limits {
        let layer = self.layer;
        Limits {
            // 0 is silence, and a journey without metrics of its own.
            log_bytes: self.pick("limits.logBytes", layer.log_bytes.as_ref(), Bytes(default.log_bytes)).0,
            metrics: self.pick("limits.metrics", layer.metrics.as_ref(), default.metrics),
            series: self.at_least_one("limits.series", layer.series.as_ref(), default.series),
            tag_values: self.at_least_one("limits.tagValues", layer.tag_values.as_ref(), default.tag_values),
            name_bytes: self.no_less("limits.nameBytes", layer.name_bytes.as_ref(), default.name_bytes, LEAST_NAME),
            names: self.at_least_one("limits.names", layer.names.as_ref(), default.names),
            ..default
        }
    }

    fn limits_of_the_component(&mut self, mut limits: Limits) -> Limits {
        let (layer, component) = (self.layer, &mut limits.component);
        let (bytes, function) = (Bytes(component.bytes), Bytes(component.function_bytes.into()));
        component.bytes = self.pick("limits.componentBytes", layer.component_bytes.as_ref(), bytes).0;
        component.functions = self.at_least_one("limits.functions", layer.functions.as_ref(), component.functions);
        let function = self.pick("limits.functionBytes", layer.function_bytes.as_ref(), function).0;
        component.function_bytes = u32::try_from(function).unwrap_or(u32::MAX);
        limits
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
