//! Text that arrives in pieces, as lines.

/// The line that is not complete yet.
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a piece and hands over each line that it completes, without its end.
    pub(super) fn append(&mut self, piece: &[u8], line: impl Fn(&str)) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.0.extend_from_slice(end);
                    line(&String::from_utf8_lossy(&self.0));
                    self.0.clear();
                }
                None => self.0.extend_from_slice(part),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::Lines;

    #[test]
    fn pieces_become_lines() {
        let seen = RefCell::new(Vec::new());
        let mut lines = Lines::new();
        for piece in ["a", "b\nc", "\n\n", "rest"] {
            lines.append(piece.as_bytes(), |line| {
                seen.borrow_mut().push(line.to_owned());
            });
        }
        assert_eq!(*seen.borrow(), ["ab", "c", ""]);
    }
}
