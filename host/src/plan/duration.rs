//! Time spans as users write them: `1m30s`, `500ms`, `1.5h`.
//!
//! The grammar is Go's with k6's additions (`d` for days, and a number alone is milliseconds); what is printed is what
//! Go prints. All arithmetic is in whole nanoseconds, so what is printed reads back the same.

use std::time::Duration;

/// The longest span there is, about 292 years, as in Go. Sums of a few of them still fit.
pub const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
/// Units and their nanoseconds. Both of Unicode's signs for micro are in use.
const UNITS: [(&str, u128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
    ("d", 24 * HOUR),
];
/// More decimal places than this are below a nanosecond in every unit.
const MOST_DECIMALS: usize = 18;

/// Why a text is not a time span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// The text does not follow the grammar.
    #[error("`{text}` is not a duration")]
    Syntax {
        /// The text.
        text: String,
    },
    /// Time does not run backwards.
    #[error("`{text}` is a negative duration")]
    Negative {
        /// The text.
        text: String,
    },
    /// The span is longer than [`LONGEST`].
    #[error("`{text}` is longer than 292 years")]
    TooLong {
        /// The text.
        text: String,
    },
}

/// Reads a time span. A number alone is milliseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let trimmed = text.trim();
    let syntax = || DurationError::Syntax { text: text.to_owned() };
    let too_long = || DurationError::TooLong { text: text.to_owned() };
    if let Some(positive) = trimmed.strip_prefix('-') {
        parse(positive)?;
        return Err(DurationError::Negative { text: text.to_owned() });
    }
    let mut rest = trimmed.strip_prefix('+').unwrap_or(trimmed);
    if rest.is_empty() {
        return Err(syntax());
    }
    let mut total: u128 = 0;
    let mut first = true;
    while !rest.is_empty() {
        let number_end = end_of(rest, |c| c.is_ascii_digit() || c == '.');
        let (number, after) = rest.split_at(number_end);
        let unit_end = end_of(after, |c| !c.is_ascii_digit() && c != '.');
        let (unit, after) = after.split_at(unit_end);
        let unit = if unit.is_empty() && first && after.is_empty() { "ms" } else { unit };
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, nanos) = known.ok_or_else(syntax)?;
        let span = times(number, *nanos).ok_or_else(syntax)?;
        total = total.saturating_add(span);
        rest = after;
        first = false;
    }
    let nanos = u64::try_from(total).map_err(|_| too_long())?;
    let span = Duration::from_nanos(nanos);
    if span > LONGEST {
        return Err(too_long());
    }
    Ok(span)
}

/// Prints a time span as Go does: `0s`, `1.5ms`, `1m0s`.
#[must_use]
pub fn format(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", decimal(nanos, 1_000)),
        1_000_000..SECOND => format!("{}ms", decimal(nanos, 1_000_000)),
        SECOND..MINUTE => format!("{}s", decimal(nanos, SECOND)),
        MINUTE..HOUR => format!("{}m{}s", nanos / MINUTE, decimal(nanos % MINUTE, SECOND)),
        _ => format!("{}h{}m{}s", nanos / HOUR, nanos % HOUR / MINUTE, decimal(nanos % MINUTE, SECOND)),
    }
}

fn end_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Multiplies a decimal number with a unit. `None` is no number; one that is too great becomes the greatest there is.
fn times(number: &str, unit: u128) -> Option<u128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && decimals.is_empty() || decimals.contains('.') {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(MOST_DECIMALS)];
    let scale = 10_u128.pow(decimals.len() as u32);
    let part = match decimals {
        "" => 0,
        digits => digits.parse::<u128>().ok()? * unit / scale,
    };
    let whole = match whole {
        "" => 0,
        // Only digits are left, so what does not parse does not fit.
        digits => digits.parse().unwrap_or(u128::MAX),
    };
    Some(whole.saturating_mul(unit).saturating_add(part))
}

fn decimal(nanos: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_in_go_and_k6() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10 * SECOND),
            ("1m30s", 90 * SECOND),
            ("1h1ms", HOUR + 1_000_000),
            ("1.5h", 90 * MINUTE),
            (".5s", SECOND / 2),
            ("5.s", 5 * SECOND),
            ("1d12h", 36 * HOUR),
            ("3us", 3_000),
            ("3\u{b5}s", 3_000),
            ("3\u{3bc}s", 3_000),
            ("1ms2us3ns", 1_002_003),
            ("500", 500_000_000),
            ("1.5", 1_500_000),
            ("+2s", 2 * SECOND),
            (" 2s ", 2 * SECOND),
            ("0.0000000000000000000000001h", 0),
        ] {
            assert_eq!(parse(text).unwrap().as_nanos(), nanos, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for text in ["", "s", "1x", "1m30", "1.2.3s", ".", ".s", "1 s", "1e3", "soon"] {
            let text = text.to_owned();
            assert_eq!(parse(&text), Err(DurationError::Syntax { text }));
        }
        let text = "-1s".to_owned();
        assert_eq!(parse(&text), Err(DurationError::Negative { text }));
        let huge = "9".repeat(60);
        for text in ["300000d".to_owned(), format!("{huge}h"), huge] {
            assert_eq!(parse(&text), Err(DurationError::TooLong { text }));
        }
    }

    #[test]
    fn durations_print_as_in_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (60_000_000_000, "1m0s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos in 0..=LONGEST.as_nanos() as u64, digits in 0_u32..18) {
            let span = Duration::from_nanos(nanos / 10_u64.pow(digits));
            prop_assert_eq!(parse(&format(span)), Ok(span));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+0-9.nuµmshd ]{0,40}") {
            let _ = parse(&text);
        }
    }
}
