//! wasmtime: compile a component once, give each VU an instance of its own, hold it to its limits.
//!
//! [`Component::load`] takes bytes and says what is wrong with them; [`Component::journey`] makes a [`Sandbox`], which
//! implements [`crate::vu::Journey`]. Hides the engine's settings, the memory slabs, the compile cache and the clock
//! that interrupts guests.

mod budget;
mod cache;
mod engine;
mod inspect;
mod instance;
#[cfg(target_os = "linux")]
mod slab;
mod state;
mod trap;
mod watch;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Linker;

pub use cache::Cache;
pub use engine::MemoryMode;
pub use inspect::Inspection;
pub use instance::Sandbox;

use crate::capability;
use crate::plan::{Limits, Plan};
use crate::vu::JourneyError;
use crate::wit;
use state::State;
use trap::Symbols;

/// How long a journey may take to give its options.
const OPTIONS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a component could not be loaded. The message says it of the component: its name goes before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are no WebAssembly at all.
    #[error("is not WebAssembly: it starts with {start}")]
    NotWasm {
        /// The first bytes.
        start: String,
    },
    /// The bytes are a core module.
    #[error("is a core module, not a component")]
    CoreModule,
    /// The bytes end too soon, or are damaged.
    #[error("is truncated or damaged at byte {offset} of {length}: {message}")]
    Damaged {
        /// Where.
        offset: usize,
        /// Of how many.
        length: usize,
        /// The parser's words.
        message: String,
    },
    /// The component wants something that squall does not have.
    #[error("imports `{import}`, which squall does not provide")]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// The component does not export what a journey exports.
    #[error("is a component of another world: it does not export `{}`", missing.join("`, `"))]
    OtherWorld {
        /// The exports that are missing.
        missing: Vec<&'static str>,
    },
    /// The component does not fit for another reason.
    #[error("does not fit the world `squall:journey`: {message}")]
    Unfit {
        /// wasmtime's words.
        message: String,
    },
    /// The component could not be compiled.
    #[error("could not be compiled: {message}")]
    Compile {
        /// wasmtime's words.
        message: String,
    },
    /// wasmtime could not be set up.
    #[error("could not be given an engine: {message}")]
    Engine {
        /// wasmtime's words.
        message: String,
    },
}

impl LoadError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::CoreModule => Some("build it with `--target wasm32-wasip2`"),
            Self::NotWasm { .. } => {
                Some("give the path of a component, as `cargo build --target wasm32-wasip2` makes it")
            }
            Self::Damaged { .. } => Some("build or download it again"),
            Self::UnknownImport { .. } => Some("build it against the WIT of this squall, `squall:journey@0.1.1`"),
            Self::OtherWorld { .. } | Self::Unfit { .. } => {
                Some("a journey implements the world `squall:journey/journey@0.1.1`; `squall new` makes one")
            }
            Self::Compile { .. } | Self::Engine { .. } => None,
        }
    }
}

/// A component that fits the world, compiled.
pub struct Component {
    engine: Engine,
    compiled: wasmtime::component::Component,
    pre: wit::JourneyPre<State>,
    mode: MemoryMode,
    /// What the engine was made for.
    made_for: Limits,
    /// What `options` may use.
    limits: Limits,
    digest: String,
    bytes: Arc<Vec<u8>>,
    /// What it is called where it breaks.
    name: Option<String>,
    cache: Option<Cache>,
    not_kept: Option<std::io::Error>,
}

impl Component {
    /// Checks and compiles a component, or finds it compiled in the cache.
    pub fn load(bytes: Vec<u8>, cache: Option<Cache>) -> Result<Self, LoadError> {
        Self::with_limits(Arc::new(bytes), cache, Limits::default())
    }

    fn with_limits(bytes: Arc<Vec<u8>>, cache: Option<Cache>, limits: Limits) -> Result<Self, LoadError> {
        inspect::check_kind(&bytes)?;
        let mode = MemoryMode::of(inspect::data_size(&bytes));
        let engine = engine::engine(mode, &limits).map_err(|error| LoadError::Engine { message: error.to_string() })?;
        let digest = Sha256::digest(&*bytes).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let found = cache.as_ref().and_then(|cache| cache.load(&engine, &digest));
        let (compiled, not_kept) = match found {
            Some(compiled) => (compiled, None),
            None => compile(&engine, &bytes, &digest, cache.as_ref())?,
        };
        let pre = link(&engine, &compiled)?;
        engine::start_clock(&engine);
        let made_for = limits.clone();
        Ok(Self { engine, compiled, pre, mode, made_for, limits, digest, bytes, name: None, cache, not_kept })
    }

    /// Gives it the name by which messages call it, such as its file's.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Holds [`Self::options`] to these limits; a journey is held to those of its plan.
    pub fn within(mut self, limits: Limits) -> Result<Self, LoadError> {
        if !engine::serves(&self.made_for, &limits) {
            let name = self.name;
            return Self::with_limits(self.bytes, self.cache, limits).map(|component| Self { name, ..component });
        }
        self.limits = limits;
        Ok(self)
    }

    /// What the component is, wants and offers.
    #[must_use]
    pub fn inspect(&self) -> Inspection {
        Inspection::of(&self.engine, &self.compiled, &self.bytes, &self.digest, self.mode)
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

    /// The journey's own options as JSON; empty if it has none. `env` is what the journey may see, `log` takes what it
    /// logs meanwhile.
    pub async fn options(
        &self,
        env: BTreeMap<String, String>,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<String, JourneyError> {
        let symbols = self.symbols();
        instance::options(&self.pre, &self.engine, env, Box::new(log), &self.limits, OPTIONS_TIMEOUT, &symbols).await
    }

    /// Makes the journey of a plan.
    pub fn journey(&self, plan: &Plan) -> Result<Sandbox, LoadError> {
        if !engine::serves(&self.made_for, &plan.limits) {
            let other = Self::with_limits(Arc::clone(&self.bytes), self.cache.clone(), plan.limits.clone())?;
            return Ok(Sandbox::new(other.engine, other.pre, self.symbols(), plan));
        }
        Ok(Sandbox::new(self.engine.clone(), self.pre.clone(), self.symbols(), plan))
    }

    fn symbols(&self) -> Symbols {
        Symbols::of(&self.bytes, self.name.clone())
    }
}

/// Compiles a component, and keeps it in the cache or says why not.
fn compile(
    engine: &Engine,
    bytes: &[u8],
    digest: &str,
    cache: Option<&Cache>,
) -> Result<(wasmtime::component::Component, Option<std::io::Error>), LoadError> {
    let component = wasmtime::component::Component::from_binary(engine, bytes)
        .map_err(|error| LoadError::Compile { message: format!("{error:#}") })?;
    let not_kept = cache.and_then(|cache| cache.store(engine, digest, &component).err());
    Ok((component, not_kept))
}

fn link(engine: &Engine, component: &wasmtime::component::Component) -> Result<wit::JourneyPre<State>, LoadError> {
    let unfit = |error: wasmtime::Error| LoadError::Unfit { message: format!("{error:#}") };
    inspect::check_world(engine, component)?;
    let mut linker: Linker<State> = Linker::new(engine);
    capability::link(&mut linker, |state| &mut state.host).map_err(unfit)?;
    let pre = linker.instantiate_pre(component).map_err(unfit)?;
    wit::JourneyPre::new(pre).map_err(unfit)
}
