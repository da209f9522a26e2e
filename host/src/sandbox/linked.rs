//! The two kinds of component that squall runs, told apart by what they export.
//!
//! A journey exports what `squall:journey` asks for, and is entered again and again. A program is an ordinary command of
//! WASI, which has never heard of squall; its main function runs once in an instance.

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi::p2::bindings::CommandPre;

use super::LoadError;
use super::state::State;
use crate::plan::Kind;
use crate::wit;

/// What every journey exports.
const JOURNEY: &[&str] = &["options", "setup", "iterate", "teardown", "handle-summary"];
/// What every program exports, in front of its version.
const PROGRAM: &str = "wasi:cli/run@";
/// The versions of it that are run.
const PROGRAMS_RUN: &str = "wasi:cli/run@0.2.";
/// What a service exports, which is not run but served.
const SERVICE: &str = "wasi:http/incoming-handler@";

/// A component with all its imports found.
#[derive(Clone)]
pub(super) enum Linked {
    Journey(wit::JourneyPre<State>),
    Program(CommandPre<State>),
}

impl Linked {
    pub(super) fn new(kind: Kind, pre: InstancePre<State>) -> wasmtime::Result<Self> {
        Ok(match kind {
            Kind::Journey => Self::Journey(wit::JourneyPre::new(pre)?),
            Kind::Program => Self::Program(CommandPre::new(pre)?),
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Journey(_) => Kind::Journey,
            Self::Program(_) => Kind::Program,
        }
    }
}

/// Which kind a component is, or what it would have to export. One that is both is a journey.
pub(super) fn kind(engine: &Engine, component: &Component) -> Result<Kind, LoadError> {
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    let missing: Vec<_> = JOURNEY.iter().copied().filter(|name| !exports.contains(name)).collect();
    if missing.is_empty() {
        return Ok(Kind::Journey);
    }
    let has = |start: &str| exports.iter().find(|name| name.starts_with(start)).map(|&name| name.to_owned());
    if has(PROGRAMS_RUN).is_some() {
        return Ok(Kind::Program);
    }
    if let Some(export) = has(PROGRAM) {
        return Err(LoadError::OtherVersion { export });
    }
    Err(match has(SERVICE) {
        Some(export) => LoadError::Service { export },
        // One that has some of it is about to be a journey.
        None if missing.len() < JOURNEY.len() => LoadError::OtherWorld { missing },
        None => LoadError::NoWorld,
    })
}

/// The world that a component of this kind fits.
pub(super) fn world(kind: Kind, exports: &[String]) -> String {
    match kind {
        Kind::Journey => "squall:journey/journey@0.1.1".to_owned(),
        Kind::Program => {
            let version = exports.iter().find_map(|name| name.strip_prefix(PROGRAM));
            format!("wasi:cli/command@{}", version.unwrap_or("0.2"))
        }
    }
}
