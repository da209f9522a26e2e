//! Which content types are a format's.

use crate::wit::events::Format;

/// How much of a content type is shown.
const SHOWN: usize = 100;

/// Whether an answer of this type holds the format. Parameters and case do not matter.
pub(in super::super) fn fits(format: Format, given: &str) -> bool {
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fitting: &[&str] = match format {
        Format::ServerSentEvents => &["text/event-stream"],
        Format::JsonLines => &[
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonl",
            "application/jsonlines",
            "application/x-jsonlines",
            "application/json-lines",
            "application/stream+json",
            "application/json",
        ],
    };
    fitting.contains(&&*essence)
}

/// A content type in a message.
pub(in super::super) fn shown(given: &str) -> String {
    if given.is_empty() {
        return "the answer has none".to_owned();
    }
    let mut shown: String = given.chars().take(SHOWN).collect();
    if shown.len() < given.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert!(fits(Format::ServerSentEvents, "Text/Event-Stream ; charset=utf-8"));
        assert!(fits(Format::JsonLines, "application/x-ndjson"));
        for other in ["", "text/html", "text/event-streams", "application/json"] {
            assert!(!fits(Format::ServerSentEvents, other), "{other}");
        }
    }

    #[test]
    fn a_message_names_what_came() {
        assert_eq!(shown("text/html"), "text/html");
        assert_eq!(shown(""), "the answer has none");
        assert_eq!(shown(&"ä".repeat(500)).chars().count(), SHOWN + 1);
    }
}
