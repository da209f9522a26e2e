//! cargo-deny: licences, sources and bans always; advisories where their database can be reached.

use std::net::{TcpStream, ToSocketAddrs};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::workspace::{call, find, install};

const VERSION: &str = "0.20.2";
const DATABASE: (&str, u16) = ("github.com", 443);

/// Checks `deny.toml`; what could not be checked is added to `left_out`.
pub fn run(left_out: &mut Vec<String>) -> Result<()> {
    let deny = || -> Result<Command> {
        let program = match find("cargo-deny").filter(|program| is_ours(program)) {
            Some(program) => program,
            // Unoptimised it builds in half the time, and reads our dependencies in seconds either way.
            None => install("cargo-deny", VERSION, &["--debug"])?,
        };
        let mut command = Command::new(program);
        command.args(["--workspace", "--all-features", "--log-level", "warn"]);
        Ok(command)
    };
    call(deny()?.args(["check", "licenses", "sources", "bans"]))?;
    if !reachable() || call(deny()?.args(["fetch", "db"])).is_err() {
        left_out
            .push("advisories: their database cannot be reached from here; the daily workflow checks them".to_owned());
        return Ok(());
    }
    call(deny()?.args(["check", "--disable-fetch", "advisories"]))
}

fn is_ours(program: &std::path::Path) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
}

/// Asks before git does, because git waits for minutes where packets vanish.
fn reachable() -> bool {
    let (sender, receiver) = mpsc::channel();
    // Resolving has no timeout of its own; the thread is left behind if it hangs, and ends with the program.
    thread::spawn(move || {
        let open = DATABASE.to_socket_addrs().is_ok_and(|mut addresses| {
            addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok())
        });
        // The receiver has gone if this took too long.
        let _ = sender.send(open);
    });
    receiver.recv_timeout(Duration::from_secs(8)).unwrap_or(false)
}
