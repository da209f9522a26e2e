//! What a request can carry beyond a method and a URL.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use super::multipart::Content;
use super::{Jar, Multipart, Response, Streaming, Upload, form, send};
use crate::Error;
use crate::bindings::squall::journey::{http as host, streams};
use crate::vu::milliseconds;

/// One request. Texts are borrowed where they can be.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    method: Cow<'a, str>,
    url: Cow<'a, str>,
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    body: Option<Cow<'a, [u8]>>,
    timeout: Option<f64>,
    name: Option<Cow<'a, str>>,
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    redirects: Option<u32>,
    expected: Vec<host::StatusRange>,
    /// A body that could not be written as JSON: told by `send`, so that building needs no `?`.
    problem: Option<serde_json::Error>,
    /// What goes beyond the contract's `request`; most requests have nothing of it.
    options: Option<Box<Options<'a>>>,
}

/// The contract's `request-options`.
#[derive(Debug, Default)]
struct Options<'a> {
    auth: Option<Auth<'a>>,
    cookies: Vec<(Cow<'a, str>, Cow<'a, str>, bool)>,
    jar: u32,
    payload: Option<Payload<'a>>,
    compression: Vec<host::Coding>,
    discard_body: Option<bool>,
    throw: Option<bool>,
    version: Option<host::Version>,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
    /// HTTP/3, which needs `https:` and goes through no proxy.
    Http3,
}

/// A body that the host puts together.
#[derive(Debug)]
enum Payload<'a> {
    Content(Content<'a>),
    Multipart(Multipart<'a>),
}

/// An encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate`.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// How a request proves who asks.
#[derive(Debug)]
enum Auth<'a> {
    Basic(Cow<'a, str>, Cow<'a, str>),
    Digest(Cow<'a, str>, Cow<'a, str>),
}

impl<'a> Request<'a> {
    /// A request with any method, as it goes on the wire. Methods are case-sensitive.
    pub fn new(method: impl Into<Cow<'a, str>>, url: impl Into<Cow<'a, str>>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            name: None,
            tags: Vec::new(),
            redirects: None,
            expected: Vec::new(),
            problem: None,
            options: None,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("GET", url)
    }

    /// A HEAD.
    pub fn head(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("HEAD", url)
    }

    /// A POST.
    pub fn post(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("POST", url)
    }

    /// A PUT.
    pub fn put(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("PUT", url)
    }

    /// A PATCH.
    pub fn patch(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("PATCH", url)
    }

    /// A DELETE.
    pub fn delete(url: impl Into<Cow<'a, str>>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header. `host`, `content-length`, `connection` and `transfer-encoding` belong to the host.
    pub fn header(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds `authorization: Bearer TOKEN`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", ["Bearer ", token].concat())
    }

    /// Proves who asks by basic authentication (RFC 7617), on this origin only.
    pub fn basic_auth(mut self, username: impl Into<Cow<'a, str>>, password: impl Into<Cow<'a, str>>) -> Self {
        self.options().auth = Some(Auth::Basic(username.into(), password.into()));
        self
    }

    /// Proves who asks by digest authentication (RFC 7616), on this origin only: the request is sent once without, and
    /// again with the answer to the server's challenge. Both are measured.
    pub fn digest_auth(mut self, username: impl Into<Cow<'a, str>>, password: impl Into<Cow<'a, str>>) -> Self {
        self.options().auth = Some(Auth::Digest(username.into(), password.into()));
        self
    }

    /// Sends a cookie beside those of the jar, for this request only. One of the same name in the jar is sent too.
    pub fn cookie(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.options().cookies.push((name.into(), value.into(), false));
        self
    }

    /// Sends a cookie in place of the jar's of the same name, for this request only.
    pub fn replace_cookie(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.options().cookies.push((name.into(), value.into(), true));
        self
    }

    /// Takes cookies from this jar and keeps them in it, in place of the VU's own.
    pub fn jar(mut self, jar: Jar) -> Self {
        self.options().jar = jar.0;
        self
    }

    /// Whether the answer's body is thrown away, in place of what the run says.
    pub fn discard_body(mut self, discard: bool) -> Self {
        self.options().discard_body = Some(discard);
        self
    }

    /// Whether having no answer fails the iteration even if the journey takes no notice, in place of what the run says.
    pub fn throw(mut self, throw: bool) -> Self {
        self.options().throw = Some(throw);
        self
    }

    /// Speaks this version of HTTP and no other, in place of what the run says.
    ///
    /// ```no_run
    /// use squall_sdk::http::{Request, Version};
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// let page = Request::get("https://shop.test/").version(Version::Http3).send()?;
    /// assert_eq!(page.details()?.protocol, "HTTP/3.0");
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(mut self, version: Version) -> Self {
        self.options().version = Some(version.lowered());
        self
    }

    /// Sets the body as it is.
    pub fn body(mut self, body: impl Into<Cow<'a, [u8]>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to `value` as JSON, and the content type unless it is set already.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.typed_body(body, "application/json"),
            Err(problem) => {
                self.problem = Some(problem);
                self
            }
        }
    }

    /// Sets the body to a form's fields, and the content type unless it is set already.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.typed_body(form::encode(fields).into_bytes(), "application/x-www-form-urlencoded")
    }

    /// Sets the body to a file that was granted to the run under this name (`--file`). Its bytes never enter the journey.
    pub fn body_file(mut self, granted: impl Into<Cow<'a, str>>) -> Self {
        self.options().payload = Some(Payload::Content(Content::File(granted.into())));
        self
    }

    /// Sets the body to a form with files; the host writes the `content-type` header.
    pub fn multipart(mut self, form: Multipart<'a>) -> Self {
        self.options().payload = Some(Payload::Multipart(form));
        self
    }

    /// Encodes the body with gzip; the host writes the `content-encoding` header.
    pub fn gzip(self) -> Self {
        self.compress(&[Coding::Gzip])
    }

    /// Encodes the body with one coding after the other; the host writes the `content-encoding` header.
    pub fn compress(mut self, codings: &[Coding]) -> Self {
        self.options().compression = codings.iter().map(|coding| coding.lowered()).collect();
        self
    }

    /// The time for the whole exchange, connecting and redirects included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(milliseconds(timeout));
        self
    }

    /// The name under which the request is measured, so that `/users/1` and `/users/2` are one series.
    pub fn name(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a tag to every sample of the request.
    pub fn tag(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// How many redirects to follow.
    pub fn redirects(mut self, most: u32) -> Self {
        self.redirects = Some(most);
        self
    }

    /// Statuses that do not count as failed, one (`404`) or a range (`200..=299`). The first call replaces the run's
    /// default, further ones add.
    #[expect(clippy::needless_pass_by_value, reason = "`expect_status(200..=299)` reads better than a reference")]
    pub fn expect_status(mut self, statuses: impl Statuses) -> Self {
        let (first, last) = statuses.bounds();
        self.expected.push(host::StatusRange { first, last });
        self
    }

    /// Sends the request and waits for the whole answer.
    pub fn send(self) -> Result<Response, Error> {
        if let Some(problem) = self.problem {
            return Err(problem.into());
        }
        let headers = pairs(&self.headers);
        let tags = pairs(&self.tags);
        let request = self.lowered(&headers, &tags);
        match &self.options {
            None => send(request),
            Some(options) => {
                let (cookies, parts) = options.lists();
                let answer = host::send_with(request, options.lowered(&cookies, &parts));
                Ok(Response::new(answer?))
            }
        }
    }

    /// Sends the request and returns when the head of the answer has come. A timeout covers everything up to the last
    /// byte; without one, the run's default covers this call and each read on its own.
    pub fn stream(self) -> Result<Streaming, Error> {
        self.with_options(|request, options| Ok(Streaming::new(streams::open(request, options)?)))
    }

    /// Sends the head of the request and returns what its body is written to. With a length, exactly so many bytes must
    /// follow; without one, HTTP/1.1 sends the body in chunks. Redirects are not followed.
    pub fn upload(self, length: Option<u32>) -> Result<Upload, Error> {
        self.with_options(|request, options| Ok(Upload::new(streams::start(request, options, length)?)))
    }

    /// Gives the request and its options, lowered, to a function of the host.
    fn with_options<T>(
        mut self,
        call: impl FnOnce(host::Request<'_>, host::RequestOptions<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(problem) = self.problem.take() {
            return Err(problem.into());
        }
        let none = Options::default();
        let options = self.options.as_deref().unwrap_or(&none);
        let (headers, tags, (cookies, parts)) = (pairs(&self.headers), pairs(&self.tags), options.lists());
        call(self.lowered(&headers, &tags), options.lowered(&cookies, &parts))
    }

    fn options(&mut self) -> &mut Options<'a> {
        self.options.get_or_insert_default()
    }

    fn typed_body(self, body: Vec<u8>, content_type: &'static str) -> Self {
        let is_typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let request = if is_typed { self } else { self.header("content-type", content_type) };
        request.body(body)
    }

    fn lowered<'r>(&'r self, headers: &'r [Pair<'r>], tags: &'r [Pair<'r>]) -> host::Request<'r> {
        host::Request {
            method: &self.method,
            url: &self.url,
            headers,
            body: self.body.as_deref(),
            timeout: self.timeout,
            name: self.name.as_deref(),
            tags,
            redirects: self.redirects,
            expected_statuses: &self.expected,
        }
    }
}

impl Version {
    fn lowered(self) -> host::Version {
        match self {
            Self::Http1 => host::Version::Http1,
            Self::Http2 => host::Version::Http2,
            Self::Http3 => host::Version::Http3,
        }
    }
}

impl Coding {
    fn lowered(self) -> host::Coding {
        match self {
            Self::Gzip => host::Coding::Gzip,
            Self::Deflate => host::Coding::Deflate,
            Self::Brotli => host::Coding::Br,
            Self::Zstd => host::Coding::Zstd,
        }
    }
}

impl Options<'_> {
    /// What `lowered` borrows from.
    fn lists(&self) -> (Vec<host::RequestCookie<'_>>, Vec<host::Part<'_>>) {
        let parts = match &self.payload {
            Some(Payload::Multipart(form)) => form.lowered(),
            _ => Vec::new(),
        };
        (self.cookies(), parts)
    }

    fn cookies(&self) -> Vec<host::RequestCookie<'_>> {
        self.cookies
            .iter()
            .map(|(name, value, replace)| host::RequestCookie { name, value, replace: *replace })
            .collect()
    }

    fn lowered<'r>(
        &'r self,
        cookies: &'r [host::RequestCookie<'r>],
        parts: &'r [host::Part<'r>],
    ) -> host::RequestOptions<'r> {
        let credentials = |username: &'r str, password: &'r str| host::Credentials { username, password };
        let auth = self.auth.as_ref().map(|auth| match auth {
            Auth::Basic(username, password) => host::Auth::Basic(credentials(username, password)),
            Auth::Digest(username, password) => host::Auth::Digest(credentials(username, password)),
        });
        host::RequestOptions {
            auth,
            cookies,
            jar: self.jar,
            body: self.payload.as_ref().map(|payload| match payload {
                Payload::Content(content) => host::Payload::Content(content.lowered()),
                Payload::Multipart(_) => host::Payload::Multipart(parts),
            }),
            compression: &self.compression,
            discard_body: self.discard_body,
            throw: self.throw,
            version: self.version,
        }
    }
}

type Pair<'a> = host::PairParam<'a>;

fn pairs<'a>(owned: &'a [(Cow<'_, str>, Cow<'_, str>)]) -> Vec<Pair<'a>> {
    owned.iter().map(|(name, value)| Pair { name, value }).collect()
}

/// Sends all requests that could be built, and puts the problems of the others in their places.
pub(super) fn send_all(requests: Vec<Request<'_>>) -> Vec<Result<Response, Error>> {
    let mut problems = Vec::with_capacity(requests.len());
    let mut sendable = Vec::with_capacity(requests.len());
    for mut request in requests {
        let problem = request.problem.take();
        if problem.is_none() {
            sendable.push(request);
        }
        problems.push(problem);
    }
    let pairs: Vec<_> = sendable.iter().map(|request| (pairs(&request.headers), pairs(&request.tags))).collect();
    let lowered: Vec<_> =
        sendable.iter().zip(&pairs).map(|(request, (headers, tags))| request.lowered(headers, tags)).collect();
    let answer = |answer: Result<host::Response, host::Error>| Ok(Response::new(answer?));
    if sendable.iter().all(|request| request.options.is_none()) {
        return merge(problems, host::batch(&lowered).into_iter().map(answer));
    }
    let none = Options::default();
    let options: Vec<_> = sendable.iter().map(|request| request.options.as_deref().unwrap_or(&none)).collect();
    let lists: Vec<_> = options.iter().map(|options| options.lists()).collect();
    let options = options.iter().zip(&lists).map(|(options, (cookies, parts))| options.lowered(cookies, parts));
    let with: Vec<_> = lowered.into_iter().zip(options).collect();
    merge(problems, host::batch_with(&with).into_iter().map(answer))
}

/// Puts each answer where its request was.
fn merge<T>(
    problems: Vec<Option<serde_json::Error>>,
    mut answers: impl Iterator<Item = Result<T, Error>>,
) -> Vec<Result<T, Error>> {
    let lost = || Err(Error::new("the host answered fewer requests than the batch has"));
    let place = |problem: Option<serde_json::Error>| match problem {
        Some(problem) => Err(problem.into()),
        None => answers.next().unwrap_or_else(lost),
    };
    problems.into_iter().map(place).collect()
}

/// One status, or a range of them.
pub trait Statuses {
    /// The first and the last status.
    fn bounds(&self) -> (u16, u16);
}

impl Statuses for u16 {
    fn bounds(&self) -> (u16, u16) {
        (*self, *self)
    }
}

impl Statuses for RangeInclusive<u16> {
    fn bounds(&self) -> (u16, u16) {
        (*self.start(), *self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'r>(request: &'r Request<'_>, name: &str) -> Vec<&'r str> {
        request.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| &**value).collect()
    }

    #[test]
    fn a_json_body_brings_its_content_type() {
        let request = Request::post("http://h/").json(&[1, 2]);
        assert_eq!(request.body.as_deref(), Some(&b"[1,2]"[..]));
        assert_eq!(header(&request, "content-type"), ["application/json"]);
    }

    #[test]
    fn a_content_type_that_is_set_stays() {
        let request = Request::post("http://h/").header("Content-Type", "application/vnd.api+json").json(&1);
        assert_eq!(header(&request, "Content-Type"), ["application/vnd.api+json"]);
        assert_eq!(request.headers.len(), 1);
    }

    #[test]
    fn everything_set_on_a_request_reaches_the_host() {
        let request = Request::patch(format!("http://h/{}", 1))
            .bearer("t")
            .form(&[("a", "b")])
            .timeout(Duration::from_millis(1_500))
            .name("/{id}")
            .tag("kind", "edit")
            .redirects(0)
            .expect_status(409)
            .expect_status(200..=204);
        let (headers, tags) = (pairs(&request.headers), pairs(&request.tags));
        let lowered = request.lowered(&headers, &tags);
        assert_eq!((lowered.method, lowered.url), ("PATCH", "http://h/1"));
        assert_eq!((lowered.headers[0].name, lowered.headers[0].value), ("authorization", "Bearer t"));
        assert_eq!(lowered.body, Some(&b"a=b"[..]));
        assert_eq!(lowered.timeout, Some(1_500.0));
        assert_eq!(lowered.name, Some("/{id}"));
        assert_eq!((lowered.tags[0].name, lowered.tags[0].value), ("kind", "edit"));
        assert_eq!(lowered.redirects, Some(0));
        let statuses: Vec<_> = lowered.expected_statuses.iter().map(|range| (range.first, range.last)).collect();
        assert_eq!(statuses, [(409, 409), (200, 204)]);
    }

    #[test]
    fn what_goes_beyond_a_request_reaches_the_host_and_nothing_else_does() {
        assert!(Request::get("http://h/").bearer("t").options.is_none());
        let request = Request::get("http://h/")
            .basic_auth("ada", String::from("secret"))
            .cookie("a", "1")
            .replace_cookie("b", "2")
            .jar(Jar(7))
            .discard_body(false)
            .version(Version::Http3)
            .throw(true);
        let options = request.options.as_deref().expect("options were set");
        let cookies = options.cookies();
        let lowered = options.lowered(&cookies, &[]);
        let Some(host::Auth::Basic(credentials)) = &lowered.auth else { panic!("not basic: {:?}", lowered.auth) };
        assert_eq!((credentials.username, credentials.password), ("ada", "secret"));
        let cookies: Vec<_> = lowered.cookies.iter().map(|one| (one.name, one.value, one.replace)).collect();
        assert_eq!(cookies, [("a", "1", false), ("b", "2", true)]);
        assert_eq!((lowered.jar, lowered.discard_body, lowered.throw), (7, Some(false), Some(true)));
        assert_eq!(lowered.version, Some(host::Version::Http3));
    }

    #[test]
    fn a_body_that_is_no_json_is_an_error_of_its_own_request_only() {
        let keys_that_are_not_text = std::collections::BTreeMap::from([([1], 1)]);
        let problem = Request::post("http://h/").json(&keys_that_are_not_text).problem;
        assert!(problem.is_some());
        let merged = merge(vec![None, problem, None], [Ok(1), Ok(3)].into_iter());
        assert!(matches!(merged[..], [Ok(1), Err(Error::Json(_)), Ok(3)]));
    }
}
