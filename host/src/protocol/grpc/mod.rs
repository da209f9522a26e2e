//! gRPC over HTTP/2: channels, calls in both directions, and how each of them ends. Knows no guest.
//!
//! A [`Channel`] is a way to a server; its connections are opened when they are needed and replaced when the server says
//! goodbye. A [`Call`] is one stream on it. Messages are bytes here: what is in them is [`schema`]'s to know.
//!
//! A call that was begun always ends with a [`Status`]: the server's own, or the one that gRPC's specification gives to
//! what happened instead, with the cause.

mod call;
mod channel;
mod frames;
mod head;
mod inbox;
mod metadata;
pub mod reflection;
mod running;
pub mod schema;
mod status;
#[cfg(test)]
mod tests;

pub use call::{Answer, Call, Event};
pub use channel::{Channel, Channels};
pub use head::Head;
pub use metadata::{Metadata, MetadataError};
pub use status::{Code, Status};
