//! Sessions: cookies, redirects, who asks, what fails, and how requests look.

use serde_json::{Value, json};
use squall::practice::{Recorded, Server};

use crate::support::{Finished, Hostile, Squall, exit, practice, write};

/// Does these steps in so many iterations of one VU, with these lines of `squall.toml`.
#[track_caller]
fn fetch_with(steps: &Value, toml: &str, iterations: u32) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", toml);
    let run = Squall::fetch(steps).arg("--config").arg(config);
    run.flags(&format!("--vus 1 --iterations {iterations}")).finish()
}

#[track_caller]
fn fetch(steps: &Value) -> Finished {
    Squall::fetch(steps).finish()
}

fn header<'a>(request: &'a Recorded, wanted: &str) -> Option<&'a str> {
    request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// The value of a header of each request that the target saw; empty where it has none.
fn seen(target: &Server, name: &str) -> Vec<String> {
    target.recorded().iter().map(|request| header(request, name).unwrap_or_default().to_owned()).collect()
}

/// How many requests failed, and how many did not.
fn failed(run: &Finished) -> (u64, u64) {
    rate(run, "http_req_failed")
}

/// How often a rate was 1, and how often 0.
fn rate(run: &Finished, metric: &str) -> (u64, u64) {
    let summary = run.summary();
    let number = |field| summary.metric(metric)[field].as_u64().unwrap();
    (number("passes"), number("fails"))
}

fn answers_status(run: &Finished) -> Vec<u64> {
    run.answers().iter().map(|answer| answer["status"].as_u64().unwrap_or_default()).collect()
}

#[test]
fn a_cookie_comes_back_until_the_iteration_ends() {
    let target = practice();
    let url = |path: &str| target.url() + path;
    // The answer that sets them is a redirect: the hop after it has them already.
    let steps = json!([{ "url": url("/cookies/set?a=1&b=2"), "show": ["jar"] }, { "url": url("/echo") }]);
    let run = fetch_with(&steps, "", 2);
    let one = ["", "a=1; b=2", "a=1; b=2"];
    assert_eq!(seen(&target, "cookie"), [one, one].concat(), "{run}");
    assert_eq!(run.expect(exit::PASSED).answers()[0]["jar"], json!([["a", "1"], ["b", "2"]]));
}

#[test]
fn cookies_can_outlive_the_iteration() {
    let target = practice();
    let steps = json!([{ "url": target.url() + "/cookies/set?a={iteration}", "redirects": 0 }]);
    let run = fetch_with(&steps, "noCookiesReset = true", 3);
    assert_eq!(seen(&target, "cookie"), ["", "a=0", "a=1"], "{run}");
}

#[test]
fn a_cookie_goes_where_and_as_long_as_it_says() {
    let target = practice();
    let set = |cookie: &str| {
        let cookie: String = url::form_urlencoded::byte_serialize(cookie.as_bytes()).collect();
        json!({ "url": target.url() + "/response-headers?set-cookie=" + &cookie, "show": ["cookies"] })
    };
    let steps = json!([
        set("here=1; Path=/delay"),
        set("secure=1; Secure; Path=/"),
        set("other=1; Domain=other.test; Path=/"),
        set("gone=1; Path=/"),
        set("gone=; Max-Age=0; Path=/"),
        set("kept=1; Path=/; Max-Age=100; HttpOnly; SameSite=Strict"),
        { "url": target.url() + "/delay/0" },
        { "url": target.url() + "/echo" },
    ]);
    let run = fetch(&steps).expect(exit::PASSED);
    let seen = seen(&target, "cookie");
    assert_eq!(seen[4..], ["gone=1", "", "here=1; kept=1", "kept=1"], "{run}");
    // What an answer says is shown whether a jar took it or not.
    assert_eq!(run.answers()[1]["cookies"], json!([["secure", "1", "/", true]]), "{run}");
}

#[test]
fn cookies_of_a_request_its_header_and_the_jar_go_out_as_one() {
    let target = practice();
    let url = target.url() + "/echo";
    let set = |name: &str| json!({ "set_cookie": { "url": url, "name": name, "value": "jar" } });
    let steps = json!([
        set("a"),
        set("b"),
        { "url": url, "headers": { "Cookie": "h=1" }, "cookies": { "a": "request" }, "replace_cookies": { "b": "new" } },
        { "url": url, "new_jar": true, "cookies": { "c": "3" } },
        { "clear_cookies": url },
        { "url": url },
        { "url": url, "cookies": { "bad": "x; y=z" } },
    ]);
    let run = fetch(&steps);
    assert_eq!(seen(&target, "cookie"), ["h=1; a=request; b=new; a=jar", "c=3", ""], "{run}");
    let why = "the request is invalid: the cookie `bad` has a `;` or a control character, or no name";
    assert_eq!(run.answers()[3]["error"], why, "{run}");
}

#[test]
fn another_origin_gets_neither_secrets_nor_cookies() {
    let (first, other) = (practice(), practice());
    let to = first.url() + "/redirect-to?url=" + &other.url() + "/echo";
    let secrets = json!({ "authorization": "Bearer t", "cookie": "h=1", "x-mine": "1" });
    let steps = json!([
        { "url": to, "headers": secrets, "cookies": { "r": "1" } },
        { "url": to, "basic": ["ada", "secret"] },
        { "url": to.replacen("http://127", "http://ada:secret@127", 1) },
    ]);
    let run = fetch(&steps).expect(exit::PASSED);
    let basic = "Basic YWRhOnNlY3JldA==";
    assert_eq!(seen(&first, "authorization"), ["Bearer t", basic, basic], "{run}");
    assert_eq!(seen(&first, "cookie"), ["h=1; r=1", "", ""], "{run}");
    assert_eq!(
        (seen(&other, "authorization"), seen(&other, "cookie")),
        (vec![String::new(); 3], vec![String::new(); 3])
    );
    assert_eq!(seen(&other, "x-mine"), ["1", "", ""], "{run}");
}

#[test]
fn a_redirect_keeps_or_changes_the_method_and_says_how_many_there_were() {
    let target = practice();
    let to = |status: u16| {
        let url = target.url() + &format!("/redirect-to?status={status}&url=../echo%23part");
        json!({ "url": url, "method": "POST", "body": "text", "show": ["url", "details"] })
    };
    let run = fetch(&json!([to(302), to(303), to(307), to(308)])).expect(exit::PASSED);
    let methods: Vec<String> = target.recorded().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET", "POST", "GET", "POST", "POST", "POST", "POST"], "{run}");
    for answer in run.answers() {
        assert_eq!(
            (&answer["url"], &answer["details"]["redirects"]),
            (&json!(target.url() + "/echo"), &json!(1)),
            "{run}"
        );
    }
}

#[test]
fn too_many_redirects_end_with_the_last_one_and_a_warning() {
    let target = practice();
    let step = json!({ "url": target.url() + "/redirect/9", "repeat": 3 });
    let asked = json!({ "url": target.url() + "/redirect/9", "redirects": 1 });
    let run = fetch_with(&json!([step, asked]), "maxRedirects = 4", 1).expect(exit::PASSED);
    assert_eq!((target.stats().requests, answers_status(&run)), (17, vec![302; 4]), "{run}");
    assert_eq!(run.stderr.matches("redirects once more after 4 redirects").count(), 1, "{run}");
}

#[test]
fn a_redirect_to_what_is_not_http_is_an_error_of_its_own() {
    let target = practice();
    for to in ["ftp://127.0.0.1/", "javascript:alert(1)", "http://ada:secret@127.0.0.1:99999/"] {
        let before = target.stats().requests;
        let run = fetch(&json!([{ "url": target.url() + "/redirect-to?url=" + to }]));
        let answer = &run.answers()[0];
        assert!(answer["error"].as_str().unwrap_or_default().starts_with("the URL is invalid"), "{run}");
        assert_eq!((&answer["failures"][0][0], &answer["failures"][0][1]), (&json!(0), &json!(1020)), "{run}");
        assert_eq!(target.stats().requests, before + 1, "{run}");
        // The redirect, and the hop that could not be.
        assert_eq!((run.summary().count("http_reqs"), failed(&run)), (2, (1, 1)), "{run}");
        assert!(!run.stderr.contains("secret"), "{run}");
    }
}

#[test]
fn basic_digest_and_a_url_open_the_door() {
    let target = practice();
    let url = |path: &str| target.url() + path;
    let steps = json!([
        { "url": url("/basic-auth/ada/s:t"), "basic": ["ada", "s:t"] },
        { "url": url("/basic-auth/ada/p@ss").replace("http://", "http://ada:p%40ss@") },
        { "url": url("/basic-auth/ada/x"), "basic": ["ada", "wrong"] },
        { "url": url("/digest-auth/ada/secret?q=1"), "digest": ["ada", "secret"] },
        { "url": url("/digest-auth/ada/secret?algorithm=SHA-256"), "digest": ["ada", "secret"], "method": "POST", "body": "b" },
        { "url": url("/digest-auth/ada/secret"), "digest": ["ada", "wrong"] },
        { "url": url("/health"), "digest": ["ada", "secret"] },
        { "url": url("/redirect-to?url=/digest-auth/ada/secret"), "digest": ["ada", "secret"] },
    ]);
    let run = fetch(&steps);
    assert_eq!(answers_status(&run), [200, 200, 401, 200, 200, 401, 200, 200], "{run}");
    // A digest takes two requests where it is asked for, and the first 401 is no failure.
    assert_eq!((target.stats().requests, run.summary().count("http_reqs")), (13, 13), "{run}");
    assert_eq!(failed(&run), (2, 11), "{run}");
    assert_eq!(run.stdout.matches("secret").count() + run.stderr.matches("secret").count(), 0, "{run}");
}

#[test]
fn name_and_password_of_a_url_are_in_no_tag() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    let steps = json!([
        { "url": target.url().replace("http://", "http://ada:secret@") + "/health" },
        { "url": Hostile::refuses().replace("http://", "http://ada:secret@") },
        { "url": "http://ada:secret@" },
    ]);
    let run = Squall::fetch(&steps).arg("--out").arg(format!("json={}", points.display())).finish();
    let text = std::fs::read_to_string(&points).unwrap();
    assert_eq!(seen(&target, "authorization"), ["Basic YWRhOnNlY3JldA=="], "{run}");
    assert!(text.contains(&(target.url() + "/health")) && !text.contains("secret"), "{text}");
}

#[test]
fn the_statuses_that_are_expected_can_change_on_the_way() {
    let target = practice();
    let step = json!({ "url": target.url() + "/status/404" });
    let own = json!({ "url": target.url() + "/status/404", "expect": [200] });
    let run = fetch(&json!([step, { "expect_from_now": [404] }, step, own, { "expect_from_now": [] }, step]));
    assert_eq!(failed(&run), (3, 1), "{run}");
}

#[test]
fn failures_say_their_place_their_code_and_why() {
    let target = practice();
    let (refuses, resets) = (Hostile::refuses(), Hostile::resets());
    let batch = json!([{ "url": refuses }, { "url": target.url() }, { "url": resets.url() }, { "url": "nonsense" }]);
    let slow = json!({ "url": target.url() + "/delay/5000", "timeout_ms": 50 });
    let run = fetch(&json!([{ "batch": batch }, slow, { "url": target.url(), "show": ["details"] }]));
    let answers = run.answers();
    let codes = |answer: &Value| {
        let failures = answer["failures"].as_array().cloned().unwrap_or_default();
        failures.iter().map(|failure| (failure[0].as_u64().unwrap(), failure[1].as_u64().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(codes(&answers[0]), [(0, 1212), (2, 1220), (3, 1020)], "{run}");
    assert_eq!(codes(&answers[4]), [(0, 1050)], "{run}");
    let details = &answers[5]["details"];
    assert_eq!((&details["status_text"], &details["protocol"]), (&json!("OK"), &json!("HTTP/1.1")), "{run}");
    let remote = (details["remote_ip"].as_str(), details["remote_port"].as_u64());
    assert_eq!(remote, (Some("127.0.0.1"), Some(target.addr().port().into())), "{run}");
    assert_eq!((&details["redirects"], &details["tls_version"]), (&json!(0), &json!("")), "{run}");
}

#[test]
fn a_request_without_an_answer_can_fail_its_iteration() {
    let target = practice();
    let refuses = Hostile::refuses().replace("http://", "http://ada:secret@");
    let failed = |steps: Value, toml: &str| {
        let run = fetch_with(&steps, toml, 1);
        (rate(&run, "iterations_failed").0, run)
    };
    let (count, run) = failed(json!([{ "url": refuses }]), "");
    assert_eq!(count, 0, "{run}");
    let (count, run) = failed(json!([{ "url": refuses, "throw": true }, { "url": target.url() }]), "");
    assert_eq!(count, 1, "{run}");
    let shown = format!("GET `{}`: connection refused", refuses.replace("ada:secret", "***"));
    run.says(&[&shown]);
    let (count, run) = failed(json!([{ "url": refuses }]), "throw = true");
    assert_eq!(count, 1, "{run}");
    let (count, run) = failed(json!([{ "url": refuses, "throw": false }]), "throw = true");
    assert_eq!(count, 0, "{run}");
    // An answer is no failure of the iteration, whatever its status.
    let (count, run) = failed(json!([{ "url": target.url() + "/status/500" }]), "throw = true");
    assert_eq!(count, 0, "{run}");
    let run = Squall::fetch(&json!([])).grant("SETUP_STEPS", json!([{ "url": refuses, "throw": true }]).to_string());
    run.finish().expect(exit::JOURNEY).says(&["setup", "connection refused"]);
    // The journey went on: whoever asks for `throw` is told at the end.
    assert_eq!(target.stats().requests, 2);
}

#[test]
fn requests_can_be_looked_at_and_show_no_secret() {
    let target = practice();
    let hidden =
        json!({ "authorization": "Bearer hidden", "x-api-key": "hidden", "cookie": "h=hidden", "x-plain": "seen" });
    let set = target.url().replace("http://", "http://ada:hidden@") + "/cookies/set?k=v&token=hidden";
    let steps = json!([
        { "url": set, "headers": hidden, "method": "GET" },
        { "url": target.url() + "/digest-auth/ada/x", "digest": ["ada", "hidden"] },
        { "url": target.url() + "/echo", "method": "POST", "body": "one\ntwo\u{1b}[2J" },
        { "url": Hostile::refuses() },
    ]);
    let run = fetch_with(&steps, "httpDebug = \"headers\"", 1);
    assert_eq!(seen(&target, "x-api-key")[..2], ["hidden", "hidden"], "{run}");
    assert!(!run.stderr.contains("hidden"), "{run}");
    let run = run.says(&[
        "VU 1: > GET /cookies/set?k=v&token=*** HTTP/1.1",
        "> authorization: Bearer ***",
        "> x-plain: seen",
        "> cookie: h=***; k=***; token=***",
        "< HTTP/1.1 302 Found",
        "< set-cookie: k=***; Path=/",
        "> authorization: Digest ***",
        "< no answer: connection refused",
    ]);
    assert!(!run.stderr.contains("| one"), "{run}");
    let run = fetch_with(&steps, "httpDebug = \"full\"", 1).says(&["| one\n", "| two\\u{1b}[2J\n"]);
    assert!(!run.stderr.contains('\u{1b}'), "{run}");
    let run = fetch(&steps);
    assert!(!run.stderr.contains("> GET"), "{run}");
}

#[test]
fn the_address_of_the_target_can_be_a_tag() {
    let target = practice();
    let folder = tempfile::tempdir().unwrap();
    let points = folder.path().join("points.json");
    let out = format!("json={}", points.display());
    let tags = |flags: &str| {
        let run = Squall::fetch(&json!([{ "url": target.url() }])).flags(flags).arg("--out").arg(&out).finish();
        run.expect(exit::PASSED);
        std::fs::read_to_string(&points).unwrap()
    };
    assert!(tags("--system-tags url,ip").contains("\"ip\":\"127.0.0.1\""));
    assert!(!tags("").contains("\"ip\""));
}
