//! Descriptors that others made: a set in a file, or a server's answers.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorProto;

use super::definitions::{self, Allowance, Part, Parts};
use super::error::shortened;
use super::{MAX_FILES, MAX_SET, Place, SchemaError};

/// A set, without looking into its files.
#[derive(Message)]
struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// A file that waits for its imports.
struct Waiting {
    imports: Vec<String>,
    bytes: Bytes,
    /// How many of its imports are done; none before it is begun.
    done: Option<usize>,
}

/// The files of a set, as they are written there.
pub(super) fn files(set: &[u8]) -> Result<Vec<Bytes>, SchemaError> {
    if set.len() > MAX_SET {
        return Err(SchemaError::TooMuch { what: "bytes of descriptors".to_owned(), limit: MAX_SET });
    }
    let set = Set::decode(Bytes::copy_from_slice(set)).map_err(|error| no_set(&error.to_string()))?;
    if set.file.is_empty() {
        return Err(no_set("there are no files in it"));
    }
    Ok(set.file)
}

/// Reads files in the order in which they need each other.
pub(super) fn read(files: Vec<Bytes>) -> Result<DescriptorPool, SchemaError> {
    if files.len() > MAX_FILES {
        return Err(SchemaError::TooMuch { what: "files of descriptors".to_owned(), limit: MAX_FILES });
    }
    let mut allowance = Allowance::default();
    let mut waiting = HashMap::new();
    for bytes in files {
        // Before anything is decoded: a definition of two bytes becomes hundreds.
        let (name, imports) = head(&bytes)?;
        allowance.take(&name, &bytes)?;
        let bytes = definitions::without(&bytes, SOURCE_CODE_INFO);
        waiting.entry(name).or_insert(Waiting { imports, bytes, done: None });
    }
    let mut names: Vec<_> = waiting.keys().cloned().collect();
    names.sort();
    let mut pool = empty();
    for name in names {
        add(&mut pool, &mut waiting, name)?;
    }
    Ok(pool)
}

/// What has to be known of a file before it can be read: its name, and those of its imports.
pub(in super::super) fn head(file: &[u8]) -> Result<(String, Vec<String>), SchemaError> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| no_set("a name is not UTF-8"));
    let (mut name, mut imports) = (None, Vec::new());
    for part in Parts::of(file) {
        match part.map_err(|error| no_set(&error))? {
            Part { number: NAME, content: Some(content), .. } => name = Some(text(content)?),
            Part { number: DEPENDENCY, content: Some(content), .. } => imports.push(text(content)?),
            _ => {}
        }
        if imports.len() > MAX_FILES {
            return Err(SchemaError::TooMuch { what: "imports of a file".to_owned(), limit: MAX_FILES });
        }
    }
    Ok((name.ok_or_else(|| no_set("a file has no name"))?, imports))
}

/// The numbers of `name` and `dependency` in a `FileDescriptorProto`.
const NAME: u32 = 1;
const DEPENDENCY: u32 = 3;
/// The number of `source_code_info`: comments and places, which nobody needs here.
const SOURCE_CODE_INFO: u32 = 9;

/// Adds a file, after all that it imports.
fn add(pool: &mut DescriptorPool, waiting: &mut HashMap<String, Waiting>, name: String) -> Result<(), SchemaError> {
    let mut open = vec![name];
    while let Some(name) = open.last() {
        let place = || Place { file: shortened(name), at: None };
        let file = waiting.get_mut(name).expect("only what waits is opened");
        let done = file.done.get_or_insert(0);
        if let Some(import) = file.imports.get(*done).cloned() {
            *done += 1;
            match waiting.get(&import) {
                _ if pool.get_file_by_name(&import).is_some() => {}
                Some(Waiting { done: None, .. }) => open.push(import),
                Some(_) => {
                    let circle = open.iter().skip_while(|open| **open != import).chain([&import]);
                    let circle = circle.map(String::as_str).collect::<Vec<_>>().join(" -> ");
                    return Err(SchemaError::Circle { place: place(), circle: shortened(&circle) });
                }
                None => {
                    let known = well_known(&import)
                        .ok_or_else(|| SchemaError::NoSuchImport { place: place(), name: shortened(&import) })?;
                    pool.add_file_descriptor_proto(known).map_err(|error| no_set(&error.to_string()))?;
                }
            }
            continue;
        }
        if pool.get_file_by_name(name).is_none() {
            pool.decode_file_descriptor_proto(file.bytes.clone())
                .map_err(|error| SchemaError::Invalid { place: place(), reason: shortened(&error.to_string()) })?;
        }
        open.pop();
    }
    Ok(())
}

/// A pool that knows what options are. Were they taken from what others wrote, a file could say that they are something else,
/// and the pool would break over its own options.
pub(super) fn empty() -> DescriptorPool {
    let mut pool = DescriptorPool::new();
    let options = well_known("google/protobuf/descriptor.proto").expect("it is among those that come with the library");
    pool.add_file_descriptor_proto(options).expect("it imports nothing, and the pool is empty");
    pool
}

/// One of the files that come with protocol buffers; those that such a file imports are among them.
pub(super) fn well_known(name: &str) -> Option<FileDescriptorProto> {
    let ours = name.starts_with("google/protobuf/").then(DescriptorPool::global)?;
    ours.get_file_by_name(name).map(|file| file.file_descriptor_proto().clone())
}

fn no_set(reason: &str) -> SchemaError {
    SchemaError::NotASet { reason: shortened(reason) }
}
