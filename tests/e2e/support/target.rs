//! The practice server in this process.

use std::num::NonZeroUsize;

use squall::practice::{Options, Server, serve};

/// Starts a practice server that behaves and keeps the requests it sees.
pub fn practice() -> Server {
    practice_with(Options::default())
}

/// Starts a practice server that behaves as told and keeps the requests it sees.
pub fn practice_with(options: Options) -> Server {
    let options = Options {
        record: 100_000,
        ..options
    };
    serve(&options, NonZeroUsize::MIN).expect("the practice server should start")
}
