//! Rust text into tokens, without comments, strings and tests.

/// One word or mark, and the line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

impl Token {
    /// Whether this is a name or a keyword.
    pub fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    /// Whether this is exactly `text`.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

/// The tokens of a file. `::` is one token, every other mark is one character; literals are left out.
pub fn tokens(text: &str) -> Vec<Token> {
    Scanner { rest: text.chars().collect(), at: 0, line: 1, found: Vec::new() }.scan()
}

struct Scanner {
    rest: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Scanner {
    fn scan(mut self) -> Vec<Token> {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.skip_while(|c| c != '\n'),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                '\'' => self.quote(),
                _ if c.is_alphabetic() || c == '_' => self.word(),
                _ if c.is_ascii_digit() => self.skip_while(|c| c.is_alphanumeric() || c == '_'),
                _ if c.is_whitespace() => self.step(),
                ':' if self.peek(1) == Some(':') => {
                    self.push("::".to_owned());
                    self.step();
                    self.step();
                }
                _ => {
                    self.push(c.to_string());
                    self.step();
                }
            }
        }
        self.found
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn skip_while(&mut self, keep_on: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&keep_on) {
            self.step();
        }
    }

    fn push(&mut self, text: String) {
        self.found.push(Token { text, line: self.line });
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {
                    self.step();
                    continue;
                }
            }
            self.step();
            self.step();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.step();
        while let Some(c) = self.peek(0) {
            self.step();
            match c {
                '\\' => self.step(),
                '"' => return,
                _ => {}
            }
        }
    }

    /// A character or a lifetime: `'a'` and `'\n'` close, `'a` does not.
    fn quote(&mut self) {
        let is_character = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.step();
        if !is_character {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
            return;
        }
        while let Some(c) = self.peek(0) {
            self.step();
            match c {
                '\\' => self.step(),
                '\'' => return,
                _ => {}
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let word: String = self.rest[start..self.at].iter().collect();
        let is_prefix = matches!(word.as_str(), "b" | "c" | "r" | "br" | "cr");
        match self.peek(0) {
            Some('"') if is_prefix && word.ends_with('r') => self.raw_string(0),
            Some('"') if is_prefix => self.string(),
            Some('\'') if word == "b" => self.quote(),
            Some('#') if is_prefix && word.ends_with('r') => {
                let hashes = self.rest[self.at..].iter().take_while(|c| **c == '#').count();
                self.at += hashes;
                if self.peek(0) == Some('"') {
                    self.raw_string(hashes);
                }
                // Otherwise it is a raw name (`r#type`), and the name follows as the next word.
            }
            _ => self.push(word),
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.step();
        while self.peek(0).is_some() {
            let closes = self.peek(0) == Some('"') && (1..=hashes).all(|n| self.peek(n) == Some('#'));
            self.step();
            if closes {
                self.at += hashes;
                return;
            }
        }
    }
}

/// Takes out every item under `#[cfg(test)]`; returns the rest and the names of modules declared for tests only.
pub fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut test_modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !is_test_attribute(&tokens[at..]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        while tokens.get(at).is_some_and(|token| token.is("#")) {
            at = closing(tokens, at + 1) + 1;
        }
        let end = item_end(tokens, at);
        let item = &tokens[at..end.min(tokens.len())];
        if let Some(place) = item.iter().take(6).position(|token| token.is("mod"))
            && item.last().is_some_and(|token| token.is(";"))
            && let Some(name) = item.get(place + 1)
        {
            test_modules.push(name.text.clone());
        }
        at = end;
    }
    (kept, test_modules)
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let opens = ["#", "[", "cfg", "("];
    tokens.len() > opens.len()
        && opens.iter().zip(tokens).all(|(want, token)| token.is(want))
        && tokens[..closing(tokens, 1).min(tokens.len())]
            .windows(2)
            .any(|pair| pair[1].is("test") && !pair[0].is("=") && (pair[0].is("(") || pair[0].is(",")))
        && !tokens[..closing(tokens, 1).min(tokens.len())].iter().any(|token| token.is("not"))
}

/// The place of the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    tokens.len()
}

/// One past the item that starts at `start`: its `;` or its closing brace.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "(" | "[" => at = closing(tokens, at),
            "{" => return closing(tokens, at) + 1,
            ";" => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(Token::is_word).map(|token| token.text).collect()
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        let text = r##"a /* b /* c */ d */ e // f
            "g \" h" r#"i " j"# b'k' '\'' 'l' m<'n> r"o" c"p" r#type"##;
        assert_eq!(words(text), ["a", "e", "m", "type"]);
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let found = tokens("\"a\nb\" /* c\n */ d");
        assert_eq!(found, [Token { text: "d".to_owned(), line: 3 }]);
    }

    #[test]
    fn items_for_tests_are_left_out() {
        let text = "a; #[cfg(test)] mod tests { fn x() { b } } #[cfg(test)] mod fakes; \
                    #[cfg(test)] #[allow(dead_code)] fn f(y: [u8; 3]) { c } #[cfg(not(test))] fn d() {}";
        let (kept, test_modules) = without_tests(&tokens(text));
        let kept: Vec<&str> = kept.iter().filter(|token| token.is_word()).map(|token| token.text.as_str()).collect();
        assert_eq!(kept, ["a", "cfg", "not", "test", "fn", "d"]);
        assert_eq!(test_modules, ["fakes"]);
    }
}
