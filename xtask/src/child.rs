//! A program that runs beside this one and never outlives it.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::workspace::show;

/// A child process that is killed, by its id, when this value goes.
pub struct Beside {
    child: Child,
}

impl Beside {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let words = show(command);
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("`{words}` did not start"))?;
        Ok(Self { child })
    }

    /// Starts a server that prints its URL, and returns the URL.
    pub fn server(command: &mut Command) -> Result<(Self, String)> {
        let words = show(command);
        let mut beside = Self::start(command.stdout(Stdio::piped()))?;
        let output = beside.child.stdout.take().expect("stdout was piped");
        let (sender, receiver) = mpsc::channel();
        // The thread ends with the child's output; it goes on reading so that the child never blocks on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = url_in(&line) {
                    // Nobody listens after the first URL, which is fine.
                    let _ = sender.send(url);
                }
            }
        });
        match receiver.recv_timeout(Duration::from_secs(20)) {
            Ok(url) => Ok((beside, url)),
            Err(_) => bail!("`{words}` printed no URL within 20 s"),
        }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended.
    pub fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The exit code of a process that has ended; -1 for one that a signal ended.
    pub fn code(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server at `host:port` answers to a GET, whatever its status.
pub fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("nobody listens on `{address}`"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0: no chunks, and the end of the connection is the end of the answer.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
    Ok(body.to_owned())
}

fn url_in(line: &str) -> Option<String> {
    let start = line.find("http://")?;
    let url = line[start..].split(|c: char| c.is_whitespace() || c == '`').next()?;
    Some(url.trim_end_matches(['/', '.', ',']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_found_in_the_line_that_announces_it() {
        let line = "listening on http://127.0.0.1:41234/ (Ctrl-C stops)";
        assert_eq!(url_in(line).as_deref(), Some("http://127.0.0.1:41234"));
        assert_eq!(url_in("nothing here"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_child_is_gone_when_its_owner_is() {
        let beside = Beside::start(Command::new("sleep").arg("30")).unwrap();
        let id = beside.id();
        drop(beside);
        let alive = Command::new("kill").args(["-0", &id.to_string()]).stderr(Stdio::null()).status().unwrap();
        assert!(!alive.success());
    }
}
