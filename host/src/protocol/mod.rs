//! Talking to the network. Knows no guest.
//!
//! A protocol is a module. What all of them are built on is beside them: the [`door`], the dialler behind it, TLS, and
//! [`Connector`], which brings them together.

mod alarm;
mod apart;
mod connector;
mod dial;
pub mod door;
mod error;
pub mod grpc;
pub mod http;
mod places;
mod reach;
pub mod socket;
mod stream;
mod tls;
pub mod websocket;

pub use apart::{Apart, apart};
pub use connector::{Connector, Network, Opening};
pub use error::Error;
pub use places::RunPlaces;
pub use reach::{Reach, Way};
pub use tls::IdentityError;
