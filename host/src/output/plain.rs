//! Text of a journey, or about one, as a terminal may show it: it cannot move the cursor, colour what follows, turn text
//! around or forge a line.
//!
//! Everything that others wrote goes through here on its way to a screen: log lines, names of checks, groups and metrics,
//! reasons, failures. Colours are left out; what else is no plain text is shown as an escape, so that an attempt is seen.
//! Outputs that are read by programs are not changed, but for [`Escaped`], which says the same in JSON with other letters.

use std::borrow::Cow;
use std::io;

use serde_json::ser::Formatter;

/// A name or another text in one line: line breaks are shown as `\n`.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    filtered(text, "\\n")
}

/// A message of one or more lines. Further lines begin with these spaces, so none can pass for a message of its own.
#[must_use]
pub fn message<'a>(text: &'a str, indent: &str) -> Cow<'a, str> {
    filtered(text, &format!("\n{indent}"))
}

/// A whole page, whose lines are its own.
#[must_use]
pub fn page(text: &str) -> Cow<'_, str> {
    filtered(text, "\n")
}

fn filtered<'a>(text: &'a str, line_break: &str) -> Cow<'a, str> {
    let is_plain = |char: char| !is_special(char) && (char != '\n' || line_break == "\n");
    let Some(first) = text.find(|char| !is_plain(char)) else { return Cow::Borrowed(text) };
    let (start, mut rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(start);
    while let Some(char) = rest.chars().next() {
        if let Some(after) = after_colour(rest) {
            rest = after;
            continue;
        }
        rest = &rest[char.len_utf8()..];
        match char {
            '\n' => out.push_str(line_break),
            '\r' if rest.starts_with('\n') => {}
            char if !is_special(char) => out.push(char),
            char if char.is_ascii() => out.extend(char.escape_default()),
            char => out.extend(char.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Control characters, line separators, and what turns text around, which makes it read as something else.
fn is_special(char: char) -> bool {
    match char {
        '\t' | '\n' => false,
        '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        char => char.is_control(),
    }
}

/// What follows a sequence that only sets colours, if the text begins with one.
fn after_colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("\x1b[").or_else(|| text.strip_prefix('\u{9b}'))?;
    rest.trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, ';' | ':')).strip_prefix('m')
}

/// JSON in which the same characters are escaped, so that it can be looked at in a terminal as it is.
#[derive(Debug, Default)]
pub struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // The first bytes of all that JSON itself leaves as it is: DEL, C1, and from U+2000 on.
        if !fragment.bytes().any(|byte| matches!(byte, 0x7f | 0xc2 | 0xe2)) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_special) {
            let (plain, special) = rest.split_at(at);
            let code = special.chars().next().map_or(0, u32::from);
            write!(writer, "{plain}\\u{code:04x}")?;
            rest = special.get(special.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize as _;

    use super::*;

    #[test]
    fn nothing_but_plain_text_comes_through() {
        for (given, shown) in [
            ("plain ü 漢 🦀\tx", "plain ü 漢 🦀\tx"),
            ("a\x1b[2Jb\x07", "a\\u{1b}[2Jb\\u{7}"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}2J\u{85}\x7f\0", "\\u{9b}2J\\u{85}\\u{7f}\\u{0}"),
            ("a\u{202e}b\u{2066}c\u{2028}d", "a\\u{202e}b\\u{2066}c\\u{2028}d"),
            ("a\r\nb\rc", "a\\nb\\rc"),
            ("\x1b[1;31mred\x1b[0m and \u{9b}32mgreen", "red and green"),
            ("\x1b[31", "\\u{1b}[31"),
        ] {
            assert_eq!(line(given), shown, "{given:?}");
        }
        assert!(matches!(page("two\nlines\t"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_break_cannot_begin_a_message_of_its_own() {
        assert_eq!(message("failed\nerror: forged\r\nhint: x", "    "), "failed\n    error: forged\n    hint: x");
        assert_eq!(page("a\x1b[1mb\nc\x1b[H"), "ab\nc\\u{1b}[H");
    }

    #[test]
    fn escaped_json_says_the_same() {
        let text = "\u{9b}31m\x7f\u{202e}é\u{2028}€\x1b\n\"";
        let mut out = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Escaped)).unwrap();
        let json = String::from_utf8(out).unwrap();
        assert_eq!(json, "\"\\u009b31m\\u007f\\u202eé\\u2028€\\u001b\\n\\\"\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
