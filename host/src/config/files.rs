//! Files that options name: found relative to where the option was written, and read by whoever lowers.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::node::{Place, Spot};

/// How files that options name are read. There is no way to by default: then a path is an error, and texts still work.
///
/// It is a function of a path and the most bytes that are wanted: it returns all bytes of the file, or an error of kind
/// [`io::ErrorKind::FileTooLarge`] where there are more than that.
#[derive(Clone, Copy, Default)]
pub struct FileReader<'a>(Option<&'a Read>);

type Read = dyn Fn(&Path, u64) -> io::Result<Vec<u8>>;

impl<'a> FileReader<'a> {
    /// Has files be read by `read`.
    #[must_use]
    pub fn new(read: &'a Read) -> Self {
        Self(Some(read))
    }
}

impl fmt::Debug for FileReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "FileReader(some)" } else { "FileReader(none)" })
    }
}

/// The reader, and the folder that paths of the configuration file start at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Files<'a> {
    pub reader: FileReader<'a>,
    pub folder: Option<&'a Path>,
}

impl Files<'_> {
    /// The file that a text names: in the configuration file, relative to it.
    pub fn path(&self, text: &str, spot: &Spot) -> PathBuf {
        match (&spot.place, self.folder) {
            (Place::File { .. }, Some(folder)) => folder.join(text),
            _ => PathBuf::from(text),
        }
    }

    /// Reads a file of at most so many bytes; the error is the part after "cannot be read: ".
    pub fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, String> {
        let Some(read) = self.reader.0 else {
            return Err("no files are read here".to_owned());
        };
        read(path, most).map_err(|error| error.to_string())
    }
}
