//! A process that shuts itself in: it gives up whatever a load does not need, and cannot take it back.
//!
//! [`prepare`] comes first, while the process still belongs to nobody but itself; [`enter`] closes the doors;
//! [`forbid_new_code`] bolts the last one, when all code is compiled that will ever run. Linux alone has what it takes:
//! landlock for files and listening, seccomp for system calls, rlimits for the rest. [`is_possible`] says what is
//! missing elsewhere.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod missing;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub use linux::{enter, forbid_new_code, is_possible, limit_files, prepare, resident, unlimit_memory, watches};
#[cfg(not(target_os = "linux"))]
pub use missing::{enter, forbid_new_code, is_possible, limit_files, prepare, resident, unlimit_memory, watches};

/// What is to stand around the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// Whether landlock must keep the process from files and from listening.
    pub landlock: bool,
    /// Bytes of memory that the process may ask for while it compiles.
    pub memory: u64,
}

/// What stands around the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The version of landlock that is enforced; `None` where the user does without.
    pub landlock: Option<u32>,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(abi) => write!(f, "landlock ABI {abi}, seccomp"),
            None => f.write_str("no landlock, seccomp"),
        }
    }
}

/// Why a process could not be shut in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfineError {
    /// The system does not have it.
    #[error("{what} is missing: {why}")]
    Missing {
        /// What.
        what: &'static str,
        /// Why, or what there is instead.
        why: String,
    },
    /// The system has it, and failed.
    #[error("{what} failed")]
    Failed {
        /// What.
        what: &'static str,
        /// The system's words.
        source: io::Error,
    },
}
