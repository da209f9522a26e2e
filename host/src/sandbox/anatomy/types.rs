//! Types of a component: how many there are, how deep they lie, and what an instance of one exports.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, InstanceTypeDeclaration,
};

use super::{Wrong, at_most};

pub(super) fn is_type(alias: &ComponentAlias<'_>) -> bool {
    matches!(
        alias,
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. }
    )
}

/// The functions that an instance of the type exports; `None` for other types.
pub(super) fn functions_of(ty: &ComponentType<'_>) -> Option<Vec<String>> {
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
pub(super) fn types_within(reader: &mut BinaryReader<'_>, nesting: u32) -> Result<u32, Wrong> {
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
