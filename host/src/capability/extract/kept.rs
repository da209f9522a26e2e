//! What the readers of one worker thread keep: compiled expressions, and the document that was read last.
//!
//! A journey reads several things from one answer, one after the other. The tree made for the first is still there for the
//! next, and is dropped with the answer. There is one for the thread and not one for each virtual user, so what a large body
//! costs in memory is paid once.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use scraper::Html;

use super::css::{self, Css};
use super::json_path::{Document, JsonPath};
use super::pattern::Pattern;
use crate::wit::extract::Error;

/// Expressions of a kind that are kept. A journey that makes more than these as it goes has each compiled anew.
const KEPT: usize = 128;

/// What the readers of one worker thread keep.
#[derive(Default)]
pub(in super::super) struct Kept {
    pub(super) patterns: Expressions<Pattern>,
    pub(super) paths: Expressions<JsonPath>,
    pub(super) selectors: Expressions<Css>,
    tree: RefCell<Option<Box<Tree>>>,
}

/// Compiled expressions by their text.
pub(super) struct Expressions<T>(RefCell<FxHashMap<Box<str>, Rc<T>>>);

/// Whose answer it is: the host's number in this thread, and the answer's id.
type Owner = (u32, u32);

struct Tree {
    owner: Owner,
    content: Content,
}

enum Content {
    Json(Document),
    Html(Html),
}

impl<T> Default for Expressions<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Expressions<T> {
    /// Returns an expression, compiled the first time.
    pub(super) fn get(&self, text: &str, compile: impl FnOnce(&str) -> Result<T, Error>) -> Result<Rc<T>, Error> {
        if let Some(known) = self.0.borrow().get(text) {
            return Ok(Rc::clone(known));
        }
        let compiled = Rc::new(compile(text)?);
        let mut known = self.0.borrow_mut();
        if known.len() == KEPT {
            known.clear();
        }
        known.insert(Box::from(text), Rc::clone(&compiled));
        Ok(compiled)
    }
}

impl Kept {
    /// Reads from an answer as JSON.
    pub(super) fn json<R>(
        &self,
        owner: Owner,
        body: &[u8],
        read: impl FnOnce(&Document) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.read(owner, |content| match content {
            Some(Content::Json(document)) => (None, read(document)),
            _ => match Document::parse(body) {
                Ok(document) => {
                    let result = read(&document);
                    (Some(Content::Json(document)), result)
                }
                Err(error) => (None, Err(error)),
            },
        })
    }

    /// Reads from an answer as HTML.
    pub(super) fn html<R>(
        &self,
        owner: Owner,
        body: &[u8],
        read: impl FnOnce(&Html) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.read(owner, |content| match content {
            Some(Content::Html(page)) => (None, read(page)),
            _ => match css::parse(body) {
                Ok(page) => {
                    let result = read(&page);
                    (Some(Content::Html(page)), result)
                }
                Err(error) => (None, Err(error)),
            },
        })
    }

    /// Forgets an answer that is freed.
    pub(in super::super) fn forget(&self, host: u32, answer: Option<u32>) {
        let mut tree = self.tree.borrow_mut();
        let owner = tree.as_ref().map(|tree| tree.owner);
        if owner.is_some_and(|(of, id)| of == host && answer.is_none_or(|answer| answer == id)) {
            *tree = None;
        }
    }

    /// Shows what is kept of this answer, and keeps what was made instead.
    fn read<R>(&self, owner: Owner, read: impl FnOnce(Option<&Content>) -> (Option<Content>, R)) -> R {
        let mut tree = self.tree.borrow_mut();
        let (made, result) = read(tree.as_ref().filter(|tree| tree.owner == owner).map(|tree| &tree.content));
        if let Some(content) = made {
            *tree = Some(Box::new(Tree { owner, content }));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_expression_is_compiled_once() {
        let (expressions, compiled) = (Expressions::default(), Cell::new(0));
        let get = |text: &str| {
            let compile = |text: &str| {
                compiled.set(compiled.get() + 1);
                Ok(text.len())
            };
            *expressions.get(text, compile).unwrap()
        };
        assert_eq!((get("a"), get("bb"), get("a"), compiled.get()), (1, 2, 1, 2));
        for number in 0..1000 {
            get(&number.to_string());
        }
        assert!(expressions.0.borrow().len() <= KEPT);
        let failed = expressions.get("new", |_| Err(Error::Other(String::new())));
        assert!(failed.is_err() && !expressions.0.borrow().contains_key("new"));
    }

    #[test]
    fn a_tree_is_made_once_for_an_answer_and_never_read_for_another() {
        let kept = Kept::default();
        let path = JsonPath::new("$.a").unwrap();
        // A body that is no JSON shows whether the tree of before was read.
        let read = |owner, body: &str| {
            kept.json(owner, body.as_bytes(), |document| Ok(path.find("$.a", document, 1)?.choose(|| 0.0)))
        };
        assert_eq!(read((1, 1), r#"{"a": 1}"#).unwrap(), ["1"]);
        assert_eq!(read((1, 1), "not parsed").unwrap(), ["1"]);
        assert!(read((2, 1), "parsed").is_err() && read((1, 2), "parsed").is_err());
        assert_eq!(read((1, 1), "not parsed").unwrap(), ["1"], "an answer that is no JSON leaves no tree");
        kept.forget(2, None);
        kept.forget(1, Some(2));
        assert!(read((1, 1), "not parsed").is_ok());
        kept.forget(1, Some(1));
        assert!(read((1, 1), "parsed").is_err());
        assert_eq!(read((1, 1), r#"{"a": 2}"#).unwrap(), ["2"]);
        kept.forget(1, None);
        assert!(kept.tree.borrow().is_none());
        assert!(kept.html((1, 1), b"<p>", |_| Ok(())).is_ok() && read((1, 1), "parsed").is_err());
    }
}
