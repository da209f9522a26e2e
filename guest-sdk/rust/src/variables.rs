//! The variables that the run was given. The process environment is never visible to a journey.

use crate::bindings::squall::journey::env as host;

/// The variable `name`, if it was granted by `--env`, the configuration or the scenario.
///
/// Each call asks the host. Keep what does not change in a `LazyLock`.
#[must_use]
pub fn env(name: &str) -> Option<String> {
    host::get(name)
}

/// The variable `name`, or `default` where it was not granted.
#[must_use]
pub fn env_or(name: &str, default: &str) -> String {
    host::get(name).unwrap_or_else(|| default.to_owned())
}

/// All granted variables.
#[must_use]
pub fn env_all() -> Vec<(String, String)> {
    host::all()
}
