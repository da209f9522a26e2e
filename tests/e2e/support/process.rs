//! squall as a process: started with arguments, watched, and ended by its id when it hangs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use squall::practice::Server;

use super::{Summary, journey};

/// A run that takes longer than this hangs. Runs last seconds; compiling a component on a busy machine takes more.
const DEADLINE: Duration = Duration::from_mins(2);

/// squall with arguments, not started yet.
pub struct Squall {
    command: Command,
    deadline: Duration,
    /// Holds the summary that every run exports.
    folder: tempfile::TempDir,
}

/// squall on its way.
pub struct Running {
    child: Child,
    stdout: Capture,
    stderr: Capture,
    started: Instant,
    peak: Option<u64>,
    children: Children,
    deadline: Duration,
    folder: tempfile::TempDir,
    command_line: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// From the start of the process to its end.
    pub took: Duration,
    /// The most memory it held at once, in KiB, where the system tells.
    pub peak: Option<u64>,
    /// The same of the processes that it started, together.
    pub children_peak: u64,
    summary: Option<String>,
    command_line: String,
}

/// A pipe that is read as it fills, so that squall never waits for a reader.
struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

/// Prepares squall with these arguments.
pub fn squall<I>(arguments: I) -> Squall
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let mut command = squall_command();
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let folder = tempfile::tempdir().expect("a temporary folder should be possible");
    // A `squall.toml` in the folder of the tests would be nobody's intention.
    command.current_dir(folder.path());
    Squall { command, deadline: DEADLINE, folder }
}

/// squall without any `SQUALL_*` variable of this process.
pub fn squall_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_") {
            command.env_remove(name);
        }
    }
    command
}

/// Sends a signal to a process of ours.
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status();
    assert!(status.expect("`kill` should be there").success(), "squall was already gone");
}

/// The most memory that a process has held so far, in KiB.
fn peak_memory(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The most memory that each process started by another has held so far, in KiB.
#[derive(Default)]
struct Children(BTreeMap<u32, u64>);

impl Children {
    fn look(&mut self, parent: u32) {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return };
        for thread in threads.flatten() {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
                let peak = self.0.entry(child).or_default();
                *peak = (*peak).max(peak_memory(child).unwrap_or_default());
            }
        }
    }

    fn peak(&self) -> u64 {
        self.0.values().sum()
    }
}

impl Squall {
    /// Prepares `squall run JOURNEY`. Two busy cores must not decide a test, so an invalid generator may pass.
    pub fn run(journey: impl AsRef<Path>) -> Self {
        Self::strict(journey).arg("--allow-invalid")
    }

    /// Prepares `squall run JOURNEY`, the generator's validity included.
    pub fn strict(journey: impl AsRef<Path>) -> Self {
        let mut run = squall([OsStr::new("run"), journey.as_ref().as_os_str(), OsStr::new("--no-color")]);
        run.command.arg("--summary-export").arg(run.folder.path().join("exported-summary.json"));
        run
    }

    /// Prepares one iteration of the journey `fetch`, which does these steps and logs every answer.
    pub fn fetch(steps: &Value) -> Self {
        Self::run(journey("fetch")).grant("STEPS", steps.to_string())
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.command.args(arguments);
        self
    }

    /// Adds arguments written as on a command line, none of which holds a space.
    pub fn flags(self, line: &str) -> Self {
        self.args(line.split_whitespace())
    }

    /// Grants the journey its target: the server's URL and `path`.
    pub fn at(self, server: &Server, path: &str) -> Self {
        self.grant("BASE_URL", server.url() + path)
    }

    /// Grants the journey a variable.
    pub fn grant(self, name: &str, value: impl AsRef<str>) -> Self {
        self.arg("--env").arg(format!("{name}={}", value.as_ref()))
    }

    /// Sets a variable of the process.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lends it a terminal for all three streams, through the `script` of util-linux; `None` where that is missing.
    pub fn on_terminal(mut self) -> Option<Self> {
        let version = Command::new("script").arg("--version").output().ok()?;
        if !String::from_utf8_lossy(&version.stdout).contains("util-linux") {
            return None;
        }
        let line = format!("stty cols 120 rows 40 && exec {}", self.quoted());
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(self.folder.path());
        self.command = command;
        Some(self)
    }

    /// Lets it open so many files only.
    pub fn with_files(mut self, most: u32) -> Self {
        let line = format!("ulimit -n {most} && exec {}", self.quoted());
        let mut command = Command::new("sh");
        command.args(["-c", &line]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.current_dir(self.folder.path());
        self.command = command;
        self
    }

    /// The command as a shell takes it.
    fn quoted(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        assert!(words.iter().all(|word| !word.contains('\'')), "a word would end its quotes: {words:?}");
        format!("'{}'", words.join("' '"))
    }

    /// Runs in this folder.
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let words: Vec<OsString> = self.command.get_args().map(OsStr::to_owned).collect();
        let command_line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let started = Instant::now();
        let mut child = self.command.spawn().expect("squall should start");
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is piped"));
        Running {
            child,
            stdout,
            stderr,
            started,
            peak: None,
            children: Children::default(),
            deadline: self.deadline,
            folder: self.folder,
            command_line,
        }
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.start().finish()
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has said this so far.
    pub fn has_said(&self, text: &str) -> bool {
        self.stderr.so_far().contains(text)
    }

    /// Waits until `done` holds.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let ended = self.child.try_wait().expect("a child can be asked").is_some();
            let late = self.started.elapsed() > self.deadline;
            if ended || late {
                let why = if ended { "it ended" } else { "it took too long" };
                let _ = self.child.kill();
                panic!("waiting until {what}: {why}\n{}{}", self.stdout.so_far(), self.stderr.so_far());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal, by its id.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let status = self.wait();
        let took = self.started.elapsed();
        let summary = std::fs::read_to_string(self.folder.path().join("exported-summary.json")).ok();
        let finished = Finished {
            code: status.and_then(|status| status.code()),
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
            took,
            peak: self.peak,
            children_peak: self.children.peak(),
            summary,
            command_line: self.command_line,
        };
        assert!(status.is_some(), "squall did not end within {:?}\n{finished}", self.deadline);
        finished
    }

    /// Waits for its end, or for the deadline, which ends it.
    fn wait(&mut self) -> Option<ExitStatus> {
        while self.started.elapsed() < self.deadline {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            self.peak = self.peak.max(peak_memory(self.id()));
            self.children.look(self.id());
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Finished {
    /// Asserts on the exit code, and shows everything when it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "wrong exit code\n{self}");
        self
    }

    /// Asserts that stderr holds all of these.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "stderr does not say `{text}`\n{self}");
        }
        self
    }

    /// Asserts that stdout holds all of these.
    #[track_caller]
    pub fn prints(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stdout.contains(text), "stdout does not hold `{text}`\n{self}");
        }
        self
    }

    /// Whether the plan it printed has a line with this key, this value, and an origin that ends like this.
    pub fn explains(&self, key: &str, value: &str, origin: &str) -> bool {
        self.stdout.lines().any(|line| {
            let rest = line.trim().strip_prefix(key).filter(|rest| rest.starts_with(' '));
            let rest = rest.and_then(|rest| rest.trim_start().strip_prefix(value));
            rest.is_some_and(|rest| rest.starts_with(' ') && rest.ends_with(origin))
        })
    }

    /// Asserts that nothing it wrote looks like a bug: a panic of Rust's, or an internal error.
    #[track_caller]
    pub fn without_panic(self) -> Self {
        assert!(
            !self.stderr.contains("panicked at") || !self.stderr.contains("RUST_BACKTRACE"),
            "squall panicked\n{self}"
        );
        self
    }

    /// What the journey `fetch` said of each answer, in order.
    #[track_caller]
    pub fn answers(&self) -> Vec<Value> {
        let lines = self.stderr.lines().filter_map(|line| Some(line.split_once("answer {")?.1));
        let parse = |rest: &str| serde_json::from_str(&format!("{{{rest}"));
        lines.map(|rest| parse(rest).unwrap_or_else(|error| panic!("{error} in `{rest}`\n{self}"))).collect()
    }

    /// The summary it exported.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        let text = self.summary.as_ref().unwrap_or_else(|| panic!("squall exported no summary\n{self}"));
        Summary::parse(text)
    }

    /// The text of the summary it exported; empty if there is none.
    pub fn exported(&self) -> &str {
        self.summary.as_deref().unwrap_or_default()
    }

    /// Whether it exported a summary.
    pub fn has_summary(&self) -> bool {
        self.summary.is_some()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, took, command_line, .. } = self;
        writeln!(f, "$ squall {command_line}\nexit code {code:?} after {took:?}")?;
        writeln!(f, "--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

impl Capture {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                written.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { text, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn end(self) -> String {
        // The pipe has ended with the process.
        let _ = self.thread.join();
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}
