//! The variables that the run was given. The process environment is never visible to a journey.

use std::time::Duration;

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

/// The variable `name` as a time in seconds (`1.5`), or none where it was not granted or is no such number.
#[must_use]
pub fn env_seconds(name: &str) -> Option<Duration> {
    seconds(&host::get(name)?)
}

/// Reads `12` or `0.25`. The standard library's way to a float brings 10 KiB of tables into every instance.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let number = |digits: &str| {
        if digits.is_empty() { Some(0) } else { digits.parse::<u32>().ok() }
    };
    let digits = fraction.get(..fraction.len().min(9))?;
    if whole.is_empty() && digits.is_empty() {
        return None;
    }
    let nanoseconds = number(digits)? * 10_u32.pow(9 - digits.len() as u32);
    Some(Duration::new(number(whole)?.into(), nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_with_and_without_a_fraction() {
        assert_eq!(seconds("2"), Some(Duration::from_secs(2)));
        assert_eq!(seconds(" 0.25 "), Some(Duration::from_millis(250)));
        assert_eq!(seconds(".5"), Some(Duration::from_millis(500)));
        assert_eq!(seconds("0.999999999"), Some(Duration::from_nanos(999_999_999)));
        assert_eq!(seconds("1.00000000012"), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", ".", "-1", "1s", "0.x", "1.-5", "1e3"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
