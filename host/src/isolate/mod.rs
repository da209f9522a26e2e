//! A load in a process of its own, with a wall around it.
//!
//! The sandbox is the first wall around a journey. This is the second: should a journey break out of WebAssembly, it is in
//! a process that can read no file, start no program and reach nothing but the network. [`Isolated::spawn`] starts that
//! process; the component's bytes are parsed, compiled and asked for options only there. Plans go down to it, windows
//! come up from it, over a socket pair; the outputs, the environment and the user's files stay here.
//!
//! Whoever spawns a process must see to it that it calls [`serve`] first of all, before it has started a thread. squall
//! itself does so as `squall isolated-load`; another program gives [`Isolated::spawn`] a command of its own.
//!
//! ```no_run
//! use std::process::Command;
//! use squall::isolate::{Isolated, Settings};
//! use squall::plan::{Limits, Policy};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! if std::env::args().nth(1).as_deref() == Some("load") {
//!     squall::isolate::serve();
//!     return Ok(());
//! }
//! let mut command = Command::new(std::env::current_exe()?);
//! command.arg("load");
//! let mut isolated = Isolated::spawn(command, Settings::default())?;
//! let bytes = std::fs::read("journey.wasm")?;
//! let policy = Policy { untrusted: true, ..Policy::default() };
//! let inspection = isolated.load(&bytes, "journey.wasm", &Limits::untrusted(), &policy)?;
//! println!("{inspection:?}");
//! # Ok(())
//! # }
//! ```
//!
//! What the process says is taken for what an attacker might say: every message is bounded in size, all together in
//! number, text is stripped of what moves a cursor, and numbers are checked before they are added up. What cannot be
//! checked is whether the figures are true: who broke out could have made the requests he reports, or not.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod clean;
#[cfg(unix)]
mod feed;
#[cfg(unix)]
mod guard;
#[cfg(unix)]
mod message;
#[cfg(unix)]
mod parent;
#[cfg(unix)]
mod ship;
#[cfg(unix)]
mod wire;
#[cfg(unix)]
mod words;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

#[cfg(not(unix))]
mod elsewhere;

use std::io;
use std::time::Duration;

#[cfg(unix)]
pub use child::serve;
#[cfg(not(unix))]
pub use elsewhere::{Handle, Isolated, Stopper, serve};
#[cfg(unix)]
pub use feed::{Handle, Stopper};
#[cfg(unix)]
pub use parent::Isolated;

pub use crate::platform::confine::Confinement;

use serde::{Deserialize, Serialize};

use crate::sandbox::Manifest;

/// How thick the wall is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether landlock must keep the process from files and from listening. Without it nothing keeps a journey that
    /// has broken out from reading what the user may read.
    pub landlock: bool,
    /// How long a component may take to be compiled, and to give its options.
    pub compile_time: Duration,
    /// Bytes of memory that the process may ask for until the run starts.
    pub compile_memory: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { landlock: true, compile_time: Duration::from_mins(1), compile_memory: 4 << 30 }
    }
}

/// Why a component cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong with it.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// Whether the policy says no, and nothing is wrong with the component otherwise.
    pub is_policy: bool,
    /// All that the component can do, if that is why.
    pub manifest: Option<Manifest>,
}

/// Why there is no report, or no process to make one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsolateError {
    /// The wall cannot be built.
    #[error("an untrusted run needs a wall around it, but {message}")]
    NoWall {
        /// What is missing.
        message: String,
        /// Whether it is landlock, and the rest is there.
        only_landlock: bool,
    },
    /// The process could not be started.
    #[error("the load process could not be started")]
    Spawn {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// The component cannot be used. The message says it of the component: its name goes before.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The component did not give its options.
    #[error("did not give its options: {message}")]
    NoOptions {
        /// Why.
        message: String,
    },
    /// The plan needs what the wall does not let through.
    #[error("an untrusted run has no {what}: the wall around it does not let them through")]
    Barred {
        /// What it needs.
        what: &'static str,
    },
    /// The process ended too soon, or was ended.
    #[error("{message}")]
    Ended {
        /// How, and what it was doing.
        message: String,
        /// What the user can do about it.
        hint: Option<&'static str>,
    },
    /// The run failed, which is a bug.
    #[error("{message}")]
    Run {
        /// The error's words.
        message: String,
    },
}

impl IsolateError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NoWall { only_landlock: true, .. } => Some(
                "use a kernel that has it, or pass `--no-landlock`: then nothing keeps a journey that breaks out of its \
                 sandbox from your files",
            ),
            Self::NoWall { .. } => Some(
                "run it on Linux, or pass `--no-wall`: then the sandbox of WebAssembly is all there is between the \
                 journey and your machine",
            ),
            Self::Refused(refusal) => refusal.hint.as_deref(),
            Self::Barred { .. } => Some("leave it out, or pass `--no-wall` if you trust the journey that far"),
            Self::Ended { hint, .. } => *hint,
            Self::Spawn { .. } | Self::NoOptions { .. } | Self::Run { .. } => None,
        }
    }
}
