//! Everything of `http`.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use squall_sdk::Error;
use squall_sdk::http::{self, Cookie, Hash, Jar, Request, Response};

use super::{Findings, url};

thread_local! {
    /// An answer of the iteration before.
    static KEPT: RefCell<Option<Response>> = const { RefCell::new(None) };
}

pub fn kept_from_before(findings: &mut Findings) {
    let Some(kept) = KEPT.take() else { return };
    let Err(Error::Stale(id)) = kept.body() else {
        findings.expect(false, "an answer of an earlier iteration is stale");
        return;
    };
    findings.expect(id != 0, "an id is never 0");
    findings.expect(matches!(kept.header("date"), Err(Error::Stale(_))), "`header` of a stale answer");
    findings.expect(matches!(kept.headers(), Err(Error::Stale(_))), "`headers` of a stale answer");
    findings.expect(matches!(kept.json_text(""), Err(Error::Stale(_))), "`json` of a stale answer");
    findings.expect(matches!(kept.timings(), Err(Error::Stale(_))), "`timings-of` of a stale answer");
    findings.expect(matches!(kept.url(), Err(Error::Stale(_))), "`url-of` of a stale answer");
    let stale = [
        kept.json_path("$").first().err(),
        kept.regex("a").first().err(),
        kept.css("a").first().err(),
        kept.between("a", "b").first().err(),
        kept.json_path_values::<Value>("$").err(),
        kept.regex_captures("a").err(),
        kept.header_values("date").err(),
        kept.contains("a").err(),
        kept.body_range(0..1).err(),
        kept.hash(Hash::Md5).err(),
        kept.held_len().err(),
    ];
    findings.expect(stale.iter().all(|error| matches!(error, Some(Error::Stale(_)))), "`extract` of a stale answer");
    // Releasing what is gone is no error.
    kept.release();
}

pub fn look_ups(findings: &mut Findings) -> Result<(), Error> {
    let address = url("/workflows?page=1&limit=20");
    let list = http::get(&address)?;
    findings.expect(list.status() == 200, "the list answers 200");
    let body = list.body()?;
    findings.expect(body.len() == list.body_len() as usize, "the body is as long as its length says");
    findings.expect(body == list.body()?, "a body can be read twice");
    findings.expect(list.text()?.into_bytes() == body, "the text is the body");

    let content_type = list.header("Content-Type")?.unwrap_or_default();
    findings.expect(content_type.starts_with("application/json"), "a header is found in any case");
    findings.expect(list.header("x-no-such-header")?.is_none(), "a header that is not there is none");
    let headers = list.headers()?;
    findings.expect(headers.contains(&("content-type".to_owned(), content_type)), "headers are in lower case");

    let whole: Value = list.json()?;
    findings.expect(list.json_pointer("")? == Some(whole.clone()), "the empty pointer is the whole");
    findings.expect(list.json_pointer("/items/0/id")?.as_ref() == whole.pointer("/items/0/id"), "a pointer finds");
    findings.expect(list.json_text("/limit")?.as_deref() == Some("20"), "a value comes as JSON text");
    findings.expect(list.json_text("/no/such")?.is_none(), "a pointer to nothing is none");

    let timings = list.timings()?;
    let sum = timings.sending + timings.waiting + timings.receiving;
    findings.expect(sum.abs_diff(timings.duration) < Duration::from_micros(1), "the duration is the sum of its phases");
    findings.expect(timings.duration == list.duration(), "the duration is the one that came with the answer");
    findings.expect(list.url()? == address, "the URL is the one that was asked");

    let bytes = http::get(url("/bytes/3000"))?;
    findings.expect(bytes.body_len() == 3_000, "bytes are as many as were asked for");
    findings.expect(matches!(bytes.json_text("/a"), Err(Error::NotJson(_))), "a body that is no JSON says so");
    bytes.release();
    let released = http::get(url("/health"))?;
    KEPT.set(Some(released));
    Ok(())
}

pub fn readings(findings: &mut Findings) -> Result<(), Error> {
    let list = http::get(url("/json/large?items=3"))?;
    findings.expect(list.json_path("$.items[1].name").or("")? == "item number 2", "a path finds a text");
    findings.expect(list.json_path_values::<u32>("$.items[*].id")? == [1, 2, 3], "a path finds values");
    findings.expect(list.json_path("$.none").first()?.is_none(), "a path to nothing is none");
    let groups = list.regex_captures(r#""id":(\d)"#)?;
    findings.expect(groups.len() == 3 && groups[2][1].as_deref() == Some("3"), "an expression has groups");
    findings.expect(list.regex(r#""id":(\d)"#).group(1).nth(2).or("")? == "2", "an expression finds the n-th");
    findings.expect(list.contains("number 3")? && !list.contains("number 4")?, "a body holds what it holds");
    findings.expect(list.held_len()? == list.body_len(), "a body that is held has its length");
    findings.expect(list.body_range(0..9)? == b"{\"items\":"[..9], "a part of a body is read");
    findings.expect(list.header_values("CONTENT-TYPE")? == ["application/json"], "a header has its values");

    let page = http::get(url("/html"))?;
    findings.expect(page.css("#items a").attribute("href").all()?.len() == 5, "a selector finds attributes");
    findings.expect(page.between("<h1>", "</h1>").or("")? == "Order", "a boundary finds what is inside");
    let one = page.css("#items a").random().first()?;
    findings.expect(one.is_some_and(|text| text.starts_with("Item ")), "one at random is one of them");

    let empty = http::get(url("/bytes/0"))?;
    findings.expect(empty.hash(Hash::Md5)? == "d41d8cd98f00b204e9800998ecf8427e", "the hash of nothing is known");
    findings.expect(matches!(empty.json_path("a").first(), Err(Error::InvalidExpression(_))), "a path is checked");
    findings.expect(matches!(empty.json_path("$").first(), Err(Error::NotJson(_))), "a body that is no JSON says so");
    Ok(())
}

pub fn methods_and_bodies(findings: &mut Findings) -> Result<(), Error> {
    let missing = Request::get(url("/status/404"))
        .header("x-asked-by", "all-calls")
        .name("/status/{code}")
        .tag("part", "methods")
        .timeout(Duration::from_secs(5))
        .expect_status(404)
        .expect_status(200..=299)
        .send()?;
    findings.expect(missing.status() == 404, "an answer that is no success is an answer");
    let head = http::head(url("/health"))?;
    findings.expect(head.status() == 200 && head.body_len() == 0, "a HEAD has no body");
    let created = http::post_json(url("/workflows"), &serde_json::json!({ "name": "all-calls" }))?;
    findings.expect(created.status() == 201, "a POST of JSON creates");
    let id: Option<Value> = created.json_pointer("/id")?;
    findings.expect(id.is_some_and(|id| !id.is_null()), "what was created has an id");
    for (method, answer) in [
        ("POST", http::post(url("/echo"), "posted")),
        ("PUT", http::put(url("/echo"), "put")),
        ("PATCH", http::patch(url("/echo"), "patched")),
        ("DELETE", http::delete(url("/echo"))),
    ] {
        findings.expect(answer.is_ok_and(|answer| answer.status() < 500), &format!("a {method} is answered"));
    }
    let form = Request::post(url("/echo")).form(&[("name", "ada l")]).send()?;
    findings.expect(form.is_success() && form.text()?.contains("ada+l"), "a form's fields are echoed");
    Ok(())
}

pub fn redirects(findings: &mut Findings) -> Result<(), Error> {
    let followed = http::get(url("/redirect/2"))?;
    findings.expect(followed.status() == 200, "redirects are followed");
    findings.expect(followed.url()? != url("/redirect/2"), "the URL is the one that answered");
    let stopped = Request::get(url("/redirect/2")).redirects(0).send()?;
    findings.expect((300..400).contains(&stopped.status()), "a limit of 0 follows none");
    Ok(())
}

pub fn sessions(findings: &mut Findings) -> Result<(), Error> {
    let echo = url("/echo");
    let jar = Jar::of_vu();
    findings.expect(jar.cookies(&echo)?.is_empty(), "the VU's jar is empty when an iteration begins");
    jar.set(&echo, &Cookie::new("mine", "1").path("/"))?;
    let set = Request::get(url("/cookies/set?theirs=2")).redirects(0).send()?;
    findings.expect(set.cookies()?.iter().any(|cookie| cookie.name == "theirs"), "an answer's cookies are read");
    findings.expect(jar.value(&echo, "theirs")?.as_deref() == Some("2"), "an answer's cookies are in the jar");
    let seen = http::get(&echo)?.text()?;
    findings.expect(seen.contains("mine=1; theirs=2"), "a jar's cookies are sent");
    let other = Request::get(&echo).jar(Jar::new()).cookie("c", "3").send()?;
    findings.expect(other.text()?.contains("\"c=3\""), "another jar is empty");
    jar.delete(&echo, "mine")?;
    jar.clear(&echo)?;
    findings.expect(jar.cookies(&echo)?.is_empty(), "a jar can be cleared");
    let refused = jar.set(&echo, &Cookie::new("no name", "1"));
    findings.expect(matches!(refused, Err(Error::InvalidCookie(_))), "a cookie is checked");
    findings.expect(matches!(jar.clear("nonsense"), Err(Error::InvalidUrl(_))), "a jar's URL is checked");

    let basic = Request::get(url("/basic-auth/ada/secret")).basic_auth("ada", "secret").send()?;
    let digest = Request::get(url("/digest-auth/ada/secret")).digest_auth("ada", "secret").send()?;
    findings.expect((basic.status(), digest.status()) == (200, 200), "names and passwords are sent");
    let requests = vec![Request::get(url("/cookies")), Request::get(url("/cookies")).cookie("c", "3")];
    let answers = http::batch(requests);
    let texts: Vec<_> = answers.into_iter().flatten().filter_map(|answer| answer.text().ok()).collect();
    findings
        .expect(texts.len() == 2 && !texts[0].contains("\"3\"") && texts[1].contains("\"3\""), "options in a batch");
    Ok(())
}

pub fn failures(findings: &mut Findings) -> Result<(), Error> {
    let answer = http::get(url("/redirect/1"))?;
    let details = answer.details()?;
    findings.expect((details.redirects, details.protocol.as_str()) == (1, "HTTP/1.1"), "details of an answer");
    findings.expect(http::last_failures().is_empty(), "an answer is no failure");
    let refused = Request::get("http://127.0.0.1:1/").throw(false).send();
    let failures = http::last_failures();
    findings.expect(refused.is_err() && failures.len() == 1 && failures[0].code == 1212, "a failure has its code");
    http::set_expected_statuses(&[&404, &(200..=299)]);
    http::get(url("/status/404"))?;
    http::set_expected_statuses(&[]);
    Ok(())
}

pub fn errors(findings: &mut Findings) {
    let slow = Request::get(url("/delay/2000")).timeout(Duration::from_millis(50)).send();
    findings.expect(matches!(slow, Err(Error::Timeout)), "a slow answer is a timeout");
    findings.expect(matches!(http::get("http://127.0.0.1:1/"), Err(Error::Refused)), "a closed port refuses");
    findings.expect(matches!(http::get("nonsense"), Err(Error::InvalidUrl(_))), "a URL is checked");
    findings.expect(matches!(http::get("ftp://127.0.0.1/"), Err(Error::InvalidUrl(_))), "a scheme is checked");
    let method = Request::new("G E T", url("/health")).send();
    findings.expect(matches!(method, Err(Error::InvalidRequest(_))), "a method is checked");
    for name in ["host", "Content-Length", "connection", "transfer-encoding", "no name"] {
        let request = Request::get(url("/health")).header(name, "1").send();
        findings.expect(matches!(request, Err(Error::InvalidRequest(_))), &format!("the header `{name}` is refused"));
    }
}

pub fn batches(findings: &mut Findings) -> Result<(), Error> {
    // The later ones answer first.
    let delays = [60, 30, 0];
    let mut requests: Vec<_> = delays.iter().map(|delay| Request::get(url(&format!("/delay/{delay}")))).collect();
    requests.push(Request::get("http://127.0.0.1:1/"));
    requests.extend((0..20).map(|size| Request::get(url(&format!("/bytes/{size}")))));
    let answers = http::batch(requests);
    findings.expect(answers.len() == 24, "a batch answers every request");
    findings.expect(matches!(answers.get(3), Some(Err(Error::Refused))), "an error stands in its place");
    for (answer, delay) in answers.iter().zip(delays) {
        let Ok(answer) = answer else {
            findings.expect(false, "a batch answers the slow ones");
            continue;
        };
        let asked = format!("/delay/{delay}");
        findings.expect(answer.url()?.ends_with(&asked), "a batch answers in the order it was given");
        findings.expect(answer.duration() >= Duration::from_millis(delay), "each request has its own duration");
    }
    for (answer, size) in answers.iter().skip(4).zip(0_u32..) {
        let length = answer.as_ref().map(Response::body_len).ok();
        findings.expect(length == Some(size), "a batch answers in the order it was given, also when it is long");
    }
    findings.expect(http::batch(Vec::new()).is_empty(), "an empty batch is answered");
    Ok(())
}
