//! HTTP/3 with a server that is not ours.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::{protocols, trusting, with_tags};
use crate::support::{Authority, Squall, left_out, target_folder, write};

/// A server of aioquic's, which is nobody's of ours.
struct Foreign {
    child: Child,
    url: String,
}

impl Foreign {
    /// Starts it; `None` where it is not installed.
    fn start(folder: &Path) -> Option<Self> {
        let python: PathBuf = target_folder().join("tools/venv-aioquic/bin/python");
        if !python.exists() {
            left_out("HTTP/3 against aioquic: it is not installed; `cargo xtask journeys --proof` does it");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/e2e/support/aioquic_server.py");
        let mut command = Command::new(python);
        command.arg(script).arg(folder.join("server.pem")).arg(folder.join("server.key")).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the Python is there");
        let mut line = Vec::new();
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_until(b'\n', &mut line).expect("it says its port");
        line.pop();
        let port = String::from_utf8(line).unwrap();
        assert!(!port.is_empty(), "aioquic's server did not start");
        Some(Self { child, url: format!("https://localhost:{port}") })
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_that_is_not_ours_is_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["localhost", "127.0.0.1"]).write(folder.path(), "server");
    write(folder.path(), "authority.pem", authority.certificate());
    let Some(server) = Foreign::start(folder.path()) else { return };
    let url = |path: &str| format!("{}{path}", server.url);
    let steps = json!([
        { "url": url("/hello?a=b"), "show": ["body", "headers"], "headers": { "X-Sent": "yes" }, "repeat": 20 },
        { "url": url("/echo"), "method": "POST", "body": "there and back", "show": ["body"] },
        { "url": url("/echo"), "method": "POST", "body_size": 500_000 },
        { "url": url("/bytes/2000000") },
        { "url": url("/bytes/300000"), "stream": true },
        { "url": url("/echo"), "method": "PUT", "upload": ["a", "b"], "show": ["body"] },
        { "batch": vec![json!({ "url": url("/hello") }); 30] },
    ]);
    let (run, tags) =
        with_tags(trusting(Squall::fetch(&steps), folder.path()).flags("--http-version 3 --batch-per-host 0"));
    assert!(tags.len() == 55 && protocols(&tags).iter().all(|proto| *proto == "HTTP/3.0"), "{tags:?}\n{run}");
    let answers = run.answers();
    assert!(answers.iter().all(|answer| answer["status"] == 200), "{run}");
    assert_eq!(answers[0]["body"], "GET /hello?a=b yes 1", "{run}");
    assert_eq!(answers[19]["body"], "GET /hello?a=b yes 1", "all on one connection\n{run}");
    assert_eq!((&answers[20]["body"], &answers[24]["body"]), (&json!("there and back"), &json!("ab")), "{run}");
    let length = |at: usize, field: &str| answers[at][field].as_u64();
    let lengths = [length(21, "body_len"), length(22, "body_len"), length(23, "length")];
    assert_eq!(lengths, [500_000, 2_000_000, 300_000].map(Some), "{run}");
}
