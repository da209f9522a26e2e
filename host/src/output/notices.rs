//! Messages of the journey and about it, on standard error.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Event, Output, OutputError, Screen, plain};
use crate::vu::{Notice, NoticeLevel};

/// Longer messages of the host are cut to this many bytes.
const LONGEST: usize = 8 << 10;
/// Longer ones that the journey had a hand in, which was cut before: requests and answers shown by `httpDebug`.
const LONGEST_LOG: usize = 64 << 10;
/// Distinct failures that are shown as they happen.
const SHOWN: usize = 5;
/// Distinct failures whose repeats are counted apart; those of further ones are counted together.
const COUNTED: usize = 1000;

/// Repeats of a failure that are told of while the run goes on; then twice as many, and so on.
const TOLD_FIRST: u64 = 10;

/// Holds back failures of iterations that say nothing new: a target that is down fails every iteration alike.
#[derive(Debug, Default)]
pub struct Folder {
    failures: Vec<Failure>,
    more: u64,
}

/// A failure that was seen.
#[derive(Debug)]
struct Failure {
    notice: Notice,
    repeats: u64,
    /// Repeats that were told of.
    told: u64,
}

impl Folder {
    /// Returns whether a message is to be shown now; otherwise it is counted. Log lines of the journey are all shown.
    pub fn is_shown(&mut self, notice: &Notice) -> bool {
        if !notice.from_host || notice.level < NoticeLevel::Warn {
            return true;
        }
        let is_same = |known: &Notice| {
            (known.level, &known.scenario, &known.message) == (notice.level, &notice.scenario, &notice.message)
        };
        if let Some(known) = self.failures.iter_mut().find(|known| is_same(&known.notice)) {
            known.repeats += 1;
            return false;
        }
        if self.failures.len() >= COUNTED {
            self.more += 1;
            return false;
        }
        self.failures.push(Failure { notice: Notice { detail: None, ..notice.clone() }, repeats: 0, told: 0 });
        self.failures.len() <= SHOWN
    }

    /// Failures that were shown and have come again much more often since they were last told of, and how often. To be
    /// called once a second.
    pub fn meanwhile(&mut self) -> Vec<(Notice, u64)> {
        let shown = self.failures.iter_mut().take(SHOWN);
        let grown = shown.filter(|known| known.repeats >= TOLD_FIRST.max(2 * known.told));
        let tell = |known: &mut Failure| {
            known.told = known.repeats;
            (known.notice.clone(), known.repeats)
        };
        grown.map(tell).collect()
    }

    /// Takes out what was held back: a message, and how many more there were like it.
    pub fn drain(&mut self) -> Vec<(Notice, u64)> {
        let mut known = std::mem::take(&mut self.failures);
        let unseen = known.split_off(known.len().min(SHOWN));
        // What was told of to the last one is not told of again.
        known.retain(|known| known.repeats > known.told);
        let mut held_back: Vec<_> = known.into_iter().map(|known| (known.notice, known.repeats)).collect();
        // Those that were never shown are told of in one line.
        let unseen_total = unseen.iter().map(|known| known.repeats + 1).sum::<u64>() + std::mem::take(&mut self.more);
        if let Some(Failure { notice: first, .. }) = unseen.into_iter().next() {
            let message = "other failures".to_owned();
            held_back.push((Notice { message, vu: 0, scenario: Arc::from(""), ..first }, unseen_total));
        }
        held_back
    }
}

/// Writes messages to the screen: debug ones only when asked for.
#[derive(Debug)]
pub struct Notices {
    screen: Screen,
    least: NoticeLevel,
    color: bool,
}

impl Notices {
    /// Makes the output.
    #[must_use]
    pub fn new(screen: Screen, verbose: bool, color: bool) -> Self {
        Self { screen, least: if verbose { NoticeLevel::Debug } else { NoticeLevel::Info }, color }
    }
}

impl Output for Notices {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        if let Event::Notice(notice, repeated) = event
            && notice.level >= self.least
        {
            self.screen.line(&line(notice, *repeated, self.color));
        }
        Ok(())
    }

    fn name(&self) -> String {
        "messages".to_owned()
    }
}

fn line(notice: &Notice, repeated: u64, color: bool) -> String {
    let (level, code) = match notice.level {
        NoticeLevel::Debug => ("debug", "2"),
        NoticeLevel::Info => ("info", "36"),
        NoticeLevel::Warn => ("warning", "33"),
        NoticeLevel::Error => ("error", "31"),
    };
    let mut line = if color { format!("\x1b[{code}m{level}\x1b[0m") } else { level.to_owned() };
    line.push_str(": ");
    if !notice.scenario.is_empty() {
        let _ = write!(line, "{}", notice.scenario);
        if notice.vu > 0 {
            let _ = write!(line, " VU {}", notice.vu);
        }
        line.push_str(": ");
    }
    // What is said again is not shown whole again.
    let message = if repeated > 0 { notice.message.lines().next().unwrap_or_default() } else { &notice.message };
    escape(message, if notice.from_host { LONGEST } else { LONGEST_LOG }, &mut line);
    if repeated > 0 {
        let _ = write!(line, " … and {} more like it", thousands(repeated));
    }
    line
}

/// Appends a message so that it cannot move the cursor or forge a line; longer ones are cut.
fn escape(message: &str, longest: usize, line: &mut String) {
    let cut = message.floor_char_boundary(longest);
    line.push_str(&plain::message(message[..cut].trim_end(), "  "));
    if cut < message.len() {
        let _ = write!(line, " … ({} bytes were cut)", message.len() - cut);
    }
}

/// Prints a number with commas between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(message: &str) -> Notice {
        Notice {
            level: NoticeLevel::Error,
            scenario: "browse".into(),
            vu: 7,
            message: message.into(),
            from_host: true,
            detail: None,
        }
    }

    #[test]
    fn repeated_failures_are_counted_and_told_of_at_the_end() {
        let mut folder = Folder::default();
        assert!(folder.is_shown(&failure("refused")));
        for vu in 0..4211 {
            assert!(!folder.is_shown(&Notice { vu, ..failure("refused") }));
        }
        let held_back = folder.drain();
        let (notice, repeats) = &held_back[0];
        assert_eq!(line(notice, *repeats, false), "error: browse VU 7: refused … and 4,211 more like it");
        assert_eq!(folder.drain(), []);
    }

    #[test]
    fn only_the_first_five_distinct_failures_are_shown_as_they_happen() {
        let mut folder = Folder::default();
        let shown = (0..1200).filter(|number| folder.is_shown(&failure(&number.to_string()))).count();
        assert_eq!(shown, 5);
        let held_back = folder.drain();
        assert_eq!((held_back.len(), held_back[0].1, held_back[0].0.message.as_str()), (1, 1195, "other failures"));
    }

    #[test]
    fn repeats_are_told_of_meanwhile_whenever_they_have_doubled_and_in_one_line() {
        let mut folder = Folder::default();
        let mut told = Vec::new();
        for _second in 0..100 {
            (0..5).for_each(|_| {
                folder.is_shown(&failure("refused\n    at connect"));
            });
            told.extend(folder.meanwhile().iter().map(|(notice, repeats)| line(notice, *repeats, false)));
        }
        let expected = [14, 29, 59, 119, 239, 479]
            .map(|repeats| format!("error: browse VU 7: refused … and {repeats} more like it"));
        assert_eq!(told, expected);
    }

    #[test]
    fn what_the_journey_logs_is_never_folded() {
        let mut folder = Folder::default();
        let log = Notice { from_host: false, ..failure("again") };
        assert!(folder.is_shown(&log) && folder.is_shown(&log));
    }

    #[test]
    fn a_message_cannot_move_the_cursor_and_is_cut() {
        let text = line(&failure("a\x1b[2Jb\r\u{202e}c\nd"), 0, false);
        assert_eq!(text, "error: browse VU 7: a\\u{1b}[2Jb\\r\\u{202e}c\n  d");
        let long = line(&failure(&"ü".repeat(8192)), 0, false);
        assert!(long.ends_with(" … (8192 bytes were cut)"), "{}", &long[8190..]);
    }

    #[test]
    fn debug_messages_are_shown_only_when_asked_for() {
        for (verbose, shown) in [(false, false), (true, true)] {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut notices = Notices::new(Screen::writer(Box::new(writer)), verbose, false);
            let notice = Notice { level: NoticeLevel::Debug, ..failure("detail") };
            notices.handle(&Event::Notice(&notice, 0)).unwrap();
            drop(notices);
            assert_eq!(std::io::read_to_string(reader).unwrap().contains("detail"), shown);
        }
    }
}
