//! `.proto` files, compiled without `protoc`.
//!
//! The files are parsed one by one, imports first. Where something stands is kept beside the descriptors, not in them:
//! the pool would look through all places for every error that it finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::prost_types::{FileDescriptorProto, SourceCodeInfo};
use prost_reflect::{DescriptorError, DescriptorPool};
use protox::file::File;

use super::definitions::Allowance;
use super::error::shortened;
use super::{MAX_FILES, MAX_SOURCE, Place, SchemaError, set};

/// The number of `dependency` in a `FileDescriptorProto`.
const DEPENDENCY: i32 = 3;

/// Files granted to the run, by name.
type Files<'a> = &'a dyn Fn(&str) -> Option<Arc<[u8]>>;

/// A file whose imports are not all done.
struct Open {
    file: FileDescriptorProto,
    places: Vec<Location>,
    /// How many of its imports are done.
    done: usize,
}

struct Compiler<'a> {
    files: Files<'a>,
    pool: DescriptorPool,
    /// Bytes of source that may still come, and definitions.
    source_left: usize,
    allowance: Allowance,
    /// The files that are begun, by name, and whether they are done.
    begun: BTreeMap<String, bool>,
}

/// Compiles files and what they import.
pub(super) fn compile(names: &[String], files: Files<'_>) -> Result<DescriptorPool, SchemaError> {
    let mut compiler = Compiler {
        files,
        pool: set::empty(),
        source_left: MAX_SOURCE,
        allowance: Allowance::default(),
        begun: BTreeMap::new(),
    };
    for name in names {
        compiler.add(name)?;
    }
    Ok(compiler.pool)
}

impl Compiler<'_> {
    /// Adds a file, after all that it imports.
    fn add(&mut self, name: &str) -> Result<(), SchemaError> {
        if self.begun.contains_key(name) {
            return Ok(());
        }
        let missing = || SchemaError::NoSuchFile { name: shortened(name) };
        let mut open = vec![self.begin(name)?.ok_or_else(missing)?];
        while let Some(last) = open.last_mut() {
            let Some(import) = last.file.dependency.get(last.done).cloned() else {
                let done = open.pop().expect("the loop has just seen it");
                self.finish(done)?;
                continue;
            };
            let place = last.place(&[DEPENDENCY, i32::try_from(last.done).unwrap_or(i32::MAX)]);
            let found = self.find(last.file.name(), &import);
            let name =
                found.ok_or_else(|| SchemaError::NoSuchImport { place: place.clone(), name: shortened(&import) })?;
            // The pool knows a file by the name that it was granted by, however it is imported.
            last.file.dependency[last.done].clone_from(&name);
            last.done += 1;
            match self.begun.get(&name) {
                Some(true) => {}
                Some(false) => return Err(circle(&open, place, &name)),
                None => open.extend(self.begin(&name)?),
            }
        }
        Ok(())
    }

    /// Parses a file, if it is there.
    fn begin(&mut self, name: &str) -> Result<Option<Open>, SchemaError> {
        if self.begun.len() >= MAX_FILES {
            return Err(SchemaError::TooMuch { what: "`.proto` files".to_owned(), limit: MAX_FILES });
        }
        let Some(mut file) = self.parse(name)? else {
            return Ok(None);
        };
        self.begun.insert(name.to_owned(), false);
        let places = file.source_code_info.take().map_or_else(Vec::new, |SourceCodeInfo { location }| location);
        let described = file.encode_to_vec();
        self.allowance.take(name, &described)?;
        Ok(Some(Open { file, places, done: 0 }))
    }

    fn parse(&mut self, name: &str) -> Result<Option<FileDescriptorProto>, SchemaError> {
        let Some(bytes) = (self.files)(name) else {
            return Ok(set::well_known(name));
        };
        let whole = || Place { file: shortened(name), at: None };
        let left = self.source_left.checked_sub(bytes.len());
        self.source_left =
            left.ok_or_else(|| SchemaError::TooMuch { what: "bytes of `.proto` files".to_owned(), limit: MAX_SOURCE })?;
        let source = std::str::from_utf8(&bytes).map_err(|error| SchemaError::Invalid {
            place: Place { at: position(&bytes[..error.valid_up_to()]), ..whole() },
            reason: "not valid UTF-8".to_owned(),
        })?;
        let file = File::from_source(name, source).map_err(|error| SchemaError::Invalid {
            place: Place { at: place_in(&format!("{error:?}"), name), ..whole() },
            reason: shortened(&error.to_string()),
        })?;
        Ok(Some(file.into()))
    }

    /// The name by which an import is granted.
    fn find(&self, importer: &str, import: &str) -> Option<String> {
        let exists = |name: &String| {
            self.begun.contains_key(name) || (self.files)(name).is_some() || set::well_known(name).is_some()
        };
        let mut folder = importer;
        let above = std::iter::from_fn(|| {
            folder = folder.rsplit_once('/')?.0;
            Some(format!("{folder}/{import}"))
        });
        std::iter::once(import.to_owned()).chain(above).find(exists)
    }

    fn finish(&mut self, open: Open) -> Result<(), SchemaError> {
        let name = open.file.name().to_owned();
        if self.begun.insert(name.clone(), true) == Some(true) || self.pool.get_file_by_name(&name).is_some() {
            return Ok(());
        }
        self.pool.add_file_descriptor_proto(open.file).map_err(|error| refused(&error, &name, &open.places))
    }
}

impl Open {
    fn place(&self, path: &[i32]) -> Place {
        Place { file: shortened(self.file.name()), at: find(&self.places, path) }
    }
}

/// What is wrong with a file as a whole.
fn refused(error: &DescriptorError, name: &str, places: &[Location]) -> SchemaError {
    SchemaError::Invalid {
        place: Place {
            file: shortened(error.file().unwrap_or(name)),
            at: error.path().filter(|_| error.file() == Some(name)).and_then(|path| find(places, path)),
        },
        reason: shortened(&error.to_string()),
    }
}

fn circle(open: &[Open], place: Place, name: &str) -> SchemaError {
    let names = open.iter().map(|open| open.file.name()).skip_while(|open| *open != name);
    let circle = names.chain([name]).collect::<Vec<_>>().join(" -> ");
    SchemaError::Circle { place, circle: shortened(&circle) }
}

/// Where what a path leads to begins, or what it is in.
fn find(places: &[Location], path: &[i32]) -> Option<(u32, u32)> {
    let nearest = places.iter().filter(|place| !place.path.is_empty() && path.starts_with(&place.path));
    let [line, column, ..] = nearest.max_by_key(|place| place.path.len())?.span[..] else {
        return None;
    };
    Some((u32::try_from(line).ok()? + 1, u32::try_from(column).ok()? + 1))
}

/// The line and column after so many bytes.
fn position(before: &[u8]) -> Option<(u32, u32)> {
    let line = before.split(|byte| *byte == b'\n').next_back()?;
    let lines = before.split(|byte| *byte == b'\n').count() - 1;
    Some((u32::try_from(lines).ok()? + 1, u32::try_from(line.len()).ok()? + 1))
}

/// Line and column of a parser's error, which only its debug text has: `name:line:column: reason`.
fn place_in(debug: &str, name: &str) -> Option<(u32, u32)> {
    let mut parts = debug.strip_prefix(name)?.strip_prefix(':')?.splitn(3, ':');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
