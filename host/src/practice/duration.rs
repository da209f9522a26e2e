//! Durations as people write them: `20ms`, `1m30s`, `0.5s`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a duration: write numbers with a unit (us, ms, s, m, h), as in `20ms` or `1m30s`")]
pub struct DurationError {
    /// What was written.
    pub given: String,
}

/// Reads a duration. Every number needs a unit, so that nobody has to guess what `20` means.
pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError { given: text.to_owned() };
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let number: f64 = number.parse().map_err(|_| error())?;
        let seconds = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(error()),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| error())?;
        total = total.checked_add(part).ok_or_else(error)?;
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_add_up() {
        assert_eq!(parse("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
    }

    #[test]
    fn anything_else_is_refused_with_what_was_written() {
        for text in ["", "20", "ms", "1x", "-1s", "1..2s", "99999999999999999999h"] {
            assert_eq!(parse(text), Err(DurationError { given: text.to_owned() }));
        }
    }
}
