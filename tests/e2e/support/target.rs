//! The practice server, in this process or in one of its own.

use std::io::{BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdout, Stdio};

use squall::practice::{Options, Server, serve};

use super::process::{self, squall_command};

/// Starts a practice server that behaves and keeps the requests it sees.
pub fn practice() -> Server {
    practice_with(Options::default())
}

/// Starts a practice server that behaves as told and keeps the requests it sees.
pub fn practice_with(options: Options) -> Server {
    let options = Options { record: 100_000, ..options };
    serve(&options, NonZeroUsize::MIN).expect("the practice server should start")
}

/// `squall target` as a user starts it. Dropping it ends it.
pub struct TargetProcess {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl TargetProcess {
    /// Starts it with these flags and waits until it serves.
    pub fn start(flags: &str) -> Self {
        let mut command = squall_command();
        command.arg("target").args(flags.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("squall should start");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout should be text");
        let url = line.trim_end().strip_prefix("listening on ").expect("the URL should come first").to_owned();
        Self { child, stdout, url }
    }

    /// Where it serves.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as a user would; returns its exit code and what it said it saw.
    pub fn stop(mut self) -> (Option<i32>, String) {
        process::signal(self.child.id(), "TERM");
        let mut saw = String::new();
        self.stdout.read_to_string(&mut saw).expect("stdout should be text");
        (self.child.wait().expect("a child can be waited for").code(), saw)
    }
}

impl Drop for TargetProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
