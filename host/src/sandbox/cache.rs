//! Compiled components, kept between runs.
//!
//! A file is named after the component's digest and the engine's version and settings, so it can only be the right one
//! or absent. The directory is made for this user alone: what lies in it is machine code that will be run.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

/// Where compiled components are kept.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Keeps them in this directory, which should belong to this user alone.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// This user's cache directory, if the system says where that is.
    #[must_use]
    pub fn of_user(environment: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = if cfg!(windows) {
            set("LOCALAPPDATA")
        } else {
            set("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .or_else(|| set("HOME").map(|home| home.join(".cache")))
        };
        base.map(|base| Self::at(base.join("squall").join("components")))
    }

    /// Loads a component compiled by this engine before.
    #[allow(unsafe_code, reason = "deserialising runs machine code that this user put there")]
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(engine, digest);
        if !is_private(&self.directory) || !path.is_file() {
            return None;
        }
        // SAFETY: the file was written by `store` in a directory that only this user can write to (checked above), and
        // its name carries the engine's version and settings; wasmtime checks both again.
        unsafe { Component::deserialize_file(engine, &path) }.ok()
    }

    /// Keeps a compiled component. Written beside and renamed, so that nobody ever reads half a file.
    pub(super) fn store(&self, engine: &Engine, digest: &str, component: &Component) -> io::Result<()> {
        make_private(&self.directory)?;
        let bytes = component.serialize().map_err(io::Error::other)?;
        let path = self.path(engine, digest);
        let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&unfinished, bytes)?;
        fs::rename(&unfinished, &path)
    }

    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.directory.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// Whether nobody else can write to the directory.
#[cfg(unix)]
fn is_private(directory: &Path) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let ours = |meta: &fs::Metadata| {
        cfg!(not(target_os = "linux")) || fs::metadata("/proc/self").is_ok_and(|process| process.uid() == meta.uid())
    };
    fs::symlink_metadata(directory)
        .is_ok_and(|meta| meta.is_dir() && ours(&meta) && meta.permissions().mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_private(directory: &Path) -> bool {
    directory.is_dir()
}
