//! Systems without the means.

use std::io;

use super::{ConfineError, Confinement, Walls};

fn missing() -> ConfineError {
    let why = "only Linux has landlock, seccomp and limits that hold for one process".to_owned();
    ConfineError::Missing { what: "the wall around an untrusted run", why }
}

/// Whether a process can be shut in here at all.
pub fn is_possible() -> Result<(), ConfineError> {
    Err(missing())
}

/// Cannot be done here.
pub fn prepare() -> Result<(), ConfineError> {
    Err(missing())
}

/// Cannot be done here.
pub fn enter(_: Walls) -> Result<Confinement, ConfineError> {
    Err(missing())
}

/// Cannot be done here.
pub fn forbid_new_code() -> Result<(), ConfineError> {
    Err(missing())
}

/// Cannot be done here.
pub fn unlimit_memory() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Cannot be done here.
pub fn limit_files(_: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes of memory that a process holds: not known.
#[must_use]
pub fn resident(_: u32) -> Option<u64> {
    None
}

/// Whether a signal is how the wall ends a process: never here.
#[must_use]
pub fn watches(_: i32) -> bool {
    false
}
