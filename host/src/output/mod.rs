//! An output is a listener: one method, one event type.

/// A destination for events.
pub trait Output: Send {
    /// What the user calls it.
    fn name(&self) -> String;
}
