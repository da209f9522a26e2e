//! The last lines that a guest logged in an iteration, for whoever tells how it broke.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wit::log::Level;

/// Lines that are kept.
const KEPT: usize = 8;
/// Bytes that are kept of a line.
const LONGEST: usize = 512;

/// The last lines, shared between those through whom a guest speaks: its log, and its standard output and error.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<Mutex<VecDeque<String>>>);

impl Recent {
    /// Remembers a line, and forgets the oldest when there are too many.
    pub(super) fn remember(&self, level: Level, line: &str) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warning",
            Level::Error => "error",
        };
        let kept = &line[..line.floor_char_boundary(LONGEST)];
        let mut lines = self.lines();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(format!("{level}: {kept}{}", if kept.len() < line.len() { "…" } else { "" }));
    }

    /// Forgets all lines.
    pub(super) fn clear(&self) {
        self.lines().clear();
    }

    /// The lines, the oldest first.
    pub(super) fn all(&self) -> Vec<String> {
        self.lines().iter().cloned().collect()
    }

    // The lines are whole at every moment, so a panic of another thread leaves nothing half-done.
    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_are_cut() {
        let recent = Recent::default();
        (0..20).for_each(|number| recent.remember(Level::Info, &number.to_string()));
        recent.remember(Level::Warn, &"ü".repeat(1000));
        let lines = recent.all();
        assert_eq!((lines.len(), lines[0].as_str(), lines[6].as_str()), (8, "info: 13", "info: 19"));
        assert_eq!(lines[7], format!("warning: {}…", "ü".repeat(256)));
        recent.clear();
        assert!(recent.all().is_empty());
    }
}
