//! What a component is made of: counted in one walk over its bytes, before anything is compiled or believed.
//!
//! The walk reads headings and the code of very large functions only, and never recurses into what it reads, so that
//! neither a large nor a deeply nested component costs more than its bytes.

mod types;

#[cfg(test)]
mod tests;

use wasmparser::{
    BinaryReader, ComponentExternalKind, ComponentImport, ComponentTypeRef, Encoding, Operator, Parser, Payload,
};

use super::LoadError;
use crate::plan::{ComponentLimits, Kind};
use types::{functions_of, is_type, types_within};

/// What is inside a component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Anatomy {
    /// Bytes of initial data in all modules.
    pub data: usize,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
}

/// One import of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// Its whole name: `squall:journey/http@0.1.1`.
    pub name: String,
    /// The functions of the interface that it asks for.
    pub functions: Vec<String>,
}

impl Anatomy {
    /// Looks at a whole component and returns an error if it is none, or too much of anything.
    pub fn of(bytes: &[u8], limits: &ComponentLimits) -> Result<Self, LoadError> {
        check_start(bytes)?;
        at_most(bytes.len(), limits.bytes, |bytes| format!("{bytes} bytes"), Some("limits.componentBytes"))?;
        let mut walk = Walk::new(bytes, limits);
        for payload in Parser::new(0).parse_all(bytes) {
            let step = payload.map_err(Wrong::Damaged).and_then(|payload| walk.step(&payload));
            step.map_err(|wrong| wrong.in_bytes(bytes))?;
        }
        Ok(walk.anatomy)
    }
}

/// Returns an error that names what the bytes are, if their start tells that they are no component.
fn check_start(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.starts_with(b"\x7fELF") {
        return Err(LoadError::MachineCode);
    }
    if !bytes.starts_with(b"\0asm") {
        let start = &bytes[..bytes.len().min(8)];
        let start = if start.is_empty() { "nothing".to_owned() } else { format!("`{}`", start.escape_ascii()) };
        return Err(LoadError::NotWasm { start });
    }
    Ok(())
}

/// Why a step of the walk was the last.
enum Wrong {
    Damaged(wasmparser::BinaryReaderError),
    Other(LoadError),
}

impl Wrong {
    fn in_bytes(self, bytes: &[u8]) -> LoadError {
        match self {
            Self::Damaged(error) => {
                LoadError::Damaged { offset: error.offset(), length: bytes.len(), message: error.message().to_owned() }
            }
            Self::Other(error) => error,
        }
    }
}

impl From<wasmparser::BinaryReaderError> for Wrong {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Damaged(error)
    }
}

impl From<LoadError> for Wrong {
    fn from(error: LoadError) -> Self {
        Self::Other(error)
    }
}

fn at_most(
    value: impl TryInto<u64>,
    limit: impl Into<u64>,
    what: impl Fn(u64) -> String,
    option: Option<&'static str>,
) -> Result<(), LoadError> {
    let (value, limit) = (value.try_into().unwrap_or(u64::MAX), limit.into());
    if value > limit { Err(LoadError::TooMuch { what: what(value), limit, option }) } else { Ok(()) }
}

/// Adds to a count and compares it with its limit.
fn count(total: &mut u64, more: u32, limit: u32, what: &str, option: Option<&'static str>) -> Result<(), LoadError> {
    *total += u64::from(more);
    at_most(*total, limit, |total| format!("{total} {what}"), option)
}

#[derive(Default)]
struct Counts {
    functions: u64,
    types: u64,
    segments: u64,
    items: u64,
    modules: u64,
    instances: u64,
    memories: u64,
    tables: u64,
}

/// The instances that a component makes when it is itself made an instance.
#[derive(Default)]
struct Instances {
    of_modules: u64,
    of_components: u64,
}

/// The walk over the sections.
struct Walk<'a> {
    bytes: &'a [u8],
    limits: &'a ComponentLimits,
    anatomy: Anatomy,
    counts: Counts,
    /// How many modules and components the walk is in.
    depth: u32,
    /// What each of these has instances of, so far.
    open: Vec<Instances>,
    /// The instances that come of the component with the most.
    most_instances: u64,
    /// The outermost component's types: what an instance of the type exports, where it is one of an instance.
    types: Vec<Option<Vec<String>>>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], limits: &'a ComponentLimits) -> Self {
        let (anatomy, counts) = (Anatomy::default(), Counts::default());
        Self { bytes, limits, anatomy, counts, depth: 0, open: Vec::new(), most_instances: 0, types: Vec::new() }
    }

    fn step(&mut self, payload: &Payload<'_>) -> Result<(), Wrong> {
        let (limits, counts) = (self.limits, &mut self.counts);
        match payload {
            Payload::Version { encoding, range, .. } => {
                if range.start == 0 && *encoding == Encoding::Module {
                    return Err(LoadError::CoreModule.into());
                }
                self.depth += 1;
                self.open.push(Instances::default());
                at_most(self.depth, limits.nesting, |depth| format!("components nested {depth} deep"), None)?;
                count(&mut counts.modules, 1, limits.modules, "modules and components", None)?;
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                self.close()?;
            }
            Payload::CodeSectionStart { count: more, .. } => {
                count(&mut counts.functions, *more, limits.functions, "functions", Some("limits.functions"))?;
            }
            Payload::CodeSectionEntry(body) => self.function(body)?,
            Payload::DataSection(section) => {
                count(&mut counts.segments, section.count(), limits.segments, "segments", None)?;
                for data in section.clone() {
                    self.anatomy.data += data?.data.len();
                }
            }
            Payload::ElementSection(section) => {
                count(&mut counts.segments, section.count(), limits.segments, "segments", None)?;
            }
            Payload::MemorySection(section) => {
                count(&mut counts.memories, section.count(), limits.memories, "memories", None)?;
            }
            Payload::TableSection(section) => {
                count(&mut counts.tables, section.count(), limits.tables, "tables", None)?;
            }
            Payload::InstanceSection(section) => {
                count(&mut counts.instances, section.count(), limits.instances, "instances", None)?;
                if let Some(open) = self.open.last_mut() {
                    open.of_modules += u64::from(section.count());
                }
            }
            Payload::ComponentInstanceSection(section) => {
                count(&mut counts.instances, section.count(), limits.instances, "instances", None)?;
                if let Some(open) = self.open.last_mut() {
                    open.of_components += u64::from(section.count());
                }
            }
            Payload::TypeSection(section) => count(&mut counts.types, section.count(), limits.types, "types", None)?,
            Payload::CoreTypeSection(section) => {
                count(&mut counts.types, section.count(), limits.types, "types", None)?;
            }
            Payload::ComponentTypeSection(section) => self.component_types(section)?,
            other => self.items(other)?,
        }
        Ok(())
    }

    /// Counts what comes of a component whose end was reached. It can make instances of what was defined before alone, and
    /// none of that has more than the component with the most.
    fn close(&mut self) -> Result<(), Wrong> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let of_components = open.of_components.saturating_mul(self.most_instances.saturating_add(1));
        let all = open.of_modules.saturating_add(of_components);
        self.most_instances = self.most_instances.max(all);
        Ok(at_most(
            all,
            self.limits.all_instances,
            |all| format!("up to {all} instances, those inside others counted"),
            None,
        )?)
    }

    /// Compiling takes time that grows with the square of how deep blocks lie in each other.
    fn blocks(&self, body: &wasmparser::FunctionBody<'_>) -> Result<(), Wrong> {
        // A block takes three bytes at least: in a shorter function there is nothing to count.
        if body.range().len() / 3 <= self.limits.blocks as usize {
            return Ok(());
        }
        let (mut operators, mut depth) = (body.get_operators_reader()?, 0_u32);
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Try { .. }
                | Operator::TryTable { .. } => depth += 1,
                Operator::End => depth = depth.saturating_sub(1),
                _ => continue,
            }
            at_most(depth, self.limits.blocks, |depth| format!("blocks nested {depth} deep in a function"), None)?;
        }
        Ok(())
    }

    fn function(&self, body: &wasmparser::FunctionBody<'_>) -> Result<(), Wrong> {
        let size = |bytes| format!("a function of {bytes} bytes");
        at_most(body.range().len(), self.limits.function_bytes, size, Some("limits.functionBytes"))?;
        let mut locals = 0_u64;
        for local in body.get_locals_reader()? {
            locals += u64::from(local?.0);
        }
        self.blocks(body)?;
        Ok(at_most(locals, self.limits.locals, |locals| format!("a function with {locals} local variables"), None)?)
    }

    /// What is declared besides, and the names of types by the way.
    fn items(&mut self, payload: &Payload<'_>) -> Result<(), Wrong> {
        let outermost = self.depth == 1;
        let number = match payload {
            Payload::ImportSection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            Payload::ExportSection(section) => section.count(),
            Payload::TagSection(section) => section.count(),
            Payload::ComponentCanonicalSection(section) => section.count(),
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone().into_iter().filter(|_| outermost) {
                    self.types.extend(is_type(&alias?).then_some(None));
                }
                section.count()
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    let import = import?;
                    // How many instances would come of it depends on who passes what, and no tool makes such components.
                    if matches!(import.ty, ComponentTypeRef::Component(_)) {
                        let message = format!("it takes another component, `{}`, as an argument", import.name.name);
                        return Err(LoadError::Unfit { kind: Kind::Journey, message }.into());
                    }
                    if outermost {
                        self.import(&import);
                    }
                }
                section.count()
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone().into_iter().filter(|_| outermost) {
                    self.types.extend((export?.kind == ComponentExternalKind::Type).then_some(None));
                }
                section.count()
            }
            _ => 0,
        };
        Ok(count(&mut self.counts.items, number, self.limits.items, "declarations", None)?)
    }

    fn import(&mut self, import: &ComponentImport<'_>) {
        let functions = match import.ty {
            ComponentTypeRef::Instance(index) => self.types.get(index as usize).cloned().flatten().unwrap_or_default(),
            ComponentTypeRef::Type(_) => {
                self.types.push(None);
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.anatomy.imports.push(Import { name: import.name.name.to_owned(), functions });
    }

    fn component_types(&mut self, section: &wasmparser::ComponentTypeSectionReader<'_>) -> Result<(), Wrong> {
        // The parser reads types inside of types by recursion, without end: first it is made sure that there is one.
        let range = section.range();
        let content = self.bytes.get(range.clone()).unwrap_or_default();
        let types = types_within(&mut BinaryReader::new(content, range.start), self.limits.nesting)?;
        count(&mut self.counts.types, types, self.limits.types, "types", None)?;
        if self.depth == 1 {
            for ty in section.clone() {
                self.types.push(functions_of(&ty?));
            }
        }
        Ok(())
    }
}
