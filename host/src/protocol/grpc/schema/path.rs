//! Where in a JSON text something is, and which names look alike.

use std::fmt::Write as _;

/// The path of what stands at a line and column of a JSON text, as in `items[2].price`; empty for the whole.
///
/// Only asked after an error, so it reads the text again instead of keeping a path while all goes well.
pub(super) fn of(json: &str, line: usize, column: usize) -> String {
    let before: usize = json.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = (before + column).min(json.len());
    let mut open = Vec::new();
    let mut bytes = json.as_bytes()[..end].iter().enumerate();
    let mut text = None;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => text = skip_text(json, at, &mut bytes),
            b':' => {
                if let Some(Step::Key(key)) = open.last_mut() {
                    *key = text.take();
                }
            }
            b'{' => open.push(Step::Key(None)),
            b'[' => open.push(Step::Index(0)),
            b'}' | b']' if at + 1 < end => drop(open.pop()),
            b',' if at + 1 < end => match open.last_mut() {
                Some(Step::Key(key)) => *key = None,
                Some(Step::Index(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
    }
    let mut path = String::new();
    for step in &open {
        match step {
            Step::Key(Some(key)) => {
                path.push_str(if path.is_empty() { "" } else { "." });
                path.push_str(key);
            }
            Step::Key(None) => {}
            Step::Index(index) => write!(path, "[{index}]").expect("a text grows"),
        }
    }
    super::error::shortened(&path)
}

enum Step<'a> {
    Key(Option<&'a str>),
    Index(usize),
}

/// Goes on to the end of a text that begins at the quote, and gives what is between the quotes.
fn skip_text<'a, 'b>(json: &'a str, at: usize, bytes: &mut impl Iterator<Item = (usize, &'b u8)>) -> Option<&'a str> {
    while let Some((end, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return json.get(at + 1..end),
            _ => {}
        }
    }
    None
}

/// How much two names differ: the fewest letters to put in, take out or change.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().take(128).collect(), other.chars().take(128).collect());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = corner + usize::from(!a.eq_ignore_ascii_case(b));
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
