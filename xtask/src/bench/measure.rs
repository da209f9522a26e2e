//! What a program cost: CPU, instructions, memory.
//!
//! CPU and memory are the kernel's own figures from `/proc`, read while the finished process still waits to be reaped.
//! Instructions come from `perf stat` where the machine has counters. Where it hides them, as virtual machines do,
//! valgrind counts those of programs that can be told how many requests to send: it runs them twice, and the difference
//! is what the further requests took, without start and end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::find;

/// Raises the soft limit of open files to the hard one, then becomes the program.
const UNLIMITED: &str = r#"ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$@""#;

/// How to measure on this machine.
pub struct Meter {
    perf: Option<PathBuf>,
    valgrind: Option<PathBuf>,
    ticks_per_second: f64,
    folder: PathBuf,
}

/// What one run cost.
#[derive(Debug)]
pub struct Cost {
    /// CPU seconds in the program itself.
    pub user: f64,
    /// CPU seconds in the kernel for it.
    pub kernel: f64,
    pub user_instructions: Option<f64>,
    pub kernel_instructions: Option<f64>,
    pub peak_kib: f64,
    pub stdout: String,
    pub stderr: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
}

impl Meter {
    /// Finds out what this machine can count. Files of the runs go to `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            bail!("the bench reads `/proc`, which only Linux has");
        }
        let ticks = Command::new("getconf").arg("CLK_TCK").output().context("`getconf` did not start")?;
        let ticks_per_second = String::from_utf8_lossy(&ticks.stdout).trim().parse().unwrap_or(100.0);
        let perf = find("perf").filter(|perf| counts(perf));
        let valgrind = if perf.is_none() { find("valgrind") } else { None };
        Ok(Self { perf, valgrind, ticks_per_second, folder: folder.to_owned() })
    }

    /// What counts instructions, if anything does.
    pub fn counter(&self) -> Option<&'static str> {
        match (&self.perf, &self.valgrind) {
            (Some(_), _) => Some("perf stat"),
            (None, Some(_)) => Some("valgrind"),
            (None, None) => None,
        }
    }

    /// The user instructions of a program under valgrind; none where that does not count.
    pub fn under_valgrind(&self, program: &Path, arguments: &[String]) -> Result<Option<f64>> {
        let Some(valgrind) = &self.valgrind else { return Ok(None) };
        let mut command = unlimited(valgrind);
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args(arguments);
        let output = command.stdin(Stdio::null()).output().context("`valgrind` did not start")?;
        let text = String::from_utf8_lossy(&output.stderr);
        let Some(count) = collected(&text) else {
            bail!("valgrind counted nothing of `{}`:\n{text}", program.display());
        };
        Ok(Some(count))
    }

    /// Runs a program to its end.
    pub fn run(&self, program: &Path, arguments: &[String], environment: &[(&str, &str)]) -> Result<Cost> {
        let (stdout, stderr, counters) = (self.file("stdout"), self.file("stderr"), self.file("counters"));
        let mut command = Command::new("sh");
        command.args(["-c", UNLIMITED, "sh"]);
        if let Some(perf) = &self.perf {
            command.arg(perf).args(["stat", "-x", ",", "-e", "instructions:u,instructions:k", "-o"]);
            command.arg(&counters).arg("--");
        }
        command
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        let child = command.spawn().with_context(|| format!("`{}` did not start", program.display()))?;
        let mut cost = self.watch(child)?;
        cost.stdout = String::from_utf8_lossy(&fs::read(&stdout)?).into_owned();
        cost.stderr = String::from_utf8_lossy(&fs::read(&stderr)?).into_owned();
        if self.perf.is_some() {
            let text = fs::read_to_string(&counters).context("`perf stat` wrote nothing")?;
            cost.user_instructions = counter(&text, "instructions:u");
            cost.kernel_instructions = counter(&text, "instructions:k");
        }
        Ok(cost)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("last-{name}.txt"))
    }

    /// Waits until the process is a zombie, which still has its times, and reaps it.
    fn watch(&self, mut child: Child) -> Result<Cost> {
        let id = child.id();
        let mut peak_kib = 0.0_f64;
        let times = loop {
            let stat = Stat::read(id).context("a process vanished before it was reaped")?;
            if stat.state == 'Z' {
                break stat;
            }
            for process in family(id) {
                peak_kib = peak_kib.max(memory(process, "VmHWM:").unwrap_or(0.0));
            }
            thread::sleep(Duration::from_millis(15));
        };
        let status = child.wait()?;
        // Under `perf stat` the program is perf's child, and perf's own time is not the program's. A program may have
        // children of its own that do its work.
        let (user, kernel) = match self.perf {
            Some(_) => (times.children_user, times.children_kernel),
            None => (times.user + times.children_user, times.kernel + times.children_kernel),
        };
        Ok(Cost {
            user: user / self.ticks_per_second,
            kernel: kernel / self.ticks_per_second,
            user_instructions: None,
            kernel_instructions: None,
            peak_kib,
            stdout: String::new(),
            stderr: String::new(),
            code: status.code(),
        })
    }

    /// CPU seconds that a running process and its children have used so far.
    pub fn cpu_so_far(&self, id: u32) -> f64 {
        let stats = family(id).into_iter().filter_map(Stat::read);
        stats.map(|stat| stat.user + stat.kernel).sum::<f64>() / self.ticks_per_second
    }
}

impl Cost {
    /// CPU seconds, program and kernel.
    pub fn total(&self) -> f64 {
        self.user + self.kernel
    }

    /// The last lines of what the program said, for an error.
    pub fn last_words(&self) -> String {
        let lines: Vec<&str> =
            self.stderr.lines().chain(self.stdout.lines()).filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }
}

/// Starts a program with every file descriptor it may have, for runs that are watched from outside.
pub fn unlimited(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", UNLIMITED, "sh"]).arg(program);
    command
}

/// The number of files a process may open at most.
pub fn file_limit() -> u64 {
    let output = Command::new("sh").args(["-c", "ulimit -Hn"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    text.parse().unwrap_or(u64::from(u32::MAX))
}

/// A line of `/proc/PID/status` in KiB.
pub fn memory(id: u32, key: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The resident memory of a process in KiB once it has stopped growing.
pub fn settled_memory(id: u32) -> Result<f64> {
    let start = Instant::now();
    let mut last = [0.0_f64; 4];
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = memory(id, "VmRSS:").context("the program ended before its memory was measured")?;
        last.rotate_left(1);
        last[3] = now;
        let settled = last.iter().all(|earlier| (now - earlier).abs() <= now * 0.003);
        if settled && start.elapsed() > Duration::from_secs(4) {
            return Ok(now);
        }
        if start.elapsed() > Duration::from_mins(2) {
            bail!("memory still grows after 120 s, at {:.0} MiB", now / 1024.0);
        }
    }
}

/// A process and everything it started.
fn family(id: u32) -> Vec<u32> {
    let mut found = vec![id];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` that matter here; times in ticks.
struct Stat {
    state: char,
    user: f64,
    kernel: f64,
    children_user: f64,
    children_kernel: f64,
}

impl Stat {
    fn read(id: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name in brackets may hold spaces and brackets itself.
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            user: ticks(11)?,
            kernel: ticks(12)?,
            children_user: ticks(13)?,
            children_kernel: ticks(14)?,
        })
    }
}

/// Whether `perf` can count instructions here: virtual machines and containers often hide the counters.
fn counts(perf: &Path) -> bool {
    let tried = Command::new(perf).args(["stat", "-x", ",", "-e", "instructions:u,instructions:k", "true"]).output();
    tried.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stderr);
        counter(&text, "instructions:u").is_some() && counter(&text, "instructions:k").is_some()
    })
}

/// The count in what callgrind says at its end.
fn collected(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.split("Collected :").nth(1))?.trim().parse().ok()
}

/// A value in the output of `perf stat -x,`.
fn counter(text: &str, event: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(',').nth(2).is_some_and(|name| name.starts_with(event)))?;
    line.split(',').next()?.parse().ok().filter(|count| *count > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_and_one_that_is_missing_is_not() {
        let text = "# started\n\n123456,,instructions:u,1000,100.00,,\n<not supported>,,instructions:k,0,100.00,,\n";
        assert_eq!(counter(text, "instructions:u"), Some(123_456.0));
        assert_eq!(counter(text, "instructions:k"), None);
    }

    #[test]
    fn what_valgrind_counted_is_read() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 52378017\n"), Some(52_378_017.0));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn a_process_with_a_strange_name_has_its_times_read() {
        let text = "12 (a) b) Z 1 2 3 4 5 6 7 8 9 10 111 222 333 444 20 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.state, stat.user, stat.kernel), ('Z', 111.0, 222.0));
        assert_eq!((stat.children_user, stat.children_kernel), (333.0, 444.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_busy_program_has_used_cpu_and_memory() {
        let folder = std::env::temp_dir();
        let meter = Meter { perf: None, valgrind: None, ..Meter::new(&folder).unwrap() };
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done".to_owned();
        let cost = meter.run(Path::new("sh"), &["-c".to_owned(), script], &[]).unwrap();
        assert_eq!((cost.stdout.as_str(), cost.code), ("done\n", Some(0)));
        assert!(cost.total() > 0.0 && cost.peak_kib > 100.0, "{cost:?}");
    }
}
