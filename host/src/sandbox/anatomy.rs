//! What a component is made of: counted in one walk over its bytes, before anything is compiled or believed.
//!
//! The walk reads headings and the code of very large functions only, and never recurses into what it reads, so that
//! neither a large nor a deeply nested component costs more than its bytes.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternalKind, ComponentImport, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, Encoding, InstanceTypeDeclaration, Operator, Parser, Payload,
};

use super::LoadError;
use crate::plan::ComponentLimits;

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
                        return Err(LoadError::Unfit { message }.into());
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

fn is_type(alias: &ComponentAlias<'_>) -> bool {
    matches!(
        alias,
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. }
    )
}

/// The functions that an instance of the type exports; `None` for other types.
fn functions_of(ty: &ComponentType<'_>) -> Option<Vec<String>> {
    let ComponentType::Instance(declarations) = ty else { return None };
    let functions = declarations.iter().filter_map(|declaration| match declaration {
        InstanceTypeDeclaration::Export { name, ty: ComponentTypeRef::Func(_) } => Some(name.name.to_owned()),
        _ => None,
    });
    Some(functions.collect())
}

/// Declarations that are left to read of a type that contains others.
struct Open {
    left: u32,
    /// Whether it is the type of a component, which declares imports as well.
    component: bool,
}

/// Counts the types of a section, those inside of others included, and returns an error where they lie too deep.
fn types_within(reader: &mut BinaryReader<'_>, nesting: u32) -> Result<u32, Wrong> {
    const COMPONENT: u8 = 0x41;
    const INSTANCE: u8 = 0x42;
    const A_TYPE: u8 = 0x01;
    let (mut types, mut outermost) = (0_u32, reader.read_var_u32()?);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let is_type = match open.last_mut() {
            None if outermost == 0 => return Ok(types),
            None => {
                outermost -= 1;
                true
            }
            Some(innermost) if innermost.left == 0 => {
                open.pop();
                continue;
            }
            Some(innermost) => {
                innermost.left -= 1;
                let is_type = reader.clone().read_u8()? == A_TYPE;
                match innermost.component {
                    _ if is_type => drop(reader.read_u8()?),
                    true => drop(reader.read::<ComponentTypeDeclaration<'_>>()?),
                    false => drop(reader.read::<InstanceTypeDeclaration<'_>>()?),
                }
                is_type
            }
        };
        if !is_type {
            continue;
        }
        types = types.saturating_add(1);
        let kind = reader.clone().read_u8()?;
        if kind == COMPONENT || kind == INSTANCE {
            reader.read_u8()?;
            open.push(Open { left: reader.read_var_u32()?, component: kind == COMPONENT });
            at_most(open.len(), nesting, |depth| format!("types nested {depth} deep"), None)?;
        } else {
            reader.read::<ComponentType<'_>>()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anatomy(text: &str) -> Result<Anatomy, LoadError> {
        Anatomy::of(&wat::parse_str(text).unwrap(), &ComponentLimits::default())
    }

    #[test]
    fn instances_multiply_and_are_counted_as_they_do() {
        let leaf = "(component $c0 (core module $m) (core instance (instantiate $m)))";
        let text = (1..=6).fold(leaf.to_owned(), |inner, at| {
            let ten = format!("(instance (instantiate $c{}))", at - 1).repeat(10);
            format!("(component $c{at} {inner} {ten})")
        });
        let error = anatomy(&text.replacen("$c6", "", 1)).unwrap_err().to_string();
        assert_eq!(error, "has up to 21110 instances, those inside others counted, but may have at most 20000");
        let taking = "(component (component (import \"c\" (component))))";
        assert!(anatomy(taking).unwrap_err().to_string().contains("takes another component, `c`"));
    }

    #[test]
    fn blocks_that_lie_too_deep_in_each_other_are_counted_in_large_functions() {
        let nested = |depth: usize| {
            format!("(component (core module (func {}{})))", "block ".repeat(depth), "end ".repeat(depth))
        };
        let limits = ComponentLimits { blocks: 100, ..ComponentLimits::default() };
        assert!(Anatomy::of(&wat::parse_str(nested(100)).unwrap(), &limits).is_ok());
        assert_eq!(within(&limits, &nested(101)), "has blocks nested 101 deep in a function, but may have at most 100");
        let beside = format!("(component (core module (func {})))", "block end ".repeat(1000));
        assert!(Anatomy::of(&wat::parse_str(beside).unwrap(), &limits).is_ok());
    }

    fn within(limits: &ComponentLimits, text: &str) -> String {
        Anatomy::of(&wat::parse_str(text).unwrap(), limits).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_component_is_named_for_what_it_is() {
        let check = |bytes: &[u8]| Anatomy::of(bytes, &ComponentLimits::default());
        assert!(matches!(check(b""), Err(LoadError::NotWasm { .. })));
        assert!(matches!(check(b"#!/bin/sh"), Err(LoadError::NotWasm { .. })));
        assert!(matches!(check(b"\x7fELF\x02\x01"), Err(LoadError::MachineCode)));
        let module = wat::parse_str("(module)").unwrap();
        assert!(matches!(check(&module), Err(LoadError::CoreModule)));
        let component = wat::parse_str("(component (core module (memory 1)))").unwrap();
        assert!(check(&component).is_ok());
        assert!(matches!(check(&component[..component.len() - 3]), Err(LoadError::Damaged { .. })));
    }

    #[test]
    fn the_data_of_all_modules_is_counted() {
        let text = r#"(component (core module (memory 1) (data (i32.const 0) "12345")) (core module (memory 1) (data "123")))"#;
        assert_eq!(anatomy(text).unwrap().data, 8);
    }

    #[test]
    fn imports_are_named_with_the_functions_they_ask_for() {
        let anatomy = anatomy(
            r#"(component
                (type (func))
                (import "a:b/types" (instance (export "t" (type (sub resource))) (export "f" (func))))
                (alias export 0 "t" (type $t))
                (type $later (instance (export "g" (func)) (export "h" (func))))
                (import "a:b/more" (instance (type $later)))
                (component (import "inner:only/x" (instance (export "i" (func))))))"#,
        );
        let import = |name: &str, functions: &[&str]| Import {
            name: name.to_owned(),
            functions: functions.iter().map(|&name| name.to_owned()).collect(),
        };
        assert_eq!(anatomy.unwrap().imports, [import("a:b/types", &["f"]), import("a:b/more", &["g", "h"])]);
    }

    #[test]
    fn what_is_too_much_is_named_with_its_value_and_its_limit() {
        let limits = ComponentLimits::default();
        let small = ComponentLimits { functions: 1, ..limits.clone() };
        assert_eq!(
            within(&small, "(component (core module (func)) (core module (func)))"),
            "has 2 functions, but may have at most 1 (`limits.functions`)"
        );
        let small = ComponentLimits { function_bytes: 2, ..limits.clone() };
        assert!(within(&small, "(component (core module (func nop)))").starts_with("has a function of 3 bytes, but"));
        let small = ComponentLimits { locals: 5, ..limits.clone() };
        assert!(within(&small, "(component (core module (func (local i32 i32 i32 i64 i64 i64))))").contains("6 local"));
        let small = ComponentLimits { memories: 1, ..limits.clone() };
        assert!(within(&small, "(component (core module (memory 1) (memory 1)))").contains("2 memories"));
        let small = ComponentLimits { bytes: 8, ..limits.clone() };
        assert!(within(&small, "(component (core module))").contains("18 bytes, but may have at most 8"));
        let small = ComponentLimits { modules: 1, ..limits.clone() };
        assert!(within(&small, "(component (core module))").contains("2 modules and components"));
        let small = ComponentLimits { nesting: 2, ..limits };
        assert!(within(&small, "(component (component (component)))").contains("components nested 3 deep"));
    }

    #[test]
    fn types_nested_a_million_deep_are_refused_and_not_descended_into() {
        let depth = 1_000_000;
        // A section of types with one type: an instance that declares a type: an instance that declares a type ..
        let mut types = vec![1_u8];
        types.extend(std::iter::repeat_n([0x42, 0x01, 0x01], depth).flatten());
        types.extend([0x42, 0x00]);
        let mut component = wat::parse_str("(component)").unwrap();
        component.push(7);
        let mut length = types.len();
        while length >= 128 {
            component.push((length & 127) as u8 | 128);
            length >>= 7;
        }
        component.push(length as u8);
        component.extend(types);
        let error = Anatomy::of(&component, &ComponentLimits::default()).unwrap_err();
        assert_eq!(error.to_string(), "has types nested 51 deep, but may have at most 50");
    }

    #[test]
    fn types_inside_of_types_are_counted() {
        let limits = ComponentLimits { types: 3, ..ComponentLimits::default() };
        let text = r#"(component (type (component
            (type (instance (type (list u8)) (export "t" (type (eq 0)))))
            (import "a" (func (param "b" (list u8)))) (type (func)))))"#;
        assert!(within(&limits, text).starts_with("has "));
        assert!(anatomy(text).is_ok());
    }
}
