//! The options of one layer: every key that squall knows, read from whatever form the layer has.

use std::time::Duration;

use super::choices::{Shows, Statuses, TlsVersions};
use super::dns::DnsOptions;
use super::fields::{Fields, Given};
use super::findings::Findings;
use super::foreign;
use super::identities::IdentityOption;
use super::limits::Optional;
use super::names;
use super::node::{Node, Place, Spot, Value};
use super::pairs::{NamedFiles, Pairs, ServerNames};
use super::policy::{Allowed, Hostnames, Networks, Rules};
use super::scenario_options::ScenarioOptions;
use super::secrets::SecretOptions;
use super::stage_options::StageOption;
use super::values::{Bytes, Portion};
use crate::plan::http::{Connections, Version};
use crate::plan::{ImportPattern, Proposal};
use crate::verdict::Threshold;

/// Declares the fields, their keys, and what is done to all of them.
macro_rules! options {
    ($($field:ident: $type:ty = $key:literal;)*) => {
        /// What one layer says. What it does not say is `None`.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Layer {
            $(pub $field: Option<Given<$type>>,)*
        }

        /// Every key, in camel case. A dot leads into a table.
        pub(super) const KEYS: &[&str] = &[$($key,)*];

        impl Layer {
            fn take(fields: &mut Fields<'_>, findings: &mut Findings) -> Self {
                Self { $($field: fields.take($key, findings),)* }
            }

            /// Puts a higher layer on top: what it says wins.
            pub fn cover(&mut self, higher: Self) {
                $(if higher.$field.is_some() { self.$field = higher.$field; })*
            }
        }
    };
}

options! {
    vus: u32 = "vus";
    duration: Duration = "duration";
    iterations: u64 = "iterations";
    stages: Vec<StageOption> = "stages";
    rate: f64 = "rate";
    max_vus: u32 = "maxVUs";
    scenarios: Vec<ScenarioOptions> = "scenarios";
    thresholds: Vec<Given<Threshold>> = "thresholds";
    no_thresholds: bool = "noThresholds";
    tags: Pairs = "tags";
    env: Pairs = "env";
    args: Vec<String> = "args";
    seed: u64 = "seed";
    no_setup: bool = "noSetup";
    setup_timeout: Duration = "setupTimeout";
    no_teardown: bool = "noTeardown";
    teardown_timeout: Duration = "teardownTimeout";
    summary_timeout: Duration = "handleSummaryTimeout";
    min_iteration_duration: Duration = "minIterationDuration";
    max_failed_iterations: Portion = "maxFailedIterations";
    allow_invalid: bool = "allowInvalid";
    system_tags: Vec<String> = "systemTags";
    max_redirects: u32 = "maxRedirects";
    user_agent: String = "userAgent";
    batch: u32 = "batch";
    batch_per_host: u32 = "batchPerHost";
    discard_response_bodies: bool = "discardResponseBodies";
    insecure_skip_tls_verify: bool = "insecureSkipTLSVerify";
    no_connection_reuse: bool = "noConnectionReuse";
    no_vu_connection_reuse: bool = "noVUConnectionReuse";
    connections: Connections = "connections";
    http_version: Version = "httpVersion";
    request_timeout: Duration = "requestTimeout";
    connect_timeout: Duration = "connectTimeout";
    read_timeout: Duration = "readTimeout";
    idle_timeout: Duration = "idleTimeout";
    expected_statuses: Statuses = "expectedStatuses";
    throw: bool = "throw";
    http_debug: Shows = "httpDebug";
    no_cookies_reset: bool = "noCookiesReset";
    rps: f64 = "rps";
    dns: DnsOptions = "dns";
    hosts: Pairs = "hosts";
    local_ips: Vec<String> = "localIPs";
    proxy: String = "proxy";
    no_proxy: Vec<String> = "noProxy";
    tls_version: TlsVersions = "tlsVersion";
    tls_cipher_suites: Vec<String> = "tlsCipherSuites";
    tls_auth: Vec<IdentityOption> = "tlsAuth";
    tls_roots: Vec<String> = "tlsRoots";
    tls_system_roots: bool = "tlsSystemRoots";
    tls_server_name: ServerNames = "tlsServerName";
    no_tls_session_resumption: bool = "noTlsSessionResumption";
    blacklist_ips: Networks = "blacklistIPs";
    block_hostnames: Hostnames = "blockHostnames";
    files: NamedFiles = "files";
    secrets: SecretOptions = "secrets";
    untrusted: bool = "untrusted";
    imports: Vec<ImportPattern> = "policy.imports";
    allow_import: Vec<ImportPattern> = "policy.allowImport";
    proposals: Vec<Proposal> = "policy.proposals";
    net_allow: Allowed = "policy.net.allow";
    net_deny: Rules = "policy.net.deny";
    memory: Bytes = "limits.memory";
    run_memory: Optional<Bytes> = "limits.runMemory";
    table_elements: u32 = "limits.tableElements";
    run_table_elements: Optional<u64> = "limits.runTableElements";
    stack: Bytes = "limits.stack";
    interrupt: bool = "limits.interrupt";
    cpu_timeout: Duration = "limits.cpuTimeout";
    iteration_cpu: Optional<Duration> = "limits.iterationCpu";
    run_cpu: Optional<Duration> = "limits.runCpu";
    iteration_timeout: Optional<Duration> = "limits.iterationTimeout";
    host_call_bytes: Bytes = "limits.hostCallBytes";
    handles: u32 = "limits.handles";
    requests_in_flight: u32 = "limits.requestsInFlight";
    vu_connections: u32 = "limits.maxConnections";
    run_connections: Optional<u32> = "limits.runConnections";
    request_bytes: Bytes = "limits.requestBytes";
    response_bytes: Bytes = "limits.responseBytes";
    log_bytes: Bytes = "limits.logBytes";
    series: u32 = "limits.series";
    tag_values: u32 = "limits.tagValues";
    name_bytes: u32 = "limits.nameBytes";
    names: u32 = "limits.names";
    metrics: u32 = "limits.metrics";
    max_traps: Optional<u64> = "limits.maxTraps";
    component_bytes: Bytes = "limits.componentBytes";
    functions: u32 = "limits.functions";
    function_bytes: Bytes = "limits.functionBytes";
    summary_trend_stats: Vec<String> = "summaryTrendStats";
    summary_time_unit: String = "summaryTimeUnit";
    summary_export: String = "summaryExport";
    out: Vec<String> = "out";
    quiet: bool = "quiet";
    no_color: bool = "noColor";
    verbose: bool = "verbose";
    threads: u32 = "threads";
}

/// Keys that have no variable: tables of tables do not fit in one, arguments may hold what would separate them, and `env` is
/// what the journey may see of them.
pub(super) const WITHOUT_VARIABLE: &[&str] = &["scenarios", "env", "args"];

/// Keys that a journey must not set. A journey is code of someone else in a sandbox; whoever runs it decides what it
/// may use, which files are read and written, and which way it gets to the network. So is every key of `limits` and
/// `policy`. Parts of `dns`, `hosts`, `tlsAuth` and `tlsRoots` are refused where they are lowered: the journey chooses
/// neither DNS server, Unix socket nor file.
const NOT_FOR_JOURNEYS: &[&str] = &[
    "args",
    "secrets",
    "untrusted",
    "proxy",
    "noProxy",
    "localIPs",
    "files",
    "summaryExport",
    "out",
    "quiet",
    "noColor",
    "verbose",
    "threads",
];

/// Variables that start like options and are read elsewhere.
const OTHER_VARIABLES: &[&str] = &["SQUALL_CONFIG", "SQUALL_SCENARIO"];

impl Layer {
    /// Reads what the journey's `options` returned. An empty text says nothing.
    pub fn from_journey(json: &str, findings: &mut Findings) -> Self {
        if json.trim().is_empty() {
            return Self::default();
        }
        let spot = Spot { name: String::new(), place: Place::Journey };
        let json = match serde_json::from_str(json) {
            Ok(json) => json,
            Err(error) => {
                let message = format!("the journey's options are not JSON: {error}");
                findings.error(super::Problem::new(message).hint("`squall inspect` prints what the journey returned"));
                return Self::default();
            }
        };
        let node = Node::json(json, spot);
        match &node.value {
            Value::Null => Self::default(),
            Value::Table(_) => Self::from_table(&node, findings),
            _ => {
                let message = format!("the journey's options must be an object, but are {}", node.found());
                findings.error(super::Problem::new(message));
                Self::default()
            }
        }
    }

    /// Reads a TOML file.
    pub fn from_file(file: &str, text: &str, findings: &mut Findings) -> Self {
        Self::from_table(&Node::toml(file, text, findings), findings)
    }

    /// Reads the variables that are options.
    pub fn from_environment(variables: &[(String, String)], findings: &mut Findings) -> Self {
        let mut nodes = Vec::new();
        for (name, text) in variables {
            if !name.starts_with("SQUALL_") || text.is_empty() || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let node = Node::text(name, Place::Environment, text);
            match KEYS.iter().find(|key| has_variable(key) && names::variable(key) == *name) {
                Some(key) => nodes.push((*key, node)),
                None => warn_of_variable(name, &node.spot, findings),
            }
        }
        let mut fields = Fields::new(nodes.iter().map(|(key, node)| (*key, node)));
        Self::take(&mut fields, findings)
    }

    /// Reads flags, which are known to be options.
    pub fn from_flags(flags: &super::Flags, findings: &mut Findings) -> Self {
        let mut fields = Fields::new(flags.0.iter().map(|(key, node)| (*key, node)));
        Self::take(&mut fields, findings)
    }

    fn from_table(node: &Node, findings: &mut Findings) -> Self {
        let Value::Table(entries) = &node.value else {
            return Self::default();
        };
        let flat = flattened(entries, findings);
        let mut fields = Fields::new(flat.iter().map(|(key, node)| (key.as_str(), *node)));
        let read = Self::take(&mut fields, findings);
        for (written, node) in flat.iter().map(|(key, node)| (key.as_str(), *node)) {
            let refused = KEYS.iter().any(|key| !is_for_journeys(key) && names::is_spelled(written, key));
            if node.spot.place == Place::Journey && refused {
                let problem = findings
                    .problem(&node.spot, &format!("`{written}` is not for the journey to set"))
                    .hint("set it in `squall.toml` or with a flag");
                findings.error(problem);
            }
        }
        foreign::take(&mut fields, findings);
        fields.finish(findings, |_| None);
        read
    }

    /// Whether it says what is to run. Then no lower layer does.
    pub fn sets_load(&self) -> bool {
        self.duration.is_some()
            || self.iterations.is_some()
            || self.stages.is_some()
            || self.rate.is_some()
            || self.scenarios.is_some()
    }

    /// The options that say what is to run, with their keys.
    pub fn load(&self) -> Vec<(&'static str, &Spot)> {
        let spots = [
            ("scenarios", self.scenarios.as_ref().map(|given| &given.spot)),
            ("iterations", self.iterations.as_ref().map(|given| &given.spot)),
            ("duration", self.duration.as_ref().map(|given| &given.spot)),
            ("stages", self.stages.as_ref().map(|given| &given.spot)),
            ("rate", self.rate.as_ref().map(|given| &given.spot)),
        ];
        spots.into_iter().filter_map(|(key, spot)| Some((key, spot?))).collect()
    }

    /// Forgets what is to run.
    pub fn clear_load(&mut self) {
        self.scenarios = None;
        self.iterations = None;
        self.duration = None;
        self.stages = None;
        self.rate = None;
    }
}

/// Whether an option can be set by a variable.
pub(super) fn has_variable(key: &str) -> bool {
    !WITHOUT_VARIABLE.contains(&key)
}

/// Whether a journey may set an option.
fn is_for_journeys(key: &str) -> bool {
    !NOT_FOR_JOURNEYS.contains(&key) && !key.starts_with("limits.") && !key.starts_with("policy.")
}

/// Tables whose entries are options by themselves.
const TABLES: &[&str] = &["limits", "policy", "policy.net"];

/// The entries with those of such tables among them, as `limits.memory` and `policy.net.allow`.
fn flattened<'a>(entries: &'a [(String, Node)], findings: &mut Findings) -> Vec<(String, &'a Node)> {
    let mut flat = Vec::with_capacity(entries.len());
    flatten("", entries, findings, &mut flat);
    flat
}

fn flatten<'a>(
    table: &str,
    entries: &'a [(String, Node)],
    findings: &mut Findings,
    flat: &mut Vec<(String, &'a Node)>,
) {
    for (name, node) in entries {
        let key = format!("{table}{name}");
        match &node.value {
            Value::Null => {}
            Value::Table(inner) if TABLES.contains(&key.as_str()) => flatten(&format!("{key}."), inner, findings, flat),
            _ if TABLES.contains(&key.as_str()) => findings.mismatch(node, "a table"),
            _ => flat.push((key, node)),
        }
    }
}

/// A variable may belong to another program, so only what looks like a slip is worth a word.
fn warn_of_variable(name: &str, spot: &Spot, findings: &mut Findings) {
    let variables: Vec<String> = KEYS.iter().filter(|key| has_variable(key)).map(|key| names::variable(key)).collect();
    let near = |known: &&String| strsim::damerau_levenshtein(known, name) <= 2;
    if let Some(meant) = variables.iter().find(near) {
        let problem = findings
            .problem(spot, &format!("nothing reads the variable `{name}`"))
            .hint(format!("did you mean `{meant}`?"));
        findings.warn(problem);
    }
}
