//! Does nothing: what is left is the cost of an iteration itself.

fn nothing() {}

squall_sdk::journey!(nothing);
