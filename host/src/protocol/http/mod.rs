//! An HTTP client for one virtual user: connect, TLS, reuse, send; returns a response and its timings.
//!
//! The HTTP/1.1 exchange is written over `httparse` on the VU's own stream (ADR 0002). Bytes are read into one scratch
//! buffer per thread and written from another, so an idle connection owns no buffer. HTTP/2 is the `h2` crate's (ADR
//! 0008), HTTP/3 the `h3` crate's on `quinn`. How requests are made is the plan's to say. Nothing here follows redirects or records samples:
//! `capability::http` does both.

mod alternatives;
mod auth;
mod client;
mod coding;
mod exchange;
mod h1;
mod h2;
mod h3;
mod head;
mod jar;
mod multipart;
mod multiplexed;
mod pool;
mod quic;
mod request;
mod response;
mod shared;
mod streaming;
mod taken;
mod target;
mod upload;

pub use auth::{Credentials, basic, digest};
pub use client::{Client, Owner};
pub use coding::{Coding, encode};
pub use exchange::{Exchange, Patience, Peer, Progress, Protocol, Timings};
pub use jar::{Cookie, CookieRefused, Jar};
pub use multipart::{Part, boundary, multipart};
pub use request::{Body, Header, Request};
pub use response::Response;
pub use shared::Shared;
pub use streaming::Streaming;
pub use target::{Target, without_userinfo};
pub use upload::Upload;

// What other protocols over HTTP/2 are built on.
pub(super) use coding::decode;
pub(super) use h2::{Connection, Slot, cause};
pub(super) use multiplexed::Failure;
pub(super) use pool::{Lane, Pool, Turn};
