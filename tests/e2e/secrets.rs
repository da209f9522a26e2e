//! Secrets: what a journey can name, the target gets, and nobody else sees.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Finished, Received, Scripted, Squall, exit, journey, write};

/// One that every way of writing texts has to escape somewhere.
const KEY: &str = "s3cr3t/k\"y>ü =&+\\x";
const PASSWORD: &str = "correct-horse-battery";

/// A server that gives back everything it is sent: its headers in a header and in the body, with the body after them.
fn echo() -> Scripted {
    Scripted::start(|request, stream| {
        let headers: String = request.headers.iter().map(|(name, value)| [name, ": ", value, "\n"].concat()).collect();
        let body = [headers.as_bytes(), &request.body].concat();
        let key = request.header("x-api-key");
        let head = format!("HTTP/1.1 200 OK\r\nx-echo: {key}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).is_ok() && stream.write_all(&body).is_ok()
    })
}

/// A server that sends everybody somewhere else.
fn redirecting(status: u16, to: String) -> Scripted {
    Scripted::start(move |_, stream| {
        let head = format!("HTTP/1.1 {status} Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).is_ok()
    })
}

/// A run of these steps, whose secrets `key` and `password` are for these hosts. Its samples go to `samples.json` in the
/// folder.
fn fetch(steps: &str, hosts: &[&str], folder: &Path) -> Squall {
    write(folder, "key.txt", format!("{KEY}\n"));
    let toml = format!(
        "[secrets.key]\nfrom = \"file:key.txt\"\nhosts = {hosts:?}\n[secrets.password]\nfrom = \"env:PASSWORD\"\nhosts = \
         {hosts:?}\n"
    );
    let config = write(folder, "squall.toml", toml);
    let run = Squall::run(journey("fetch")).grant("STEPS", steps).env("PASSWORD", PASSWORD);
    run.arg("--config").arg(config).arg("--out").arg(format!("json={}", folder.join("samples.json").display()))
}

/// Asserts that neither secret is in anything that the run wrote, in any of the usual forms.
#[track_caller]
fn nothing_shows(run: &Finished, folder: &Path) {
    let samples = std::fs::read_to_string(folder.join("samples.json")).unwrap_or_default();
    let everything = [run.stdout.as_str(), &run.stderr, run.exported(), &samples].concat();
    for secret in [KEY, PASSWORD] {
        let json = json!(secret).to_string();
        let json = &json[1..json.len() - 1];
        let twice = json!(json).to_string();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let hex = secret.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let whole = STANDARD.encode(secret);
        let basic = STANDARD.encode(format!("ada:{secret}"));
        let inside = URL_SAFE_NO_PAD.encode(format!("x{secret}"));
        let forms = [secret, json, &twice[1..twice.len() - 1], &form, &hex, &whole, &basic, &inside];
        for text in forms {
            assert!(!everything.contains(text), "`{text}` is shown\n{run}\n{samples}");
        }
    }
}

/// What one server saw of one request.
#[track_caller]
fn only(server: &Scripted) -> Received {
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.into_iter().next().unwrap()
}

#[test]
fn the_target_sees_the_value_and_nobody_else_does() {
    let (target, folder) = (echo(), tempfile::tempdir().unwrap());
    let show = json!(["body", "headers"]);
    let steps = json!([
        { "url": target.url() + "/header", "headers": { "x-api-key": "{{secret:key}}", "x-other": "a {{secret:password}} b" },
          "show": show },
        { "url": target.url() + "/bearer", "headers": { "authorization": "Bearer {{secret:password}}" }, "show": show },
        { "url": target.url() + "/basic", "basic": ["ada", "{{secret:password}}"], "show": show },
        { "url": target.url() + "/cookie", "cookies": { "sid": "x{{secret:password}}" }, "show": show },
        { "url": target.url() + "/body", "method": "POST", "body": "{\"password\":\"{{secret:password}}\"}", "show": show },
        { "url": target.url() + "/form", "method": "POST", "multipart": [{ "name": "key", "text": "<{{secret:key}}>" }],
          "show": show },
        { "url": target.url() + "/gzip", "method": "POST", "body": "{{secret:password}}", "compress": ["gzip"], "show": show },
        { "batch": [{ "url": target.url() + "/batch", "headers": { "x-api-key": "{{secret:key}}" }, "show": show }] },
        { "url": target.url() + "/stream", "stream": true, "headers": { "x-api-key": "{{secret:key}}" } },
    ]);
    let run = fetch(&steps.to_string(), &[&target.url()], folder.path()).flags("--http-debug=full --verbose");
    let run = run.finish().expect(exit::PASSED);
    let seen = target.seen();
    assert_eq!(seen[0].header("x-api-key"), KEY);
    assert_eq!(seen[0].header("x-other"), format!("a {PASSWORD} b"));
    assert_eq!(seen[1].header("authorization"), format!("Bearer {PASSWORD}"));
    assert_eq!(seen[2].header("authorization"), format!("Basic {}", STANDARD.encode(format!("ada:{PASSWORD}"))));
    assert_eq!(seen[3].header("cookie"), format!("sid=x{PASSWORD}"));
    assert_eq!(seen[4].body, format!("{{\"password\":\"{PASSWORD}\"}}").into_bytes());
    assert_eq!(seen[4].header("content-length"), (15 + PASSWORD.len()).to_string());
    assert!(String::from_utf8_lossy(&seen[5].body).contains(&format!("\r\n\r\n<{KEY}>\r\n--")), "{:?}", seen[5]);
    assert_eq!(&seen[6].body[..2], b"\x1f\x8b");
    assert_eq!((seen[7].header("x-api-key"), seen[8].header("x-api-key")), (KEY, KEY));
    nothing_shows(&run, folder.path());
    // The answers gave it back, and the journey got them without it, as long as they were.
    let body = run.answers()[1]["body"].as_str().unwrap().to_owned();
    assert!(body.contains(&format!("Bearer {}", "*".repeat(PASSWORD.len()))), "{body}");
    assert!(run.stderr.contains("x-api-key: ***") && run.stderr.contains("| {\"password\":\"***\"}"), "{run}");
}

#[test]
fn a_digest_is_made_of_the_value() {
    let (target, folder) = (crate::support::practice(), tempfile::tempdir().unwrap());
    let url = format!("{}/digest-auth/ada/{PASSWORD}", target.url());
    // The URL has the password for the practice server to know, so only its answer counts here.
    let escaped = escaped(&json!([{ "url": url, "name": "digest", "digest": ["ada", "{{secret:password}}"] }]));
    let run = fetch(&escaped, &[&target.url()], folder.path()).finish().expect(exit::PASSED);
    assert_eq!(run.answers()[0]["status"], 200, "{run}");
    nothing_shows(&run, folder.path());
}

/// Steps whose texts are escaped, so that the variable itself does not hold a secret.
fn escaped(steps: &Value) -> String {
    let mut text = steps.to_string();
    for secret in [KEY, PASSWORD] {
        let json = json!(secret).to_string();
        let units = secret.encode_utf16().fold(String::new(), |units, unit| format!("{units}\\u{unit:04x}"));
        text = text.replace(&json[1..json.len() - 1], &units);
    }
    text
}

#[test]
fn a_secret_that_a_journey_got_hold_of_is_in_no_output() {
    let (target, folder) = (echo(), tempfile::tempdir().unwrap());
    let url = |secret: &str| {
        let secret: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        format!("{}/echo?key={secret}", target.url())
    };
    let say = json!(["log", "stdout", "stderr", "check", "group", "tag", "fail"]);
    let steps = json!([
        { "say": KEY, "in": say },
        { "say": PASSWORD, "in": say },
        { "say": STANDARD.encode(format!("ada:{PASSWORD}")), "in": say },
        { "url": url(PASSWORD), "method": PASSWORD },
        { "url": url(PASSWORD), "name": KEY },
        { "url": format!("http://127.0.0.1:1/{PASSWORD}"), "method": "GE T" },
        { "url": format!("http://127.0.0.1:x/{PASSWORD}") },
        { "say": PASSWORD, "in": ["error"] },
    ]);
    let run =
        fetch(&escaped(&steps), &["granted.test"], folder.path()).flags("--verbose --http-debug=full --iterations 1");
    let run = run.finish().expect(exit::JOURNEY);
    assert_eq!(target.seen().len(), 2, "{run}");
    nothing_shows(&run, folder.path());
    let run = run.says(&["the journey marked the run as failed: ***", "iteration failed: the journey says ***"]);
    assert!(run.exported().contains("\"***\""), "{}", run.exported());
    // It waits at its end, so that a wish to stop is heard before the run is over by itself.
    for (step, says) in [
        (json!({ "say": PASSWORD, "in": ["panic"] }), "***"),
        (json!({ "say": PASSWORD, "in": ["abort"] }), "the journey stopped the run: ***"),
        (json!({ "say": "a".to_owned() + &PASSWORD.replace('-', "_"), "in": ["log"] }), "acorrect_horse"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = fetch(&escaped(&json!([step, { "sleep_ms": 500 }])), &["granted.test"], folder.path())
            .flags("--iterations 1")
            .finish();
        nothing_shows(&run, folder.path());
        run.says(&[says]);
    }
    let run =
        Squall::run(journey("fetch")).grant("SETUP_STEPS", escaped(&json!([{ "say": PASSWORD, "in": ["error"] }])));
    let config = folder.path().join("squall.toml");
    let run = run.env("PASSWORD", PASSWORD).grant("STEPS", "[]").arg("--config").arg(config).finish();
    nothing_shows(&run, folder.path());
    run.says(&["`setup` failed: the journey says ***"]);
}

#[test]
fn a_secret_goes_to_no_host_that_it_is_not_for() {
    let (other, folder) = (echo(), tempfile::tempdir().unwrap());
    let target = redirecting(307, other.url() + "/stolen");
    let steps = json!([
        { "url": target.url() + "/a", "headers": { "x-api-key": "{{secret:key}}" } },
        { "url": target.url() + "/b", "method": "POST", "body": "{{secret:password}}" },
        { "url": other.url() + "/c", "headers": { "x-api-key": "{{secret:key}}" } },
        { "url": other.url() + "/d", "basic": ["ada", "{{secret:password}}"] },
        { "url": other.url() + "/e", "method": "POST", "upload": ["a"], "headers": { "x-api-key": "{{secret:key}}" } },
    ]);
    let run = fetch(&steps.to_string(), &[&target.url()], folder.path()).finish();
    assert_eq!(other.seen().len(), 0, "{run}");
    assert_eq!(target.seen().iter().map(|request| request.path.clone()).collect::<Vec<_>>(), ["/a", "/b"]);
    let denied = |name: &str| format!("the request is not allowed: secret `{name}` may not go to `{}`", other.url());
    let answers: Vec<Value> = run.answers().into_iter().map(|answer| answer["error"].clone()).collect();
    let names = ["key", "password", "key", "password", "key"];
    assert_eq!(answers, names.map(|name| Value::from(denied(name))), "{run}");
    let samples = std::fs::read_to_string(folder.path().join("samples.json")).unwrap();
    assert!(samples.contains("\"error_code\":\"1111\""), "{samples}");
    nothing_shows(&run, folder.path());
}

#[test]
fn what_a_redirect_leaves_behind_does_not_stop_it() {
    let (other, folder) = (echo(), tempfile::tempdir().unwrap());
    let target = redirecting(302, other.url() + "/next");
    let steps = json!([
        { "url": target.url() + "/a", "headers": { "authorization": "Bearer {{secret:password}}" } },
        { "url": target.url() + "/b", "basic": ["ada", "{{secret:password}}"] },
        { "url": target.url() + "/c", "cookies": { "a": "{{secret:password}}" } },
        { "url": target.url() + "/d", "method": "POST", "body": "{{secret:password}}" },
    ]);
    let run = fetch(&steps.to_string(), &[&target.url()], folder.path()).finish().expect(exit::PASSED);
    let seen = other.seen();
    assert_eq!(seen.len(), 4, "{run}");
    for request in &seen {
        assert!(!format!("{request:?}").contains(PASSWORD), "{request:?}");
    }
    nothing_shows(&run, folder.path());
}

#[test]
fn a_placeholder_that_cannot_be_filled_is_an_invalid_request() {
    let (target, folder) = (echo(), tempfile::tempdir().unwrap());
    let steps = json!([
        { "secret": "key" },
        { "secret": "kye" },
        { "url": target.url() + "/", "headers": { "a": "{{secret:kye}}" } },
        { "url": target.url() + "/?key={{secret:key}}" },
        { "url": target.url() + "/%7B%7Bsecret:key%7D%7D" },
        { "url": target.url() + "/", "method": "POST", "body": "{{secret:key" },
        { "url": target.url() + "/", "method": "POST", "upload": ["{{secret:key}}"] },
        { "url": target.url() + "/", "method": "POST", "body": "{{secret:key}}".repeat(101) },
    ]);
    let run = fetch(&steps.to_string(), &[&target.url()], folder.path()).finish();
    let answers = run.answers();
    assert_eq!(answers[0]["reference"], "{{secret:key}}", "{run}");
    let error = |index: usize| answers[index]["error"].as_str().unwrap_or_default().to_owned();
    let unknown = "secret `kye` is not granted to the run; granted: `key`, `password`";
    assert_eq!(error(1), unknown, "{run}");
    assert_eq!(error(2), format!("the request is invalid: {unknown}"));
    assert!(error(3).contains("a URL cannot name a secret") && error(4) == error(3), "{run}");
    assert!(error(5).contains("that no `}}` ends"), "{run}");
    assert!(error(6).contains("cannot name a secret"), "{run}");
    assert!(error(7).contains("names secrets more than 100 times"), "{run}");
    assert!(target.seen().iter().all(|request| request.body.is_empty()), "{:?}", target.seen());
}

#[test]
fn without_secrets_nothing_is_looked_for() {
    let target = echo();
    let step = json!({ "url": target.url() + "/", "method": "POST", "body": "{{secret:key}}", "show": ["body"] });
    let run = Squall::fetch(&json!([step, { "secret": "key" }])).finish().expect(exit::PASSED);
    assert_eq!(only(&target).body, b"{{secret:key}}");
    assert_eq!(run.answers()[1]["error"], "secret `key` is not granted to the run; granted: none");
}

#[test]
fn a_plan_is_shown_with_sources_and_hosts_and_without_values() {
    let folder = tempfile::tempdir().unwrap();
    let run = fetch("[]", &["https://api.shop.test", "*.shop.test"], folder.path()).arg("--explain").finish();
    nothing_shows(&run, folder.path());
    let file = folder.path().join("key.txt");
    let from = format!("file:{} for https://api.shop.test, *.shop.test", file.display());
    let run = run.expect(exit::PASSED).prints(&[&from, "env:PASSWORD for https://api.shop.test"]);
    assert!(run.stdout.contains("secrets.key"), "{run}");
    for json in [&["--json"][..], &[]] {
        let config = folder.path().join("squall.toml");
        let inspect = crate::support::squall(["inspect".as_ref(), journey("fetch").as_os_str()]).args(json);
        let inspect = inspect.env("PASSWORD", PASSWORD).arg("--config").arg(config).finish().expect(exit::PASSED);
        nothing_shows(&inspect, folder.path());
        inspect.prints(&["password"]);
    }
}

#[test]
fn a_secret_that_cannot_be_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = write(folder.path(), "squall.toml", "[secrets.key]\nhosts = [\"a.test\"]\n");
    for (flag, says) in [
        ("key=file:none.txt", "the file `none.txt` cannot be the secret `key`"),
        ("key=env:NO_SUCH_VARIABLE", "the variable `NO_SUCH_VARIABLE` cannot be the secret `key`: it is not set"),
        ("key=hunter2-hidden", "does not say where the secret comes from"),
        ("hunter2-hidden", "`--secret` must be like `NAME=SOURCE`"),
        ("other=env:PASSWORD", "no host is said that the secret `other` may go to"),
        ("key=env:BROKEN", "it has a line break or another control character inside"),
    ] {
        let run = Squall::run(journey("noop")).env("PASSWORD", PASSWORD).env("BROKEN", "a: b\r\nhidden: c");
        let run = run.arg("--config").arg(&hosts).arg("--secret").arg(flag).finish().expect(exit::CONFIGURATION);
        assert!(!run.stderr.contains("hidden") && !run.stderr.contains(PASSWORD), "{run}");
        run.says(&[says, "hint: "]);
    }
    let run = Squall::run(journey("noop")).env("PASSWORD", PASSWORD).arg("--config").arg(&hosts);
    let run = run.args(["--secret", "key=env:PASSWORD", "--env", "PASSWORD"]).finish().expect(exit::CONFIGURATION);
    assert!(!run.stderr.contains(PASSWORD), "{run}");
    run.says(&["the variable `PASSWORD`, which the journey may read, holds the secret `key`"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_secret_crosses_the_wall_and_goes_no_further() {
    let (target, folder) = (echo(), tempfile::tempdir().unwrap());
    let steps = json!([
        { "url": target.url() + "/header", "headers": { "x-api-key": "{{secret:key}}" }, "show": ["body"] },
        { "say": PASSWORD, "in": ["log", "stdout", "check", "tag", "panic"] },
    ]);
    let run =
        fetch(&escaped(&steps), &[&target.url()], folder.path()).args(["--untrusted", "--allow-net", "127.0.0.1"]);
    let run = run.flags("--iterations 1").finish();
    assert_eq!(only(&target).header("x-api-key"), KEY, "{run}");
    nothing_shows(&run, folder.path());
    run.says(&["untrusted: child process", "default VU 1: ***"]);
}
