//! A reference to a component into its bytes.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest component that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// Why a component could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It could not be read.
    #[error("`{reference}` could not be read")]
    Read {
        /// As the user wrote it.
        reference: String,
        /// Why.
        source: io::Error,
    },
    /// It is too large.
    #[error("`{reference}` is larger than {limit} bytes")]
    TooLarge {
        /// As the user wrote it.
        reference: String,
        /// The limit.
        limit: u64,
    },
}

/// Reads a component: a path, or `-` for standard input.
pub fn read(reference: &Path) -> Result<Vec<u8>, ArtifactError> {
    let name = || reference.display().to_string();
    let failed = |source| ArtifactError::Read { reference: name(), source };
    let mut bytes = Vec::new();
    // One byte more than the limit tells a component at the limit from one over it.
    if reference == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = fs::File::open(reference).map_err(failed)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > LARGEST {
        return Err(ArtifactError::TooLarge { reference: name(), limit: LARGEST });
    }
    Ok(bytes)
}
