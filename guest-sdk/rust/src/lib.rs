//! Write squall journeys in Rust.
//!
//! A journey is a function that does what one user does, and one macro that makes it one:
//!
//! ```
//! use squall_sdk::{Error, check, http};
//!
//! fn visit() -> Result<(), Error> {
//!     let page = http::get("http://127.0.0.1:8080/")?;
//!     check!("status is 200", page.status() == 200);
//!     Ok(())
//! }
//!
//! squall_sdk::journey!(visit);
//! # fn main() {}
//! ```
//!
//! Built as a `cdylib` for `wasm32-wasip2`, that is a component which `squall run` can run. [`journey!`] also takes
//! options, setup, several scenarios, teardown and the summary.
//!
//! The crate hides the WIT contract: ids become [`Response`](http::Response)s and metrics, names are declared once
//! behind the author's back, and what a panic has to say reaches the host's log before the trap.

mod bindings;
mod check;
mod error;
mod group;
mod journey;
mod random;
mod runtime;
mod secret;
mod variables;

pub mod events;
pub mod grpc;
pub mod http;
pub mod log;
pub mod metric;
pub mod options;
pub mod socket;
pub mod test;
pub mod think;
pub mod tls;
pub mod vu;
pub mod websocket;

pub use check::{Check, check};
pub use error::Error;
pub use group::group;
pub use options::Options;
pub use random::{Sample, choose, random, random_bytes, random_range, weighted};
pub use secret::secret;
pub use variables::{env, env_all, env_or, env_seconds};
pub use vu::sleep;

/// What [`journey!`] expands to. Not for authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::Guest;
    #[cfg(target_family = "wasm")]
    pub use crate::bindings::export;
    pub use crate::journey::{options_json, setup_data, step, summary_texts, unknown_scenario};

    /// Where the exports' types live.
    pub mod bindings {
        #[cfg(target_family = "wasm")]
        pub use crate::bindings::*;
    }
}
