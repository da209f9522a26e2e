//! Does what the variable `STEPS` says, and logs every answer as JSON: what tests of HTTP are written with.
//!
//! `STEPS` is a list of objects. `{vu}` and `{iteration}` in any text of it are the numbers of the VU and the iteration.
//! A step is a request, several at once, a client's certificate, or a wait:
//!
//! ```json
//! [{ "url": "http://h/{vu}", "method": "POST", "headers": { "a": "b" }, "body": "text", "show": ["body", "headers"] },
//!  { "batch": [{ "url": "http://h/1" }, { "url": "http://h/2" }] },
//!  { "certificate": { "cert": "PEM", "key": "PEM", "password": "x", "domains": ["h"] } },
//!  { "sleep_ms": 10 }]
//! ```
//!
//! With `extract`, a step reads its answer on the host, and shows what came of each reading as `extracted`:
//!
//! ```json
//! [{ "url": "http://h/", "extract": [{ "css": "a", "attribute": "href", "nth": 2 }, { "regex": "id=(.)", "group": "1", "nth": -1 }] }]
//! ```
//!
//! `basic`, `digest` (`[name, password]`), `cookies` (`{name: value}`), `replace_cookies`, `throw` and `new_jar` are for a
//! request's options. `{"set_cookie": {"url": …, "name": …, "value": …}}`, `{"clear_cookies": url}` and `{"expect_from_now": [404]}` are
//! steps of their own.
//!
//! `{"say": "text", "in": ["log", "stdout", "stderr", "check", "group", "tag", "metric", "fail", "abort", "error", "panic"]}`
//! says a text where a journey can say one. `{"secret": "name"}` shows the text that stands for a secret as `reference`.
//!
//! `SETUP_STEPS` are done once, in `setup`.
//!
//! Every answer is one line, `answer {"step": 0, "status": 200, ...}` or `answer {"step": 0, "error": "..."}`; `show` asks
//! for more of it. A `body_size` sends so many bytes. A `repeat` does a step several times.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use squall_sdk::http::{self, Coding, Cookie, Extract, Hash, Jar, Multipart, Part, Request, Response, Version};
use squall_sdk::metric::Counter;
use squall_sdk::{Error, check, env, group, log, secret, sleep, test, tls, vu};

/// Log messages are cut at 8 KiB; no test shows more of a body than this.
const SHOWN: usize = 2000;

fn set_up() -> Result<(), Error> {
    env("SETUP_STEPS").map_or(Ok(()), |steps| follow(&steps))
}

fn fetch() -> Result<(), Error> {
    follow(&env("STEPS").ok_or_else(|| Error::new("the variable `STEPS` is missing"))?)
}

fn follow(text: &str) -> Result<(), Error> {
    let text = text.replace("{vu}", &vu::id().to_string()).replace("{iteration}", &vu::iteration().to_string());
    let steps: Vec<Value> = serde_json::from_str(&text)?;
    for (number, step) in steps.iter().enumerate() {
        for _ in 0..step["repeat"].as_u64().unwrap_or(1) {
            run(number, step)?;
        }
    }
    Ok(())
}

fn run(number: usize, step: &Value) -> Result<(), Error> {
    if let Some(milliseconds) = step["sleep_ms"].as_u64() {
        sleep(Duration::from_millis(milliseconds));
    } else if step["certificate"].is_object() {
        certificate(&step["certificate"])?;
    } else if step["set_cookie"].is_object() {
        let text = |name: &str| step["set_cookie"][name].as_str().unwrap_or_default();
        Jar::of_vu().set(text("url"), &Cookie::new(text("name"), text("value")))?;
    } else if let Some(url) = step["clear_cookies"].as_str() {
        Jar::of_vu().clear(url)?;
    } else if let Some(statuses) = step["expect_from_now"].as_array() {
        let statuses: Vec<u16> = statuses.iter().filter_map(|status| Some(status.as_u64()? as u16)).collect();
        let statuses: Vec<&dyn http::Statuses> = statuses.iter().map(|status| status as &dyn http::Statuses).collect();
        http::set_expected_statuses(&statuses);
    } else if let Some(name) = step["secret"].as_str() {
        let told = match secret(name) {
            Ok(reference) => json!({ "reference": reference }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        log::info(&format!("answer {told}"));
    } else if let Some(text) = step["say"].as_str() {
        for place in step["in"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            say(text, place)?;
        }
    } else if let Some(steps) = step["batch"].as_array() {
        let requests = steps.iter().map(request).collect::<Result<Vec<_>, _>>()?;
        for (answer, step) in http::batch(requests).into_iter().zip(steps) {
            tell(number, step, answer)?;
        }
    } else if step["stream"] != Value::Null {
        let read = read_stream(step);
        let mut told = read.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        told["step"] = json!(number);
        log::info(&format!("answer {told}"));
    } else if let Some(pieces) = step["upload"].as_array() {
        tell(number, step, upload(step, pieces))?;
    } else {
        tell(number, step, request(step)?.send())?;
    }
    Ok(())
}

/// Says a text in one of the places where a journey can say something.
fn say(text: &str, place: &str) -> Result<(), Error> {
    static SAID: Counter = Counter::new("said");
    match place {
        "log" => log::warn(&format!("{text} {text:?} {}", json!({ "said": text }))),
        "stdout" => println!("{text}"),
        "stderr" => eprintln!("{text}"),
        "check" => drop(check(text, true)),
        "group" => group(text, || ()),
        "tag" => SAID.add_tagged(1, &[("said", text), (text, "said")]),
        // A name lives as long as its metric, which is as long as the journey.
        "metric" => Counter::new(String::leak(text.to_owned())).declare()?,
        "fail" => test::fail(text),
        "abort" => test::abort(text),
        "error" => return Err(Error::new(format!("the journey says {text}"))),
        "panic" => panic!("{text}"),
        other => return Err(Error::new(format!("nobody says anything in `{other}`"))),
    }
    Ok(())
}

/// Reads an answer as it comes, or so many pieces of it: lengths, when they arrived, what they were.
fn read_stream(step: &Value) -> Result<Value, Error> {
    let mut stream = request(step)?.stream()?;
    let most = step["stream"].as_u64().unwrap_or(u64::MAX);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let head = milliseconds(stream.arrived());
    let (mut pieces, mut arrived, mut text, mut problem) = (Vec::new(), Vec::new(), String::new(), Value::Null);
    let mut total = 0x811c_9dc5;
    while (pieces.len() as u64) < most {
        match stream.read_piece() {
            Ok(Some(piece)) => {
                pieces.push(piece.len());
                arrived.push(milliseconds(stream.arrived()));
                total = sum(total, &piece);
                text.push_str(&String::from_utf8_lossy(&piece[..piece.len().min(SHOWN)]));
            }
            Ok(None) => break,
            Err(error) => {
                problem = json!(error.to_string());
                break;
            }
        }
    }
    let length = pieces.iter().sum::<usize>();
    pieces.truncate(50);
    arrived.truncate(50);
    // What is not text would be escaped twice on its way to the test.
    let is_text = !text.contains(char::is_control);
    let text: String = text.chars().take(if is_text { SHOWN } else { 0 }).collect();
    let (status, url, timings) = (stream.status(), stream.response().url()?, shown(stream.response(), "timings")?);
    if step["leave_open"].as_bool() == Some(true) {
        std::mem::forget(stream);
    }
    Ok(json!({ "status": status, "url": url, "head": head, "pieces": pieces, "arrived": arrived, "length": length,
        "sum": total, "text": text, "problem": problem, "timings": timings }))
}

/// Sends texts one after the other as one body.
fn upload(step: &Value, pieces: &[Value]) -> Result<Response, Error> {
    let length = step["upload_length"].as_u64().map(|length| length as u32);
    let mut upload = request(step)?.upload(length)?;
    for piece in pieces {
        upload
            .write_all(piece.as_str().unwrap_or_default().as_bytes())
            .map_err(|error| Error::new(error.to_string()))?;
        sleep(Duration::from_millis(step["pause_ms"].as_u64().unwrap_or_default()));
    }
    upload.finish()
}

/// Shows a certificate from now on; an empty object shows none.
fn certificate(step: &Value) -> Result<(), Error> {
    let (Some(certificate), Some(key)) = (step["cert"].as_str(), step["key"].as_str()) else {
        tls::clear_certificates();
        return Ok(());
    };
    let mut identity = tls::Certificate::new(certificate, key);
    if let Some(password) = step["password"].as_str() {
        identity = identity.password(password);
    }
    for domain in step["domains"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        identity = identity.domain(domain);
    }
    identity.show()
}

fn request(step: &Value) -> Result<Request<'_>, Error> {
    let url = step["url"].as_str().ok_or_else(|| Error::new("a step without `url`"))?;
    let mut request = Request::new(step["method"].as_str().unwrap_or("GET"), url);
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        request = request.header(name.as_str(), value.as_str().unwrap_or_default());
    }
    if let Some(body) = step["body"].as_str() {
        request = request.body(body.as_bytes());
    }
    if let Some(size) = step["body_size"].as_u64() {
        request = request.body(vec![b'x'; size as usize]);
    }
    if let Some(name) = step["name"].as_str() {
        request = request.name(name);
    }
    if let Some(most) = step["redirects"].as_u64() {
        request = request.redirects(most as u32);
    }
    if let Some(milliseconds) = step["timeout_ms"].as_u64() {
        request = request.timeout(Duration::from_millis(milliseconds));
    }
    for status in step["expect"].as_array().into_iter().flatten() {
        request = request.expect_status(status.as_u64().unwrap_or_default() as u16);
    }
    with_body(with_session(request, step), step)
}

fn with_body<'a>(mut request: Request<'a>, step: &'a Value) -> Result<Request<'a>, Error> {
    if let Some(name) = step["body_file"].as_str() {
        request = request.body_file(name);
    }
    if let Some(length) = step["body_length"].as_u64() {
        request = request.body((0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>());
    }
    if let Some(parts) = step["multipart"].as_array() {
        request = request.multipart(parts.iter().fold(Multipart::new(), |form, part| {
            let text = |key: &str| part[key].as_str();
            let name = text("name").unwrap_or_default();
            let mut made = match text("file") {
                Some(granted) => Part::file(name, granted),
                None => Part::bytes(name, text("text").unwrap_or_default().as_bytes()),
            };
            if let Some(filename) = text("filename") {
                made = made.filename(filename);
            }
            if let Some(content_type) = text("content_type") {
                made = made.content_type(content_type);
            }
            form.part(made)
        }));
    }
    if let Some(codings) = step["compress"].as_array() {
        let coding = |name: &Value| match name.as_str() {
            Some("gzip") => Ok(Coding::Gzip),
            Some("deflate") => Ok(Coding::Deflate),
            Some("br") => Ok(Coding::Brotli),
            Some("zstd") => Ok(Coding::Zstd),
            other => Err(Error::new(format!("nothing encodes `{other:?}`"))),
        };
        request = request.compress(&codings.iter().map(coding).collect::<Result<Vec<_>, _>>()?);
    }
    if let Some(discard) = step["discard"].as_bool() {
        request = request.discard_body(discard);
    }
    request = match step["version"].as_str() {
        None => request,
        Some("1.1") => request.version(Version::Http1),
        Some("2") => request.version(Version::Http2),
        Some("3") => request.version(Version::Http3),
        Some(other) => return Err(Error::new(format!("there is no version `{other}` of HTTP"))),
    };
    Ok(request)
}

fn with_session<'a>(mut request: Request<'a>, step: &'a Value) -> Request<'a> {
    let pair = |value: &'a Value| Some((value[0].as_str()?, value[1].as_str()?));
    if let Some((name, password)) = pair(&step["basic"]) {
        request = request.basic_auth(name, password);
    }
    if let Some((name, password)) = pair(&step["digest"]) {
        request = request.digest_auth(name, password);
    }
    for (name, value) in step["cookies"].as_object().into_iter().flatten() {
        request = request.cookie(name.as_str(), value.as_str().unwrap_or_default());
    }
    for (name, value) in step["replace_cookies"].as_object().into_iter().flatten() {
        request = request.replace_cookie(name.as_str(), value.as_str().unwrap_or_default());
    }
    if let Some(throw) = step["throw"].as_bool() {
        request = request.throw(throw);
    }
    if step["new_jar"].as_bool() == Some(true) {
        request = request.jar(Jar::new());
    }
    request
}

fn tell(number: usize, step: &Value, answer: Result<Response, Error>) -> Result<(), Error> {
    let mut told = Map::from_iter([("step".to_owned(), json!(number))]);
    match answer {
        Ok(response) => {
            told.insert("status".to_owned(), json!(response.status()));
            told.insert("body_len".to_owned(), json!(response.body_len()));
            for what in step["show"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                told.insert(what.to_owned(), shown(&response, what)?);
            }
            if let Some(readings) = step["extract"].as_array() {
                let extracted = readings.iter().map(|reading| extracted(&response, reading));
                let as_json =
                    |result: Result<Value, Error>| result.unwrap_or_else(|error| json!({ "error": error.to_string() }));
                told.insert("extracted".to_owned(), extracted.map(as_json).collect());
            }
        }
        Err(error) => {
            told.insert("error".to_owned(), json!(error.to_string()));
            let failures = http::last_failures().into_iter();
            let failures = failures.map(|failure| json!([failure.place, failure.code, failure.message]));
            told.insert("failures".to_owned(), failures.collect());
        }
    }
    log::info(&format!("answer {}", Value::Object(told)));
    Ok(())
}

fn shown(response: &Response, what: &str) -> Result<Value, Error> {
    Ok(match what {
        "body" => json!(response.text()?.chars().take(SHOWN).collect::<String>()),
        // FNV-1a of the whole body.
        "sum" => json!(sum(0x811c_9dc5, &response.body()?)),
        "headers" => json!(response.headers()?),
        "url" => json!(response.url()?),
        "cookies" => {
            let cookies = response.cookies()?.into_iter();
            cookies.map(|cookie| json!([cookie.name, cookie.value, cookie.path, cookie.secure])).collect()
        }
        "jar" => {
            let cookies = Jar::of_vu().cookies(&response.url()?)?.into_iter();
            cookies.map(|cookie| json!([cookie.name, cookie.value])).collect()
        }
        "details" => {
            let details = response.details()?;
            json!({
                "status_text": details.status_text,
                "protocol": details.protocol,
                "remote_ip": details.remote_ip,
                "remote_port": details.remote_port,
                "tls_version": details.tls_version,
                "tls_cipher_suite": details.tls_cipher_suite,
                "reused": details.reused,
                "encoded_len": details.encoded_len,
                "redirects": details.redirects,
            })
        }
        "timings" => {
            let timings = response.timings()?;
            let milliseconds = |time: Duration| json!(time.as_secs_f64() * 1e3);
            json!({
                "blocked": milliseconds(timings.blocked),
                "looking_up": milliseconds(timings.looking_up),
                "connecting": milliseconds(timings.connecting),
                "tls_handshaking": milliseconds(timings.tls_handshaking),
                "sending": milliseconds(timings.sending),
                "waiting": milliseconds(timings.waiting),
                "receiving": milliseconds(timings.receiving),
                "duration": milliseconds(timings.duration),
            })
        }
        other => return Err(Error::new(format!("nothing shows `{other}`"))),
    })
}

/// FNV-1a, going on from `sum`.
fn sum(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn extracted(response: &Response, reading: &Value) -> Result<Value, Error> {
    let text = |name: &str| reading[name].as_str();
    if let Some(path) = text("json_path") {
        return found(response.json_path(path), reading);
    } else if let Some(pattern) = text("regex") {
        return found(response.regex(pattern).group(text("group").unwrap_or("0")), reading);
    } else if let Some(selector) = text("css") {
        let css = response.css(selector);
        return found(if let Some(name) = text("attribute") { css.attribute(name) } else { css }, reading);
    } else if let Some(left) = text("left") {
        return found(response.between(left, text("right").unwrap_or_default()), reading);
    }
    Ok(if let Some(path) = text("values") {
        json!(response.json_path_values::<Value>(path)?)
    } else if let Some(pattern) = text("captures") {
        json!(response.regex_captures(pattern)?)
    } else if let Some(pointer) = text("pointer") {
        json!(response.json_text(pointer)?)
    } else if let Some(name) = text("header") {
        json!(response.header_values(name)?)
    } else if let Some(part) = text("contains") {
        json!(response.contains(part)?)
    } else if let Some(hash) = text("hash") {
        json!(response.hash(match hash {
            "md5" => Hash::Md5,
            "sha1" => Hash::Sha1,
            "sha256" => Hash::Sha256,
            _ => Hash::Sha512,
        })?)
    } else if let Some([start, end]) = reading["range"].as_array().map(Vec::as_slice) {
        let number = |value: &Value| value.as_u64().unwrap_or_default() as u32;
        json!(String::from_utf8_lossy(&response.body_range(number(start)..number(end))?))
    } else {
        json!(response.held_len()?)
    })
}

/// All that is found for an `nth` of -1, one at random for 0, and otherwise that one.
fn found(extract: Extract<'_>, reading: &Value) -> Result<Value, Error> {
    Ok(match reading["nth"].as_i64().unwrap_or(1) {
        -1 => json!(extract.all()?),
        0 => json!(extract.random().first()?),
        nth => json!(extract.nth(nth as u32).first()?),
    })
}

squall_sdk::journey! {
    setup: set_up,
    scenarios: { default: fetch },
}
