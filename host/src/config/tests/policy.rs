use super::{Typed, from};
use crate::config::Lowered;
use crate::plan::{ByDefault, NetPolicy, Rule};

fn net(typed: &Typed) -> NetPolicy {
    typed.lower().plan.policy.net
}

fn shown(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

fn value<'a>(lowered: &'a Lowered, key: &str) -> &'a str {
    &lowered.origins.get(None, key).unwrap().value
}

#[test]
fn a_trusted_run_may_reach_everybody_until_somebody_is_named() {
    let typed = Typed::default();
    assert_eq!(net(&typed), NetPolicy::default());
    assert_eq!(value(&typed.lower(), "policy.net.allow"), "everybody");
    let typed = Typed::file("[policy.net]\nallow = [\"https://API.shop.test\", \"10.1.0.0/16:5432\"]\n");
    let policy = net(&typed);
    assert_eq!(policy.by_default, ByDefault::Deny);
    assert_eq!(shown(&policy.allow), ["https://api.shop.test", "10.1.0.0/16:5432"]);
    let lowered = typed.lower();
    assert_eq!(value(&lowered, "policy.net.allow"), "https://api.shop.test, 10.1.0.0/16:5432");
    assert_eq!(from(&lowered, "policy.net.allow"), "squall.toml:2");
    assert_eq!(
        net(&Typed::file("policy.net.allow = []\n")).by_default,
        ByDefault::Deny,
        "nobody is named, nobody is reached"
    );
}

#[test]
fn an_untrusted_journey_may_reach_nobody_until_somebody_is_named() {
    let typed = Typed::file("untrusted = true\n");
    assert_eq!(net(&typed), NetPolicy { by_default: ByDefault::Deny, ..NetPolicy::default() });
    let lowered = typed.lower();
    assert_eq!((value(&lowered, "policy.net.allow"), from(&lowered, "policy.net.allow")), ("nobody", "squall.toml:1"));
    let typed = typed.and_variables(&[("SQUALL_ALLOW_NET", "a.test, *.b.test:443"), ("SQUALL_DENY_NET", "x.b.test")]);
    assert_eq!(shown(&net(&typed).allow), ["a.test", "*.b.test:443"]);
    assert_eq!(shown(&net(&typed).deny), ["x.b.test"]);
    assert_eq!(net(&Typed::file("untrusted = true").and_flags(&[("untrusted", "false")])), NetPolicy::default());
}

#[test]
fn what_is_allowed_is_said_by_one_layer_and_what_is_denied_by_all() {
    let typed = Typed::file("[policy.net]\nallow = [\"a.test\"]\ndeny = [\"c.test\", \"10.0.0.0/8\"]\n")
        .and_flags(&[("policy.net.allow", "b.test"), ("policy.net.deny", "c.test,d.test")]);
    let policy = net(&typed);
    assert_eq!(shown(&policy.allow), ["b.test"]);
    assert_eq!(shown(&policy.deny), ["c.test", "10.0.0.0/8", "d.test"]);
    assert_eq!(from(&typed.lower(), "policy.net.allow"), "--policy.net.allow");
}

#[test]
fn k6s_lists_of_who_must_not_be_reached_are_denials() {
    let typed = Typed::journey(
        r#"{"blacklistIPs":["10.0.0.0/8","::1"],"blockHostnames":["*.k6.io","Test.k6.io","*bad.test"]}"#,
    );
    let policy = net(&typed);
    assert_eq!(policy.by_default, ByDefault::Allow);
    assert_eq!(shown(&policy.deny), ["10.0.0.0/8", "::1", "*.k6.io", "test.k6.io", "*bad.test"]);
    let typed = typed.and_variables(&[("SQUALL_BLACKLIST_IPS", "192.168.0.0/16"), ("SQUALL_BLOCK_HOSTNAMES", "")]);
    assert_eq!(shown(&net(&typed).deny), ["192.168.0.0/16", "*.k6.io", "test.k6.io", "*bad.test"]);
}

#[test]
fn a_rule_that_is_none_is_named_with_its_place() {
    let hint = "hint: write rules like `https://api.shop.test`, `shop.test:8443`, `*.shop.test` or `10.1.0.0/16:5432`";
    assert_eq!(
        Typed::file("[policy.net]\nallow = [\"a.test\", \"ftp://a.test\", \"*shop.test\"]\n").problems(),
        format!(
            "`policy.net.allow[1]`: `ftp://a.test` is no rule for the network: its scheme is not one of `http`, `https`, \
             `ws`, `wss`, `grpc`, `grpcs`, `tcp` and `udp`\n  at squall.toml:2\n  {hint}\n\
             `policy.net.allow[2]`: `*shop.test` fits names of strangers: put a `.` behind the `*`\n  at squall.toml:2\n  {hint}"
        )
    );
    assert_eq!(
        Typed::journey(r#"{"blacklistIPs":["a.test"],"blockHostnames":["10.0.0.1"]}"#).problems(),
        format!(
            "`blacklistIPs[0]`: `a.test` is no network like `10.0.0.0/8`\n  at journey options: blacklistIPs[0]\n  {hint}\n\
             `blockHostnames[0]`: `10.0.0.1` is no name like `shop.test` or `*.shop.test`\n  \
             at journey options: blockHostnames[0]\n  {hint}"
        )
    );
    assert_eq!(
        Typed::file("policy = { net = \"a.test\" }\n").problems(),
        "`policy.net` must be a table, but is the text `a.test`\n  at squall.toml:1"
    );
    assert!(Typed::file("[policy.net]\nalow = []\n").problems().contains("did you mean `policy.net.allow`?"));
}

#[test]
fn a_journey_cannot_widen_what_it_may_reach() {
    let problems = Typed::journey(r#"{"policy":{"net":{"allow":["*"],"deny":[]}},"untrusted":false}"#).problems();
    for key in ["untrusted", "policy.net.allow", "policy.net.deny"] {
        assert!(problems.contains(&format!("`{key}` is not for the journey to set")), "{problems}");
    }
    let names = r#"{"tlsServerName":{"a.test":"b.test"}}"#;
    assert_eq!(Typed::journey(names).lower().warnings, []);
    let problems = Typed { file: Some("untrusted = true\n"), ..Typed::journey(names) }.problems();
    assert!(problems.contains("is not for the journey to set where the network is denied by default"), "{problems}");
}

#[test]
fn a_proxy_is_refused_unless_it_is_allowed_by_itself() {
    let with = |allow: &str| {
        Typed::default().and_flags(&[("proxy", "http://me:secret@proxy.test:3128"), ("policy.net.allow", allow)])
    };
    assert_eq!(
        with("*").problems(),
        "`--proxy`: the proxy `http://(hidden)@proxy.test:3128` is not allowed: it would connect to addresses that nobody \
         checks\n  at the command line\n  hint: allow it by its own name or address, like `--allow-net proxy.test:3128`: \
         then the names of targets are checked, but not their addresses"
    );
    assert!(with("*,proxy.test:3128").lower().plan.http.proxy.is_some());
    let socks = Typed::file("untrusted = true\nproxy = \"socks5://10.0.0.9\"\n");
    assert!(socks.problems().contains("`--allow-net 10.0.0.9:1080`"));
    assert_eq!(socks.and_flags(&[("policy.net.allow", "tcp://10.0.0.9:1080")]).lower().warnings, []);
    let blacklist = Typed::file("proxy = \"http://proxy.test\"\nblacklistIPs = [\"10.0.0.0/8\"]\n").warnings();
    assert!(blacklist.starts_with("the proxy `http://proxy.test:80` resolves the names of targets"), "{blacklist}");
}
