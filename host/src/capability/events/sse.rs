//! Server-sent events: bytes into events, by the rules of the WHATWG (HTML, 9.2.6), whichever way the bytes are cut.

use super::parser::{Block, TooLarge, is_over, lossy};

/// What a byte order mark is in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct Sse {
    /// How many bytes of the mark were seen; none are looked for once it is passed.
    mark: usize,
    has_begun: bool,
    /// The line that has no end yet.
    line: Vec<u8>,
    /// Whether that line is a comment, which is not kept.
    is_comment: bool,
    /// Whether the last byte was a CR, so that a LF belongs to it.
    after_cr: bool,
    data: String,
    kind: String,
    /// The id of this block and of those that follow.
    id: String,
    retry: Option<f64>,
}

impl Sse {
    /// Takes bytes off the front until an event is complete; `None` when all are taken.
    pub(super) fn next(&mut self, bytes: &mut &[u8], limit: u64) -> Result<Option<Block>, TooLarge> {
        if !self.has_begun {
            self.pass_mark(bytes);
        }
        while self.has_begun && !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                *bytes = &bytes[1..];
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', bytes);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            *bytes = rest;
            self.is_comment |= self.line.is_empty() && part.first() == Some(&b':');
            if !self.is_comment {
                is_over(self.line.len() + part.len() + self.data.len(), limit)?;
                self.line.extend_from_slice(part);
            }
            let Some((end, rest)) = bytes.split_first() else { break };
            self.after_cr = *end == b'\r';
            *bytes = rest;
            if std::mem::take(&mut self.is_comment) {
                continue;
            }
            if self.line.is_empty() {
                if let Some(block) = self.dispatch() {
                    return Ok(Some(block));
                }
            } else {
                let line = std::mem::take(&mut self.line);
                self.field(&line);
                self.line = line;
                self.line.clear();
            }
        }
        Ok(None)
    }

    /// Begins anew on another connection: what was not dispatched is dropped, the id and the time to wait stay.
    pub(super) fn restart(&mut self) {
        let (id, retry) = (std::mem::take(&mut self.id), self.retry);
        *self = Self { id, retry, ..Self::default() };
    }

    /// The last id, and the milliseconds that the server asked for.
    pub(super) fn state(&self) -> (&str, Option<f64>) {
        (&self.id, self.retry)
    }

    /// One mark at the very beginning is no part of the text.
    fn pass_mark(&mut self, bytes: &mut &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if *first != MARK[self.mark] {
                // Part of a mark is none, and stands at the beginning of the first line.
                self.line.extend_from_slice(&MARK[..self.mark]);
                self.has_begun = true;
                return;
            }
            (self.mark, *bytes) = (self.mark + 1, rest);
            if self.mark == MARK.len() {
                self.has_begun = true;
                return;
            }
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &[][..]),
        };
        match name {
            b"data" => {
                self.data.push_str(&lossy(value));
                self.data.push('\n');
            }
            b"event" => self.kind = lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.id = lossy(value).into_owned(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                // Digits are a number, be it one that no clock knows.
                self.retry = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Block> {
        let (mut data, kind) = (std::mem::take(&mut self.data), std::mem::take(&mut self.kind));
        // Without data there is no event, but the id stays.
        data.pop()?;
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Block { id: self.id.clone(), kind, data, retry: self.retry })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules as they are written, on a whole text: what the parser is compared with.
    fn reference(bytes: &[u8]) -> Vec<Block> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<&str> = text.split('\n').collect();
        // What follows the last line's end is no line.
        lines.pop();
        let (mut blocks, mut data, mut kind, mut id, mut retry) = (Vec::new(), String::new(), "", "", None);
        for line in lines {
            if line.is_empty() {
                if !data.is_empty() {
                    data.pop();
                    let kind = if kind.is_empty() { "message" } else { kind }.to_owned();
                    blocks.push(Block { id: id.to_owned(), kind, data: data.clone(), retry });
                }
                (data, kind) = (String::new(), "");
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "data" => data = data + value + "\n",
                "event" => kind = value,
                "id" if !value.contains('\0') => id = value,
                "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    retry = value.parse().ok();
                }
                _ => {}
            }
        }
        blocks
    }

    fn all<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Block> {
        let (mut parser, mut blocks) = (Sse::default(), Vec::new());
        for mut piece in pieces {
            while let Some(block) = parser.next(&mut piece, 1 << 20).unwrap() {
                blocks.push(block);
            }
            assert!(piece.is_empty());
        }
        blocks
    }

    fn data(text: &str) -> Vec<String> {
        all([text.as_bytes()]).into_iter().map(|block| block.data).collect()
    }

    #[test]
    fn the_examples_of_the_standard_come_out_as_it_says() {
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let blocks = all([text.as_bytes()]);
        let found: Vec<_> = blocks.iter().map(|block| (&*block.data, &*block.id)).collect();
        assert_eq!(found, [("first event", "1"), ("second event", ""), (" third event", "")]);
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn all_three_ends_of_lines_end_a_line() {
        for end in ["\n", "\r", "\r\n"] {
            let text = format!("event: a{end}data: 1{end}{end}data: 2{end}{end}");
            let found: Vec<_> = all([text.as_bytes()]).into_iter().map(|block| (block.kind, block.data)).collect();
            let expected = [("a", "1"), ("message", "2")].map(|(kind, data)| (kind.to_owned(), data.to_owned()));
            assert_eq!(found, expected, "{end:?}");
        }
        assert_eq!(data("data: a\r\n\n"), ["a"]);
        assert_eq!(data("data: a\n\r\n"), ["a"]);
    }

    #[test]
    fn an_event_is_complete_with_the_cr_and_does_not_wait_for_its_lf() {
        let mut parser = Sse::default();
        assert!(parser.next(&mut &b"data: a\r\n\r"[..], 100).unwrap().is_some());
        assert!(parser.next(&mut &b"\n"[..], 100).unwrap().is_none());
        assert!(parser.next(&mut &b"data: b\n\n"[..], 100).unwrap().is_some());
    }

    #[test]
    fn one_byte_order_mark_is_passed_over() {
        assert_eq!(data("\u{FEFF}data: a\n\n"), ["a"]);
        assert_eq!(data("\u{FEFF}\u{FEFF}data: a\n\n"), [""; 0]);
        assert_eq!(all([&b"\xEF\xBBdata: a\n\n"[..]]), reference(b"\xEF\xBBdata: a\n\n"));
    }

    #[test]
    fn an_id_with_a_nul_and_a_retry_that_is_no_number_are_ignored() {
        let blocks = all([&b"id: 1\nid: 2\0\nretry: 50\nretry: 5x\nretry: -1\nretry\ndata: a\n\n"[..]]);
        assert_eq!((&*blocks[0].id, blocks[0].retry), ("1", Some(50.0)));
        let blocks = all([format!("retry: {}\ndata: a\n\n", "9".repeat(400)).as_bytes()]);
        assert_eq!(blocks[0].retry, Some(f64::INFINITY));
    }

    #[test]
    fn an_id_without_an_event_stays_and_what_the_stream_cuts_off_is_dropped() {
        let mut parser = Sse::default();
        assert_eq!(parser.next(&mut &b"id: 7\nretry: 9\n\ndata: lost\n"[..], 100).unwrap(), None);
        parser.restart();
        assert_eq!(parser.state(), ("7", Some(9.0)));
        let block = parser.next(&mut &b"data: kept\n\n"[..], 100).unwrap().unwrap();
        assert_eq!((&*block.id, &*block.data), ("7", "kept"));
    }

    #[test]
    fn bytes_that_are_not_utf_8_have_a_mark_in_their_place() {
        assert_eq!(all([&b"data: a\xFFb\xE2\x82\n\n"[..]])[0].data, "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn an_endless_line_is_refused_and_an_endless_comment_takes_no_memory() {
        let mut parser = Sse::default();
        let mut taken = 0;
        let refused = loop {
            let piece = [b'x'; 1000];
            taken += 1000;
            if let Err(refused) = parser.next(&mut &piece[..], 10_000) {
                break refused;
            }
        };
        assert_eq!((refused, taken), (TooLarge(10_000), 11_000));

        let mut parser = Sse::default();
        for _ in 0..1000 {
            parser.next(&mut &[b':'; 1000][..], 10_000).unwrap();
        }
        assert_eq!(parser.line.capacity(), 0);

        let mut parser = Sse::default();
        let lines = b"data: 0123456789\n".repeat(10_000);
        assert_eq!(parser.next(&mut &lines[..], 10_000), Err(TooLarge(10_000)));
    }

    /// What a stream is made of, so that a random one is often a meaningful one.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let words: Vec<&'static [u8]> = vec![
            b"data",
            b"event",
            b"id",
            b"retry",
            b":",
            b": ",
            b" ",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"7",
            b"a",
            b"\0",
            b"\xEF\xBB\xBF",
            b"\xEF",
            b"\xE2\x82\xAC",
            b"\xE2\x82",
            b"\xFF",
            b"data: x\n",
            b"id: 1\n",
        ];
        proptest::collection::vec(proptest::sample::select(words), 0..60).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_events_of_the_whole(stream in streams(), cuts in proptest::collection::vec(0..200usize, 0..8)) {
            let expected = reference(&stream);
            prop_assert_eq!(&all([&stream[..]]), &expected);
            // At every byte, and at any others.
            prop_assert_eq!(&all(stream.chunks(1)), &expected);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= stream.len()).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            prop_assert_eq!(&all(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]])), &expected);
        }

        #[test]
        fn any_bytes_are_taken(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(all(stream.chunks(3)), reference(&stream));
        }
    }
}
