//! Requests that no server should be sent, and answers that no client should wait for.

use std::io::Write as _;

use squall::practice::Server;

use super::row::Row;
use crate::support::{Act, Hostile, journey, say};

/// Nothing that a guest wrote may have become a request of its own.
fn nothing_injected(server: &Server) -> Option<String> {
    let evil = server
        .recorded()
        .into_iter()
        .find(|request| request.target.contains("/evil") || request.headers.iter().any(|(name, _)| name == "x-evil"));
    evil.map(|request| format!("the target saw {request:?}"))
}

/// The target may have seen the name of a secret, but not its value.
fn no_secret(server: &Server) -> Option<String> {
    let has = |text: &str| text.contains("leaked-secret");
    let told = server
        .recorded()
        .into_iter()
        .find(|request| has(&request.target) || request.headers.iter().any(|(_, value)| has(value)));
    told.map(|request| format!("the target saw {request:?}"))
}

pub fn rows() -> Vec<Row> {
    vec![
        Row::attack("300,000 headers", "headers").says_one_of(&[
            "result headers: refused",
            "result headers: allowed: 431",
            "trapped: too much data",
        ]),
        Row::attack("header of 1 MiB", "long-header")
            .says_one_of(&["result long-header: refused", "result long-header: allowed: 431"]),
        Row::attack("headers of the host's", "forbidden-headers").says("result forbidden-headers: 0 sent"),
        Row::attack("CR LF in every part of a request", "injection").says("result injection").seen(nothing_injected),
        Row::attack("body without an end", "endless-upload")
            .says_one_of(&["result endless-upload: refused after", "timed out"]),
        Row::attack("empty writes for ever", "empty-writes").says("timed out"),
        Row::attack("content-length that lies", "length-lie").says("too short refused").says("too long refused"),
        Row::attack("timeouts of 0 and for ever", "timeouts")
            .says("result timeouts: 0 error; 1 ns error; for ever answer"),
        Row::attack("5,000 requests at once", "batch").says_one_of(&["result batch: 5000 of 5000", "timed out"]),
        Row::attack("10,000 streams that nobody reads", "open-streams")
            .says_one_of(&["result open-streams: refused after", "timed out"]),
        Row::attack("100,000 connections", "connections").says("result connections: 100 held, then"),
        Row::attack("gzip 1,000 times over", "compress").says_one_of(&[
            "result compress: refused",
            "result compress: allowed",
            "timed out",
        ]),
        Row::attack("patterns that are bombs", "patterns")
            .says_one_of(&["result patterns: 4 of 6 refused", "result patterns: 5 of 6 refused"]),
    ]
}

/// What a server does to whoever asks it.
pub struct Peers {
    slow: Hostile,
    endless_body: Hostile,
    endless_head: Hostile,
    interim: Hostile,
    bomb: Hostile,
    silent: Hostile,
}

impl Peers {
    pub fn start() -> Self {
        let endless = |head: &str, piece: String| {
            let mut acts = vec![Act::Head, say(head)];
            acts.extend(std::iter::repeat_n(say(piece), 4000));
            Hostile::script(acts)
        };
        Self {
            slow: Hostile::slow_body(1),
            endless_body: endless("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(1 << 17)),
            endless_head: endless("HTTP/1.1 200 OK\r\n", format!("a: {}\r\n", "x".repeat(1000))),
            interim: endless("HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000)),
            bomb: Hostile::script([Act::Head, say(bomb())]),
            silent: Hostile::never_answers(),
        }
    }

    pub fn rows(&self) -> Vec<Row> {
        let row = |name, server: &Hostile| {
            Row::attack(name, "fetch").env("URLS", server.url()).env("TIMEOUT_MS", "2000").allow(server.url())
        };
        vec![
            row("answer of one byte per second", &self.slow).says("result fetch: refused"),
            row("body without an end, from a server", &self.endless_body).says("result fetch: refused"),
            row("headers without an end", &self.endless_head).says("result fetch: refused"),
            row("1xx answers without an end", &self.interim).says("result fetch: refused"),
            row("gzip bomb: 1 GB in 1 MB", &self.bomb).says("result fetch: refused"),
            row("server that never answers", &self.silent).says("result fetch: refused"),
        ]
    }
}

/// An answer of 1 GB of zeros, packed into 1 MB.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1000).for_each(|_| packed.write_all(&zeros).unwrap());
    let packed = packed.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let mut answer = head.into_bytes();
    answer.extend(packed);
    answer
}

/// Where a guest would like to go. What is refused is told to nobody: `denied` has a listener that counts.
pub fn reach(denied: &Hostile) -> Vec<Row> {
    let elsewhere = denied.url();
    let port = elsewhere.rsplit(':').next().unwrap_or_default().to_owned();
    let to = |url: &str| url.replace(':', "%3A").replace('/', "%2F");
    let forms = ["2130706433", "0x7f.1", "017700000001", "0", "127.1", "[::ffff:127.0.0.1]", "[::1]", "localhost"];
    let forms: Vec<String> = forms.iter().map(|host| format!("http://{host}:{port}/")).collect();
    vec![
        Row::attack("redirect without an end", "fetch").env("URLS", "{url}/redirect/1000").says("(302, "),
        Row::attack("redirect to a host that was not granted", "fetch")
            .env("URLS", format!("{{url}}/redirect-to?url={}", to(&elsewhere)))
            .says("result fetch: refused"),
        Row::attack("redirect to 169.254.169.254", "fetch")
            .env("URLS", format!("{{url}}/redirect-to?url={}", to("http://169.254.169.254/latest/meta-data/")))
            .env("TIMEOUT_MS", "500")
            .says("result fetch: refused"),
        Row::attack("169.254.169.254 itself", "fetch")
            .env("URLS", "http://169.254.169.254/ http://[fe80::1]/ http://[::ffff:169.254.169.254]/")
            .env("TIMEOUT_MS", "500")
            .says("result fetch: refused"),
        Row::attack("other forms of 127.0.0.1", "fetch").env("URLS", forms.join(" ")).says("result fetch: refused"),
    ]
}

pub fn guarded() -> Vec<Row> {
    vec![
        Row::attack("../../etc/passwd as a file's name", "files").says("result files: 8 of 8 refused").never("root:"),
        Row::attack("variables of the process", "environment").says("result environment: 0 found, 0 leaked"),
        Row::attack("secrets of others, or for other hosts", "secrets")
            .flag("--secret")
            .flag("own=env:SQUALL_HOSTILE_OWN")
            .config("secrets.own.hosts = [\"https://other.test\"]\n")
            .says("result secrets: unknown false, elsewhere false")
            .seen(no_secret)
            .never("leaked-secret"),
        Row::attack("key that takes a year to open", "certificate")
            .env("CERT", CERTIFICATE)
            .env("KEY", SLOW_KEY)
            .says("result certificate: refused"),
        Row::attack("a file of 200 kB, 10,000 times in a body", "multipart")
            .flag("--file")
            .flag(format!("granted={}", journey("hostile").display()))
            .says_one_of(&["result multipart: refused", "result multipart: allowed: 413"]),
    ]
}

/// What WASI has a name for, and nobody granted: the imports alone.
pub fn wasi() -> Vec<Row> {
    let row = |name, attack| {
        let interfaces = ["wasi:cli/*", "wasi:io/*", "wasi:clocks/*", "wasi:filesystem/*", "wasi:sockets/*"];
        interfaces.iter().fold(Row::wasi(name, attack), |row, import| row.flag("--allow-import").flag(*import))
    };
    vec![
        row("WASI: files and variables", "files")
            .says("0 read, 0 listed, written false, 2 variables, 0 arguments")
            .never("root:"),
        row("WASI: sockets and names", "sockets").says("tcp false, listens false, udp true, names false"),
        row("WASI: exit", "exit").says("trapped"),
        row("WASI: ANSI on standard output", "output")
            .says("result wasi-output: written")
            .never("\u{1b}")
            .never("\u{7}"),
        Row::wasi("WASI that was not granted", "files").code(113).says("wasi:sockets/network"),
    ]
}

/// Any certificate: the key is looked at first, or not at all.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// An encrypted key whose password is to be hashed 2,147,483,647 times before it can be seen to be wrong.
const SLOW_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGLMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgBAgMEBQYHCAIEf///\n\
    /zAKBggqhkiG9w0CCTAdBglghkgBZQMEASoEEAABAgMEBQYHCAkKCwwNDg8EMFVV\n\
    VVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVQ==\n\
    -----END ENCRYPTED PRIVATE KEY-----\n";
