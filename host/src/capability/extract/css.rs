//! CSS selectors on HTML.
//!
//! A page is fed to the parser piece by piece, so that one made to be slow or to grow (elements nested by the thousand,
//! formatting that opens again in every paragraph) is left at a limit instead of parsed to the end.

use html5ever::driver;
use html5ever::tendril::TendrilSink;
use scraper::{ElementRef, Html, HtmlTreeSink, Selector};

use super::pick::{Found, Watch};
use crate::wit::extract::Error;

/// The longest selector, in bytes.
const LONGEST: usize = 1 << 10;
/// Parentheses nested deeper than this are refused.
const DEEPEST: usize = 16;
/// The longest page, in bytes.
const LONGEST_PAGE: usize = 16 << 20;
/// The most nodes of a page.
const MOST_NODES: usize = 1_000_000;
/// The most nodes of a page for a selector that may look at all of them for each.
const MOST_NODES_FOR_INTRICATE: usize = 20_000;
/// Bytes fed at once where no tag begins.
const PIECE: usize = 4 << 10;

/// A compiled selector.
#[derive(Debug)]
pub(super) struct Css {
    selector: Selector,
    /// It can look at many nodes to decide about one.
    intricate: bool,
}

impl Css {
    pub(super) fn new(selector: &str) -> Result<Self, Error> {
        let length = selector.len();
        if length > LONGEST {
            return Err(invalid(format!("the selector has {length} bytes, and the limit is {LONGEST}")));
        }
        let depth = deepest(selector);
        if depth > DEEPEST {
            return Err(invalid(format!("the selector nests {depth} deep, and the limit is {DEEPEST}")));
        }
        let siblings = selector.matches('~').count() - selector.matches("~=").count();
        let intricate = selector.to_ascii_lowercase().contains(":has(") || siblings > 1;
        let parsed = Selector::parse(selector).map_err(|error| invalid(format!("`{selector}`: {error}")))?;
        Ok(Self { selector: parsed, intricate })
    }

    /// Texts inside the elements that match, or their attribute.
    pub(super) fn find(&self, page: &Html, attribute: Option<&str>, nth: i32) -> Result<Found<String>, Error> {
        let nodes = page.tree.nodes().len();
        if self.intricate && nodes > MOST_NODES_FOR_INTRICATE {
            return Err(Error::TooMuch(format!(
                "the page has {nodes} nodes, and the limit for a selector with `:has` or several `~` is {MOST_NODES_FOR_INTRICATE}"
            )));
        }
        let (mut found, mut watch) = (Found::new(nth), Watch::start());
        for element in page.tree.nodes().filter_map(ElementRef::wrap) {
            watch.check()?;
            if !self.selector.matches(&element) {
                continue;
            }
            let offered = match attribute {
                None => {
                    let bytes = element.text().map(str::len).sum();
                    found.offer(bytes, || element.text().collect())?
                }
                Some(name) => match element.attr(name) {
                    Some(value) => found.offer(value.len(), || value.to_owned())?,
                    None => continue,
                },
            };
            if offered.is_break() {
                break;
            }
        }
        Ok(found)
    }
}

/// Parses a page. What is no HTML is a page too, as browsers see it.
pub(super) fn parse(body: &[u8]) -> Result<Html, Error> {
    let length = body.len();
    if length > LONGEST_PAGE {
        return Err(Error::TooMuch(format!("the body has {length} bytes, and the limit for HTML is {LONGEST_PAGE}")));
    }
    let text = String::from_utf8_lossy(body);
    let mut parser = driver::parse_document(HtmlTreeSink::new(Html::new_document()), driver::ParseOpts::default());
    let (mut rest, mut watch) = (&*text, Watch::start());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece(rest));
        parser.process(piece.into());
        rest = after;
        watch.check()?;
        let nodes = parser.tokenizer.sink.sink.0.borrow().tree.nodes().len();
        if nodes > MOST_NODES {
            return Err(Error::TooMuch(format!("the page has more than {MOST_NODES} nodes, the limit")));
        }
    }
    Ok(parser.finish())
}

/// Where the next piece ends: before the next tag, because one tag can make as many nodes as there are already.
fn piece(text: &str) -> usize {
    let most = text.floor_char_boundary(PIECE);
    let after_first = text.as_bytes().get(1..most).unwrap_or_default();
    memchr::memchr(b'<', after_first).map_or(most, |end| end + 1)
}

/// How deep parentheses and brackets nest.
fn deepest(selector: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in selector.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn invalid(why: String) -> Error {
    Error::InvalidExpression(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!doctype html><title>Sign in</title>
        <form action="/login"><input type="hidden" name="csrf" value="t&amp;1"><input name="user"></form>
        <ul><li><a href="/item/1">one <b>bold</b></a><li><a href="/item/2">two</a><li><a>none</a></ul>"#;

    fn find(selector: &str, attribute: Option<&str>, nth: i32) -> Vec<String> {
        let page = parse(PAGE.as_bytes()).unwrap();
        Css::new(selector).unwrap().find(&page, attribute, nth).unwrap().choose(|| 0.0)
    }

    #[test]
    fn texts_and_attributes_come_in_the_order_of_the_page() {
        assert_eq!(find("input[name=csrf]", Some("value"), 1), ["t&1"]);
        assert_eq!(find("li a", None, -1), ["one bold", "two", "none"]);
        assert_eq!(find("title", None, 1), ["Sign in"]);
        assert!(find("table", None, -1).is_empty());
    }

    #[test]
    fn an_element_without_the_attribute_does_not_count() {
        assert_eq!(find("li a", Some("href"), -1), ["/item/1", "/item/2"]);
        assert!(find("li a", Some("href"), 3).is_empty());
        assert_eq!(find("input", Some("value"), -1), ["t&1"]);
    }

    #[test]
    fn a_selector_that_cannot_be_used_says_why() {
        for (selector, part) in [
            ("a[", "`a[`"),
            ("", "``"),
            (&"a ".repeat(600), "1200 bytes, and the limit is 1024"),
            (&format!("{}a{}", ":not(".repeat(17), ")".repeat(17)), "17 deep, and the limit is 16"),
        ] {
            let error = Css::new(selector).err();
            assert!(matches!(&error, Some(Error::InvalidExpression(why)) if why.contains(part)), "{error:?}");
        }
    }

    #[test]
    fn pieces_hold_one_tag_at_most_and_only_whole_characters() {
        let text = format!("<i><a>{}", "\u{20ac}".repeat(3000));
        assert_eq!((piece(&text), piece("<"), piece("<<"), piece("\u{20ac}<")), (3, 1, 1, 3));
        assert_eq!(piece(&text[3..]), 4095);
        let page = parse(text.as_bytes()).unwrap();
        let found = Css::new("a").unwrap().find(&page, None, 1).unwrap().choose(|| 0.0);
        assert_eq!(found[0].chars().count(), 3000);
    }

    #[test]
    fn pages_made_to_grow_are_left_at_the_limit() {
        // Every `<p>` opens all of the formatting before it again.
        let formatting: Vec<String> = (0..3000).map(|number| format!("<b a={number}>")).collect();
        let page = format!("<p>{}{}", formatting.concat(), "<p>x".repeat(1000));
        assert!(matches!(parse(page.as_bytes()), Err(Error::TooMuch(_))));
        // Here by the nodes on a fast machine, by the time on a slow one.
        assert!(matches!(parse("<div><p>".repeat(1_000_000).as_bytes()), Err(Error::TooMuch(_))));
        assert!(
            matches!(parse(&vec![b'x'; (16 << 20) + 1]), Err(Error::TooMuch(why)) if why.contains("16777217 bytes"))
        );
    }

    #[test]
    fn what_could_look_at_every_node_for_each_takes_only_small_pages() {
        let page = parse("<p>x</p>".repeat(10_001).as_bytes()).unwrap();
        for selector in ["body:has(i ~ p)", "p ~ p ~ p"] {
            let error = Css::new(selector).unwrap().find(&page, None, 1).err();
            assert!(matches!(error, Some(Error::TooMuch(why)) if why.contains("20000")), "{selector}");
        }
        assert!(Css::new("p ~ p, a[b~=c]").unwrap().find(&page, None, 1).is_ok());
    }
}
