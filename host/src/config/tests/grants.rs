//! What a component is granted, as a user says it.

use super::super::bounds;
use super::{Typed, from};
use crate::plan::{Limits, Proposal};

fn imports(typed: &Typed) -> Option<Vec<String>> {
    let imports = typed.lower().plan.policy.imports?;
    Some(imports.iter().map(ToString::to_string).collect())
}

#[test]
fn a_journey_that_is_trusted_may_import_anything_unless_it_is_said_what() {
    assert_eq!(imports(&Typed::default()), None);
    assert_eq!(imports(&Typed::flags(&[("policy.allowImport", "wasi:http/*")])), None);
    let said =
        Typed::file("[policy]\nimports = ['squall:journey/*']").and_flags(&[("policy.allowImport", "wasi:io/*")]);
    assert_eq!(imports(&said).unwrap(), ["squall:journey/*", "wasi:io/*"]);
}

#[test]
fn a_journey_that_is_not_trusted_may_import_what_is_harmless_and_what_is_added() {
    let typed = Typed::file("untrusted = true").and_flags(&[("policy.allowImport", "wasi:sockets/tcp,wasi:http/*")]);
    let granted = imports(&typed).unwrap();
    assert_eq!(granted.len(), 8, "{granted:?}");
    assert!(granted.contains(&"wasi:sockets/tcp".to_owned()) && granted.contains(&"squall:*".to_owned()));
    assert!(!granted.iter().any(|pattern| pattern == "wasi:sockets/*"));
    assert_eq!(from(&typed.lower(), "policy.allowImport"), "--policy.allow-import");
}

#[test]
fn proposals_are_granted_by_their_names() {
    let typed = Typed::file("[policy]\nproposals = ['relaxed-simd', 'gc']");
    assert_eq!(typed.lower().plan.policy.proposals, [Proposal::Gc, Proposal::RelaxedSimd].into());
    let problems = Typed::file("[policy]\nproposals = ['relaxed_simd', 1]").problems();
    assert!(problems.contains("there is no proposal `relaxed_simd`"), "{problems}");
    assert!(problems.contains("did you mean `relaxed-simd`?"), "{problems}");
    assert!(problems.contains("`policy.proposals[1]` must be a list of proposals like `gc`, but is `1`"), "{problems}");
}

#[test]
fn what_is_no_pattern_and_what_a_journey_says_of_the_policy_is_refused() {
    let problems = Typed::file("[policy]\nimports = ['wasi:cl*']").problems();
    assert!(problems.contains("`policy.imports[0]`: `wasi:cl*` is no pattern of imports"), "{problems}");
    let problems = Typed::journey(r#"{"policy":{"imports":["*"],"proposals":["gc"]}}"#).problems();
    assert_eq!(problems.matches("is not for the journey to set").count(), 2, "{problems}");
    let problems = Typed::file("[policy]\nimport = ['*']").problems();
    assert!(problems.contains("unknown option `policy.import`"), "{problems}");
}

#[test]
fn what_a_journey_may_use_is_known_before_it_says_anything() {
    let typed = Typed::file("untrusted = true\n[limits]\nmemory = '1MiB'").and_journey(r#"{"vus":"many"}"#);
    let (limits, policy) = bounds(&typed.sources());
    assert!(policy.untrusted && policy.imports.is_some());
    assert_eq!(limits, Limits { memory: 1 << 20, ..Limits::untrusted() });
}
