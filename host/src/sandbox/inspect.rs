//! What a component is, wants and offers.

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::{MemoryMode, linked};
use crate::plan::Kind;

/// What a component is, wants and offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What it is.
    pub kind: Kind,
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
        let exports: Vec<_> = ty.exports(&component.engine).map(|(name, _)| name.to_owned()).collect();
        let kind = component.kind();
        Self {
            kind,
            world: linked::world(kind, &exports),
            digest: component.digest.clone(),
            size: component.bytes.len(),
            data: component.data,
            memory_mode: component.mode,
            imports: component.manifest.capabilities.iter().map(|one| one.import.clone()).collect(),
            manifest: component.manifest.clone(),
            exports,
        }
    }
}
