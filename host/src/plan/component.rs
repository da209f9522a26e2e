//! What a component may be made of: what keeps the compiler from work without end.

use serde::{Deserialize, Serialize};

/// What a component may be made of, all modules and components inside it together.
///
/// It is counted in the bytes, before anything is compiled. The parser has limits of its own, which are wider and hold
/// as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentLimits {
    /// Bytes of the whole.
    pub bytes: u64,
    /// Functions that have a body.
    pub functions: u32,
    /// Bytes of one function's body.
    pub function_bytes: u32,
    /// Local variables of one function.
    pub locals: u32,
    /// Types, those inside of other types included.
    pub types: u32,
    /// How deep components and types lie in each other.
    pub nesting: u32,
    /// Data and element segments.
    pub segments: u32,
    /// Everything else that is declared: imports, exports, globals, tags, aliases, adapters.
    pub items: u32,
    /// Modules and components.
    pub modules: u32,
    /// Instances of modules and of components.
    pub instances: u32,
    /// Instances that there will be, those that components inside make of their own counted each time.
    pub all_instances: u32,
    /// How deep blocks lie in each other in one function.
    pub blocks: u32,
    /// Memories.
    pub memories: u32,
    /// Tables.
    pub tables: u32,
}

impl Default for ComponentLimits {
    /// Wide enough for an interpreter with its libraries.
    fn default() -> Self {
        Self {
            bytes: 100_000_000,
            functions: 100_000,
            function_bytes: 4 << 20,
            locals: 50_000,
            types: 100_000,
            nesting: 50,
            segments: 100_000,
            items: 500_000,
            modules: 500,
            instances: 1_000,
            all_instances: 20_000,
            blocks: 10_000,
            memories: 50,
            tables: 100,
        }
    }
}

impl ComponentLimits {
    /// For components of people one does not trust: an interpreter still fits.
    #[must_use]
    pub fn untrusted() -> Self {
        Self {
            bytes: 32_000_000,
            function_bytes: 1 << 20,
            locals: 10_000,
            types: 20_000,
            nesting: 20,
            segments: 50_000,
            items: 200_000,
            modules: 100,
            instances: 200,
            all_instances: 5_000,
            blocks: 5_000,
            memories: 10,
            tables: 20,
            ..Self::default()
        }
    }
}
