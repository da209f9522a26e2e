//! Owns the life of a run.
