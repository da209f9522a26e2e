use crate::config::{Flags, tests::Typed};
use crate::plan::Secret;

const HOSTS: &str =
    "[secrets.key]\nfrom = \"file:key.txt\"\nhosts = [\"https://api.shop.test\", \"*.shop.test:8443\"]\n";

fn flags(texts: &[&str]) -> Flags {
    let mut flags = Flags::default();
    flags.list("secrets", "--secret", &texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    flags
}

fn problems(toml: &'static str, variables: &[(&str, &str)]) -> String {
    Typed::file(toml).and_variables(variables).problems()
}

#[test]
fn a_secret_has_a_value_and_hosts() {
    let lowered = Typed::file(HOSTS).lower();
    let secret = &lowered.plan.secrets["key"];
    // The file ends its line.
    assert_eq!(secret.value, Secret("hunter2!".to_owned()));
    let hosts: Vec<String> = secret.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["https://api.shop.test", "*.shop.test:8443"]);
    let origin = lowered.origins.get(None, "secrets.key").unwrap();
    assert_eq!(origin.value, "file:key.txt for https://api.shop.test, *.shop.test:8443");
    assert_eq!(origin.from, "squall.toml:1");
    assert!(lowered.warnings.is_empty());
}

#[test]
fn a_flag_says_where_a_secret_comes_from_and_the_file_who_gets_it() {
    let variables = [("API_KEY", "sesame99"), ("SQUALL_SECRETS", "key=file:none.txt,other=env:API_KEY")];
    let toml = "[secrets.key]\nhosts = [\"a.test\"]\n[secrets.other]\nhosts = [\"b.test\"]\n";
    let typed = Typed { flags: flags(&["key=env:API_KEY"]), ..Typed::file(toml).and_variables(&variables) };
    let secrets = typed.lower().plan.secrets;
    assert_eq!(secrets["key"].value, Secret("sesame99".to_owned()));
    assert_eq!(secrets["key"].hosts[0].to_string(), "a.test");
    assert_eq!(secrets["other"].hosts[0].to_string(), "b.test");
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    for (toml, says) in [
        ("[secrets]\nkey = \"hidden-1\"", "`secrets.key` does not say where the secret comes from"),
        ("[secrets]\nkey = 17", "`secrets.key` does not say where the secret comes from"),
        ("[secrets]\nkey = \"file:\"", "`secrets.key` does not say where"),
        ("[secrets.key]\nfrom = \"hidden-1\"", "`secrets.key.from` does not say where"),
        ("[secrets.key]\nhosts = [\"a.test\"]", "`secrets.key` has no `from`"),
        ("[secrets.key]\nfrom = \"env:KEY\"\nhost = \"a.test\"", "unknown option `secrets.key.host`"),
        ("[secrets.key]\nfrom = \"env:KEY\"\nhosts = [\"a.test/b\"]", "`a.test/b` is no rule for the network"),
        ("[secrets.key]\nfrom = \"env:KEY\"\nhosts = [\"*\"]", "`*` fits hosts of strangers"),
        ("[secrets.key]\nfrom = \"env:KEY\"\nhosts = [\"*shop.test\"]", "`*shop.test` fits hosts of strangers"),
        ("[secrets.key]\nfrom = \"env:KEY\"\nhosts = []", "no host is said that the secret `key` may go to"),
        ("secrets = \"key=env:KEY\"", "`secrets` must be a table of secrets"),
        ("[secrets]\n\"hidden-1 \" = \"env:KEY\"", "`secrets` has something that is no name of a secret"),
        (
            "[secrets.key]\nfrom = \"env:NONE\"\nhosts = [\"a.test\"]",
            "the variable `NONE` cannot be the secret `key`: it is",
        ),
        ("[secrets.key]\nfrom = \"env:EMPTY\"\nhosts = [\"a.test\"]", "cannot be the secret `key`: it is empty"),
        ("[secrets.key]\nfrom = \"env:BREAK\"\nhosts = [\"a.test\"]", "it has a line break or another control"),
        ("[secrets.key]\nfrom = \"file:none\"\nhosts = [\"a.test\"]", "the file `none` cannot be the secret `key`: "),
        ("[secrets.key]\nfrom = \"file:me.der\"\nhosts = [\"a.test\"]", "it is not UTF-8 text"),
        ("[secrets.key]\nfrom = \"file:half\"\nhosts = [\"a.test\"]", "the file `half` cannot be the secret `key`: "),
    ] {
        let variables = [("KEY", "hidden-2"), ("EMPTY", ""), ("BREAK", "hidden-3\nx: y")];
        let found = problems(toml, &variables);
        assert!(found.contains(says), "{toml}\n{found}");
        assert!(!found.contains("hidden"), "{toml}\n{found}");
    }
    for text in ["hidden-1", "hidden 1=env:KEY", "key=hidden-1"] {
        let found = Typed { flags: flags(&[text]), ..Typed::default() }.problems();
        assert!(found.contains("`--secret`") && !found.contains("hidden"), "{found}");
    }
}

#[test]
fn a_short_secret_is_taken_with_a_warning() {
    let toml = "[secrets.pin]\nfrom = \"env:PIN\"\nhosts = [\"a.test\"]";
    let warnings = Typed::file(toml).and_variables(&[("PIN", "123")]).warnings();
    assert!(warnings.contains("the secret `pin` has fewer than 4 bytes") && !warnings.contains("123"), "{warnings}");
    assert_eq!(Typed::file(toml).and_variables(&[("PIN", "1234")]).warnings(), "");
}

#[test]
fn a_journey_gets_no_secret_by_another_way() {
    let journey = Typed::journey(r#"{"secrets":{"key":"file:key.txt"}}"#).problems();
    assert!(journey.contains("`secrets` is not for the journey to set"), "{journey}");
    for options in [
        r#"{"hosts":{"api.shop.test":"6.6.6.6"}}"#,
        r#"{"insecureSkipTLSVerify":true}"#,
        r#"{"tlsServerName":{"api.shop.test":"evil.test"}}"#,
    ] {
        let problems = Typed::file(HOSTS).and_journey(options).problems();
        assert!(problems.contains("is not for the journey to set in a run with secrets"), "{problems}");
        Typed::journey(options).lower();
    }
    let toml = "[env]\nA = \"x sesame99\"\n[secrets.key]\nfrom = \"env:KEY\"\nhosts = [\"a.test\"]";
    let found = problems(toml, &[("KEY", "sesame99")]);
    assert!(found.contains("the variable `A`, which the journey may read, holds the secret `key`"), "{found}");
    assert!(!found.contains("sesame"), "{found}");
}

#[test]
fn a_secret_without_hosts_is_for_those_that_the_policy_allows_by_name() {
    let toml = "[secrets]\nkey = \"env:KEY\"\n[policy.net]\nallow = [\"https://api.shop.test\", \"10.0.0.0/8\", \"*\"]";
    let lowered = Typed::file(toml).and_variables(&[("KEY", "sesame99")]).lower();
    let hosts: Vec<String> = lowered.plan.secrets["key"].hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["https://api.shop.test"]);
    let found = problems("[secrets]\nkey = \"env:KEY\"\n[policy.net]\nallow = [\"*\"]", &[("KEY", "sesame99")]);
    assert!(found.contains("no host is said that the secret `key` may go to"), "{found}");
}
