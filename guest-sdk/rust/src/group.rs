//! Groups: named spans of an iteration.

use crate::bindings::squall::journey::group as host;

/// Runs `body` in the group `name`: it is timed as `group_duration`, and its samples carry the tag `group`.
///
/// Returns what `body` returns; an early `?` in it closes the group too. Groups nest.
pub fn group<T>(name: &str, body: impl FnOnce() -> T) -> T {
    host::begin(name);
    let value = body();
    host::end();
    value
}
