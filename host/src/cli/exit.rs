//! Every exit code. From 97 to 110 they are k6's, so that scripts carry over; ours follow.

use squall::verdict::{Ending, GeneratorVerdict, Report};

/// Everything passed.
pub const PASSED: u8 = 0;
/// A bug in squall.
pub const BUG: u8 = 1;
/// The command line asks for what cannot be. Unknown flags end with it as well, by clap.
pub const USAGE: u8 = 2;
/// A threshold failed.
pub const THRESHOLDS: u8 = 99;
/// `setup` took too long.
pub const SETUP_TIMEOUT: u8 = 100;
/// `teardown` took too long.
pub const TEARDOWN_TIMEOUT: u8 = 101;
/// The configuration is invalid.
pub const CONFIGURATION: u8 = 104;
/// The user stopped the run.
pub const INTERRUPTED: u8 = 105;
/// The journey could not be loaded or set up, or failed too often.
pub const JOURNEY: u8 = 107;
/// The journey asked for the end of the run.
pub const ABORTED: u8 = 108;
/// The journey marked the run as failed.
pub const MARKED_FAILED: u8 = 110;
/// The generator was not valid.
pub const GENERATOR: u8 = 111;
/// The run used up what it may use.
pub const QUOTA: u8 = 112;
/// The policy refuses what the journey imports or is made of, or cannot be enforced here.
pub const REFUSED: u8 = 113;
/// An output could not be written to its end.
pub const OUTPUT: u8 = 115;

/// Decides by what weighs most: what kept the run from being whole, then whether its figures can be trusted, then what
/// they say.
pub fn of(report: &Report, max_failed: f64, allow_invalid: bool) -> u8 {
    match &report.ending {
        Ending::SetupFailed { .. }
        | Ending::TeardownFailed { .. }
        | Ending::JourneyFailed { .. }
        | Ending::TooManyTraps { .. } => return JOURNEY,
        Ending::CpuUsedUp { .. } => return QUOTA,
        Ending::SetupTimedOut => return SETUP_TIMEOUT,
        Ending::TeardownTimedOut => return TEARDOWN_TIMEOUT,
        Ending::Interrupted => return INTERRUPTED,
        Ending::JourneyAborted { .. } => return ABORTED,
        Ending::Completed | Ending::ThresholdAborted => {}
    }
    let invalid = !allow_invalid && !matches!(report.generator, GeneratorVerdict::Valid);
    if !report.config_errors.is_empty() {
        CONFIGURATION
    } else if report.failed_share > max_failed {
        JOURNEY
    } else if !report.thresholds_hold() {
        THRESHOLDS
    } else if report.journey_failed.is_some() {
        MARKED_FAILED
    } else if invalid {
        GENERATOR
    } else if !report.output_errors.is_empty() {
        OUTPUT
    } else {
        PASSED
    }
}
