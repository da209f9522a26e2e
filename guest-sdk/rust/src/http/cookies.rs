//! The jars that requests take their cookies from and answers keep them in.

use std::time::Duration;

use super::Response;
use crate::Error;
use crate::bindings::squall::journey::cookies as host;
use crate::vu::milliseconds;

/// A jar of cookies.
///
/// A VU has a jar of its own, [`Jar::of_vu`]: answers fill it and requests take from it. It is emptied when an iteration
/// ends unless the run keeps it (`noCookiesReset`). A [`Jar::new`] lives until the iteration ends and is for the requests
/// that name it ([`Request::jar`](super::Request::jar)), as for a second user in the same iteration.
///
/// ```no_run
/// use squall_sdk::http::{Cookie, Jar, Request};
///
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let jar = Jar::new();
/// jar.set("http://127.0.0.1:8080/", &Cookie::new("lang", "de"))?;
/// Request::get("http://127.0.0.1:8080/cookies").jar(jar).send()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jar(pub(crate) u32);

impl Jar {
    /// The VU's own jar, which requests use that name no other.
    #[must_use]
    pub fn of_vu() -> Self {
        Self(0)
    }

    /// An empty jar that lives until the iteration ends. An iteration may make 1,000; then it is the VU's own.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it asks the host, and a default that does would surprise")]
    pub fn new() -> Self {
        Self(host::new_jar())
    }

    /// The cookies that a request to this URL would send: longer paths first, then older cookies.
    pub fn cookies(self, url: &str) -> Result<Vec<Cookie>, Error> {
        Ok(host::for_url(self.0, url)?.into_iter().map(Cookie::of).collect())
    }

    /// The value of the first of them with this name.
    pub fn value(self, url: &str, name: &str) -> Result<Option<String>, Error> {
        Ok(self.cookies(url)?.into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value))
    }

    /// Sets a cookie as an answer from this URL would.
    pub fn set(self, url: &str, cookie: &Cookie) -> Result<(), Error> {
        let Cookie { name, value, domain, path, expires, secure, http_only } = cookie;
        let (domain, path, expires) = (domain.as_deref(), path.as_deref(), expires.map(milliseconds));
        let (secure, http_only) = (*secure, *http_only);
        Ok(host::set(self.0, url, host::CookieParam { name, value, domain, path, expires, secure, http_only })?)
    }

    /// Takes away the cookies of this name that a request to this URL would send.
    pub fn delete(self, url: &str, name: &str) -> Result<(), Error> {
        Ok(host::delete(self.0, url, name)?)
    }

    /// Takes away all cookies that a request to this URL would send.
    pub fn clear(self, url: &str) -> Result<(), Error> {
        Ok(host::clear(self.0, url)?)
    }
}

/// A cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cookie {
    /// The name.
    pub name: String,
    /// The value, as it goes on the wire.
    pub value: String,
    /// The domain whose hosts it is sent to. None: the host that set it, and no other.
    pub domain: Option<String>,
    /// The path under which it is sent. None: that of the URL that set it, without its last segment.
    pub path: Option<String>,
    /// When it ends, as the time since 1970-01-01 00:00 UTC ([`vu::wall_clock`](crate::vu::wall_clock)). None: with the jar.
    pub expires: Option<Duration>,
    /// Whether it is sent over `https:` only.
    pub secure: bool,
    /// Whether scripts of a page may not read it. It changes nothing here.
    pub http_only: bool,
}

impl Cookie {
    /// A cookie for the host that it is set at, which ends with the jar.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            domain: None,
            path: None,
            expires: None,
            secure: false,
            http_only: false,
        }
    }

    /// Sets the domain whose hosts it is sent to.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the path under which it is sent.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets when it ends, as the time since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn expires(mut self, since_1970: Duration) -> Self {
        self.expires = Some(since_1970);
        self
    }

    /// Sends it over `https:` only.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    fn of(cookie: host::CookieResult) -> Self {
        let host::CookieResult { name, value, domain, path, expires, secure, http_only } = cookie;
        Self { name, value, domain, path, expires: expires.map(crate::vu::duration), secure, http_only }
    }
}

impl Response {
    /// The cookies that the answer set, as it says, also those that no jar took.
    pub fn cookies(&self) -> Result<Vec<Cookie>, Error> {
        Ok(host::of_response(self.id)?.into_iter().map(Cookie::of).collect())
    }
}
