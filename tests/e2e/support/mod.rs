//! What the tests share: squall as a process, journeys, certificates, servers that behave and servers that do not.

mod certificates;
mod dns;
pub mod exit;
mod guest;
mod hostile;
pub mod hostile_http2;
pub mod hostile_http3;
mod nginx;
mod phased;
mod plain;
mod process;
mod proxies;
mod python;
mod scripted;
mod summary;
mod target;

pub use certificates::{Authority, Issued};
pub use dns::{DnsServer, Name};
pub use guest::{Behaviour, Guest, build_component, journey, journey_if_built, target_folder};
pub use hostile::{Act, Hostile, say};
pub use hostile_http2::HostileHttp2;
pub use hostile_http3::HostileHttp3;
pub use nginx::Nginx;
pub use phased::{Measured, Phased, Script};
pub use plain::Plain;
#[cfg(target_os = "linux")]
pub use process::signal;
pub use process::{Finished, Running, Squall, squall};
pub use proxies::{http_proxy, socks_proxy};
pub use python::{PythonServer, python};
pub use scripted::{Received, Scripted};
pub use summary::Summary;
pub use target::{TargetProcess, practice, practice_with};

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Says what a test had to leave out, where the test runner cannot swallow it.
pub fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}");
}

/// Writes a file into a folder and returns its path.
pub fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, contents).unwrap();
    path
}
