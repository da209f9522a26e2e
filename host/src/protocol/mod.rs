//! Talking to the network. Knows no guest.

pub mod door;
pub mod http;
