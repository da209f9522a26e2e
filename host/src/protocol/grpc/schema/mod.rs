//! Which methods there are, and what their messages look like.
//!
//! A [`Schema`] comes from `.proto` files, from a set of descriptors that `protoc` wrote, or from a server's answers to
//! questions about itself. It hides all three: whoever calls has names of methods, JSON and bytes. Whatever it is made
//! of may be hostile: files, definitions and depth are limited, and so is what a message can make of its bytes.

mod compile;
mod definitions;
mod depth;
mod error;
mod method;
mod path;
mod set;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost_reflect::DescriptorPool;

pub(super) use error::shortened;
pub use error::{Place, SchemaError};
pub use method::Method;
pub(super) use set::head;

/// The most files that a schema may be made of.
pub(super) const MAX_FILES: usize = 2_000;
/// The largest `.proto` file, and the most that all of them may have: 4 MiB.
const MAX_SOURCE: usize = 4 << 20;
/// The largest set of descriptors: 32 MiB.
const MAX_SET: usize = 32 << 20;
/// How many of the nearest names a hint gives.
const NEAR: usize = 3;
/// How many names are looked at for it.
const COMPARED: usize = 1_000;

/// The methods that are known, by their names.
///
/// Each keeps the types of what it was read from, so schemas that contradict each other can be merged.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    methods: BTreeMap<Arc<str>, Method>,
}

/// Whether a file comes with protocol buffers, so that nobody has to be asked for it.
pub(super) fn is_well_known(name: &str) -> bool {
    set::well_known(name).is_some()
}

impl Schema {
    /// Compiles `.proto` files and what they import. `files` gives a file's bytes by its name; an import is looked for
    /// as it is written, then beside the file that imports it and in the folders above, then among Google's own files.
    pub fn compile(names: &[String], files: &dyn Fn(&str) -> Option<Arc<[u8]>>) -> Result<Self, SchemaError> {
        compile::compile(names, files).map(|pool| Self::of(&pool))
    }

    /// Reads a `FileDescriptorSet`, as `protoc --descriptor_set_out --include_imports` writes it.
    pub fn from_set(set: &[u8]) -> Result<Self, SchemaError> {
        Self::from_descriptors(set::files(set)?)
    }

    /// Reads files that are described by one `FileDescriptorProto` each, in any order.
    pub fn from_descriptors(files: Vec<Bytes>) -> Result<Self, SchemaError> {
        let no_room = || SchemaError::NotASet { reason: "the system has no thread to read it on".to_owned() };
        depth::with_room(|| set::read(files)).unwrap_or_else(|| Err(no_room())).map(|pool| Self::of(&pool))
    }

    /// Knows what both know; where they differ, what the other says.
    pub fn merge(&mut self, other: &Self) {
        self.methods.extend(other.methods.iter().map(|(path, method)| (Arc::clone(path), method.clone())));
    }

    /// The names of all methods, as `package.Service/Method`, in order.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        self.methods.keys().map(|path| path.as_ref().to_owned()).collect()
    }

    /// The method of a name, with or without a slash in front.
    pub fn method(&self, name: &str) -> Result<&Method, SchemaError> {
        let path = name.strip_prefix('/').unwrap_or(name);
        self.methods.get(path).ok_or_else(|| SchemaError::UnknownMethod {
            method: shortened(name),
            near: self.nearest(path),
            known: self.methods.len(),
        })
    }

    fn of(pool: &DescriptorPool) -> Self {
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let methods = methods.map(|method| Method::new(&method)).map(|method| (method.shared_path(), method));
        Self { methods: methods.collect() }
    }

    /// The known names that look most like this one.
    fn nearest(&self, path: &str) -> Vec<String> {
        let mut near: Vec<_> =
            self.methods.keys().take(COMPARED).map(|known| (path::distance(path, known), known)).collect();
        near.sort();
        near.into_iter().take(NEAR).map(|(_, known)| known.as_ref().to_owned()).collect()
    }
}
