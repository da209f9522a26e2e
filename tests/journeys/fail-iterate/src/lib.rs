//! Fails every iteration with an error, in one and the same instance.

use squall_sdk::{Error, vu};

fn fail() -> Result<(), Error> {
    Err(Error::new(format!("iteration {} failed on purpose", vu::iteration())))
}

squall_sdk::journey!(fail);
