//! The run as a whole.

use crate::bindings::squall::journey::test as host;

/// Stops the run: no new iterations, running ones end, teardown runs. This iteration goes on until it returns.
pub fn abort(reason: &str) {
    host::abort(reason);
}

/// Marks the run as failed and goes on.
pub fn fail(reason: &str) {
    host::fail(reason);
}
