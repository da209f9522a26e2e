//! The real binary against a real server.
//!
//! Every test starts `squall` as a user would, aims it at the practice server or at a hostile peer, and asserts on what
//! the target saw first, on what squall reported second. The machine may be busy, so nothing here asserts on a time
//! from above but the deadline that ends a hanging run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]
#![allow(clippy::float_cmp, reason = "a share of all is exactly 1, and a share of none exactly 0")]

mod bad_input;
mod bodies;
mod config;
mod events;
mod executors;
mod extract;
mod floods;
mod grpc;
mod grpcio;
mod guests;
mod hostile;
mod hostile_guests;
mod http;
mod http2;
mod http3;
mod limits;
mod manifest;
mod net_policy;
mod network;
mod output;
mod phases;
mod programs;
mod run;
mod secrets;
mod service;
mod session;
mod signals;
mod sockets;
mod streams;
mod support;
mod thresholds;
mod tls;
#[cfg(target_os = "linux")]
mod wall;
mod wasi_http;
mod websocket;
