//! What a component is, wants and offers; and what is wrong with bytes that are none.

use serde::{Deserialize, Serialize};
use wasmparser::{Encoding, Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{LoadError, MemoryMode};

/// What every journey exports.
const EXPORTS: &[&str] = &["options", "setup", "iterate", "teardown", "handle-summary"];
/// The packages whose interfaces a journey may import.
const PACKAGES: &[&str] = &["squall:journey/", "wasi:"];

/// What a component is, wants and offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The world it fits.
    pub world: String,
    /// Its SHA-256, in hexadecimal.
    pub digest: String,
    /// Its size in bytes.
    pub size: usize,
    /// Bytes of initial data that each instance starts with.
    pub data: usize,
    /// How the memories of its instances come to be.
    pub memory_mode: MemoryMode,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

impl Inspection {
    pub(super) fn of(engine: &Engine, component: &Component, bytes: &[u8], digest: &str, mode: MemoryMode) -> Self {
        let ty = component.component_type();
        Self {
            world: "squall:journey/journey@0.1.1".to_owned(),
            digest: digest.to_owned(),
            size: bytes.len(),
            data: data_size(bytes),
            memory_mode: mode,
            imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
            exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }
}

/// Returns an error unless the bytes are a whole component.
pub(super) fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    if !bytes.starts_with(b"\0asm") {
        let start = &bytes[..bytes.len().min(8)];
        let start = if start.is_empty() { "nothing".to_owned() } else { format!("`{}`", start.escape_ascii()) };
        return Err(LoadError::NotWasm { start });
    }
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::Version { encoding: Encoding::Module, range, .. }) if range.start == 0 => {
                return Err(LoadError::CoreModule);
            }
            Ok(_) => {}
            Err(error) => {
                return Err(LoadError::Damaged {
                    offset: error.offset(),
                    length: bytes.len(),
                    message: error.message().to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Bytes of initial data in all modules of a component.
pub(super) fn data_size(bytes: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(bytes).filter_map(|payload| match payload {
        Ok(Payload::DataSection(section)) => Some(section),
        _ => None,
    });
    sections.flat_map(IntoIterator::into_iter).filter_map(Result::ok).map(|data| data.data.len()).sum()
}

/// Returns an error that names the first import that does not fit, or the exports that are missing.
pub(super) fn check_world(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    let unknown = ty.imports(engine).find(|(name, _)| !PACKAGES.iter().any(|package| name.starts_with(package)));
    if let Some((name, _)) = unknown {
        return Err(LoadError::UnknownImport { import: name.to_owned() });
    }
    let is_missing = |export: &&str| ty.exports(engine).all(|(name, _)| name != *export);
    let missing: Vec<_> = EXPORTS.iter().copied().filter(is_missing).collect();
    if missing.is_empty() { Ok(()) } else { Err(LoadError::OtherWorld { missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_named_for_what_it_is() {
        assert!(matches!(check_kind(b""), Err(LoadError::NotWasm { .. })));
        assert!(matches!(check_kind(b"#!/bin/sh"), Err(LoadError::NotWasm { .. })));
        let module = wat::parse_str("(module)").unwrap();
        assert!(matches!(check_kind(&module), Err(LoadError::CoreModule)));
        let component = wat::parse_str("(component (core module (memory 1)))").unwrap();
        assert!(check_kind(&component).is_ok());
        assert!(matches!(check_kind(&component[..component.len() - 3]), Err(LoadError::Damaged { .. })));
    }

    #[test]
    fn the_data_of_all_modules_is_counted() {
        let component = wat::parse_str(
            r#"(component (core module (memory 1) (data (i32.const 0) "12345")) (core module (memory 1) (data "123")))"#,
        );
        assert_eq!(data_size(&component.unwrap()), 8);
    }
}
