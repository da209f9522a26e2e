//! An HTTP/1.1 client for one virtual user: connect, TLS, reuse, send; returns a response and its timings.
//!
//! The exchange is written over `httparse` on the VU's own stream (ADR 0002). Bytes are read into one scratch buffer per
//! thread and written from another, so an idle connection owns no buffer. Nothing here follows redirects or records
//! samples: `capability::http` does both.

mod client;
mod connect;
mod decode;
#[cfg(test)]
mod differential;
mod error;
mod request;
mod target;
mod tls;

pub use client::{Client, Exchange, Response, Shared, Timings};
pub use error::Error;
pub use request::{Header, Request};
pub use target::Target;

use std::time::Duration;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `user-agent` header where the request has none; empty sends none.
    pub user_agent: String,
    /// The largest body that is kept, in bytes.
    pub max_body: u64,
    /// Whether bodies are read and thrown away.
    pub discard_bodies: bool,
    /// Whether any certificate is accepted.
    pub insecure_skip_tls_verify: bool,
    /// Whether each request opens a connection.
    pub no_connection_reuse: bool,
    /// How long a resolved name is kept.
    pub dns_ttl: Duration,
}
