//! Facts about the machine that a result means nothing without.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// Processor, cores, memory, kernel, compiler and date.
pub fn facts() -> Value {
    json!({
        "processor": line_of("/proc/cpuinfo", "model name").unwrap_or_default(),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_mib": memory_mib(),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "rustc": first_line("rustc", &["--version"]),
        "commit": first_line("git", &["describe", "--always", "--dirty"]),
        "date": first_line("date", &["-u", "+%Y-%m-%d"]),
    })
}

/// The load of the last minute.
pub fn load_average() -> f64 {
    let text = read("/proc/loadavg");
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

fn memory_mib() -> u64 {
    let line = line_of("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib: Option<u64> = line.split_whitespace().next().and_then(|word| word.parse().ok());
    kib.unwrap_or(0) / 1024
}

fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
