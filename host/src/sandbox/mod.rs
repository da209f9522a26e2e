//! wasmtime: compile a component once, give each VU an instance of its own, hold it to its limits.
//!
//! There are two kinds of component: journeys, and ordinary programs, whose every run is an iteration.
//! [`Component::load`] takes bytes and says what is wrong with them; [`Component::journey`] makes a [`Sandbox`], which
//! implements [`crate::vu::Journey`]. Hides the engine's settings, the memory slabs, the compile cache and the clock
//! that interrupts guests.

mod anatomy;
mod budget;
mod cache;
mod crowd;
mod engine;
mod error;
#[cfg(test)]
mod fuzz;
mod inspect;
mod instance;
mod linked;
mod manifest;
mod program;
mod proposals;
#[cfg(target_os = "linux")]
mod slab;
mod state;
mod stores;
#[cfg(test)]
mod tests;
mod trap;
mod watch;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Linker;

pub use cache::{Cache, Kept};
pub use engine::MemoryMode;
pub use error::LoadError;
pub use inspect::Inspection;
pub use instance::Sandbox;
pub use manifest::{Capability, Manifest};

use crate::capability;
use crate::plan::{Kind, Limits, Plan, Policy};
use crate::vu::JourneyError;
use anatomy::Anatomy;
use linked::Linked;
use state::State;
use trap::Symbols;

/// How long a journey may take to give its options.
const OPTIONS_TIMEOUT: Duration = Duration::from_secs(10);

/// A component that fits the world, compiled.
pub struct Component {
    engine: Engine,
    compiled: wasmtime::component::Component,
    linked: Linked,
    mode: MemoryMode,
    /// What it was loaded to use at most.
    limits: Limits,
    policy: Policy,
    manifest: Manifest,
    /// Bytes of initial data.
    data: usize,
    digest: String,
    bytes: Arc<Vec<u8>>,
    /// What it is called where it breaks.
    name: Option<String>,
    cache: Option<Cache>,
    not_kept: Option<std::io::Error>,
}

impl Component {
    /// Checks and compiles a component of one's own, or finds it compiled in the cache.
    pub fn load(bytes: Vec<u8>, cache: Option<Cache>) -> Result<Self, LoadError> {
        Self::load_within(bytes, cache, &Limits::default(), &Policy::default())
    }

    /// The same with limits of its size, and a policy of what it may import and use. Both are looked at before anything
    /// is compiled.
    pub fn load_within(
        bytes: Vec<u8>,
        cache: Option<Cache>,
        limits: &Limits,
        policy: &Policy,
    ) -> Result<Self, LoadError> {
        Self::load_shared(Arc::new(bytes), cache, limits, policy)
    }

    fn load_shared(
        bytes: Arc<Vec<u8>>,
        cache: Option<Cache>,
        limits: &Limits,
        policy: &Policy,
    ) -> Result<Self, LoadError> {
        let anatomy = Anatomy::of(&bytes, &limits.component)?;
        let manifest = Manifest::of(&anatomy, policy);
        manifest.check()?;
        let mode = MemoryMode::of(anatomy.data);
        let engine = engine::engine(mode, limits, policy)?;
        let cache = cache.map(|cache| cache.for_untrusted(policy.untrusted));
        let digest = Sha256::digest(&*bytes).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let found = cache.as_ref().and_then(|cache| cache.load(&engine, &digest));
        let (compiled, not_kept) = match found {
            Some(compiled) => (compiled, None),
            None => compile(&engine, &bytes, &digest, cache.as_ref(), policy)?,
        };
        let linked = link(&engine, &compiled)?;
        engine::start_clock(&engine);
        let (limits, policy, data, name) = (limits.clone(), policy.clone(), anatomy.data, None);
        Ok(Self {
            engine,
            compiled,
            linked,
            mode,
            limits,
            policy,
            manifest,
            data,
            digest,
            bytes,
            name,
            cache,
            not_kept,
        })
    }

    /// Gives it the name by which messages call it, such as its file's.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What the component is, wants and offers.
    #[must_use]
    pub fn inspect(&self) -> Inspection {
        Inspection::of(self)
    }

    /// How the memories of its instances come to be.
    #[must_use]
    pub fn memory_mode(&self) -> MemoryMode {
        self.mode
    }

    /// Why the compiled component could not be kept for the next time, if it could not.
    #[must_use]
    pub fn not_kept(&self) -> Option<&std::io::Error> {
        self.not_kept.as_ref()
    }

    /// Whether it is a journey or a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.linked.kind()
    }

    /// The journey's own options as JSON; empty if it has none, as no program has. `env` is what the journey may see, `log` takes what it
    /// logs meanwhile.
    pub async fn options(
        &self,
        env: BTreeMap<String, String>,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<String, JourneyError> {
        let Linked::Journey(pre) = &self.linked else { return Ok(String::new()) };
        let symbols = self.symbols();
        instance::options(pre, &self.engine, env, Box::new(log), &self.limits, OPTIONS_TIMEOUT, &symbols).await
    }

    /// Makes the journey of a plan. If the plan's limits or policy are others than it was loaded with, it is loaded again.
    pub fn journey(&self, plan: &Plan) -> Result<Sandbox, LoadError> {
        if !self.serves(plan) {
            let other = Self::load_shared(Arc::clone(&self.bytes), self.cache.clone(), &plan.limits, &plan.policy)?;
            return Ok(Sandbox::new(other.engine, other.linked, self.symbols(), plan));
        }
        Ok(Sandbox::new(self.engine.clone(), self.linked.clone(), self.symbols(), plan))
    }

    fn symbols(&self) -> Symbols {
        Symbols::of(&self.bytes, self.name.clone())
    }

    /// Whether what was looked at and compiled is what the plan asks for.
    fn serves(&self, plan: &Plan) -> bool {
        let granted = |policy: &Policy| (policy.untrusted, policy.imports.clone(), policy.proposals.clone());
        engine::serves(&self.limits, &plan.limits)
            && self.limits.component == plan.limits.component
            && granted(&self.policy) == granted(&plan.policy)
    }
}

/// Compiles a component, and keeps it in the cache or says why not.
fn compile(
    engine: &Engine,
    bytes: &[u8],
    digest: &str,
    cache: Option<&Cache>,
    policy: &Policy,
) -> Result<(wasmtime::component::Component, Option<std::io::Error>), LoadError> {
    let component = wasmtime::component::Component::from_binary(engine, bytes).map_err(|error| {
        let (message, proposals) = (format!("{error:#}"), proposals::missing(bytes, policy));
        if proposals.is_empty() { LoadError::Compile { message } } else { LoadError::Proposal { proposals, message } }
    })?;
    let not_kept = cache.and_then(|cache| cache.store(engine, digest, &component).err());
    Ok((component, not_kept))
}

fn link(engine: &Engine, component: &wasmtime::component::Component) -> Result<Linked, LoadError> {
    let kind = linked::kind(engine, component)?;
    let unfit = |error: wasmtime::Error| LoadError::Unfit { kind, message: format!("{error:#}") };
    let mut linker: Linker<State> = Linker::new(engine);
    capability::link(&mut linker, |state| &mut state.host).map_err(unfit)?;
    let pre = linker.instantiate_pre(component).map_err(unfit)?;
    Linked::new(kind, pre).map_err(unfit)
}
