//! A reference to a component into its bytes.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

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
    #[error("`{reference}` has more than {limit} bytes (`limits.componentBytes`)")]
    TooLarge {
        /// As the user wrote it.
        reference: String,
        /// The limit.
        limit: u64,
    },
}

/// Reads a component of at most `limit` bytes: a path, or `-` for standard input.
pub fn read(reference: &Path, limit: u64) -> Result<Vec<u8>, ArtifactError> {
    let name = || reference.display().to_string();
    let failed = |source| ArtifactError::Read { reference: name(), source };
    let mut bytes = Vec::new();
    // One byte more than the limit tells a component at the limit from one over it.
    if reference == Path::new("-") {
        io::stdin().lock().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = fs::File::open(reference).map_err(failed)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > limit {
        return Err(ArtifactError::TooLarge { reference: name(), limit });
    }
    Ok(bytes)
}
