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
