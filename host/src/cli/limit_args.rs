//! The flags of `squall run` about what a journey may use.

use std::time::Duration;

use clap::Args;
use squall::plan::duration;

use super::run_args::Layer;

/// What can be taken back is a text: a value, or `none`. The configuration reads it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Linear memory of one virtual user, like `64MiB`
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
    /// Linear memory of all virtual users together, or `none`
    #[arg(long, value_name = "BYTES")]
    run_memory: Option<String>,
    /// Elements of all tables of one virtual user
    #[arg(long, value_name = "N")]
    table_elements: Option<u32>,
    /// Elements of all tables of all virtual users together, or `none`
    #[arg(long, value_name = "N")]
    run_table_elements: Option<String>,
    /// Stack that a journey's own calls may take
    #[arg(long, value_name = "BYTES")]
    stack: Option<String>,
    /// Whether journeys that compute are interrupted; `false` only to measure what it costs
    #[arg(long, value_name = "BOOL")]
    interrupt: Option<bool>,
    /// The longest a journey may compute without calling the host
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    cpu_timeout: Option<Duration>,
    /// Computing time of one iteration, calls of the host included, or `none`
    #[arg(long, value_name = "TIME")]
    iteration_cpu: Option<String>,
    /// Computing time of all iterations together, after which the run ends, or `none`
    #[arg(long, value_name = "TIME")]
    run_cpu: Option<String>,
    /// The longest an iteration may take, or `none`
    #[arg(long, value_name = "TIME")]
    iteration_timeout: Option<String>,
    /// Bytes that a journey may pass to the host in one call
    #[arg(long, value_name = "BYTES")]
    host_call_bytes: Option<String>,
    /// Handles of the host's resources that one virtual user may hold
    #[arg(long, value_name = "N")]
    handles: Option<u32>,
    /// Requests of one virtual user under way at once
    #[arg(long, value_name = "N")]
    requests_in_flight: Option<u32>,
    /// Connections of one virtual user
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// Connections of all virtual users together, or `none`
    #[arg(long, value_name = "N")]
    run_connections: Option<String>,
    /// Bytes of one request: its line, headers and body
    #[arg(long, value_name = "BYTES")]
    request_bytes: Option<String>,
    /// Bytes of responses that one iteration may hold at once
    #[arg(long, value_name = "BYTES")]
    response_bytes: Option<String>,
    /// Bytes of log messages per second, all virtual users together
    #[arg(long, value_name = "BYTES")]
    log_bytes: Option<String>,
    /// Series per worker; more fold into series tagged `_other`
    #[arg(long, value_name = "N")]
    series: Option<u32>,
    /// Values of one tag per worker; more fold into `_other`
    #[arg(long, value_name = "N")]
    tag_values: Option<u32>,
    /// Bytes of one name or tag value; the rest is cut off
    #[arg(long, value_name = "N")]
    name_bytes: Option<u32>,
    /// Names of checks and of groups, each, per worker; more fold into `_other`
    #[arg(long, value_name = "N")]
    names: Option<u32>,
    /// Metrics that a journey may declare
    #[arg(long, value_name = "N")]
    metrics: Option<u32>,
    /// Iterations that may end in a trap or a timeout before the run ends, or `none`
    #[arg(long, value_name = "N")]
    max_traps: Option<String>,
    /// Bytes of a component
    #[arg(long, value_name = "BYTES")]
    component_bytes: Option<String>,
    /// Functions of a component
    #[arg(long, value_name = "N")]
    functions: Option<u32>,
    /// Bytes of one function of a component
    #[arg(long, value_name = "BYTES")]
    function_bytes: Option<String>,
    /// Worker threads; one per core unless given
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
}

impl LimitArgs {
    pub(super) fn add_to(&self, layer: &mut Layer) {
        layer.value("limits.memory", "--memory", self.memory.as_ref());
        layer.value("limits.runMemory", "--run-memory", self.run_memory.as_ref());
        layer.value("limits.tableElements", "--table-elements", self.table_elements);
        layer.value("limits.runTableElements", "--run-table-elements", self.run_table_elements.as_ref());
        layer.value("limits.stack", "--stack", self.stack.as_ref());
        layer.value("limits.interrupt", "--interrupt", self.interrupt);
        layer.time("limits.cpuTimeout", "--cpu-timeout", self.cpu_timeout);
        layer.value("limits.iterationCpu", "--iteration-cpu", self.iteration_cpu.as_ref());
        layer.value("limits.runCpu", "--run-cpu", self.run_cpu.as_ref());
        layer.value("limits.iterationTimeout", "--iteration-timeout", self.iteration_timeout.as_ref());
        layer.value("limits.hostCallBytes", "--host-call-bytes", self.host_call_bytes.as_ref());
        layer.value("limits.handles", "--handles", self.handles);
        layer.value("limits.requestsInFlight", "--requests-in-flight", self.requests_in_flight);
        layer.value("limits.maxConnections", "--max-connections", self.max_connections);
        layer.value("limits.runConnections", "--run-connections", self.run_connections.as_ref());
        layer.value("limits.requestBytes", "--request-bytes", self.request_bytes.as_ref());
        layer.value("limits.responseBytes", "--response-bytes", self.response_bytes.as_ref());
        layer.value("limits.logBytes", "--log-bytes", self.log_bytes.as_ref());
        layer.value("limits.series", "--series", self.series);
        layer.value("limits.tagValues", "--tag-values", self.tag_values);
        layer.value("limits.nameBytes", "--name-bytes", self.name_bytes);
        layer.value("limits.names", "--names", self.names);
        layer.value("limits.metrics", "--metrics", self.metrics);
        layer.value("limits.maxTraps", "--max-traps", self.max_traps.as_ref());
        layer.value("limits.componentBytes", "--component-bytes", self.component_bytes.as_ref());
        layer.value("limits.functions", "--functions", self.functions);
        layer.value("limits.functionBytes", "--function-bytes", self.function_bytes.as_ref());
        layer.value("threads", "--threads", self.threads);
    }
}
