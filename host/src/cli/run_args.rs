//! The flags of `squall run`, and the layer of configuration they make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args};
use squall::config::{Flags, Problem};
use squall::isolate::Settings;
use squall::plan::duration;

use super::http_args::{HttpArgs, NetworkArgs, TlsArgs};
use super::limit_args::LimitArgs;

/// The file that is read when none is named.
const CONFIG_FILE: &str = "squall.toml";
const CONFIG_VARIABLE: &str = "SQUALL_CONFIG";

/// What `squall run` takes. Short forms are k6's.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The journey or program: the path of a component, or `-` for standard input
    #[arg(value_name = "JOURNEY.wasm")]
    pub journey: String,
    /// What a program is called with, each time that it runs
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,

    /// Read options from FILE; without it, from `squall.toml` in this directory if there is one
    #[arg(short, long, value_name = "FILE", help_heading = "Configuration")]
    pub config: Option<PathBuf>,
    /// Print the plan and where each value came from, and run nothing
    #[arg(long, help_heading = "Configuration")]
    pub explain: bool,
    /// Give the journey a variable; without a value, the one of this process. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Configuration")]
    pub env: Vec<String>,
    /// Give the journey a file, which it knows by NAME or by the file's own name. May be repeated
    #[arg(long = "file", value_name = "[NAME=]PATH", help_heading = "Configuration")]
    files: Vec<String>,
    /// Let the journey name a secret whose value only its hosts see: NAME=file:PATH or NAME=env:VARIABLE. May be repeated
    #[arg(long = "secret", value_name = "NAME=SOURCE", help_heading = "Configuration")]
    secrets: Vec<String>,
    /// Seed every random choice: the same seed, the same choices
    #[arg(long, value_name = "N", help_heading = "Configuration")]
    pub seed: Option<u64>,
    /// Use no colour
    #[arg(long, help_heading = "Output")]
    pub no_color: bool,

    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    verdict: VerdictArgs,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct LoadArgs {
    /// Virtual users; with `--rate`, those made before the start
    #[arg(short = 'u', long, value_name = "N")]
    vus: Option<u32>,
    /// Virtual users at most, with `--rate`
    #[arg(long, value_name = "N")]
    max_vus: Option<u32>,
    /// How long to run, like `30s` or `1m30s`
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// Iterations in all, shared by the virtual users
    #[arg(short, long, value_name = "N")]
    iterations: Option<u64>,
    /// A stage of a ramp of virtual users: reach TARGET over TIME. May be repeated
    #[arg(short, long = "stage", value_name = "TIME:TARGET")]
    stages: Vec<String>,
    /// Iterations that start per second, whatever the target does
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// Run this scenario only
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Wait until an iteration has taken at least this long
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    min_iteration_duration: Option<Duration>,
    /// Skip the journey's `setup`
    #[arg(long)]
    no_setup: bool,
    /// Skip the journey's `teardown`
    #[arg(long)]
    no_teardown: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Verdict")]
struct VerdictArgs {
    /// A condition that must hold, like `http_req_duration: p(95)<500`. May be repeated
    #[arg(long = "threshold", value_name = "METRIC: CONDITION")]
    thresholds: Vec<String>,
    /// Judge by no thresholds
    #[arg(long)]
    no_thresholds: bool,
    /// Pass even if the generator itself could not keep up
    #[arg(long)]
    allow_invalid: bool,
    /// The share of failed iterations above which the run fails, like `5%` or `0.05`
    #[arg(long, value_name = "SHARE")]
    max_failed_iterations: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Policy")]
struct PolicyArgs {
    /// Trust the journey in nothing: refuse what is not granted, and hold it to tighter limits
    #[arg(long)]
    untrusted: bool,
    /// Let the journey import this as well, like `wasi:sockets/*`. May be repeated
    #[arg(long = "allow-import", value_name = "IMPORT")]
    allow_imports: Vec<String>,
    /// Let the journey use a proposal of WebAssembly, like `gc`. May be repeated
    #[arg(long = "allow-proposal", value_name = "NAME")]
    proposals: Vec<String>,
    /// Let the journey reach this, and nobody who is not named so, like `https://api.shop.test`, `*.shop.test` or
    /// `10.1.0.0/16:5432`. May be repeated
    #[arg(long, value_name = "RULE")]
    allow_net: Vec<String>,
    /// Never let the journey reach this, whatever allows it. May be repeated
    #[arg(long, value_name = "RULE")]
    deny_net: Vec<String>,
    /// Run an untrusted journey where landlock cannot keep a load process from files
    #[arg(long)]
    no_landlock: bool,
    /// Run an untrusted journey in this process, with the sandbox of WebAssembly alone around it
    #[arg(long, conflicts_with = "no_landlock")]
    no_wall: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Send results somewhere, like `json=samples.json`. May be repeated
    #[arg(short, long, value_name = "KIND=WHERE")]
    out: Vec<String>,
    /// Write the summary as JSON
    #[arg(long, value_name = "FILE")]
    summary_export: Option<String>,
    /// What summaries show of a trend, like `avg,p(95),p(99)`
    #[arg(long, value_name = "STATS")]
    summary_trend_stats: Option<String>,
    /// The unit of times in summaries: `s`, `ms` or `us`
    #[arg(long, value_name = "UNIT")]
    summary_time_unit: Option<String>,
    /// System tags that samples carry, like `status,method,name`
    #[arg(long, value_name = "TAGS")]
    system_tags: Option<String>,
    /// Put a tag on every sample. May be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<String>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Show details of the run itself
    #[arg(short, long, action = ArgAction::SetTrue)]
    verbose: bool,
}

impl RunArgs {
    /// The scenario that was chosen, if one was.
    #[must_use]
    pub fn scenario(&self) -> Option<&str> {
        self.load.scenario.as_deref()
    }

    /// Reads the configuration file: the one that was named by `--config` or `SQUALL_CONFIG`, or `squall.toml` if there
    /// is one.
    pub fn read_config(&self, environment: &[(String, String)]) -> Result<Option<(PathBuf, String)>, Problem> {
        let variable = environment.iter().find(|(name, value)| name == CONFIG_VARIABLE && !value.is_empty());
        let named = self.config.clone().or_else(|| variable.map(|(_, value)| PathBuf::from(value)));
        let path = named.as_deref().unwrap_or(Path::new(CONFIG_FILE));
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.to_owned(), text))),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let path = path.display();
                let problem = Problem::new(format!("the configuration file `{path}` cannot be read: {error}"));
                Err(problem.hint("check the path, or leave `--config` out"))
            }
        }
    }

    /// The layer of configuration that the flags make. `environment` has the values of variables that are named only.
    #[must_use]
    pub fn flags(&self, environment: &[(String, String)]) -> Flags {
        let mut layer = Layer(Flags::default());
        let env: Vec<String> = self.env.iter().map(|pair| granted(pair, environment)).collect();
        layer.0.list("env", "--env", &env);
        layer.0.list("args", "--", &self.args);
        layer.0.list("files", "--file", &self.files);
        layer.0.list("secrets", "--secret", &self.secrets);
        layer.value("seed", "--seed", self.seed);
        layer.switch("noColor", "--no-color", self.no_color);
        self.load.add_to(&mut layer);
        self.verdict.add_to(&mut layer);
        self.http.add_to(&mut layer);
        self.network.add_to(&mut layer);
        self.tls.add_to(&mut layer);
        self.policy.add_to(&mut layer);
        self.limits.add_to(&mut layer);
        self.output.add_to(&mut layer);
        layer.0
    }

    /// How thick the wall around an untrusted journey is; `None` for no wall.
    pub fn wall(&self) -> Option<Settings> {
        let settings = Settings { landlock: !self.policy.no_landlock, ..Settings::default() };
        (!self.policy.no_wall).then_some(settings)
    }
}

/// A variable that was given by its name alone has the value it has in this process.
fn granted(pair: &str, environment: &[(String, String)]) -> String {
    match environment.iter().find(|(known, _)| known == pair) {
        Some((_, value)) => format!("{pair}={value}"),
        None => pair.to_owned(),
    }
}

/// Flags that were not given say nothing.
pub(super) struct Layer(pub Flags);

impl Layer {
    pub fn value(&mut self, key: &'static str, flag: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.set(key, flag, value.to_string());
        }
    }

    pub fn time(&mut self, key: &'static str, flag: &str, span: Option<Duration>) {
        self.value(key, flag, span.map(duration::format));
    }

    pub fn switch(&mut self, key: &'static str, flag: &str, given: bool) {
        if given {
            self.0.switch(key, flag);
        }
    }
}

impl LoadArgs {
    fn add_to(&self, layer: &mut Layer) {
        layer.value("vus", "--vus", self.vus);
        layer.value("maxVUs", "--max-vus", self.max_vus);
        layer.time("duration", "--duration", self.duration);
        layer.value("iterations", "--iterations", self.iterations);
        layer.0.list("stages", "--stage", &self.stages);
        layer.value("rate", "--rate", self.rate);
        layer.time("minIterationDuration", "--min-iteration-duration", self.min_iteration_duration);
        layer.switch("noSetup", "--no-setup", self.no_setup);
        layer.switch("noTeardown", "--no-teardown", self.no_teardown);
    }
}

impl VerdictArgs {
    fn add_to(&self, layer: &mut Layer) {
        layer.0.list("thresholds", "--threshold", &self.thresholds);
        layer.switch("noThresholds", "--no-thresholds", self.no_thresholds);
        layer.switch("allowInvalid", "--allow-invalid", self.allow_invalid);
        let failed = self.max_failed_iterations.as_ref();
        layer.value("maxFailedIterations", "--max-failed-iterations", failed);
    }
}

impl PolicyArgs {
    fn add_to(&self, layer: &mut Layer) {
        layer.switch("untrusted", "--untrusted", self.untrusted);
        layer.0.list("policy.allowImport", "--allow-import", &self.allow_imports);
        layer.0.list("policy.proposals", "--allow-proposal", &self.proposals);
        layer.0.list("policy.net.allow", "--allow-net", &self.allow_net);
        layer.0.list("policy.net.deny", "--deny-net", &self.deny_net);
    }
}

impl OutputArgs {
    fn add_to(&self, layer: &mut Layer) {
        layer.0.list("out", "--out", &self.out);
        layer.value("summaryExport", "--summary-export", self.summary_export.as_ref());
        layer.value("summaryTrendStats", "--summary-trend-stats", self.summary_trend_stats.as_ref());
        layer.value("summaryTimeUnit", "--summary-time-unit", self.summary_time_unit.as_ref());
        layer.value("systemTags", "--system-tags", self.system_tags.as_ref());
        layer.0.list("tags", "--tag", &self.tags);
        layer.switch("quiet", "--quiet", self.quiet);
        layer.switch("verbose", "--verbose", self.verbose);
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use squall::config::{self, Lowered, Sources};
    use squall::plan::http::Debug;

    use super::*;

    #[derive(Debug, Parser)]
    struct Run {
        #[command(flatten)]
        args: RunArgs,
    }

    fn lowered(line: &[&str]) -> Lowered {
        let args = Run::try_parse_from(["run", "journey.wasm"].iter().chain(line)).unwrap().args;
        let environment = [("HOME_URL".to_owned(), "http://home".to_owned())];
        let scenario = args.scenario().map(str::to_owned);
        let flags = args.flags(&environment);
        config::lower(&Sources { flags, scenario, ..Sources::default() }).unwrap()
    }

    #[test]
    fn the_flags_agree_with_each_other() {
        Run::command().debug_assert();
    }

    #[test]
    fn every_flag_reaches_the_option_it_is_named_after() {
        let lowered = lowered(&[
            "--vus=2",
            "--max-vus=4",
            "--duration=10s",
            "--rate=5",
            "--scenario=default",
            "--min-iteration-duration=1s",
            "--no-setup",
            "--no-teardown",
            "--threshold=checks: rate>0.9",
            "--allow-invalid",
            "--max-failed-iterations=1%",
            "--rps=50",
            "--request-timeout=5s",
            "--connect-timeout=1s",
            "--read-timeout=1s",
            "--idle-timeout=1s",
            "--max-redirects=3",
            "--expected-statuses=200-299,404",
            "--throw",
            "--user-agent=me",
            "--http-version=2",
            "--no-connection-reuse",
            "--no-vu-connection-reuse",
            "--no-cookies-reset",
            "--batch=4",
            "--batch-per-host=2",
            "--discard-response-bodies",
            "--http-debug=full",
            "--dns=ttl=1s,select=first,policy=any,server=127.0.0.1",
            "--host=a.test=127.0.0.1",
            "--host=*.b.test=unix:/run/b.sock",
            "--local-ips=127.0.0.1-127.0.0.9,127.1.0.0/24",
            "--proxy=http://127.0.0.1:1",
            "--no-proxy=a.test",
            "--insecure-skip-tls-verify",
            "--tls-server-name=a.test=b.test",
            "--tls-server-name=c.test",
            "--tls-version=tls1.2",
            "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "--no-tls-session-resumption",
            "--untrusted",
            "--allow-import=wasi:http/*",
            "--allow-proposal=memory64",
            "--memory=32MiB",
            "--run-memory=1GiB",
            "--table-elements=1000",
            "--run-table-elements=none",
            "--stack=256KiB",
            "--interrupt=true",
            "--allow-net=http://127.0.0.1:1",
            "--deny-net=b.test",
            "--blacklist-ip=10.0.0.0/8,192.168.0.0/16",
            "--block-hostnames=*.c.test",
            "--cpu-timeout=2s",
            "--iteration-cpu=3s",
            "--run-cpu=none",
            "--iteration-timeout=1m",
            "--host-call-bytes=1MiB",
            "--handles=100",
            "--requests-in-flight=10",
            "--max-connections=10",
            "--run-connections=100",
            "--request-bytes=1MiB",
            "--response-bytes=2MiB",
            "--log-bytes=10kB",
            "--series=100",
            "--tag-values=50",
            "--name-bytes=64",
            "--names=20",
            "--metrics=5",
            "--max-traps=9",
            "--component-bytes=9MB",
            "--functions=9",
            "--function-bytes=9kB",
            "--threads=2",
            "--out=json=a.json",
            "--summary-export=s.json",
            "--summary-trend-stats=avg,p(99)",
            "--summary-time-unit=ms",
            "--system-tags=url",
            "--tag=a=b",
            "--quiet",
            "--no-color",
            "--verbose",
            "--env=A=1",
            "--env=HOME_URL",
            "--seed=7",
        ]);
        for origin in &lowered.origins {
            let last = origin.key.rsplit('.').next().unwrap().replace("VUs", "Vus").replace("IPs", "Ips");
            let flag = origin.from.strip_prefix("--").map(|flag| flag.replace('-', ""));
            match flag.as_deref() {
                Some("threshold" | "env" | "tag" | "rate" | "dns" | "host" | "tlsservername") => {}
                Some("allowproposal") => assert_eq!(origin.key, "policy.proposals"),
                Some("noconnectionreuse") if origin.key == "connections" => {}
                Some("allownet" | "denynet") => assert!(origin.key.starts_with("policy.net.")),
                Some("blacklistip") => assert_eq!(origin.key, "blacklistIPs"),
                Some("vus") => assert_eq!(origin.key, "preAllocatedVUs"),
                Some(flag) => assert_eq!(flag, last.to_lowercase()),
                None => assert!(
                    ["exec", "startTime", "gracefulStop", "timeUnit", "handleSummaryTimeout"].contains(&&*origin.key)
                        || ["imports", "tlsRoots", "tlsSystemRoots"].contains(&&*last),
                    "{origin:?}"
                ),
            }
        }
        assert_eq!(lowered.plan.env["HOME_URL"], "http://home");
        assert_eq!(lowered.presentation.out, ["json=a.json"]);
        assert_eq!(lowered.plan.http.hosts.len(), 2);
        assert_eq!(lowered.plan.http.tls.server_names.len(), 2);
    }

    #[test]
    fn debugging_alone_shows_headers() {
        let debug = |line: &[&str]| lowered(line).plan.http.debug;
        assert_eq!(debug(&["--http-debug"]), Some(Debug::Headers));
        assert_eq!(debug(&["--http-debug=full"]), Some(Debug::Full));
        assert_eq!(debug(&[]), None);
    }

    #[test]
    fn short_forms_are_k6s() {
        let lowered = lowered(&["-u3", "-s", "10s:5", "-s", "5s:0", "-e", "A=b,c", "-o", "json=x", "-q", "-v", "-w"]);
        assert_eq!(lowered.plan.max_vus(), 5);
        assert_eq!(lowered.plan.env["A"], "b,c");
        assert!(lowered.presentation.quiet && lowered.presentation.verbose);
        let args = Run::try_parse_from(["run", "j.wasm", "-c", "f.toml", "-d", "10s", "-i", "5"]).unwrap().args;
        assert_eq!(args.config, Some(PathBuf::from("f.toml")));
    }

    #[test]
    fn a_number_that_is_none_is_a_matter_of_usage() {
        let error = Run::try_parse_from(["run", "j.wasm", "--vus", "ten"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = Run::try_parse_from(["run", "j.wasm", "--duration", "soon"]).unwrap_err().to_string();
        assert!(error.contains("`soon` is not a duration"), "{error}");
    }
}
