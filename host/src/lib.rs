//! squall: a load engine scripted in WebAssembly.
//!
//! A journey (a user's script) is a component of the world `squall:journey/journey`. [`config`] turns what the user
//! typed into a [`plan::Plan`], [`sandbox`] turns the component into a [`vu::Journey`], and [`run::start`] runs one
//! with the other and feeds [`output`]s. `host/examples/embed.rs` shows the whole of it without the command line.

pub mod aggregate;
pub mod artifact;
pub mod capability;
pub mod collector;
pub mod config;
#[cfg(test)]
mod fuzz;
pub mod isolate;
pub mod metrics;
pub mod output;
pub mod plan;
pub mod platform;
pub mod practice;
pub mod protocol;
pub mod redact;
pub mod run;
pub mod sandbox;
pub mod scheduler;
pub mod service;
pub mod verdict;
pub mod vu;
mod wit;
