//! Talking to the network. Knows no guest.

pub mod http;
