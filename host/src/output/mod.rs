//! An output is a listener: one method, one event type.
//!
//! [`open`] chooses an output by what the user wrote after `--out`. The terminal's are made by hand: [`Progress`] and
//! [`Notices`] share a [`Screen`], [`Summary`] and [`SummaryExport`] wait for the end.
//!
//! Outputs that want raw samples ([`Output::wants_samples`]) live on a thread of their own and are told of the start,
//! of samples and of the end; all others are told of everything but samples, once a second.

mod banner;
mod json;
mod notices;
pub mod plain;
mod progress;
mod screen;
mod summary;
mod summary_export;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use banner::Banner;
pub use json::Json;
pub use notices::{Folder, Notices};
pub use progress::Progress;
pub use screen::Screen;
pub use summary::Summary;
pub use summary_export::SummaryExport;

use serde::{Deserialize, Serialize};

use crate::aggregate::Window;
use crate::metrics::{Registry, Sample};
use crate::verdict::{Report, Threshold};
use crate::vu::Notice;

/// What an output is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run starts.
    Started(&'a Banner),
    /// A second has passed.
    Second(&'a Second),
    /// Raw samples.
    Samples(&'a [Sample]),
    /// A message for the user, and how many more like it were held back.
    Notice(&'a Notice, u64),
    /// The run has ended.
    Finished(&'a Report),
}

/// A destination for events.
pub trait Output: Send {
    /// Takes an event in. After an error it is not called again.
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError>;

    /// Whether it wants raw samples. Without such an output none is kept.
    fn wants_samples(&self) -> bool {
        false
    }

    /// Whether it is left out when the journey makes its own summary.
    fn is_replaced_by_journey(&self) -> bool {
        false
    }

    /// Takes the named texts of the journey's own summary, which are otherwise written where their names say. Returns
    /// those that it does not take.
    fn take_texts(&mut self, texts: Vec<(String, String)>) -> Vec<(String, String)> {
        texts
    }

    /// What the user calls it.
    fn name(&self) -> String;
}

/// A second of the run, all workers together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Second {
    /// The time since the start of the run.
    pub at: Duration,
    /// What was recorded in it.
    pub window: Window,
    /// How each scenario is, in the order of the plan.
    pub scenarios: Vec<ScenarioSecond>,
}

/// How a scenario is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ScenarioSecond {
    /// Its name.
    pub name: Arc<str>,
    /// When it starts.
    pub start: Duration,
    /// How long its load lasts at most.
    pub length: Duration,
    /// How many iterations it has to run; `None` where only time ends it.
    pub budget: Option<u64>,
    /// VUs that take part.
    pub active: u32,
    /// VUs there are.
    pub initialised: u32,
    /// Iterations that started, so far.
    pub started: u64,
    /// Iterations that ended, so far.
    pub completed: u64,
    /// Iterations that failed, so far.
    pub failed: u64,
    /// Iterations that were dropped, so far.
    pub dropped: u64,
    /// Iterations that ended in this second, per second.
    pub rate: f64,
    /// The 95th percentile in this second, in milliseconds: of requests, or of iterations where there are none.
    pub p95: Option<f64>,
}

/// Why an output cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Nothing is known by this name.
    #[error("`{spec}` is not an output")]
    Unknown {
        /// What the user wrote.
        spec: String,
    },
    /// Compressed output was asked for.
    #[error("`{}`: compressed output is not supported", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made.
    #[error("`{}` cannot be written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Writing stopped half-way.
    #[error("`{name}` could not be written to the end")]
    Write {
        /// The output.
        name: String,
        /// The system's words.
        source: io::Error,
    },
    /// A text of the journey's summary is not for a place it may write to.
    #[error(
        "the journey's summary may not be written to `{path}`: only to `stdout`, `stderr` and relative paths without `..`"
    )]
    Refused {
        /// The place.
        path: String,
    },
}

impl OutputError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } => Some("write `json=FILE`, or `json=-` for standard output"),
            Self::Compressed { .. } => {
                Some("write to standard output and compress that: `--out json=- --quiet | gzip > FILE`")
            }
            Self::Open { .. } => Some("check that the directory exists and that you may write to it"),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, or write to another disk; what was written before is still there")
            }
            Self::Write { .. } | Self::Refused { .. } => None,
        }
    }

    /// The message with its causes, on one line.
    #[must_use]
    pub fn full(&self) -> String {
        match self {
            Self::Open { source, .. } | Self::Write { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

/// Opens the output that the user wrote as `json=FILE`. What cannot be written fails here, before the run.
pub fn open(spec: &str, registry: &Arc<Registry>, thresholds: &[Threshold]) -> Result<Box<dyn Output>, OutputError> {
    let (kind, target) = spec.split_once('=').unwrap_or((spec, ""));
    match kind {
        "json" => Ok(Box::new(Json::open(target, Arc::clone(registry), thresholds)?)),
        _ => Err(OutputError::Unknown { spec: spec.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(spec: &str) -> OutputError {
        match open(spec, &Arc::default(), &[]) {
            Ok(output) => panic!("`{}` was opened", output.name()),
            Err(error) => error,
        }
    }

    #[test]
    fn an_output_that_cannot_be_is_refused_before_the_run() {
        assert_eq!(refusal("influxdb=http://x").to_string(), "`influxdb=http://x` is not an output");
        assert_eq!(refusal("json=out.json.gz").to_string(), "`out.json.gz`: compressed output is not supported");
        let error = refusal("json=/no/such/directory/out.json");
        assert!(error.full().starts_with("`/no/such/directory/out.json` cannot be written: "), "{}", error.full());
    }
}
