//! Numbers as k6 prints them, and colour.

use crate::verdict::TimeUnit;

/// Whether text is coloured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) color: bool,
}

/// What a text is, which decides its colour.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paint {
    Good,
    Bad,
    Bold,
    Value,
    Faint,
}

impl Style {
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Good => 32,
            Paint::Bad => 31,
            Paint::Bold => 1,
            Paint::Value => 36,
            Paint::Faint => 2,
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A share of 1 in per cent, cut off after two decimals: 99.999 % is not yet 100.
pub(super) fn percent(share: f64) -> String {
    // A share that is just below a hundredth of a per cent because floats are would lose it.
    format!("{:.2}%", (share * 10_000.0 + 1e-9).trunc() / 100.0)
}

/// Bytes in powers of 1000, with one decimal below 10.
pub(super) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    if bytes < 10.0 {
        return format!("{} B", number(bytes));
    }
    let power = ((bytes.log10() / 3.0 + 1e-12).floor() as u8).min(8);
    let value = (bytes / 1000_f64.powi(i32::from(power)) * 10.0 + 0.5).floor() / 10.0;
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$} {}", UNITS[usize::from(power)])
}

/// Milliseconds in a fixed unit, or in the one that suits.
pub(super) fn time(milliseconds: f64, unit: TimeUnit) -> String {
    match unit {
        TimeUnit::Auto => duration(milliseconds),
        TimeUnit::Seconds => format!("{:.2}s", milliseconds / 1000.0),
        TimeUnit::Milliseconds => format!("{milliseconds:.2}ms"),
        TimeUnit::Microseconds => format!("{:.2}µs", milliseconds * 1000.0),
    }
}

fn duration(milliseconds: f64) -> String {
    if milliseconds < 0.0 {
        return format!("-{}", duration(-milliseconds));
    }
    if milliseconds == 0.0 {
        return "0s".to_owned();
    }
    if milliseconds < 0.001 {
        return format!("{}ns", (milliseconds * 1e6).trunc());
    }
    if milliseconds < 1.0 {
        return format!("{}µs", cut(milliseconds * 1000.0, 2));
    }
    if milliseconds < 1000.0 {
        return format!("{}ms", cut(milliseconds, 2));
    }
    let seconds = cut(milliseconds % 60_000.0 / 1000.0, if milliseconds > 60_000.0 { 0 } else { 2 });
    let minutes = (milliseconds / 60_000.0).trunc() as u64;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Up to six decimals, without trailing zeros.
pub(super) fn number(value: f64) -> String {
    without_zeros(format!("{value:.6}"))
}

/// Cuts off after so many decimals, without trailing zeros.
fn cut(value: f64, decimals: u8) -> String {
    let factor = 10_f64.powi(i32::from(decimals));
    let places = usize::from(decimals);
    // 2.8005 s is 2.8004999… as a float; what is that close to a step counts as having reached it.
    without_zeros(format!("{:.places$}", (value * factor + 1e-9).trunc() / factor))
}

fn without_zeros(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_off_not_rounded() {
        for (milliseconds, expected) in [
            (0.0, "0s"),
            (0.000_5, "500ns"),
            (0.123_456, "123.45µs"),
            (12.349_9, "12.34ms"),
            (10.0, "10ms"),
            (999.999, "999.99ms"),
            (4500.7, "4.5s"),
            (65_000.0, "1m5s"),
            (3_725_900.0, "1h2m5s"),
        ] {
            assert_eq!(time(milliseconds, TimeUnit::Auto), expected);
        }
        assert_eq!(time(1234.5, TimeUnit::Seconds), "1.23s");
        assert_eq!(time(0.5, TimeUnit::Microseconds), "500.00µs");
    }

    #[test]
    fn rates_are_cut_off_and_bytes_rounded() {
        assert_eq!((percent(0.999_999), percent(0.995), percent(1.0)), ("99.99%".into(), "99.50%".into(), "100.00%".into()));
        for (given, expected) in
            [(0.0, "0 B"), (9.0, "9 B"), (10.0, "10 B"), (1000.0, "1.0 kB"), (20_816.0, "21 kB"), (1_249_000.0, "1.2 MB")]
        {
            assert_eq!(bytes(given), expected);
        }
        assert_eq!((number(16.666_666_67), number(0.05), number(1000.0)), ("16.666667".into(), "0.05".into(), "1000".into()));
    }
}
