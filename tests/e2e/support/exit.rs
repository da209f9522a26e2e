//! Exit codes, as a script that calls squall knows them.

pub const PASSED: i32 = 0;
pub const USAGE: i32 = 2;
pub const THRESHOLDS: i32 = 99;
pub const SETUP_TIMEOUT: i32 = 100;
pub const CONFIGURATION: i32 = 104;
pub const INTERRUPTED: i32 = 105;
pub const JOURNEY: i32 = 107;
pub const ABORTED: i32 = 108;
pub const MARKED_FAILED: i32 = 110;
pub const INVALID: i32 = 111;
pub const QUOTA: i32 = 112;
pub const REFUSED: i32 = 113;
pub const OUTPUT: i32 = 115;
