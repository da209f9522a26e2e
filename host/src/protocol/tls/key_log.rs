//! The secrets of sessions, for protocol analysers: the format of NSS, which Wireshark reads.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use tokio_rustls::rustls::KeyLog;

use super::Error;

/// A file that secrets are appended to. Each line is one write, so threads and processes may share the file.
#[derive(Debug)]
pub(super) struct KeyLogFile(File);

impl KeyLogFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        // Whoever reads it can read the traffic.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path);
        file.map(Self).map_err(|error| Error::Tls(format!("key log `{}`: {error}", path.display())))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        for (number, bytes) in [client_random, secret].into_iter().enumerate() {
            line.push_str(if number == 0 { "" } else { " " });
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        // A full disk must not fail requests; the analyser will lack this session.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}
