//! Which proposals of WebAssembly a component may use: each is off in the engine unless it is granted.

use wasmparser::{Validator, WasmFeatures};
use wasmtime::Config;

use super::LoadError;
use crate::plan::{Policy, Proposal};

/// What no journey may use, granted or not: squall has nothing to run it with, or nobody has asked for it.
const NEVER: WasmFeatures = WasmFeatures::STACK_SWITCHING
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::MEMORY_CONTROL)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_MAP)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_IMPLEMENTS);

/// Whether this squall can do it at all.
pub(super) fn is_built(proposal: Proposal) -> bool {
    match proposal {
        Proposal::Gc | Proposal::Exceptions => cfg!(feature = "gc"),
        Proposal::Threads => cfg!(feature = "threads"),
        Proposal::Memory64 | Proposal::RelaxedSimd => true,
    }
}

/// The parser's names for it.
fn features(proposal: Proposal) -> WasmFeatures {
    match proposal {
        Proposal::Gc => WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::GC_TYPES,
        // What is thrown lies on the collector's heap.
        Proposal::Exceptions => WasmFeatures::EXCEPTIONS | WasmFeatures::GC_TYPES,
        Proposal::Threads => WasmFeatures::THREADS,
        Proposal::Memory64 => WasmFeatures::MEMORY64,
        Proposal::RelaxedSimd => WasmFeatures::RELAXED_SIMD,
    }
}

fn features_of(proposals: impl Iterator<Item = Proposal>) -> WasmFeatures {
    proposals.fold(WasmFeatures::empty(), |all, one| all | features(one))
}

/// Switches every proposal on or off.
pub(super) fn configure(config: &mut Config, policy: &Policy) -> Result<(), LoadError> {
    let granted = || Proposal::ALL.iter().copied().filter(|one| policy.grants_proposal(*one));
    if let Some(proposal) = granted().find(|one| !is_built(*one)) {
        return Err(LoadError::NotBuilt { proposal });
    }
    let on = features_of(granted());
    config.wasm_features(features_of(Proposal::ALL.iter().copied()).difference(on) | NEVER, false);
    config.wasm_features(on, true);
    Ok(())
}

/// The proposals that a component uses beyond those granted; none if they are not what is wrong with it.
pub(super) fn missing(bytes: &[u8], policy: &Policy) -> Vec<Proposal> {
    let all = features_of(Proposal::ALL.iter().copied());
    let base = WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL;
    let is_valid = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    if !is_valid(base | all) {
        return Vec::new();
    }
    let without = |out: Proposal| features_of(Proposal::ALL.iter().copied().filter(|one| *one != out));
    let not_granted = Proposal::ALL.iter().copied().filter(|one| !policy.grants_proposal(*one));
    not_granted.filter(|one| !is_valid((base - all) | without(*one))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Component, LoadError};
    use super::*;
    use crate::plan::Limits;

    const USES: &[(Proposal, &str)] = &[
        (Proposal::Gc, "(type (struct (field i32))) (func (param (ref null 0)))"),
        (Proposal::Exceptions, "(tag) (func throw 0)"),
        (Proposal::Threads, "(memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0))))"),
        (Proposal::Memory64, "(memory i64 1)"),
        (Proposal::RelaxedSimd, "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))"),
    ];

    fn load(module: &str, policy: &Policy) -> Result<Component, LoadError> {
        let bytes = wat::parse_str(format!("(component (core module {module}))")).unwrap();
        Component::load_within(bytes, None, &Limits::default(), policy)
    }

    #[test]
    fn a_proposal_that_is_not_granted_is_refused_by_its_name() {
        let policy = Policy { untrusted: true, ..Policy::default() };
        for (proposal, module) in USES {
            match load(module, &policy) {
                Err(LoadError::Proposal { proposals, message }) => {
                    assert_eq!(proposals, [*proposal], "{message}");
                    assert!(!message.is_empty());
                }
                other => panic!("{proposal:?}: {:?}", other.err()),
            }
        }
    }

    #[test]
    fn a_proposal_that_is_granted_is_compiled_where_squall_can() {
        for (proposal, module) in USES {
            let policy = Policy { untrusted: true, proposals: [*proposal].into(), ..Policy::default() };
            match load(module, &policy).err() {
                // It is compiled; that it is no journey is found after that.
                Some(LoadError::NoWorld) => assert!(is_built(*proposal)),
                Some(LoadError::NotBuilt { proposal: named }) => {
                    assert_eq!(named, *proposal);
                    assert!(!is_built(*proposal));
                }
                other => panic!("{proposal:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_trusted_journey_may_use_what_is_harmless() {
        for (proposal, module) in USES {
            let harmless = matches!(proposal, Proposal::Memory64 | Proposal::RelaxedSimd);
            let loaded = load(module, &Policy::default()).err();
            assert_eq!(matches!(loaded, Some(LoadError::NoWorld)), harmless, "{proposal:?}: {loaded:?}");
        }
    }
}
