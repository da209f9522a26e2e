//! An output is a listener: one method, one event type.
