//! Values that no guest of good faith passes, given to every function of the host: each call returns, and what it
//! records is a number.

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use super::*;
use crate::fuzz::{Choices, cases};
use crate::metrics::{Excess, MetricId, Record, Recorder, SeriesId, SystemTags};
use crate::plan::{ByDefault, NetPolicy};
use crate::practice;
use crate::wit::http::{
    Auth, Coding, Content, Credentials, Pair, Part, Payload, Request, RequestCookie, RequestOptions, StatusRange,
};

/// The longest that one call waits: a guest may ask to wait for days, and its call is dropped then as well.
const PATIENCE: Duration = Duration::from_millis(20);

/// Texts that have been trouble somewhere.
const TEXTS: &[&str] = &[
    "",
    "a",
    "\0",
    "a\0b",
    "\r\nx-injected: 1\r\n\r\n",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{202e}evil\u{feff}\u{fffd}",
    "é\u{301}\u{10ffff}",
    "{{secret:api}}",
    "{{secret:",
    "../../etc/passwd",
    "$..*",
    "$[?(@.a=~/x/)]",
    "/0/a~1b/~",
    "(a+)+$",
    "(?<n>a)|(b{1000}){1000}",
    "[",
    "a > b:nth-child(2n+1)",
    ":has(:has(*))",
    "content-length",
    "host",
    "transfer-encoding",
    "chunked",
    "gzip, gzip, gzip",
    "NaN",
    "-1",
    "99999999999999999999",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n",
    "*.example.com",
    "text/plain; charset=\"",
];

/// Paths and more, after the server's own address.
const PLACES: &[&str] = &[
    "/html",
    "/json/large?items=3",
    "/echo",
    "/status/204",
    "/status/999",
    "/redirect/3",
    "/redirect-to?url=http://169.254.169.254/",
    "/redirect-to?url=//%00/",
    "/bytes/100000",
    "/chunked/5000",
    "/cookies/set?a=b",
    "/response-headers?content-encoding=gzip",
    "/digest-auth/a/b",
    "/basic-auth/a/b",
    "/delay/30",
    "/?a=b#c",
    "/\0",
    "/%00%ff/../..",
    "",
];

/// URLs whose host is not granted, or that are none.
const ELSEWHERE: &[&str] = &[
    "",
    "http://",
    "http://[::1",
    "http://[::ffff:127.0.0.1]:1/",
    "http://0x7f.1:1/",
    "http://2130706433:1/",
    "http://localhost:1/",
    "http://a.invalid:99999/",
    "https://user:pass@127.0.0.1:1/",
    "file:///etc/passwd",
    "unix:/run/x.sock",
    "http://127.0.0.1:1\r\nhost: x/",
    "http://xn--/",
    "ftp://127.0.0.1/",
    "javascript:1",
];

const METHODS: &[&str] =
    &["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PUT", "get", "", "G ET", "GET\r\n", "é"];

fn text(choices: &mut Choices) -> String {
    match choices.below(12) {
        0 => {
            let number = choices.below(64);
            String::from_utf8_lossy(&choices.bytes(number)).into_owned()
        }
        1 => choices.one_of(TEXTS).repeat(choices.below(200)),
        // Rarely, for its price: a text that is larger than any buffer.
        2 if choices.one_in(40) => choices.one_of(&["a", "é", "\0", "(", "a,"]).repeat(1 << 20),
        3 => format!("{}{}", choices.one_of(TEXTS), choices.one_of(TEXTS)),
        _ => (*choices.one_of(TEXTS)).to_owned(),
    }
}

fn bytes(choices: &mut Choices) -> Vec<u8> {
    let length = *choices.one_of(&[0, 1, 7, 100, 5_000, 70_000]);
    choices.bytes(length)
}

fn number(choices: &mut Choices) -> f64 {
    let usual =
        [0.0, -0.0, 1.0, 25.0, -1.0, 0.5, 1e308, -1e308, 5e-324, 1e19, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    if choices.one_in(4) { f64::from_bits(choices.number()) } else { *choices.one_of(&usual) }
}

fn nth(choices: &mut Choices) -> i32 {
    if choices.one_in(4) { choices.number() as i32 } else { *choices.one_of(&[0, 1, 2, -1, -2, i32::MIN, i32::MAX]) }
}

fn some<T>(choices: &mut Choices, value: fn(&mut Choices) -> T) -> Option<T> {
    choices.one_in(2).then(|| value(choices))
}

fn list<T>(choices: &mut Choices, value: fn(&mut Choices) -> T) -> Vec<T> {
    let number = if choices.one_in(20) { choices.below(300) } else { choices.below(4) };
    (0..number).map(|_| value(choices)).collect()
}

fn status_range(choices: &mut Choices) -> StatusRange {
    StatusRange { first: choices.number() as u16, last: choices.number() as u16 }
}

fn pair(choices: &mut Choices) -> Pair {
    Pair { name: text(choices), value: text(choices) }
}

fn version(choices: &mut Choices) -> wit::http::Version {
    use wit::http::Version;
    [Version::Http1, Version::Http2, Version::Http3][choices.below(3)]
}

fn coding(choices: &mut Choices) -> Coding {
    *choices.one_of(&[Coding::Gzip, Coding::Deflate, Coding::Br, Coding::Zstd])
}

fn content(choices: &mut Choices) -> Content {
    if choices.one_in(2) { Content::Bytes(bytes(choices)) } else { Content::File(text(choices)) }
}

fn part(choices: &mut Choices) -> Part {
    Part {
        name: text(choices),
        filename: some(choices, text),
        content_type: some(choices, text),
        content: content(choices),
    }
}

fn payload(choices: &mut Choices) -> Payload {
    if choices.one_in(2) { Payload::Content(content(choices)) } else { Payload::Multipart(list(choices, part)) }
}

fn auth(choices: &mut Choices) -> Auth {
    let credentials = Credentials { username: text(choices), password: text(choices) };
    match choices.below(3) {
        0 => Auth::Basic(credentials),
        1 => Auth::Digest(credentials),
        _ => Auth::Bearer(text(choices)),
    }
}

fn cookie(choices: &mut Choices) -> RequestCookie {
    RequestCookie { name: text(choices), value: text(choices), replace: choices.one_in(2) }
}

/// A guest that calls at random, and what it was given to call again with.
struct Guest {
    host: Host,
    server: String,
    ids: Vec<u32>,
}

impl Guest {
    fn id(&self, choices: &mut Choices) -> u32 {
        match choices.below(4) {
            0 => choices.number() as u32,
            1 => *choices.one_of(&[0, 1, 2, u32::MAX, u32::MAX - 1, 1 << 31]),
            _ if self.ids.is_empty() => 0,
            _ => *choices.one_of(&self.ids),
        }
    }

    fn url(&self, choices: &mut Choices) -> String {
        match choices.below(4) {
            0 => (*choices.one_of(ELSEWHERE)).to_owned(),
            1 => format!("{}{}", self.server, text(choices)),
            _ => format!("{}{}", self.server, choices.one_of(PLACES)),
        }
    }

    fn request(&self, choices: &mut Choices) -> Request {
        // Most of a request is as others are, or it would fail for the first reason every time.
        let odd = choices.one_in(2);
        Request {
            method: if odd { (*choices.one_of(METHODS)).to_owned() } else { "GET".to_owned() },
            url: self.url(choices),
            headers: if odd { list(choices, pair) } else { Vec::new() },
            body: if odd { some(choices, bytes) } else { None },
            timeout: some(choices, number),
            name: some(choices, text),
            tags: list(choices, pair),
            redirects: some(choices, |choices| choices.number() as u32 >> choices.below(32)),
            expected_statuses: list(choices, status_range),
        }
    }

    fn options(&self, choices: &mut Choices) -> RequestOptions {
        RequestOptions {
            auth: some(choices, auth),
            cookies: list(choices, cookie),
            jar: self.id(choices),
            body: some(choices, payload),
            compression: list(choices, coding),
            discard_body: some(choices, |choices| choices.one_in(2)),
            throw: some(choices, |choices| choices.one_in(2)),
            version: some(choices, version),
        }
    }

    fn keep<E>(&mut self, response: Result<wit::http::Response, E>) {
        self.ids.extend(response.map(|response| response.id).ok());
    }

    async fn call(&mut self, choices: &mut Choices) {
        match choices.below(5) {
            0 => self.ask_http(choices).await,
            1 => self.stream(choices).await,
            2 => self.look(choices),
            3 => self.cookies(choices),
            _ => self.say(choices).await,
        }
    }

    async fn ask_http(&mut self, choices: &mut Choices) {
        use wit::http::Host;
        let (request, options) = (self.request(choices), self.options(choices));
        match choices.below(4) {
            0 => {
                let response = self.host.send(request).await;
                self.keep(response);
            }
            1 => {
                let response = self.host.send_with(request, options).await;
                self.keep(response);
            }
            2 => {
                let several = (0..choices.below(30)).map(|_| self.request(choices)).collect();
                for response in self.host.batch(several).await {
                    self.keep(response);
                }
            }
            _ => {
                let several = vec![(request, options), (self.request(choices), self.options(choices))];
                for response in self.host.batch_with(several).await {
                    self.keep(response);
                }
            }
        }
        drop(self.host.last_failures());
    }

    async fn stream(&mut self, choices: &mut Choices) {
        use wit::streams::Host;
        let id = self.id(choices);
        match choices.below(7) {
            0 => {
                let (request, options) = (self.request(choices), self.options(choices));
                let response = self.host.open(request, options).await;
                self.keep(response);
            }
            1 => drop(self.host.read(id, choices.number() as u32 >> choices.below(32)).await),
            2 => drop(self.host.arrived(id)),
            3 => self.host.close(id),
            4 => {
                let (request, options) = (self.request(choices), self.options(choices));
                let length = some(choices, |choices| choices.number() as u32 >> choices.below(32));
                self.ids.extend(self.host.start(request, options, length).await);
            }
            5 => drop(self.host.write(id, bytes(choices)).await),
            _ => {
                let response = self.host.finish(id).await;
                self.keep(response);
            }
        }
    }

    fn look(&mut self, choices: &mut Choices) {
        use wit::extract::{Digest, Host as _};
        use wit::http::Host as _;
        let (id, one, nth) = (self.id(choices), text(choices), nth(choices));
        match choices.below(17) {
            0 => drop(self.host.json_path(id, one, nth)),
            1 => drop(self.host.regex(id, one, text(choices), nth)),
            2 => drop(self.host.regex_captures(id, one, nth)),
            3 => drop(self.host.boundary(id, one, text(choices), nth)),
            4 => drop(self.host.css(id, one, some(choices, text), nth)),
            5 => drop(self.host.header_values(id, one)),
            6 => drop(self.host.contains(id, one)),
            7 => drop(self.host.body_slice(id, choices.number() as u32, choices.number() as u32)),
            8 => {
                let digest = *choices.one_of(&[Digest::Md5, Digest::Sha1, Digest::Sha256, Digest::Sha512]);
                drop(self.host.hash(id, digest));
            }
            9 => drop(self.host.size(id)),
            10 => drop(self.host.header(id, one)),
            11 => drop(self.host.headers(id)),
            12 => drop(self.host.json(id, one)),
            13 => drop((self.host.timings_of(id), self.host.details_of(id))),
            14 => drop((self.host.url_of(id), self.host.body(id))),
            15 => self.host.set_expected_statuses(list(choices, status_range)),
            _ => self.host.release(id),
        }
    }

    fn cookies(&mut self, choices: &mut Choices) {
        use wit::cookies::{Cookie, Host as _};
        use wit::tls::Host as _;
        let (jar, url) = (self.id(choices), self.url(choices));
        match choices.below(8) {
            0 => {
                let jar = self.host.new_jar();
                self.ids.push(jar);
            }
            1 => drop(self.host.for_url(jar, url)),
            2 => {
                let cookie = Cookie {
                    name: text(choices),
                    value: text(choices),
                    domain: some(choices, text),
                    path: some(choices, text),
                    expires: some(choices, number),
                    secure: choices.one_in(2),
                    http_only: choices.one_in(2),
                };
                drop(self.host.set(jar, url, cookie));
            }
            3 => drop(self.host.delete(jar, url, text(choices))),
            4 => drop(self.host.clear(jar, url)),
            5 => drop(self.host.of_response(jar)),
            6 => {
                let (certificate, key, password) = (text(choices), text(choices), some(choices, text));
                drop(self.host.use_certificate(certificate, key, password, list(choices, text)));
            }
            _ => self.host.clear_certificates(),
        }
    }

    async fn say(&mut self, choices: &mut Choices) {
        use wit::{check, env, group, log, metric, secret, test, vu};
        let (id, one) = (self.id(choices), text(choices));
        match choices.below(16) {
            0 => drop(check::Host::check(&mut self.host, one, choices.one_in(2))),
            1 => {
                let id = check::Host::declare(&mut self.host, one);
                self.ids.push(id);
            }
            2 => check::Host::report(&mut self.host, id, choices.one_in(2)),
            3 => group::Host::begin(&mut self.host, one),
            4 => group::Host::end(&mut self.host),
            5 => {
                use metric::{Kind, Unit};
                let kind = *choices.one_of(&[Kind::Counter, Kind::Gauge, Kind::Rate, Kind::Trend]);
                let unit = *choices.one_of(&[Unit::None, Unit::Time, Unit::Data]);
                let name = if choices.one_in(2) { one } else { format!("m{}", choices.below(20)) };
                self.ids.extend(metric::Host::declare(&mut self.host, name, kind, unit).ok());
            }
            6 | 7 => {
                let tags = list(choices, |choices| metric::Tag { name: text(choices), value: text(choices) });
                metric::Host::add(&mut self.host, id, number(choices), tags);
            }
            8 => log::Host::write(&mut self.host, log::Level::Warn, one),
            9 => drop((env::Host::get(&mut self.host, one), env::Host::all(&mut self.host))),
            10 => test::Host::abort(&mut self.host, one),
            11 => test::Host::fail(&mut self.host, one),
            12 => vu::Host::sleep(&mut self.host, number(choices)).await,
            13 => {
                let random = vu::Host::random(&mut self.host);
                assert!((0.0..1.0).contains(&random));
                assert!(vu::Host::random_bytes(&mut self.host, choices.number() as u32).len() <= 1 << 16);
            }
            14 => {
                let (now, clock) = (vu::Host::now(&mut self.host), vu::Host::wall_clock(&mut self.host));
                assert!(now >= 0.0 && clock >= 0.0);
            }
            _ => drop(secret::Host::reference(&mut self.host, one)),
        }
    }
}

/// A record that takes finite numbers only.
struct Finite;

impl Record for Finite {
    fn series(&self, metric: MetricId, _: &Tags) -> SeriesId {
        SeriesId(metric.0)
    }

    fn add(&self, _: SeriesId, value: f64) {
        assert!(value.is_finite(), "{value} was recorded");
    }

    fn exceed(&self, _: Excess) {}
}

/// The longest message that was passed on.
#[derive(Default)]
struct Longest(Mutex<usize>);

impl Sink for Longest {
    fn log(&self, _: u32, _: &Arc<str>, _: wit::log::Level, message: String) {
        let mut longest = self.0.lock().unwrap();
        *longest = message.len().max(*longest);
    }

    fn abort(&self, _: &str) {}

    fn fail(&self, _: &str) {}
}

fn guest(choices: &mut Choices, server: &str, sink: &Arc<Longest>) -> Guest {
    let untrusted = choices.one_in(2);
    let net = NetPolicy { by_default: ByDefault::Deny, allow: vec![server.parse().unwrap()], ..NetPolicy::default() };
    let run = Run {
        started: Instant::now(),
        seed: choices.number(),
        registry: Arc::default(),
        sink: Arc::<Longest>::clone(sink),
        http: Arc::default(),
        pace: None,
        places: Arc::default(),
        secrets: None,
        may_send: !choices.one_in(8),
        files: Arc::default(),
        schemas: Arc::default(),
        limits: Arc::new(if untrusted { Limits::untrusted() } else { Limits::default() }),
        policy: Arc::new(Policy { untrusted, net, ..Policy::default() }),
    };
    let local = Rc::new(Local::new(Recorder::new(Rc::new(Finite)), &run, SystemTags::default()));
    let connections = match choices.below(4) {
        0 => Connections::PerRequest,
        1 => Connections::PerIteration,
        2 => Connections::Shared(3),
        _ => Connections::PerVu,
    };
    let identity = Identity {
        vu: 1,
        instance: 1,
        scenario: "default".into(),
        tags: Tags::default(),
        env: Arc::default(),
        connections,
        arguments: None,
    };
    Guest { host: Host::new(Arc::new(run), &local, identity), server: server.to_owned(), ids: Vec::new() }
}

#[test]
fn values_that_no_guest_of_good_faith_passes_harm_nobody() {
    let server = practice::serve(&practice::Options::default(), NonZeroUsize::MIN).unwrap();
    let url = server.url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    cases("values", 60, |choices| {
        let sink = Arc::<Longest>::default();
        // What is read ahead and written behind is done by tasks of the thread.
        LocalSet::new().block_on(&runtime, async {
            let mut guest = guest(choices, &url, &sink);
            for iteration in 0..=choices.below(3) as u32 {
                guest.host.begin(iteration, u64::from(iteration), choices.number());
                for _ in 0..=choices.below(25) {
                    // What waits for longer is dropped in the middle, as an iteration is that is interrupted.
                    let _ = tokio::time::timeout(PATIENCE, guest.call(choices)).await;
                }
                let _ = guest.host.end();
            }
        });
        let longest = *sink.0.lock().unwrap();
        assert!(longest < 64 << 10, "a message of {longest} bytes was passed on");
    });
}
