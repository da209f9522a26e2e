//! What the load process writes to standard error: a panic, or the last words of an allocator.

use std::io::Read as _;
use std::process::ChildStderr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::redact::Redactor;

/// Lines that wait to be shown, and the bytes of one; the rest is dropped.
const MOST_LINES: usize = 100;
const LONGEST: usize = 2 << 10;

/// Lines that nobody has shown yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    lines: Arc<Mutex<Vec<String>>>,
    redactor: Option<Redactor>,
}

impl Words {
    /// Reads until the process closes its end.
    pub(super) fn listen(mut pipe: ChildStderr) -> Self {
        let words = Self::default();
        let heard = words.clone();
        let listener = thread::Builder::new().name("squall-words".to_owned()).spawn(move || {
            let (mut buffer, mut line) = ([0; 4096], Vec::new());
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                for &byte in &buffer[..length] {
                    if byte == b'\n' {
                        heard.push(&line);
                        line.clear();
                    } else if line.len() < LONGEST {
                        line.push(byte);
                    }
                }
            }
            heard.push(&line);
        });
        // Without the thread the pipe is closed, and the words are lost; the run is not.
        drop(listener);
        words
    }

    /// Has the run's secrets, which the process knows, taken out of what is shown.
    pub(super) fn redacting(self, redactor: Option<Redactor>) -> Self {
        Self { redactor, ..self }
    }

    /// Takes what there is. What moves a cursor is escaped where it is shown.
    pub(super) fn take(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        match &self.redactor {
            None => lines,
            // A long line was cut.
            Some(redactor) => lines.iter().map(|line| redactor.cut_text(line).into_owned()).collect(),
        }
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.is_empty() && lines.len() < MOST_LINES {
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
    }
}
