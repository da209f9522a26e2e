//! Requests that no server should be sent, and answers that no client should wait for.

use std::time::Duration;

use squall_sdk::http::{self, Coding, Multipart, Part, Request};
use squall_sdk::{Error, env_or};

use crate::{Attempt, said, target};

pub fn attack(name: &str) -> Option<Attempt> {
    Some(match name {
        "headers" => Ok(headers()),
        "long-header" => Ok(long_header()),
        "forbidden-headers" => Ok(forbidden_headers()),
        "injection" => Ok(injection()),
        "endless-upload" => Ok(endless_upload(1 << 20)),
        "empty-writes" => Ok(endless_upload(0)),
        "length-lie" => Ok(length_lie()),
        "timeouts" => Ok(timeouts()),
        "fetch" => Ok(fetch()),
        "fetch-stream" => Ok(fetch_stream()),
        "batch" => Ok(batch()),
        "open-streams" => Ok(open_streams()),
        "connections" => Ok(connections()),
        "compress" => Ok(compress()),
        "multipart" => Ok(multipart()),
        "patterns" => Ok(patterns()),
        _ => return None,
    })
}

fn status(request: Request<'_>) -> Result<u16, Error> {
    request.send().map(|answer| answer.status())
}

fn headers() -> String {
    let names: Vec<String> = (0..300_000).map(|number| format!("x-{number}")).collect();
    let mut request = Request::get(format!("{}/health?headers", target()));
    for name in &names {
        request = request.header(name.as_str(), "1");
    }
    said(status(request))
}

fn long_header() -> String {
    let value = "x".repeat(1 << 20);
    said(status(Request::get(format!("{}/health?long-header", target())).header("x-long", value)))
}

fn forbidden_headers() -> String {
    let url = format!("{}/echo?forbidden", target());
    let refused = ["host", "transfer-encoding", "content-length", "connection", "Host", "Content-Length"];
    let sent = refused.iter().filter(|name| Request::post(&url).header(**name, "1").body(b"ab").send().is_ok()).count();
    format!("{sent} sent")
}

/// Line ends where a second request could hide.
fn injection() -> String {
    let url = format!("{}/health?injection", target());
    let evil = "a\r\nx-evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n";
    let tries = [
        status(Request::get(&url).header("x-a", evil)),
        status(Request::get(&url).header(evil, "a")),
        status(Request::new(evil, &url)),
        status(Request::get(&url).cookie("a", evil)),
        status(Request::get(&url).bearer(evil)),
        status(
            Request::post(&url)
                .multipart(Multipart::new().part(Part::bytes(evil, b"x").filename(evil).content_type(evil))),
        ),
    ];
    let sent = tries.iter().filter(|tried| tried.is_ok()).count();
    let _ = http::get(format!("{url} HTTP/1.1\r\nx-evil: 1\r\n\r\n"));
    format!("{sent} of {} sent", tries.len())
}

/// Writes a body that never ends, in pieces of this size.
fn endless_upload(piece: usize) -> String {
    let piece = vec![b'x'; piece];
    let mut upload = match Request::post(format!("{}/echo?endless", target())).upload(None) {
        Ok(upload) => upload,
        Err(error) => return format!("not started: {error}"),
    };
    let mut written = 0_u64;
    loop {
        if let Err(error) = upload.send(&piece) {
            return format!("refused after {} MiB: {error}", written >> 20);
        }
        written += piece.len() as u64;
    }
}

fn length_lie() -> String {
    let url = format!("{}/echo?lie", target());
    let body = |length: u32, bytes: &[u8]| {
        let mut upload = Request::post(&url).upload(Some(length))?;
        upload.send(bytes)?;
        upload.finish().map(|answer| answer.status())
    };
    format!("too short {}; too long {}", said(body(10, b"abc")), said(body(3, b"abcdefghij")))
}

fn timeouts() -> String {
    let url = format!("{}/delay/50?timeouts", target());
    let timed =
        |timeout: Duration| if status(Request::get(&url).timeout(timeout)).is_ok() { "answer" } else { "error" };
    let none = timed(Duration::ZERO);
    format!("0 {none}; 1 ns {}; for ever {}", timed(Duration::from_nanos(1)), timed(Duration::MAX))
}

/// Fetches each URL in `URLS`.
fn fetch() -> String {
    let answers: Vec<String> = env_or("URLS", "")
        .split_whitespace()
        .map(|url| {
            let timeout = Duration::from_millis(env_or("TIMEOUT_MS", "20000").parse().unwrap_or(20_000));
            let answer = Request::get(url).name("fetch").timeout(timeout).send();
            said(answer.map(|answer| (answer.status(), answer.body_len())))
        })
        .collect();
    answers.join("; ")
}

fn fetch_stream() -> String {
    let mut length = 0;
    let mut stream = match Request::get(env_or("URLS", "")).stream() {
        Ok(stream) => stream,
        Err(error) => return format!("refused: {error}"),
    };
    loop {
        match stream.read_piece() {
            Ok(Some(piece)) => length += piece.len(),
            Ok(None) => return format!("{length} bytes"),
            Err(error) => return format!("refused after {length} bytes: {error}"),
        }
    }
}

fn batch() -> String {
    let url = format!("{}/delay/20?batch", target());
    let requests = (0..5_000).map(|_| Request::get(&url).name("batch")).collect();
    let answers = http::batch(requests);
    format!("{} of {} answered", answers.iter().filter(|answer| answer.is_ok()).count(), answers.len())
}

/// Opens answers that it never reads.
fn open_streams() -> String {
    let url = format!("{}/bytes/1000000?stream", target());
    let mut streams = Vec::new();
    for _ in 0..10_000 {
        match Request::get(&url).name("stream").stream() {
            Ok(stream) => streams.push(stream),
            Err(error) => return format!("refused after {}: {error}", streams.len()),
        }
    }
    format!("{} open", streams.len())
}

/// As many connections as it can hold: each upload and each stream has one to itself.
fn connections() -> String {
    let url = target();
    let mut uploads = Vec::new();
    let mut refused = String::new();
    for _ in 0..100_000 {
        match Request::post(format!("{url}/echo?connections")).name("connections").upload(None) {
            Ok(upload) => uploads.push(upload),
            Err(error) => {
                refused = error.to_string();
                break;
            }
        }
    }
    format!("{} held, then: {refused}", uploads.len())
}

/// The same body encoded a thousand times over.
fn compress() -> String {
    let codings = vec![Coding::Gzip; 1000];
    said(status(Request::post(format!("{}/echo?compress", target())).body(vec![b'x'; 1 << 20]).compress(&codings)))
}

/// A granted file of 1 MB, ten thousand times in one body.
fn multipart() -> String {
    let form = (0..10_000).fold(Multipart::new(), |form, _| form.file("f", "granted"));
    said(status(Request::post(format!("{}/echo?multipart", target())).multipart(form)))
}

/// Expressions that take long to compile, or long to match.
fn patterns() -> String {
    let answer = match http::get(format!("{}/json/large", target())) {
        Ok(answer) => answer,
        Err(error) => return format!("no answer: {error}"),
    };
    let nested = format!("{}a{}", "(".repeat(5_000), ")*".repeat(5_000));
    let path = format!("$..{}", "[?@..a]".repeat(2_000));
    let selector = format!("{}a", "div > ".repeat(20_000));
    let results = [
        said(answer.regex("(((a{1,1000}){1,1000}){1,1000})").first()),
        said(answer.regex(&nested).first()),
        said(answer.regex("(.*)*(.*)*(.*)*x").first()),
        said(answer.json_path(&path).first()),
        said(answer.css(&selector).first()),
        said(answer.json_text(&"/a".repeat(1_000_000))),
    ];
    let refused = results.iter().filter(|result| result.starts_with("refused")).count();
    format!("{refused} of {} refused", results.len())
}
