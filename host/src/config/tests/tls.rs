use serde_json::json;

use super::{CERT, KEY, Typed, from};
use crate::config::Flags;
use crate::plan::Secret;
use crate::plan::http::{Identity, Tls, TlsVersion};

fn tls(typed: &Typed) -> Tls {
    typed.lower().plan.http.tls
}

fn identity(domains: &[&str]) -> Identity {
    let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    Identity { certificate: CERT.to_owned(), key: Secret(KEY.to_owned()), password: None, domains }
}

#[test]
fn every_option_reaches_the_plan() {
    let tls = tls(&Typed::file(
        "tls-cipher-suites = [\"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305\", \"TLS_AES_128_GCM_SHA256\"]\n\
         tls-roots = [\"me.pem\"]\ntls-system-roots = false\nno-tls-session-resumption = true\n\
         [tls-version]\nmin = \"tls1.2\"\nmax = \"tls1.2\"\n[tls-server-name]\n\"A.test\" = \"b.test\"\n\
         [[tls-auth]]\ncert = \"me.pem\"\nkey = \"me.key\"\ndomains = [\"*.A.test\"]\n\
         [[tls-auth]]\ncert = \"both.pem\"\npassword = \"x\"\n",
    ));
    assert_eq!((tls.min, tls.max), (TlsVersion::Tls12, TlsVersion::Tls12));
    assert_eq!(tls.ciphers, ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]);
    assert_eq!(tls.roots, [CERT]);
    assert!(!tls.system_roots && !tls.resumption);
    assert_eq!(tls.server_names["a.test"], "b.test");
    assert_eq!(tls.identities[0], identity(&["*.a.test"]));
    assert_eq!(tls.identities[1].password, Some(Secret("x".to_owned())));
}

#[test]
fn a_version_alone_is_the_only_one() {
    let versions = |text: &str| {
        let tls = tls(&Typed::flags(&[("tlsVersion", text)]));
        (tls.min, tls.max)
    };
    assert_eq!(versions("tls1.2"), (TlsVersion::Tls12, TlsVersion::Tls12));
    assert_eq!(versions("tls1.3"), (TlsVersion::Tls13, TlsVersion::Tls13));
    let open = tls(&Typed::journey(r#"{"tlsVersion":{"min":"tls1.3","max":""}}"#));
    assert_eq!((open.min, open.max), (TlsVersion::Tls13, TlsVersion::Tls13));
}

#[test]
fn a_journey_brings_its_certificates_as_text() {
    let options = json!({ "tlsAuth": [{ "cert": CERT, "key": KEY, "domains": ["a.test"] }], "tlsRoots": [CERT] });
    let tls = tls(&Typed::journey(options.to_string().leak()));
    assert_eq!((tls.identities, tls.roots), (vec![identity(&["a.test"])], vec![CERT.to_owned()]));
    let problems = Typed::journey(r#"{"tlsAuth":[{"cert":"me.pem","key":"me.key"}],"tlsRoots":["me.pem"]}"#).problems();
    let found: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  at")).collect();
    let hint = "  hint: put the PEM text there, or name the file in `squall.toml`";
    assert_eq!(
        found,
        [
            "`tlsAuth[0].cert` is no PEM text, and files are not for the journey to choose",
            hint,
            "`tlsAuth[0].key` is no PEM text, and files are not for the journey to choose",
            hint,
            "`tlsRoots` is no PEM text, and files are not for the journey to choose",
            hint,
        ]
    );
}

#[test]
fn flags_like_curls_make_one_identity_for_all_hosts() {
    let mut flags = Flags::default();
    flags.identity(("--cert", "me.pem"), Some(("--key", "me.key")));
    let typed = Typed { flags, ..Typed::default() };
    assert_eq!(tls(&typed).identities, [identity(&[])]);
    assert_eq!(from(&typed.lower(), "tlsAuth[0]"), "--cert");
    let mut flags = Flags::default();
    flags.identity(("--cert", "me.pem"), Some(("--key", "nowhere.key")));
    assert_eq!(
        Typed { flags, ..Typed::default() }.problems(),
        "`--key`: `nowhere.key` cannot be read: entity not found\n  at the command line\n  hint: check the path"
    );
    let typed = Typed::flags(&[("tlsServerName", "all.test")]);
    assert_eq!(tls(&typed).server_names["*"], "all.test");
}

#[test]
fn a_key_beside_a_certificate_is_kept_apart_from_it() {
    let tls = tls(&Typed::flags(&[("tlsAuth", r#"[{"cert":"both.pem"}]"#), ("tlsRoots", "both.pem")]));
    assert_eq!(tls.identities, [identity(&[])]);
    assert_eq!(tls.roots, [CERT]);
}

#[test]
fn the_log_of_keys_comes_from_the_environment_alone() {
    let typed = Typed::default().and_variables(&[("SSLKEYLOGFILE", "/tmp/keys")]);
    assert_eq!(tls(&typed).key_log.as_deref(), Some(std::path::Path::new("/tmp/keys")));
    assert_eq!(from(&typed.lower(), "tlsKeyLog"), "SSLKEYLOGFILE");
    assert!(Typed::journey(r#"{"tlsKeyLog":"x"}"#).problems().starts_with("unknown option `tlsKeyLog`"));
    assert_eq!(tls(&Typed::default()).key_log, None);
}

#[test]
fn values_that_are_none_say_what_is_one() {
    for (key, text, message) in [
        ("tlsVersion", "tls1.1", "`--tls-version` is `tls1.1`, but squall speaks TLS 1.2 and 1.3"),
        ("tlsVersion", "1.2", "`--tls-version` must be `tls1.2` or `tls1.3`, but is `1.2`"),
        (
            "tlsCipherSuites",
            "TLS_RSA_WITH_RC4_128_SHA",
            "`--tls-cipher-suites`: squall does not speak the cipher suite `TLS_RSA_WITH_RC4_128_SHA`",
        ),
        ("tlsRoots", "me.key", "`--tls-roots`: `me.key` holds no certificate in PEM"),
        ("tlsRoots", "me.der", "`--tls-roots`: `me.der` is not PEM"),
        ("tlsRoots", "nowhere.pem", "`--tls-roots`: `nowhere.pem` cannot be read: entity not found"),
        ("tlsAuth", "me.pem", "`--tls-auth` is not JSON"),
        ("tlsAuth", "[{}]", "`--tls-auth` has no `cert`"),
        ("tlsAuth", "[5]", "`--tls-auth` must be a table with `cert` and `key`"),
        ("tlsAuth", r#"[{"cert":"me.pem"}]"#, "`--tls-auth.cert`: `me.pem` holds no private key in PEM"),
        ("tlsAuth", r#"[{"cert":"both.pem","password":5}]"#, "`--tls-auth.password` must be a text"),
        ("tlsAuth", r#"[{"cert":"nowhere.pem"}]"#, "`--tls-auth.cert`: `nowhere.pem` cannot be read: entity not found"),
        ("tlsAuth", r#"[{"cert":"both.pem","domains":["a b"]}]"#, "`--tls-auth.domains`: `a b` is not a domain"),
        ("tlsServerName", "a.test=b c", "`--tls-server-name`: `b c` is not a host's name"),
    ] {
        let problems = Typed::flags(&[(key, text)]).problems();
        assert!(problems.starts_with(&format!("{message}\n  at the command line")), "{key}={text}\n{problems}");
        assert_eq!(problems.matches("\n  at ").count(), 1, "{problems}");
    }
    let problems = Typed::flags(&[("tlsAuth", r#"[{"cert":"both.pem","key":"MIIsecret\nMII"}]"#)]).problems();
    assert!(problems.starts_with("`--tls-auth.key` is neither a PEM text nor the path of a file"), "{problems}");
    assert!(!problems.contains("secret"), "{problems}");
    assert_eq!(
        Typed::file("tls-version = { min = \"tls1.3\", max = \"tls1.2\" }\n").problems(),
        "`tls-version`: `min` is tls1.3 but `max` is tls1.2\n  at squall.toml:1\n  hint: exchange them"
    );
    assert_eq!(
        Typed::flags(&[("tlsVersion", "tls1.3"), ("tlsCipherSuites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")])
            .problems(),
        "`--tls-cipher-suites` has no cipher suite of tls1.3, so nothing could connect\n  at the command line\n  \
         hint: add one, or change `tlsVersion`"
    );
}
