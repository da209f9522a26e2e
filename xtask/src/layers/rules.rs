//! The rules, applied to files.

use super::File;
use super::paths::{Path, paths};
use super::source::{Token, tokens, without_tests};
use super::table::{HOMES, IMPURE, IMPURE_WORDS, MAY_USE, PURE, ROOTS, VAGUE};

/// Every breach, each with its place and a hint.
pub fn check(files: &[File]) -> Vec<String> {
    let read: Vec<Read> = files.iter().map(Read::new).collect();
    let for_tests: Vec<String> = read.iter().flat_map(Read::test_modules).collect();
    read.iter()
        .filter(|file| !for_tests.iter().any(|module| within(&file.module.join("::"), module)))
        .flat_map(problems)
        .collect()
}

/// A file as tokens.
struct Read<'a> {
    path: &'a str,
    module: Vec<String>,
    tokens: Vec<Token>,
    declared_for_tests: Vec<String>,
}

impl<'a> Read<'a> {
    fn new(file: &'a File) -> Self {
        let (tokens, declared_for_tests) = without_tests(&tokens(&file.text));
        Self { path: &file.path, module: module_of(&file.path), tokens, declared_for_tests }
    }

    fn test_modules(&self) -> Vec<String> {
        let full = |name: &String| [self.module.as_slice(), std::slice::from_ref(name)].concat().join("::");
        self.declared_for_tests.iter().map(full).collect()
    }
}

/// `scheduler/pacer.rs` is `scheduler::pacer`, `plan/mod.rs` is `plan`, `lib.rs` is the root.
fn module_of(path: &str) -> Vec<String> {
    let mut segments: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if segments.last().is_some_and(|last| last == "mod") || ROOTS.contains(&path) {
        segments.pop();
    }
    segments
}

fn within(name: &str, module: &str) -> bool {
    name == module || name.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

fn problems(file: &Read) -> Vec<String> {
    let mut found = names(file);
    found.extend(glob_exports(file));
    if ROOTS.contains(&file.path) {
        return found;
    }
    let own = file.module.join("::");
    let Some((row, may_use)) = MAY_USE.iter().filter(|(row, _)| within(&own, row)).max_by_key(|(row, _)| row.len())
    else {
        found.push(problem(
            &format!("module `{own}` is not in the table of modules"),
            file.path,
            1,
            "give it a row in docs/architecture.md and in xtask/src/layers/table.rs",
        ));
        return found;
    };
    for path in paths(&file.tokens, &file.module) {
        found.extend(wrong_module(file, row, may_use, &path));
        found.extend(wrong_home(file, &path));
        found.extend(impure_path(file, &path));
    }
    found.extend(impure_words(file));
    found
}

fn problem(what: &str, path: &str, line: usize, hint: &str) -> String {
    format!("error: {what}\n  at host/src/{path}:{line}\n  hint: {hint}")
}

fn top<'f>(file: &'f Read<'_>) -> &'f str {
    file.module.first().map_or("", String::as_str)
}

/// Rule 1: the table of modules.
fn wrong_module(file: &Read, row: &str, may_use: &[&str], path: &Path) -> Option<String> {
    let [root, used, ..] = path.segments.as_slice() else {
        return None;
    };
    let known = MAY_USE.iter().any(|(name, _)| name == used);
    if root != "crate" || !known || used == top(file) || may_use.contains(&used.as_str()) {
        return None;
    }
    let allowed = match may_use {
        [] => "no other module".to_owned(),
        some => format!("only `{}`", some.join("`, `")),
    };
    Some(problem(
        &format!("`{row}` uses `{}`, but it may use {allowed}", path.segments.join("::")),
        file.path,
        path.line,
        "move the line to the module that may do it, or pass what is needed in",
    ))
}

/// Rule 2: third-party crates have a home.
fn wrong_home(file: &Read, path: &Path) -> Option<String> {
    let first = path.segments.first()?;
    let (name, homes) = HOMES.iter().find(|(name, _)| name == first)?;
    if homes.contains(&top(file)) {
        return None;
    }
    // A module of this crate may share a third-party crate's name; it is then reached through `crate` or `self`.
    Some(problem(
        &format!("`{}` uses the crate `{name}`, whose home is `{}`", file.module.join("::"), homes.join("`, `")),
        file.path,
        path.line,
        "hide it behind that module's own types",
    ))
}

/// Rule 3, paths: the pure core names no clock, file or socket.
fn impure_path(file: &Read, path: &Path) -> Option<String> {
    if !PURE.contains(&top(file)) {
        return None;
    }
    let name = path.segments.join("::");
    // With the module itself in scope, `time::Instant` would pass unseen.
    let opens_clock = name == "std::time" || name == "std::time::*";
    let named = IMPURE.iter().find(|impure| within(&name, impure)).copied();
    let named = named.or(opens_clock.then_some("std::time"))?;
    let hint = if opens_clock {
        "name what you need, such as `std::time::Duration`"
    } else {
        "take the value as an argument; `run`, `scheduler` and `collector` have clocks and tasks"
    };
    Some(problem(
        &format!("`{}` belongs to the pure core, which does not use `{named}`", file.module.join("::")),
        file.path,
        path.line,
        hint,
    ))
}

/// Rule 3, words: the pure core does not wait and starts nothing.
fn impure_words(file: &Read) -> Vec<String> {
    if !PURE.contains(&top(file)) {
        return Vec::new();
    }
    let hits = file.tokens.iter().filter(|token| IMPURE_WORDS.contains(&token.text.as_str()));
    hits.map(|token| {
        problem(
            &format!("`{}` belongs to the pure core, which has no `{}`", file.module.join("::"), token.text),
            file.path,
            token.line,
            "return data, and let the caller wait",
        )
    })
    .collect()
}

/// `pub use x::*` hides what a module offers.
fn glob_exports(file: &Read) -> Vec<String> {
    let mut found = Vec::new();
    for (at, token) in file.tokens.iter().enumerate() {
        let public = at > 0 && (file.tokens[at - 1].is("pub") || file.tokens[at - 1].is(")"));
        if !token.is("use") || !public {
            continue;
        }
        let end = file.tokens[at..].iter().take_while(|token| !token.is(";"));
        if end.clone().any(|token| token.is("*")) {
            found.push(problem(
                "a module re-exports by `*`",
                file.path,
                token.line,
                "re-export by name, so that the interface can be read",
            ));
        }
    }
    found
}

/// Names that say nothing.
fn names(file: &Read) -> Vec<String> {
    let inline =
        file.tokens.windows(2).filter(|pair| pair[0].is("mod")).map(|pair| (pair[1].text.as_str(), pair[1].line));
    let own = file.module.last().map(|name| (name.as_str(), 1));
    let vague = inline.chain(own).filter(|(name, _)| VAGUE.contains(name));
    vague
        .map(|(name, line)| {
            problem(
                &format!("a module is called `{name}`, which says nothing about what is inside"),
                file.path,
                line,
                "name it after what it is or does",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> =
            files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
        check(&files)
    }

    #[test]
    fn a_module_may_use_itself_and_what_the_table_allows() {
        let text = "use crate::plan::Curve; use super::executor::x; fn f() { crate::vu::iterate() }";
        assert_eq!(problems_of(&[("scheduler/mod.rs", text)]), Vec::<String>::new());
    }

    #[test]
    fn a_module_that_uses_another_layer_is_named_with_place_and_hint() {
        let found = problems_of(&[("scheduler/mod.rs", "\nfn f() {\n crate::sandbox::Sandbox::new() }")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`scheduler` uses `crate::sandbox::Sandbox::new`"), "{}", found[0]);
        assert!(found[0].contains("at host/src/scheduler/mod.rs:3"), "{}", found[0]);
    }

    #[test]
    fn a_row_for_a_file_is_stricter_than_its_folder() {
        let found = problems_of(&[("scheduler/pacer.rs", "use crate::vu::Pool;")]);
        assert!(found[0].contains("`scheduler::pacer` uses `crate::vu::Pool`"), "{found:?}");
    }

    #[test]
    fn a_crate_away_from_home_is_named() {
        let found = problems_of(&[
            ("vu/mod.rs", "fn f(x: wasmtime::Engine) {}"),
            ("wit.rs", "wasmtime::component::bindgen!();"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("whose home is `sandbox`, `capability`, `wit`"), "{}", found[0]);
    }

    #[test]
    fn the_pure_core_has_no_clock_and_does_not_wait() {
        let text = "use std::time::{Duration, Instant}; async fn f() { g().await }";
        let found = problems_of(&[("plan/curve.rs", text)]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(problems_of(&[("plan/curve.rs", "use std::time::Duration;")]).len(), 0);
        assert_eq!(problems_of(&[("plan/curve.rs", "use std::time;")]).len(), 1);
    }

    #[test]
    fn tests_may_use_anything() {
        let files = [
            ("plan/mod.rs", "#[cfg(test)] mod fakes; #[cfg(test)] mod tests { use crate::run::x; }"),
            ("plan/fakes.rs", "use std::fs;"),
        ];
        assert_eq!(problems_of(&files), Vec::<String>::new());
    }

    #[test]
    fn exports_by_star_and_vague_names_are_refused() {
        let found = problems_of(&[("vu/util.rs", "pub use x::*;"), ("lib.rs", "pub(crate) use y::*; mod helpers;")]);
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn a_module_without_a_row_is_refused() {
        let found = problems_of(&[("cluster/mod.rs", "")]);
        assert!(found[0].contains("`cluster` is not in the table"), "{found:?}");
    }
}
