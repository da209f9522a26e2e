//! What a component is, wants and offers.

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::manifest::Manifest;
use super::{LoadError, MemoryMode};

/// What every journey exports.
const EXPORTS: &[&str] = &["options", "setup", "iterate", "teardown", "handle-summary"];

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
    /// What it can do with them.
    #[serde(rename = "capabilities")]
    pub manifest: Manifest,
    /// What it exports.
    pub exports: Vec<String>,
}

impl Inspection {
    pub(super) fn of(component: &super::Component) -> Self {
        let ty = component.compiled.component_type();
        Self {
            world: "squall:journey/journey@0.1.1".to_owned(),
            digest: component.digest.clone(),
            size: component.bytes.len(),
            data: component.data,
            memory_mode: component.mode,
            imports: component.manifest.capabilities.iter().map(|one| one.import.clone()).collect(),
            manifest: component.manifest.clone(),
            exports: ty.exports(&component.engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }
}

/// Returns an error that names the exports that are missing.
pub(super) fn check_exports(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    let is_missing = |export: &&str| ty.exports(engine).all(|(name, _)| name != *export);
    let missing: Vec<_> = EXPORTS.iter().copied().filter(is_missing).collect();
    if missing.is_empty() { Ok(()) } else { Err(LoadError::OtherWorld { missing }) }
}
