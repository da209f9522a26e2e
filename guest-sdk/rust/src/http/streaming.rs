//! Answers that are read as they come, and bodies that are sent piece by piece.

use std::io;
use std::time::Duration;

use super::Response;
use crate::Error;
use crate::bindings::squall::journey::streams as host;
use crate::vu::duration;

/// How much is read at once where nobody says.
const PIECE: u32 = 64 << 10;

/// An answer whose head has come and whose body is read as it comes.
///
/// ```no_run
/// use squall_sdk::http::Request;
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let mut stream = Request::get("http://127.0.0.1:8080/chunked/100000").stream()?;
/// let mut first = None;
/// while let Some(piece) = stream.read_piece()? {
///     first.get_or_insert(stream.arrived()); // the time to the first piece
///     println!("{} bytes", piece.len());
/// }
/// # Ok(()) }
/// ```
///
/// It is also a reader and an iterator over pieces. It is measured as one request when it ends, when it is dropped, or when
/// the iteration ends.
#[derive(Debug)]
pub struct Streaming {
    response: Response,
    id: u32,
}

impl Streaming {
    pub(super) fn new(response: crate::bindings::squall::journey::http::Response) -> Self {
        let id = response.id;
        Self { response: Response::new(response), id }
    }

    /// The answer: its status, headers and the like.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status()
    }

    /// The next bytes of the body, as they come; none at the end.
    pub fn read_piece(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Ok(host::read(self.id, PIECE)?)
    }

    /// From the last byte of the request to the arrival of what was read last; to the head, before anything was.
    #[must_use]
    pub fn arrived(&self) -> Duration {
        duration(host::arrived(self.id))
    }

    /// Gives up the rest. Its connection is closed, unless the rest is here already.
    pub fn close(self) {}
}

impl Drop for Streaming {
    fn drop(&mut self) {
        host::close(self.id);
    }
}

impl Iterator for Streaming {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_piece().transpose()
    }
}

impl io::Read for Streaming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let at_most = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let piece = host::read(self.id, at_most).map_err(|error| io::Error::other(Error::from(error)))?;
        let piece = piece.unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// A request whose head is sent and whose body is written piece by piece.
///
/// ```no_run
/// use std::io::Write;
///
/// use squall_sdk::http::Request;
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let mut upload = Request::post("http://127.0.0.1:8080/echo").upload(None)?;
/// for line in 0..1000 {
///     writeln!(upload, "line {line}")?;
/// }
/// let answer = upload.finish()?;
/// # Ok(()) }
/// ```
///
/// Each write is sent as it is, so many small ones belong behind a [`std::io::BufWriter`].
#[derive(Debug)]
pub struct Upload {
    id: u32,
}

impl Upload {
    pub(super) fn new(id: u32) -> Self {
        Self { id }
    }

    /// Sends the next bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Ok(host::write(self.id, bytes)?)
    }

    /// Ends the body and waits for the whole answer.
    pub fn finish(self) -> Result<Response, Error> {
        Ok(Response::new(host::finish(self.id)?))
    }
}

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
