//! How text looks on standard error: `error:`, `warning:`, the place below, the hint below that.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use squall::output::plain;
use squall::redact::Redactor;

/// Further lines of a message stand further in than its place and its hint, so that none can pass for one.
const FURTHER: &str = "    ";

/// Whether messages are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to use ANSI colours.
    pub color: bool,
}

impl Style {
    /// Colours where standard error is a terminal and nobody said no (<https://no-color.org>).
    pub fn detect(no_color: bool) -> Self {
        let refused = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { color: !refused && io::stderr().is_terminal() }
    }

    /// Prints an error.
    pub fn error(self, message: &str, place: Option<&str>, hint: Option<&str>) {
        self.print("error", "31", message, place, hint);
    }

    /// Prints a warning.
    pub fn warning(self, message: &str, place: Option<&str>, hint: Option<&str>) {
        self.print("warning", "33", message, place, hint);
    }

    fn print(self, label: &str, color: &str, message: &str, place: Option<&str>, hint: Option<&str>) {
        // There is nobody to tell that standard error is closed.
        let _ = io::stderr().lock().write_all(self.render(label, color, message, place, hint).as_bytes());
    }

    fn render(self, label: &str, color: &str, message: &str, place: Option<&str>, hint: Option<&str>) -> String {
        let paint = |text: &str, code: &str| {
            if self.color { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        // All three may hold words of the journey.
        let mut text = format!("{}: {}\n", paint(label, color), plain::message(message, FURTHER));
        if let Some(place) = place {
            let _ = writeln!(text, "  at {}", plain::message(place, FURTHER));
        }
        if let Some(hint) = hint {
            let _ = writeln!(text, "  {}: {}", paint("hint", "36"), plain::message(hint, FURTHER));
        }
        text
    }
}

/// Takes the run's secrets out of what a panic says.
pub fn redact_panics(redactor: Option<Redactor>) {
    let Some(redactor) = redactor else { return };
    std::panic::set_hook(Box::new(move |panic| {
        let _ = writeln!(io::stderr().lock(), "{}", redactor.text(&panic.to_string()));
    }));
}

/// Writes to standard output. A reader that went away (`squall inspect … | head`) is no reason to fail.
pub fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_place_and_hint_below() {
        let text =
            Style { color: false }.render("error", "31", "`x` is wrong", Some("squall.toml:14"), Some("try `y`"));
        assert_eq!(text, "error: `x` is wrong\n  at squall.toml:14\n  hint: try `y`\n");
    }

    #[test]
    fn words_of_a_journey_cannot_pass_for_a_message_of_ours() {
        let text = Style { color: false }.render("error", "31", "a\x1b[2J\nerror: b\n  hint: c", None, None);
        assert_eq!(text, "error: a\\u{1b}[2J\n    error: b\n      hint: c\n");
    }
}
