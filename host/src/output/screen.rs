//! Standard error, shared by progress and messages so that neither tears the other.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};

/// Where lines and progress bars go. Cheap to clone.
#[derive(Clone)]
pub struct Screen(Arc<Inner>);

struct Inner {
    bars: Option<MultiProgress>,
    lines: Mutex<Box<dyn Write + Send>>,
}

impl Screen {
    /// Standard error; with bars where it is a terminal.
    #[must_use]
    pub fn stderr() -> Self {
        let stderr = std::io::stderr();
        let bars = stderr.is_terminal().then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4)));
        Self(Arc::new(Inner { bars, lines: Mutex::new(Box::new(stderr)) }))
    }

    /// A writer that is no terminal.
    #[must_use]
    pub fn writer(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Inner { bars: None, lines: Mutex::new(writer) }))
    }

    /// The bars, where this is a terminal.
    #[must_use]
    pub fn bars(&self) -> Option<&MultiProgress> {
        self.0.bars.as_ref()
    }

    /// Writes a line above the bars. What cannot be written to standard error cannot be said at all.
    pub fn line(&self, text: &str) {
        let write = || {
            let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(lines, "{text}").and_then(|()| lines.flush());
        };
        match &self.0.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("is_terminal", &self.0.bars.is_some()).finish_non_exhaustive()
    }
}
