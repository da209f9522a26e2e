//! Time spans as users write them.
