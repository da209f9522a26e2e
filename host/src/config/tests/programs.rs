use super::*;

const SCENARIOS: &str = "args = [\"--size\", \"a,b\"]\n[scenarios.one]\nexecutor = \"per-vu-iterations\"\n\
    [scenarios.two]\nexecutor = \"per-vu-iterations\"\nargs = [\"other\"]\nenv = { A = \"1\" }\n";

#[test]
fn a_program_has_arguments_for_all_scenarios_and_for_one() {
    let plan = Typed::file(SCENARIOS).for_program().lower().plan;
    assert_eq!(plan.args, ["--size", "a,b"]);
    assert_eq!(
        (plan.scenarios[0].args.as_ref(), plan.scenarios[1].args.as_deref()),
        (None, Some(&["other".to_owned()][..]))
    );
    assert_eq!((plan.setup_timeout, plan.teardown_timeout), (None, None));
    let mut flags = Flags::default();
    flags.list("args", "--", &["x, y".to_owned(), "-z".to_owned()]);
    let typed = Typed { flags, ..Typed::file("args = [\"a\"]").for_program() };
    assert_eq!(typed.lower().plan.args, ["x, y", "-z"]);
}

#[test]
fn a_journey_has_none_and_a_program_has_no_entries() {
    let problems = Typed::file(SCENARIOS).problems();
    assert!(problems.contains("`args`: a journey takes no arguments"), "{problems}");
    assert_eq!(problems.matches("a journey takes no arguments").count(), 2, "{problems}");
    assert!(problems.contains("--env NAME=VALUE"), "{problems}");
    let entries = "[scenarios.one]\nexecutor = \"per-vu-iterations\"\nexec = \"browse\"";
    let problems = Typed::file(entries).for_program().problems();
    assert!(problems.contains("a program has no entry `browse`"), "{problems}");
    assert!(Typed::file(&entries.replace("browse", "default").leak()[..]).for_program().lower().plan.args.is_empty());
    assert!(Typed::journey(r#"{"args": ["a"]}"#).problems().contains("not for the journey to set"));
}

#[test]
fn sockets_are_granted_by_name_only() {
    let sockets = |flags: &[(&'static str, &str)]| Typed::flags(flags).lower().plan.policy.sockets;
    assert!(!sockets(&[]) && !sockets(&[("policy.allowImport", "wasi:http/*")]));
    for granted in ["wasi:sockets/*", "wasi:*", "*", "wasi:sockets/tcp"] {
        assert!(sockets(&[("policy.allowImport", granted)]), "{granted}");
        assert!(sockets(&[("untrusted", "true"), ("policy.imports", granted)]), "{granted}");
    }
}
