//! Peers in Python, with the packages that `cargo xtask journeys --proof` installs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{left_out, target_folder};

/// Longer than an interpreter ever takes to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// The interpreter that has a package; `None`, loudly, where it is not installed.
#[track_caller]
pub fn python(package: &str) -> Option<PathBuf> {
    let folder = target_folder().join("tools").join(format!("venv-{package}"));
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if !folder.join("version").exists() {
        let caller = std::panic::Location::caller();
        left_out(&format!("Python's {package} is missing (`cargo xtask journeys --proof` installs it): {caller}"));
        return None;
    }
    Some(python)
}

/// A program in Python that serves on a port of its own, and tells what it sees. Dropping it ends it.
pub struct PythonServer {
    child: Child,
    port: u16,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl PythonServer {
    /// Starts a script and waits until it listens.
    pub fn start(python: &Path, script: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python should start");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let port = first.strip_prefix("listening on ").and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the server should say where it listens, not `{first}`"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        // Ends with the child's output.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().unwrap().extend(serde_json::from_str::<Value>(&line));
            }
        });
        Self { child, port, seen }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it saw, once it saw so much.
    #[track_caller]
    pub fn seen(&self, at_least: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap().clone();
            if seen.len() >= at_least {
                return seen;
            }
            assert!(started.elapsed() < PATIENCE, "the server saw {}, not {at_least}: {seen:?}", seen.len());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
