//! The paths a file names, spelt out from the root of the crate.

use super::source::Token;

/// A path such as `crate::plan::Curve`, and where it is named.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
}

/// Every path of two or more segments in `tokens`, and every single name that `use` brings in. `module` is the file's
/// own module, without `crate`.
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut inside = Inline::new(module);
    let mut at = 0;
    while at < tokens.len() {
        inside.see(tokens, at);
        if tokens[at].is("use") {
            let end = at + tokens[at..].iter().position(|token| token.is(";")).unwrap_or(tokens.len() - at);
            let mut tree = Tree { tokens: &tokens[..end], at: at + 1, found: Vec::new() };
            tree.read(&[]);
            found.extend(tree.found.into_iter().map(|path| inside.absolute(path)));
            at = end;
        } else if starts_path(tokens, at) {
            let (path, end) = plain(tokens, at);
            if path.segments.len() > 1 {
                found.push(inside.absolute(path));
            }
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

fn starts_path(tokens: &[Token], at: usize) -> bool {
    // `.method::<T>()` is no path, nor is what follows `::` of a type (`<T>::name`).
    tokens[at].is_word() && !(at > 0 && (tokens[at - 1].is(".") || tokens[at - 1].is("::") && follows_type(tokens, at)))
}

fn follows_type(tokens: &[Token], at: usize) -> bool {
    at > 1 && tokens[at - 2].is(">")
}

fn plain(tokens: &[Token], start: usize) -> (Path, usize) {
    let mut path = Path { segments: vec![tokens[start].text.clone()], line: tokens[start].line };
    let mut at = start + 1;
    while at + 1 < tokens.len() && tokens[at].is("::") && tokens[at + 1].is_word() {
        path.segments.push(tokens[at + 1].text.clone());
        at += 2;
    }
    (path, at)
}

/// Reads one `use` tree.
struct Tree<'a> {
    tokens: &'a [Token],
    at: usize,
    found: Vec<Path>,
}

impl Tree<'_> {
    fn read(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let mut line = 0;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "{" => {
                    self.at += 1;
                    self.group(&segments);
                    return;
                }
                "}" | "," => break,
                "as" => {
                    // The new name is of no interest.
                    self.at += 2;
                    continue;
                }
                "::" => {}
                // `{self, ..}` brings in the prefix.
                "self" if !segments.is_empty() => {}
                word => segments.push(word.to_owned()),
            }
            line = token.line;
            self.at += 1;
        }
        if line > 0 && !segments.is_empty() {
            self.found.push(Path { segments, line });
        }
    }

    fn group(&mut self, prefix: &[String]) {
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                _ => self.read(prefix),
            }
        }
    }
}

/// Which inline module a token is in.
struct Inline {
    module: Vec<String>,
    depth: usize,
    opened: Vec<usize>,
}

impl Inline {
    fn new(module: &[String]) -> Self {
        Self { module: module.to_vec(), depth: 0, opened: Vec::new() }
    }

    fn see(&mut self, tokens: &[Token], at: usize) {
        match tokens[at].text.as_str() {
            "{" => {
                self.depth += 1;
                if at > 1 && tokens[at - 2].is("mod") {
                    self.module.push(tokens[at - 1].text.clone());
                    self.opened.push(self.depth);
                }
            }
            "}" => {
                if self.opened.last() == Some(&self.depth) {
                    self.opened.pop();
                    self.module.pop();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// Turns `self::` and `super::` into a path from `crate`.
    fn absolute(&self, path: Path) -> Path {
        let mut here = self.module.clone();
        let mut rest = path.segments.as_slice();
        let mut relative = false;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "self" => {}
                "super" => {
                    here.pop();
                }
                _ => break,
            }
            relative = true;
            rest = others;
        }
        if !relative {
            return path;
        }
        let mut segments = vec!["crate".to_owned()];
        segments.extend(here);
        segments.extend_from_slice(rest);
        Path { segments, line: path.line }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tokens;
    use super::*;

    fn named(text: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        paths(&tokens(text), &module).into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_spelt_out() {
        assert_eq!(
            named("pub use crate::{plan::{self, Curve as C}, vu}; use tokio;", &["run"]),
            ["crate::plan", "crate::plan::Curve", "crate::vu", "tokio"]
        );
    }

    #[test]
    fn relative_paths_start_at_the_module_they_are_in() {
        assert_eq!(
            named("use super::pacer; mod inner { use super::x; } fn f() { self::y::z() }", &["scheduler", "executor"]),
            ["crate::scheduler::pacer", "crate::scheduler::executor::x", "crate::scheduler::executor::y::z"]
        );
    }

    #[test]
    fn paths_in_code_are_seen_and_methods_are_not() {
        assert_eq!(
            named("let a = std::time::Instant::now(); b.collect::<Vec<_>>(); <T>::of::<u8>()", &["plan"]),
            ["std::time::Instant::now"]
        );
    }
}
