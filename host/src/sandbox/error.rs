//! Why a component could not be loaded, in words that follow its name.

use super::manifest::Manifest;
use super::proposals::is_built;
use crate::plan::{Kind, Proposal};

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
    /// The bytes are compiled already, by whomever.
    #[error("is compiled machine code, which squall takes from nobody")]
    MachineCode,
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
    /// The component has too much of something.
    #[error("has {what}, but may have at most {limit}{}", option.map_or_else(String::new, |option| format!(" (`{option}`)")))]
    TooMuch {
        /// How much of what.
        what: String,
        /// How much there may be.
        limit: u64,
        /// The option that says so, if one does.
        option: Option<&'static str>,
    },
    /// The component wants something that the policy does not grant.
    #[error("imports {}, which {} not granted", named(imports), if imports.len() == 1 { "is" } else { "are" })]
    Refused {
        /// The imports.
        imports: Vec<String>,
        /// All that the component can do.
        manifest: Manifest,
    },
    /// The component uses a proposal of WebAssembly that the policy does not grant.
    #[error("uses the WebAssembly proposal {}, which is not granted: {message}", named(&names(proposals)))]
    Proposal {
        /// The proposals.
        proposals: Vec<Proposal>,
        /// The parser's words.
        message: String,
    },
    /// A proposal is granted that this squall cannot do.
    #[error("may use the WebAssembly proposal `{}`, but this squall was built without it", proposal.name())]
    NotBuilt {
        /// The proposal.
        proposal: Proposal,
    },
    /// The component wants something that squall does not have.
    #[error("imports `{import}`, which squall does not provide")]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// The component wants another version of WASI.
    #[error("imports `{import}`, and squall provides WASI 0.2")]
    OtherImport {
        /// The import.
        import: String,
    },
    /// The component does not export what a journey exports.
    #[error("is a component of another world: it does not export `{}`", missing.join("`, `"))]
    OtherWorld {
        /// The exports that are missing.
        missing: Vec<&'static str>,
    },
    /// The component exports nothing of what squall runs.
    #[error("exports neither what a journey does nor `wasi:cli/run`, as a program does")]
    NoWorld,
    /// The component is a program for another WASI.
    #[error("is a program that exports `{export}`, and squall runs those of WASI 0.2")]
    OtherVersion {
        /// The export.
        export: String,
    },
    /// The component answers requests and makes none by itself.
    #[error("exports `{export}`: it is a service, and nothing that makes load")]
    Service {
        /// The export.
        export: String,
    },
    /// The component does not fit for another reason.
    #[error("does not fit the world `{}`: {message}", if *kind == Kind::Journey { "squall:journey" } else { "wasi:cli/command" })]
    Unfit {
        /// What it is, by its exports.
        kind: Kind,
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
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CoreModule => {
                "build it with `--target wasm32-wasip2`; `wasm-tools component new` makes a component of a command that was \
                 built for WASI's preview 1"
            }
            Self::NotWasm { .. } => "give the path of a component, as `cargo build --target wasm32-wasip2` makes it",
            Self::MachineCode => {
                "give the component that it was compiled from; squall keeps what it compiles by itself"
            }
            Self::Damaged { .. } => "build or download it again",
            Self::UnknownImport { .. } => "build it against the WIT of this squall, `squall:journey@0.1.1`",
            Self::OtherWorld { .. } | Self::Unfit { kind: Kind::Journey, .. } => {
                "a journey implements the world `squall:journey/journey@0.1.1`; `squall new` makes one"
            }
            Self::NoWorld => {
                "squall runs journeys, which implement the world `squall:journey/journey@0.1.1` (`squall new` makes one), \
                 and programs, which implement `wasi:cli/command@0.2` (`cargo build --target wasm32-wasip2` makes one of a \
                 `fn main()`)"
            }
            Self::OtherImport { .. } => {
                "build it for WASI 0.2, as `--target wasm32-wasip2` does; what wasmtime has of WASI 0.3 is not finished"
            }
            Self::OtherVersion { .. } | Self::Unfit { kind: Kind::Program, .. } => {
                "a program implements the world `wasi:cli/command@0.2`; build it with `--target wasm32-wasip2`"
            }
            Self::Service { .. } => {
                "`squall target --component FILE` serves it; run a journey or a program against that"
            }
            Self::TooMuch { option: Some(option), .. } => {
                return Some(format!("make it smaller, or raise `{option}` if you know why it is like this"));
            }
            Self::Refused { imports, .. } => {
                let import = imports.first().map_or("*", |import| import.split('@').next().unwrap_or(import));
                return Some(format!("grant it with `--allow-import {import}` if you know what it is for"));
            }
            Self::Proposal { proposals, .. } if !proposals.iter().all(|one| is_built(*one)) => {
                "build it without: this squall was built without what it takes"
            }
            Self::Proposal { proposals, .. } => {
                let flags: Vec<_> = proposals.iter().map(|one| format!("--allow-proposal {}", one.name())).collect();
                return Some(format!("build it without, or grant it with `{}`", flags.join(" ")));
            }
            Self::NotBuilt { proposal } => {
                let feature = if *proposal == Proposal::Threads { "threads" } else { "gc" };
                return Some(format!("take it out of `policy.proposals`, or build squall with `--features {feature}`"));
            }
            Self::Compile { .. } | Self::Engine { .. } | Self::TooMuch { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether a policy says no, and nothing is wrong with the component otherwise.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Proposal { .. })
    }
}

fn names(proposals: &[Proposal]) -> Vec<String> {
    proposals.iter().map(|proposal| proposal.name().to_owned()).collect()
}

fn named(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
    names.join(", ")
}
