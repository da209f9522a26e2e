//! Lines of JSON: each line that is not empty is an event.

use super::parser::{Block, TooLarge, is_over, lossy};

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// Whether a byte order mark would no longer be one.
    has_begun: bool,
}

impl Lines {
    /// Takes bytes off the front until a line is complete; `None` when all are taken.
    pub(super) fn next(&mut self, bytes: &mut &[u8], limit: u64) -> Result<Option<Block>, TooLarge> {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            *bytes = rest.get(1..).unwrap_or_default();
            is_over(self.line.len() + part.len(), limit)?;
            self.line.extend_from_slice(part);
            if end.is_some()
                && let Some(block) = self.finish()
            {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The line that the end of the stream ends, if there is one.
    pub(super) fn finish(&mut self) -> Option<Block> {
        let mark: &[u8] = if std::mem::replace(&mut self.has_begun, true) { b"" } else { b"\xEF\xBB\xBF" };
        let line = self.line.strip_prefix(mark).unwrap_or(&self.line).trim_ascii();
        let block = (!line.is_empty()).then(|| Block { data: lossy(line).into_owned(), ..Block::default() });
        self.line.clear();
        block
    }

    /// Begins anew on another connection.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
        let (mut parser, mut lines) = (Lines::default(), Vec::new());
        for mut piece in pieces {
            while let Some(block) = parser.next(&mut piece, 1 << 20).unwrap() {
                lines.push(block.data);
            }
        }
        lines.extend(parser.finish().map(|block| block.data));
        lines
    }

    #[test]
    fn each_line_is_an_event_and_empty_ones_are_none() {
        let text = "\u{FEFF}{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}";
        assert_eq!(all([text.as_bytes()]), [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
        assert_eq!(all([&b"\n\n"[..]]), [""; 0]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Lines::default();
        assert_eq!(parser.next(&mut &[b'x'; 1000][..], 1000), Ok(None));
        assert_eq!(parser.next(&mut &b"x"[..], 1000), Err(TooLarge(1000)));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_lines_of_the_whole(
            stream in proptest::collection::vec(proptest::sample::select(b"\n\r {1\xFF\xEF\xBB\xBF".to_vec()), 0..80),
            size in 1..9usize,
        ) {
            prop_assert_eq!(all(stream.chunks(size)), all([&stream[..]]));
        }
    }
}
