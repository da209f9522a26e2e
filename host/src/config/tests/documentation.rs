use crate::config::layer::{KEYS, has_variable};
use crate::config::names::variable;

#[test]
fn every_option_and_its_variable_are_documented() {
    let page = include_str!("../../../../docs/configuration.md");
    for key in KEYS {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{key}`")));
        let row = row.unwrap_or_else(|| panic!("`{key}` has no row in docs/configuration.md"));
        if has_variable(key) {
            assert!(row.contains(&format!("`{}`", variable(key))), "{row}");
        }
    }
}

#[test]
fn the_page_of_http_has_every_option_of_http() {
    let page = include_str!("../../../../docs/http.md");
    let place = |key: &str| KEYS.iter().position(|known| *known == key).unwrap();
    for key in &KEYS[place("maxRedirects")..=place("files")] {
        // `dns` is there part by part.
        let is_there = [format!("| `{key}`"), format!("| `{key}.")].iter().any(|start| page.contains(start));
        assert!(is_there, "`{key}` has no row in docs/http.md");
        assert!(page.contains(&format!("`{}`", variable(key))), "{key}");
    }
}
