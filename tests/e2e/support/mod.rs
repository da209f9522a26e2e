//! What the tests share: squall as a process, journeys, servers that behave and servers that do not.

pub mod exit;
mod guest;
mod hostile;
mod process;
mod summary;
mod target;

pub use guest::{Behaviour, Guest, build_component, journey, journey_if_built};
pub use hostile::Hostile;
pub use process::{Finished, Running, Squall, squall};
pub use summary::Summary;
pub use target::{practice, practice_with};

use std::path::{Path, PathBuf};

/// Writes a file into a folder and returns its path.
pub fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, contents).unwrap();
    path
}
