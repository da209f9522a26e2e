//! Samples into series, series into windows, windows into totals.
//!
//! A worker's [`WindowRecorder`] folds samples where they arise; once a second its [`Window`] is taken out and merged
//! with those of the other workers. [`Totals`] is what has come of all windows so far. Merging is associative and
//! commutative everywhere, and no raw sample is kept: outputs that want them put a [`Tap`] beside the recorder.

mod counts;
mod groups;
mod histogram;
mod recorder;
mod selector;
mod tap;
mod totals;
mod trend;
mod value;
mod window;

pub use groups::{CheckTotals, Group};
pub use recorder::WindowRecorder;
pub use selector::Selector;
pub use tap::Tap;
pub use totals::Totals;
pub use trend::Trend;
pub use value::{Gauge, Value};
pub use window::{Series, Window};
