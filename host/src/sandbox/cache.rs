//! Compiled components, kept between runs.
//!
//! What lies there is machine code that will be run. So the directory belongs to this user alone, and every file begins
//! with a tag that only who knows the key of this directory can make: a keyed digest of the component, the engine's
//! version and settings, whom the run trusts, and the code itself. A file is read once, checked, and what was checked is
//! what is used. Whatever is wrong with a file, the component is compiled again.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the key and of a tag.
const TAG: usize = 32;
/// What the tags of these files are of, and nothing else's.
const PURPOSE: &[u8] = b"squall compiled component 1\0";
/// The file that holds the key.
const KEY_FILE: &str = "key";
/// The largest compiled component that is read.
const LARGEST: u64 = 1 << 30;

/// Where compiled components are kept.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    untrusted: bool,
}

impl Cache {
    /// Keeps them in this directory, which should belong to this user alone.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory, untrusted: false }
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

    /// The same place for runs that trust their journey or not: neither sees what the other has compiled.
    #[must_use]
    pub fn for_untrusted(self, untrusted: bool) -> Self {
        Self { untrusted, ..self }
    }

    /// Loads a component compiled by this engine before.
    #[allow(unsafe_code, reason = "deserialising runs machine code that this user's squall compiled")]
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let code = self.load_bytes(&slot(engine, digest))?;
        // SAFETY: a squall of this user made these bytes with an engine of this version and these settings: their tag has
        // just been checked, in memory that nobody else can write to. wasmtime checks version and settings again.
        unsafe { Component::deserialize(engine, code.as_slice()) }.ok()
    }

    /// Keeps a compiled component.
    pub(super) fn store(&self, engine: &Engine, digest: &str, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        self.store_bytes(&slot(engine, digest), &code)
    }

    /// Reads what was kept under this name, if its tag is right.
    #[must_use]
    pub fn load_bytes(&self, slot: &str) -> Option<Kept> {
        if !is_private(&self.directory) {
            return None;
        }
        let key = self.key().ok()?;
        let bytes = read_own(&self.path(slot)?, LARGEST).ok()?;
        let (tag, code) = bytes.split_at_checked(TAG)?;
        // It compares in constant time.
        self.tag(&key, slot, code).verify_slice(tag).ok()?;
        Some(Kept(bytes))
    }

    /// Keeps bytes under this name. Written beside and renamed, so that nobody ever reads half a file.
    pub fn store_bytes(&self, slot: &str, code: &[u8]) -> io::Result<()> {
        make_private(&self.directory)?;
        if !is_private(&self.directory) {
            let message = format!("`{}` is not this user's alone", self.directory.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let path = self.path(slot).ok_or(io::ErrorKind::InvalidInput)?;
        let key = self.key().or_else(|_| self.make_key())?;
        let tag = self.tag(&key, slot, code).finalize().into_bytes();
        let beside = self.beside()?;
        let written = create_own(&beside).and_then(|mut file| {
            file.write_all(&tag)?;
            file.write_all(code)
        });
        let kept = written.and_then(|()| fs::rename(&beside, &path));
        if kept.is_err() {
            // Whether or not there is anything left to remove.
            let _ = fs::remove_file(&beside);
        }
        kept
    }

    fn tag(&self, key: &[u8; TAG], slot: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut tag = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
        tag.update(PURPOSE);
        tag.update(if self.untrusted { b"untrusted\0" } else { b"trusted\0\0\0" });
        // Neither has a zero byte in it, so no two names and codes make one message.
        tag.update(slot.as_bytes());
        tag.update(&[0]);
        tag.update(code);
        tag
    }

    /// The key of this directory.
    fn key(&self) -> io::Result<[u8; TAG]> {
        let bytes = read_own(&self.directory.join(KEY_FILE), TAG as u64)?;
        bytes.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Makes the key of a directory that has none, or none that is of use.
    fn make_key(&self) -> io::Result<[u8; TAG]> {
        let path = self.directory.join(KEY_FILE);
        let mut key = [0; TAG];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let beside = self.beside()?;
        create_own(&beside)?.write_all(&key)?;
        // Of two that do this at once, one is first; unlike a renamed file, a linked one replaces none.
        let linked = fs::hard_link(&beside, &path);
        let made = match linked {
            Ok(()) => Ok(key),
            // Somebody else was first, and theirs counts.
            Err(_) if self.key().is_ok() => self.key(),
            Err(_) => fs::rename(&beside, &path).map(|()| key),
        };
        let _ = fs::remove_file(&beside);
        made
    }

    fn path(&self, slot: &str) -> Option<PathBuf> {
        let plain = !slot.is_empty() && slot.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let whom = if self.untrusted { "-untrusted" } else { "" };
        plain.then(|| self.directory.join(format!("{slot}{whom}.cwasm")))
    }

    /// A name that no other process and no other thread has.
    fn beside(&self) -> io::Result<PathBuf> {
        let number = getrandom::u64().map_err(io::Error::other)?;
        Ok(self.directory.join(format!("{number:016x}.tmp")))
    }
}

/// Bytes whose tag was right.
#[derive(Debug)]
pub struct Kept(Vec<u8>);

impl Kept {
    /// The bytes that were kept.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.get(TAG..).unwrap_or_default()
    }
}

/// The name of a component that is compiled by this engine: its digest, and the engine's version and settings.
fn slot(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}", hasher.finish())
}

/// Reads a file of this user's own that nobody else can write to; not what a link leads to.
fn read_own(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let found = fs::symlink_metadata(path)?;
    let file = File::open(path)?;
    let opened = file.metadata()?;
    if !opened.is_file() || !is_own(&opened) || !is_same(&found, &opened) || opened.len() > most {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(opened.len()).unwrap_or(0));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn create_own(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_own(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
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

/// Whether it is this user's, and nobody else can write to it.
#[cfg(unix)]
fn is_own(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let ours =
        cfg!(not(target_os = "linux")) || fs::metadata("/proc/self").is_ok_and(|process| process.uid() == meta.uid());
    ours && meta.permissions().mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

/// Whether the file that was opened is the one that was looked at, and not where a link led.
#[cfg(unix)]
fn is_same(found: &fs::Metadata, opened: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.is_file() && (found.dev(), found.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn is_same(found: &fs::Metadata, _: &fs::Metadata) -> bool {
    found.is_file()
}

/// Whether nobody else can write to the directory.
fn is_private(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir() && is_own(&meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: &str = "0123abcd-00ff";

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("components"));
        (folder, cache)
    }

    fn kept(cache: &Cache) -> Option<Vec<u8>> {
        cache.load_bytes(SLOT).map(|kept| kept.as_slice().to_vec())
    }

    #[test]
    fn what_was_kept_is_found_again_and_only_under_its_name() {
        let (_folder, cache) = cache();
        assert_eq!(kept(&cache), None);
        cache.store_bytes(SLOT, b"machine code").unwrap();
        cache.store_bytes(SLOT, b"newer code").unwrap();
        assert_eq!(kept(&cache).unwrap(), b"newer code");
        assert!(cache.load_bytes("0123abcd-00fe").is_none());
        let files = fs::read_dir(&cache.directory).unwrap().count();
        assert_eq!(files, 2, "the key and one component");
        for outside in ["../x", "a/b", "", "a.b"] {
            assert!(cache.store_bytes(outside, b"").is_err());
        }
    }

    #[test]
    fn one_bit_changed_anywhere_and_it_is_not_used() {
        let (_folder, cache) = cache();
        cache.store_bytes(SLOT, b"machine code").unwrap();
        let path = cache.path(SLOT).unwrap();
        let right = fs::read(&path).unwrap();
        for place in 0..right.len() {
            let mut wrong = right.clone();
            wrong[place] ^= 1;
            fs::write(&path, &wrong).unwrap();
            assert_eq!(kept(&cache), None, "byte {place}");
        }
        for wrong in [&right[..right.len() - 1], &right[..TAG], &right[..5], b""] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(kept(&cache), None);
        }
        fs::write(&path, &right).unwrap();
        assert!(kept(&cache).is_some());
    }

    #[test]
    fn a_file_from_elsewhere_is_not_used_whatever_it_is_called() {
        let ((_one, here), (_other, there)) = (cache(), cache());
        for cache in [&here, &there] {
            cache.store_bytes(SLOT, b"machine code").unwrap();
            cache.store_bytes("ffff-00ff", b"other code").unwrap();
        }
        fs::copy(there.path(SLOT).unwrap(), here.path(SLOT).unwrap()).unwrap();
        assert_eq!(kept(&here), None, "its key is another");
        fs::copy(here.path("ffff-00ff").unwrap(), here.path(SLOT).unwrap()).unwrap();
        assert_eq!(kept(&here), None, "its name is another");
        let untrusted = here.clone().for_untrusted(true);
        untrusted.store_bytes(SLOT, b"machine code").unwrap();
        fs::copy(untrusted.path(SLOT).unwrap(), here.path(SLOT).unwrap()).unwrap();
        assert_eq!(kept(&here), None, "it was compiled for a journey that nobody trusts");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_or_file_that_others_may_write_to_is_not_used() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let (folder, cache) = cache();
        cache.store_bytes(SLOT, b"machine code").unwrap();
        let key = cache.directory.join(KEY_FILE);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        mode(&cache.directory, 0o770);
        assert_eq!(kept(&cache), None);
        assert!(cache.store_bytes(SLOT, b"machine code").is_err());
        mode(&cache.directory, 0o700);
        mode(&cache.path(SLOT).unwrap(), 0o620);
        assert_eq!(kept(&cache), None);
        mode(&cache.path(SLOT).unwrap(), 0o600);
        assert!(kept(&cache).is_some());
        let moved = folder.path().join("moved");
        fs::rename(cache.path(SLOT).unwrap(), &moved).unwrap();
        symlink(&moved, cache.path(SLOT).unwrap()).unwrap();
        assert_eq!(kept(&cache), None, "a link is not followed");
        cache.store_bytes(SLOT, b"machine code").unwrap();
        assert!(kept(&cache).is_some(), "what was wrong is replaced");
        let linked = Cache::at(folder.path().join("link"));
        symlink(&cache.directory, &linked.directory).unwrap();
        assert_eq!(kept(&linked), None);
    }
}
