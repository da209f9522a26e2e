//! gRPC: what may be said to a server, and how it is written.
//!
//! [`schema`] turns names of methods and JSON into bytes and back.

pub mod schema;
