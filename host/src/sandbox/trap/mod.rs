//! How a guest broke: the trap, where in the guest, and what it said before.
//!
//! The stack comes with function names where the component has a name section. File and line come from DWARF, which is
//! read only when somebody is about to see them: a guest may trap a hundred thousand times a second, and its debug
//! information may be made to take for ever. So [`Symbols`] reads it on a thread of its own and waits for a moment only.

mod symbols;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;

use symbols::Place;
pub(super) use symbols::Symbols;

use crate::vu::Detail;

/// Frames that are shown.
const SHOWN: usize = 16;
/// The longest name that is shown, in bytes.
const LONGEST_NAME: usize = 200;

/// Where files of Rust's own libraries lie, by its debug information.
const RUST: &str = "/rustc/";
/// What is shown in place of a function of theirs.
const LIBRARY: &str = "Rust's own libraries";

/// How a guest broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trap {
    cause: String,
    /// What most guests answer with a trap that does not say why.
    after: Option<String>,
    frames: Vec<Frame>,
}

/// One of the guest's functions on its stack, the innermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    name: String,
    /// Where in the component it was, in bytes.
    offset: Option<usize>,
}

impl Trap {
    /// Reads what wasmtime says of it.
    pub(super) fn of(error: &wasmtime::Error) -> Self {
        let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>();
        let frames = backtrace.into_iter().flat_map(wasmtime::WasmBacktrace::frames).take(SHOWN).map(|frame| {
            let name = frame.func_name().map_or_else(|| format!("<function {}>", frame.func_index()), readable);
            Frame { name, offset: frame.module_offset() }
        });
        Self { cause: error.root_cause().to_string(), after: None, frames: frames.collect() }
    }

    /// One that is no trap: the guest ended by itself, and not well.
    pub(super) fn saying(cause: String) -> Self {
        Self { cause, after: None, frames: Vec::new() }
    }

    /// Adds what the host did to the guest before.
    pub(super) fn after(self, after: Option<String>) -> Self {
        Self { after, ..self }
    }

    /// The trap in a line, and the functions below it: the same for all that trap alike.
    pub(super) fn summary(&self) -> String {
        self.with_places(&[])
    }

    /// Everything there is to say, put together when somebody wants to read it. `before` is what led there ("iteration 3
    /// trapped"), `said` are the last lines that the guest logged.
    pub(super) fn detail(self, before: String, said: Vec<String>, symbols: Arc<Symbols>) -> Detail {
        Detail::new(move || format!("{before}: {}", self.full(&said, &symbols)))
    }

    /// The trap, the stack with file and line, the journey's name, and the last lines that it logged.
    pub(super) fn full(&self, said: &[String], symbols: &Symbols) -> String {
        let offsets = self.frames.iter().map(|frame| frame.offset).collect();
        let mut text = self.with_places(&symbols.places(offsets));
        if let Some(journey) = &symbols.journey {
            let _ = write!(text, "\n    in `{}`", plain(journey));
        }
        if !said.is_empty() {
            text.push_str("\n  it had logged:");
            for line in said {
                let _ = write!(text, "\n    {}", plain(line));
            }
        }
        text
    }

    fn with_places(&self, places: &[Vec<Place>]) -> String {
        let mut lines: Vec<(String, u32)> = Vec::new();
        let mut add = |line: String| match lines.last_mut() {
            // A recursion is told of once, and so is what nobody has written here.
            Some((last, times)) if *last == line => *times += 1,
            _ => lines.push((line, 1)),
        };
        for (number, frame) in self.frames.iter().enumerate() {
            match places.get(number).map(Vec::as_slice) {
                None | Some([]) => add(frame.name.clone()),
                // What was inlined has a place each, the innermost first; the last is the function's own.
                Some(inlined) => inlined.iter().for_each(|place| {
                    let name = place.function.as_deref().unwrap_or(&frame.name);
                    if place.file.starts_with(RUST) {
                        add(LIBRARY.to_owned());
                    } else {
                        add(format!("{name} ({}:{})", place.file, place.line));
                    }
                }),
            }
        }
        let mut text = plain(&self.cause);
        if let Some(after) = &self.after {
            let _ = write!(text, "\n    after {}", plain(after));
        }
        for (line, times) in &lines {
            let _ = write!(text, "\n    at {line}");
            if *times > 1 {
                let _ = write!(text, " … {times} times");
            }
        }
        text
    }
}

/// A function's name as its author wrote it.
fn readable(name: &str) -> String {
    let name = &name[..name.floor_char_boundary(LONGEST_NAME * 4)];
    // Without the hash at its end.
    let name = rustc_demangle::try_demangle(name).map_or_else(|_| name.to_owned(), |name| format!("{name:#}"));
    short(&name)
}

fn short(text: &str) -> String {
    let cut = text.floor_char_boundary(LONGEST_NAME);
    let mut short = plain(&text[..cut]);
    if cut < text.len() {
        short.push('…');
    }
    short
}

/// Escapes what is not text: names come from the guest, and may not move a cursor or forge a line.
fn plain(text: &str) -> String {
    let is_odd = |char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = text.chars().flat_map(|char| {
        let (odd, other) = if is_odd(char) { (Some(char.escape_default()), None) } else { (None, Some(char)) };
        odd.into_iter().flatten().chain(other)
    });
    escaped.collect()
}
