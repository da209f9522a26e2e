//! One hostile guest, what must become of it, and how it is run beside a user that behaves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use squall::practice::Server;

use crate::support::{Finished, Squall, journey, practice, write};

/// Iterations per second of the user that behaves.
const RATE: u32 = 200;
/// Limits under which everything here ends soon. What a journey that is not trusted may use is more than a test has
/// time for.
const LIMITS: &str = "cpuTimeout = \"500ms\"\niterationCpu = \"1500ms\"\niterationTimeout = \"3s\"\n\
    hostCallBytes = \"4MiB\"\nmaxTraps = \"none\"\n";

/// A hostile guest and what must become of it.
pub struct Row {
    /// What it does, as the table has it.
    pub name: &'static str,
    pub guest: Guest,
    /// Its variables.
    env: Vec<(&'static str, String)>,
    /// More of its scenario's options, in TOML.
    scenario: String,
    /// More of the run's options, in TOML; tables last.
    config: String,
    /// More of `[limits]`, in TOML.
    limits: String,
    /// More flags.
    flags: Vec<String>,
    /// Hosts that it may reach beside its target.
    allowed: Vec<String>,
    pub ends: Ends,
    /// What the target must have seen.
    seen: Option<fn(&Server) -> Option<String>>,
}

/// Where the guest comes from.
pub enum Guest {
    /// What the journey `hostile` does by this name.
    Attack(&'static str),
    /// What the journey `hostile-wasi` does by this name.
    Wasi(&'static str),
    /// A component that is made in this folder.
    Made(Box<dyn Fn(&Path) -> PathBuf>),
}

/// What must become of a run.
pub struct Ends {
    pub code: i32,
    /// What is said of it.
    pub says: Vec<&'static [&'static str]>,
    /// What must not be anywhere in what was written.
    never: Vec<&'static str>,
    /// How long the process may take, without the time before the attack.
    pub within: Duration,
}

/// The most MiB that all processes of a run may hold.
const PEAK: u64 = 400;

/// What a run beside a user that behaves came to.
pub struct Beside {
    pub run: Finished,
    pub faults: Vec<String>,
    /// The user's 99th percentile before the attack and meanwhile, in milliseconds.
    pub before: f64,
    pub meanwhile: f64,
}

impl Row {
    fn new(name: &'static str, guest: Guest) -> Self {
        let ends = Ends { code: 0, says: Vec::new(), never: Vec::new(), within: Duration::from_secs(40) };
        let (env, flags, allowed) = (Vec::new(), Vec::new(), Vec::new());
        let (scenario, config, limits) = (String::new(), String::new(), String::new());
        Self { name, guest, env, scenario, config, limits, flags, allowed, ends, seen: None }
    }

    /// An attack of the journey `hostile`.
    pub fn attack(name: &'static str, attack: &'static str) -> Self {
        Self::new(name, Guest::Attack(attack))
    }

    /// An attack of the journey `hostile-wasi`.
    pub fn wasi(name: &'static str, attack: &'static str) -> Self {
        Self::new(name, Guest::Wasi(attack))
    }

    /// A component made for this.
    pub fn made(name: &'static str, make: impl Fn(&Path) -> PathBuf + 'static) -> Self {
        Self::new(name, Guest::Made(Box::new(make)))
    }

    /// Grants it a variable. `{url}` is its target's URL, `{port}` its port.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    pub fn scenario(mut self, toml: &str) -> Self {
        self.scenario.push_str(toml);
        self
    }

    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self
    }

    pub fn limits(mut self, toml: &str) -> Self {
        self.limits.push_str(toml);
        self
    }

    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    pub fn allow(mut self, place: impl Into<String>) -> Self {
        self.allowed.push(place.into());
        self
    }

    pub fn code(mut self, code: i32) -> Self {
        self.ends.code = code;
        self
    }

    /// A line that says this of it.
    pub fn says(self, text: &'static str) -> Self {
        self.says_one_of(Box::leak(Box::new([text])))
    }

    /// A line that says one of these of it: how far it gets depends on the machine.
    pub fn says_one_of(mut self, texts: &'static [&'static str]) -> Self {
        self.ends.says.push(texts);
        self
    }

    /// What nobody may ever read.
    pub fn never(mut self, text: &'static str) -> Self {
        self.ends.never.push(text);
        self
    }

    pub fn within(mut self, seconds: u64) -> Self {
        self.ends.within = Duration::from_secs(seconds);
        self
    }

    /// Says what is wrong with what the target saw.
    pub fn seen(mut self, check: fn(&Server) -> Option<String>) -> Self {
        self.seen = Some(check);
        self
    }

    /// How long its iteration took.
    pub fn duration(&self, run: &Finished) -> Option<Duration> {
        let metric = format!("iteration_duration{{scenario:{}}}", self.key());
        let longest = run.summary().metric(&metric)["max"].as_f64()?;
        Some(Duration::from_secs_f64(longest / 1e3))
    }

    /// Its scenario's name.
    pub fn key(&self) -> String {
        self.name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect()
    }

    fn scenario_toml(&self, start: Duration, server: &Server) -> String {
        let key = self.key();
        let mut toml = format!("[scenarios.{key}]\nstartTime = \"{}ms\"\ngracefulStop = \"0s\"\n", start.as_millis());
        let has = |name: &str| self.scenario.contains(name);
        if !has("executor") {
            toml.push_str("executor = \"per-vu-iterations\"\nvus = 1\niterations = 1\nmaxDuration = \"12s\"\n");
        }
        toml.push_str(&self.scenario);
        let _ = writeln!(toml, "[scenarios.{key}.env]");
        if let Guest::Attack(attack) | Guest::Wasi(attack) = self.guest {
            let _ = writeln!(toml, "ATTACK = \"{attack}\"");
        }
        for (name, value) in &self.env {
            let _ = writeln!(toml, "{name} = '''{}'''", filled(value, server));
        }
        toml
    }

    /// What is wrong with what a run said and left; `alone` if the exit code, time and memory are this guest's only.
    pub fn faults(&self, run: &Finished, server: &Server, alone: bool) -> Vec<String> {
        let mut faults: Vec<String> = self.seen.and_then(|seen| seen(server)).into_iter().collect();
        let of_it = format!("{} VU ", self.key());
        let is_among_others = matches!(self.guest, Guest::Attack(_)) && !alone;
        let lines = || run.stderr.lines().chain(run.stdout.lines());
        let said = |text: &&'static str| {
            lines().any(|line| line.contains(*text) && (!is_among_others || line.contains(&of_it)))
        };
        for texts in &self.ends.says {
            if !texts.iter().any(said) {
                faults.push(format!("nobody said one of {texts:?}"));
            }
        }
        faults.extend(
            self.ends
                .never
                .iter()
                .filter(|never| lines().any(|line| line.contains(**never)))
                .map(|never| format!("`{}` was said", never.escape_default())),
        );
        if run.stderr.contains("internal error") || run.code.is_none() {
            faults.push(format!("squall broke: exit code {:?}", run.code));
        }
        if alone {
            if run.code != Some(self.ends.code) {
                faults.push(format!("exit code {:?} instead of {}", run.code, self.ends.code));
            }
            if run.took > self.ends.within {
                faults.push(format!("it took {:?}", run.took));
            }
            let peak = peak_mebibytes(run);
            if peak > PEAK {
                faults.push(format!("it held {peak} MiB"));
            }
        }
        faults.iter().map(|fault| format!("{}: {fault}", self.name)).collect()
    }
}

/// The most MiB that all processes of a run held.
pub fn peak_mebibytes(run: &Finished) -> u64 {
    (run.peak.unwrap_or_default() + run.children_peak) >> 10
}

fn filled(text: &str, server: &Server) -> String {
    let url = server.url();
    let port = url.rsplit(':').next().unwrap_or_default();
    text.replace("{url}", &url).replace("{port}", port)
}

/// The two scenarios of the user that behaves: alone for so long, and then for so long beside an attack.
fn control(alone: Duration, beside: Duration) -> String {
    let mut toml = String::new();
    for (name, start, length) in [("before", Duration::ZERO, alone), ("control", alone, beside)] {
        let (start, length) = (start.as_millis(), length.as_millis());
        let _ = writeln!(
            toml,
            "[scenarios.{name}]\nexecutor = \"constant-arrival-rate\"\nexec = \"control\"\nrate = {RATE}\n\
             startTime = \"{start}ms\"\nduration = \"{length}ms\"\npreAllocatedVUs = 200\nmaxVUs = 200\n"
        );
    }
    toml
}

const HEAD: &str = "summaryTrendStats = [\"p(99)\", \"max\"]\nmaxFailedIterations = \"100%\"\n";
const THRESHOLDS: &str = "[thresholds]\n\"http_req_duration{scenario:before}\" = [\"p(99)>=0\"]\n\
    \"http_req_duration{scenario:control}\" = [\"p(99)>=0\"]\n\
    \"http_reqs{scenario:control}\" = [\"count>0\"]\n\"iterations{scenario:control}\" = [\"count>0\"]\n";

/// What the user that behaves asks, which nobody attacks: what becomes of a target under attack is not squall's matter.
pub struct Servers {
    pub target: Server,
    pub quiet: Server,
}

/// Runs guests of the journey `hostile` in one process with the user that behaves.
pub fn run_together(rows: &[Row], servers: &Servers, alone: Duration, beside: Duration) -> Beside {
    let server = &servers.target;
    let folder = tempfile::tempdir().unwrap();
    let config: String = rows.iter().map(|row| filled(&row.config, server)).collect();
    let limits: String = rows.iter().map(|row| row.limits.as_str()).collect();
    let scenarios: String = rows.iter().map(|row| row.scenario_toml(alone, server)).collect();
    let limits = with_defaults(&limits);
    let durations = rows.iter().fold(String::new(), |mut toml, row| {
        let _ = writeln!(toml, "\"iteration_duration{{scenario:{}}}\" = [\"max>=0\"]", row.key());
        toml
    });
    let toml =
        format!("{HEAD}{config}\n[limits]\n{limits}\n{THRESHOLDS}{durations}{}{scenarios}", control(alone, beside));
    let config = write(folder.path(), "squall.toml", toml);
    let run = Squall::run(journey("hostile")).at(server, "").arg("--config").arg(config);
    let run = allowed(run.grant("CONTROL_URL", servers.quiet.url()), &servers.quiet.url());
    let run = rows.iter().fold(untrusted(run, server), |run, row| {
        let run = row.allowed.iter().fold(run, |run, place| allowed(run, &filled(place, server)));
        run.args(&row.flags)
    });
    measured(
        run.env("SQUALL_HOSTILE_SECRET", "leak").env("SQUALL_HOSTILE_OWN", "leaked-secret").finish(),
        &servers.quiet,
        beside,
    )
}

/// Runs a guest in a process of its own, and the user that behaves in another, which starts a while before.
pub fn run_apart(row: &Row, servers: &Servers, alone: Duration, beside: Duration) -> (Finished, Beside) {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("{HEAD}{THRESHOLDS}{}", control(alone, beside));
    let neighbour = Squall::run(journey("hostile")).at(&servers.quiet, "");
    let neighbour = neighbour.arg("--config").arg(write(folder.path(), "squall.toml", toml)).start();
    thread::sleep(alone);
    let run = run_alone(row, &servers.target);
    (run, measured(neighbour.finish(), &servers.quiet, beside))
}

/// Runs a guest in a process of its own.
pub fn run_alone(row: &Row, server: &Server) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = match &row.guest {
        Guest::Attack(_) => journey("hostile"),
        Guest::Wasi(_) => journey("hostile-wasi"),
        Guest::Made(make) => make(folder.path()),
    };
    let limits = with_defaults(&row.limits);
    let config = filled(&row.config, server);
    let scenario = row.scenario_toml(Duration::ZERO, server);
    let toml = format!("{HEAD}{config}\n[limits]\n{limits}\n{scenario}");
    let run = Squall::run(path).at(server, "").arg("--config").arg(write(folder.path(), "squall.toml", toml));
    let run = row.allowed.iter().fold(untrusted(run, server), |run, place| allowed(run, &filled(place, server)));
    run.args(&row.flags).env("SQUALL_HOSTILE_SECRET", "leak").env("SQUALL_HOSTILE_OWN", "leaked-secret").finish()
}

/// The limits of these tests, but for those that a guest has its own of.
fn with_defaults(limits: &str) -> String {
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let own: Vec<String> = limits.lines().map(name).collect();
    let others = LIMITS.lines().filter(|line| !own.contains(&name(line)));
    others.chain(limits.lines()).fold(String::new(), |toml, line| toml + line + "\n")
}

fn untrusted(run: Squall, server: &Server) -> Squall {
    allowed(run.arg("--untrusted"), &server.url())
}

fn allowed(run: Squall, place: &str) -> Squall {
    run.arg("--allow-net").arg(place)
}

/// Reads what became of the user that behaves, and what is wrong with that.
fn measured(run: Finished, server: &Server, beside: Duration) -> Beside {
    if !run.has_summary() {
        return Beside { faults: vec!["the neighbour has no summary".to_owned()], run, before: 1.0, meanwhile: 1e9 };
    }
    let summary = run.summary();
    let due = u64::from(RATE) * u64::try_from(beside.as_millis()).unwrap() / 1000;
    let count = |metric: &str| summary.count(&format!("{metric}{{scenario:control}}"));
    let (iterations, requests) = (count("iterations"), count("http_reqs"));
    let mut faults = Vec::new();
    if iterations < due || requests != iterations {
        faults.push(format!("the neighbour lost iterations: {iterations} of {due}, with {requests} requests"));
    }
    let failed = summary.check("control: status is 200").1;
    let answered = server.stats().by_route.get("/delay/{ms}").copied().unwrap_or_default();
    if failed > 0 || answered < requests {
        faults.push(format!("{failed} of the neighbour's requests failed, and {answered} of {requests} were served"));
    }
    let p99 = |name: &str| summary.value(&format!("http_req_duration{{scenario:{name}}}"), "p(99)");
    let (before, meanwhile) = (p99("before"), p99("control"));
    Beside { run, faults, before, meanwhile }
}

impl Servers {
    pub fn start() -> Self {
        Self { target: practice(), quiet: practice() }
    }
}
