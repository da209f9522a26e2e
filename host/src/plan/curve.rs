//! When each iteration is due.
