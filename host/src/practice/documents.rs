//! Documents to read from: a page with a form that takes back the token it was given, and JSON of any size.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::token;

/// The most items of a `/json/large`: about 17 MB.
pub(super) const MAX_ITEMS: usize = 100_000;
/// The items of one that names no number: about 10 KB.
pub(super) const ITEMS: usize = 60;

/// Pages that were made, so that no two forms have the same token.
static PAGES: AtomicU64 = AtomicU64::new(0);

/// A page with a form, a token hidden in it, and links.
pub(super) fn page() -> String {
    let token = token::issue(&format!("form {}", PAGES.fetch_add(1, Ordering::Relaxed)));
    let mut links = String::new();
    for item in 1..=5 {
        let _ =
            writeln!(links, "  <li class=\"item\" data-id=\"{item}\"><a href=\"/html?item={item}\">Item {item}</a>");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Order &amp; pay</title></head>\n<body>\n\
         <h1>Order</h1>\n<ul id=\"items\">\n{links}</ul>\n<form id=\"order\" method=\"post\" action=\"/html\">\n  \
         <input type=\"hidden\" name=\"csrf\" value=\"{token}\">\n  <input name=\"item\">\n  \
         <button>Order</button>\n</form>\n<p><a href=\"/health\">Help</a>\n</body>\n</html>\n"
    )
}

/// Whether a form's token is one that a page was given.
pub(super) fn is_from_page(token: &str) -> bool {
    token::user_of(&format!("Bearer {token}")).is_some_and(|user| user.starts_with("form "))
}

/// A list of items as JSON, about 170 bytes each.
pub(super) fn list(items: usize) -> String {
    let mut text = String::from("{\"items\":[");
    for item in 1..=items {
        let comma = if item > 1 { "," } else { "" };
        let price = item * 7 % 1000;
        let _ = write!(
            text,
            "{comma}{{\"id\":{item},\"name\":\"item number {item}\",\"price\":{price}.50,\"available\":{},\"tags\":[\"new\",\"t{}\"],\
             \"owner\":{{\"name\":\"user {item}\",\"email\":\"user{item}@example.com\",\"address\":{{\"city\":\"Delft\"}}}}}}",
            item % 3 != 0,
            item % 10,
        );
    }
    let _ = write!(text, "],\"total\":{items}}}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_a_token_of_its_own_that_is_known_again() {
        let token = |page: String| page.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let (first, second) = (token(page()), token(page()));
        assert_ne!(first, second);
        assert!(is_from_page(&first) && is_from_page(&second));
        assert!(!is_from_page("made-up") && !is_from_page(&token::issue("ann")));
    }

    #[test]
    fn the_list_is_json_of_about_ten_kilobytes() {
        let text = list(ITEMS);
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), ITEMS);
        assert_eq!((&list["items"][41]["owner"]["name"], &list["total"]), (&"user 42".into(), &60.into()));
        assert!((9_000..11_000).contains(&text.len()), "{}", text.len());
    }
}
