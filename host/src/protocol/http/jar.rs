//! A cookie jar by RFC 6265: which cookies are kept, and which go where.
//!
//! `cookie_store` knows what a `Set-Cookie` says and how domains and paths match. Here is what a jar adds: an order that is
//! the same in every run, cookies that are for `https:` only, the `__Host-` and `__Secure-` prefixes, and limits. There is
//! no list of public suffixes: a domain without a dot is refused, `co.uk` is not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie_store::{Cookie as Kept, CookieDomain, CookieExpiration, RawCookie};

use super::Target;

/// The most cookies that a jar keeps; the oldest go first.
const MAX_COOKIES: usize = 1000;
/// The most bytes of a cookie's name and value together, as in browsers.
const MAX_LENGTH: usize = 4096;
/// The most bytes of its path, as in browsers.
const MAX_PATH: usize = 1024;
/// The last moment a cookie can expire at: the end of the year 9999, in milliseconds since 1970.
const LAST_EXPIRY: f64 = 253_402_300_799_000.0;

/// A cookie.
#[derive(Debug, Clone, PartialEq)]
pub struct Cookie {
    /// The name.
    pub name: String,
    /// The value as it goes on the wire.
    pub value: String,
    /// The domain whose hosts it is for; `None` for the host that set it.
    pub domain: Option<String>,
    /// The path under which it is sent; `None` for that of the URL that set it.
    pub path: Option<String>,
    /// When it ends, in milliseconds since 1970; `None` for the session's end.
    pub expires: Option<f64>,
    /// Whether it is for `https:` only.
    pub secure: bool,
    /// Whether scripts of a page may not read it.
    pub http_only: bool,
}

/// A cookie that may not be set; why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cookie `{name}`: {reason}")]
pub struct CookieRefused {
    /// Its name, escaped.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The cookies of one session.
#[derive(Debug, Default)]
pub struct Jar {
    /// In the order of their first arrival.
    kept: Vec<Kept<'static>>,
    /// What they take, in bytes.
    bytes: usize,
}

impl Cookie {
    /// Reads a `Set-Cookie` header, whoever sent it.
    #[must_use]
    pub fn parse(set_cookie: &str) -> Option<Self> {
        let raw = RawCookie::parse(set_cookie).ok()?;
        let ends = match (raw.max_age(), raw.expires()) {
            (Some(age), _) => Some(CookieExpiration::from(age)),
            (None, Some(expires)) => Some(CookieExpiration::from(expires)),
            (None, None) => None,
        };
        Some(Self {
            name: raw.name().to_owned(),
            value: raw.value().to_owned(),
            domain: raw.domain().map(str::to_owned),
            path: raw.path().map(str::to_owned),
            expires: ends.as_ref().and_then(milliseconds),
            secure: raw.secure().unwrap_or(false),
            http_only: raw.http_only().unwrap_or(false),
        })
    }

    fn of(kept: &Kept<'_>) -> Self {
        Self {
            name: kept.name().to_owned(),
            value: kept.value().to_owned(),
            domain: match &kept.domain {
                CookieDomain::Suffix(domain) => Some(domain.clone()),
                _ => None,
            },
            path: Some(kept.path.as_ref().to_owned()),
            expires: milliseconds(&kept.expires),
            secure: kept.secure().unwrap_or(false),
            http_only: kept.http_only().unwrap_or(false),
        }
    }
}

impl Jar {
    /// Takes in a `Set-Cookie` header of an answer. One that may not be set is dropped, as browsers do.
    pub fn receive(&mut self, set_cookie: &str, from: &Target) {
        if let Ok(cookie) = Kept::parse(set_cookie, from.as_url()) {
            let _ = self.take(cookie.into_owned(), from);
        }
    }

    /// Sets a cookie as if an answer from this URL did.
    pub fn set(&mut self, cookie: &Cookie, at: &Target) -> Result<(), CookieRefused> {
        let refused =
            |reason: &str| CookieRefused { name: cookie.name.escape_debug().to_string(), reason: reason.to_owned() };
        if !super::request::is_token(&cookie.name) {
            return Err(refused("this is not a name"));
        }
        if cookie.value.chars().any(|char| char.is_control() || char == ';') {
            return Err(refused("the value has a `;` or a control character in it"));
        }
        let mut raw = RawCookie::new(cookie.name.as_str(), cookie.value.as_str());
        if let Some(domain) = &cookie.domain {
            raw.set_domain(domain.as_str());
        }
        if let Some(path) = &cookie.path {
            raw.set_path(path.as_str());
        }
        raw.set_secure(cookie.secure);
        raw.set_http_only(cookie.http_only);
        let kept = Kept::try_from_raw_cookie(&raw, at.as_url());
        let mut kept = kept.map_err(|error| refused(&error.to_string()))?.into_owned();
        if let Some(expires) = cookie.expires {
            kept.expires = moment(expires).ok_or_else(|| refused("it expires at what is not a time"))?;
        }
        self.take(kept, at).map_err(refused)
    }

    /// Names and values of the cookies that go to a URL: longer paths first, then older ones (RFC 6265, 5.4).
    pub fn pairs(&self, to: &Target) -> impl Iterator<Item = (&str, &str)> {
        self.matching(to).into_iter().map(|kept| (kept.name(), kept.value()))
    }

    /// The cookies that go to a URL, in the same order.
    #[must_use]
    pub fn cookies(&self, to: &Target) -> Vec<Cookie> {
        self.matching(to).into_iter().map(Cookie::of).collect()
    }

    /// Takes out the cookies of this name that go to a URL.
    pub fn delete(&mut self, to: &Target, name: &str) {
        self.retain(|kept| kept.name() != name || !goes_to(kept, to));
    }

    /// Takes out all cookies that go to a URL.
    pub fn clear(&mut self, to: &Target) {
        self.retain(|kept| !goes_to(kept, to));
    }

    /// How much memory its cookies take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets its oldest cookies until so many bytes are free, or none is left.
    pub fn make_room(&mut self, bytes: usize) {
        let mut freed = 0;
        let oldest = self.kept.iter().take_while(|kept| {
            let goes = freed < bytes;
            freed += if goes { size(kept) } else { 0 };
            goes
        });
        let count = oldest.count();
        self.kept.drain(..count);
        self.bytes -= freed;
    }

    fn retain(&mut self, keep: impl Fn(&Kept<'_>) -> bool) {
        self.kept.retain(keep);
        self.bytes = self.kept.iter().map(size).sum();
    }

    fn matching(&self, to: &Target) -> Vec<&Kept<'static>> {
        let mut matching: Vec<_> = self.kept.iter().filter(|kept| goes_to(kept, to)).collect();
        matching.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        matching
    }

    /// Keeps a cookie in the place of the one it replaces (RFC 6265, 5.3).
    fn take(&mut self, mut cookie: Kept<'static>, from: &Target) -> Result<(), &'static str> {
        if cookie.name().len() + cookie.value().len() > MAX_LENGTH {
            return Err("it is longer than 4096 bytes");
        }
        if cookie.path.len() > MAX_PATH {
            return Err("its path is longer than 1024 bytes");
        }
        if let CookieDomain::Suffix(domain) = &cookie.domain
            && !domain.contains('.')
        {
            // A top-level domain is nobody's; a host that is called so keeps its cookies for itself.
            if domain != from.host() {
                return Err("its domain is a top-level domain");
            }
            cookie.domain = CookieDomain::HostOnly(domain.clone());
        }
        check_prefix(&cookie, from)?;
        let same = |kept: &Kept<'_>| {
            kept.name() == cookie.name() && kept.path == cookie.path && kept.domain.as_cow() == cookie.domain.as_cow()
        };
        let before = self.kept.iter().position(same);
        match (before, cookie.is_expired()) {
            (Some(at), true) => self.bytes -= size(&self.kept.remove(at)),
            (Some(at), false) => {
                self.bytes += size(&cookie);
                self.bytes -= size(&std::mem::replace(&mut self.kept[at], cookie));
            }
            (None, true) => {}
            (None, false) => {
                if self.kept.len() >= MAX_COOKIES {
                    self.bytes -= size(&self.kept.remove(0));
                }
                self.bytes += size(&cookie);
                self.kept.push(cookie);
            }
        }
        Ok(())
    }
}

/// What a cookie takes, in bytes.
fn size(kept: &Kept<'_>) -> usize {
    let domain = kept.domain.as_cow().map_or(0, |domain| domain.len());
    size_of::<Kept<'_>>() + kept.name().len() + kept.value().len() + kept.path.len() + domain
}

/// Whether a cookie is sent to a URL.
fn goes_to(kept: &Kept<'_>, to: &Target) -> bool {
    // Not `Kept::matches`, which takes loopback addresses for secure.
    (to.is_tls() || !kept.secure().unwrap_or(false))
        && kept.domain.matches(to.as_url())
        && kept.path.matches(to.as_url())
        && !kept.is_expired()
}

/// What a name promises must be so (RFC 6265bis, 4.1.3).
fn check_prefix(cookie: &Kept<'_>, from: &Target) -> Result<(), &'static str> {
    let has = |prefix: &str| cookie.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let is_secure = cookie.secure().unwrap_or(false) && from.is_tls();
    if has("__Secure-") && !is_secure {
        return Err("a name with `__Secure-` is for cookies that are secure and set over `https:`");
    }
    let is_of_host = matches!(cookie.domain, CookieDomain::HostOnly(_)) && cookie.path.as_ref() == "/";
    if has("__Host-") && !(is_secure && is_of_host) {
        return Err("a name with `__Host-` is for secure cookies without a domain and with the path `/`");
    }
    Ok(())
}

fn milliseconds(expires: &CookieExpiration) -> Option<f64> {
    match expires {
        CookieExpiration::AtUtc(time) => Some(time.unix_timestamp_nanos() as f64 / 1e6),
        CookieExpiration::SessionEnd => None,
    }
}

/// A moment from milliseconds since 1970; one that is past is in 1970.
fn moment(milliseconds: f64) -> Option<CookieExpiration> {
    if milliseconds.is_nan() {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // In whole milliseconds, or whoever sets cookies and looks whether they are there had a finer clock than that.
    let since = Duration::from_millis(milliseconds.clamp(0.0, LAST_EXPIRY) as u64);
    // The crate's only way to a moment without its clock: an age of 0 seconds is 1970.
    match CookieExpiration::from(0_u64) {
        CookieExpiration::AtUtc(start) if since > now => Some(CookieExpiration::AtUtc(start + since)),
        past => Some(past),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).unwrap()
    }

    /// What a jar sends to a URL after answers from another set these.
    fn sent(from: &str, set_cookies: &[&str], to: &str) -> String {
        let mut jar = Jar::default();
        for set_cookie in set_cookies {
            jar.receive(set_cookie, &target(from));
        }
        jar.pairs(&target(to)).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_cookie_goes_to_the_host_that_set_it_and_to_its_domain_if_it_names_one() {
        for (from, set, to, expected) in [
            ("http://a.test/", "k=v", "http://a.test/x", "k=v"),
            ("http://a.test/", "k=v", "http://a.test:8080/x", "k=v"),
            ("http://a.test/", "k=v", "http://b.a.test/", ""),
            ("http://a.test/", "k=v; Domain=a.test", "http://b.a.test/", "k=v"),
            ("http://a.test/", "k=v; Domain=.A.Test", "http://b.a.test/", "k=v"),
            ("http://b.a.test/", "k=v; Domain=a.test", "http://a.test/", "k=v"),
            ("http://a.test/", "k=v; Domain=a.test", "http://evila.test/", ""),
            ("http://a.test/", "k=v; Domain=b.test", "http://b.test/", ""),
            ("http://a.test/", "k=v; Domain=b.a.test", "http://b.a.test/", ""),
            ("http://a.test/", "k=v; Domain=test", "http://a.test/", ""),
            ("http://localhost/", "k=v; Domain=localhost", "http://localhost/", "k=v"),
            ("http://127.0.0.1/", "k=v; Domain=127.0.0.1", "http://127.0.0.1/", "k=v"),
            ("http://127.0.0.1/", "k=v; Domain=0.0.1", "http://127.0.0.1/", ""),
            ("http://[::1]/", "k=v", "http://[::1]/", "k=v"),
        ] {
            assert_eq!(sent(from, &[set], to), expected, "`{set}` from {from} to {to}");
        }
    }

    #[test]
    fn a_path_is_matched_by_whole_segments_and_longer_ones_go_first() {
        for (set, to, expected) in [
            ("k=v; Path=/a", "http://h.test/a", "k=v"),
            ("k=v; Path=/a", "http://h.test/a/b", "k=v"),
            ("k=v; Path=/a", "http://h.test/ab", ""),
            ("k=v; Path=a", "http://h.test/dir/x", "k=v"),
            ("k=v", "http://h.test/dir/sub", "k=v"),
            ("k=v", "http://h.test/other", ""),
        ] {
            assert_eq!(sent("http://h.test/dir/page", &[set], to), expected, "`{set}` to {to}");
        }
        let set = ["a=1; Path=/", "b=2; Path=/dir/sub", "c=3; Path=/", "d=4; Path=/dir"];
        assert_eq!(sent("http://h.test/", &set, "http://h.test/dir/sub/x"), "b=2; d=4; a=1; c=3");
    }

    #[test]
    fn a_cookie_ends_when_it_says_and_max_age_goes_before_expires() {
        let past = "Expires=Wed, 21 Oct 2015 07:28:00 GMT";
        let future = "Expires=Fri, 31 Dec 2099 23:59:59 GMT";
        for (sets, expected) in [
            (vec!["k=v".to_owned(), format!("k=; {past}")], ""),
            (vec!["k=v".to_owned(), "k=; Max-Age=0".to_owned()], ""),
            (vec!["k=v".to_owned(), "k=; Max-Age=-1".to_owned()], ""),
            (vec![format!("k=v; {past}; Max-Age=60")], "k=v"),
            (vec![format!("k=v; {future}; Max-Age=0")], ""),
            (vec![format!("k=v; {future}")], "k=v"),
            (vec!["k=v; Max-Age=99999999999999999999".to_owned()], "k=v"),
        ] {
            let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
            assert_eq!(sent("http://h.test/", &sets, "http://h.test/"), expected, "{sets:?}");
        }
    }

    #[test]
    fn a_secure_cookie_is_never_sent_in_the_clear() {
        assert_eq!(sent("https://h.test/", &["k=v; Secure"], "https://h.test/"), "k=v");
        assert_eq!(sent("https://h.test/", &["k=v; Secure"], "http://h.test/"), "");
        assert_eq!(sent("http://127.0.0.1/", &["k=v; Secure"], "http://127.0.0.1/"), "");
    }

    #[test]
    fn prefixed_names_are_held_to_what_they_promise() {
        for (from, set, is_kept) in [
            ("https://h.test/", "__Secure-k=v; Secure", true),
            ("https://h.test/", "__Secure-k=v", false),
            ("http://h.test/", "__Secure-k=v; Secure", false),
            ("https://h.test/", "__Host-k=v; Secure; Path=/", true),
            ("https://h.test/", "__host-k=v; Secure; Path=/; Domain=h.test", false),
            ("https://h.test/", "__Host-k=v; Secure; Path=/x", false),
        ] {
            assert_eq!(!sent(from, &[set], "https://h.test/x").is_empty(), is_kept, "`{set}` from {from}");
        }
    }

    #[test]
    fn a_cookie_set_again_keeps_its_place_and_a_jar_stays_small() {
        assert_eq!(sent("http://h.test/", &["a=1", "b=2", "a=3"], "http://h.test/"), "a=3; b=2");
        let many: Vec<String> = (0..=MAX_COOKIES).map(|number| format!("c{number}=")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let sent_then = sent("http://h.test/", &many, "http://h.test/");
        assert_eq!((sent_then.split("; ").count(), sent_then.starts_with("c1=")), (MAX_COOKIES, true));
        assert_eq!(sent("http://h.test/", &[&format!("k={}", "x".repeat(MAX_LENGTH))], "http://h.test/"), "");
    }

    #[test]
    fn a_jar_knows_what_it_takes_and_makes_room() {
        let at = target("http://h.test/");
        let mut jar = Jar::default();
        for number in 0..10 {
            jar.receive(&format!("c{number}={}", "x".repeat(1000)), &at);
        }
        let each = jar.bytes() / 10;
        assert!((1000..3000).contains(&each), "{each}");
        jar.receive("c3=short", &at);
        jar.receive("c4=; Max-Age=0", &at);
        jar.delete(&at, "c5");
        assert_eq!(jar.bytes(), jar.kept.iter().map(size).sum::<usize>());
        jar.make_room(2 * each);
        let left: Vec<&str> = jar.kept.iter().map(|kept| kept.name()).collect();
        assert_eq!(
            (left, jar.bytes()),
            (vec!["c2", "c3", "c6", "c7", "c8", "c9"], jar.kept.iter().map(size).sum::<usize>())
        );
        jar.make_room(usize::MAX);
        assert_eq!((jar.kept.len(), jar.bytes()), (0, 0));
        jar.receive(&format!("k=v; Path=/{}", "x".repeat(2000)), &at);
        assert_eq!(jar.bytes(), 0);
    }

    #[test]
    fn a_journey_sets_reads_and_deletes_cookies() {
        let at = target("http://h.test/dir/page");
        let mut jar = Jar::default();
        let cookie = Cookie {
            name: "k".to_owned(),
            value: "v".to_owned(),
            domain: None,
            path: None,
            expires: Some(4_102_444_800_250.0),
            secure: false,
            http_only: true,
        };
        jar.set(&cookie, &at).unwrap();
        assert_eq!(jar.cookies(&at), [Cookie { path: Some("/dir".to_owned()), ..cookie.clone() }]);
        jar.set(&Cookie { name: "other".to_owned(), ..cookie.clone() }, &at).unwrap();
        jar.delete(&at, "k");
        assert_eq!(jar.pairs(&at).collect::<Vec<_>>(), [("other", "v")]);
        jar.set(&Cookie { name: "other".to_owned(), expires: Some(1.0), ..cookie.clone() }, &at).unwrap();
        assert_eq!(jar.pairs(&at).count(), 0);
        jar.set(&cookie, &at).unwrap();
        jar.clear(&at);
        assert_eq!(jar.pairs(&at).count(), 0);
    }

    #[test]
    fn what_could_smuggle_a_header_is_no_cookie() {
        let at = target("http://h.test/");
        let mut jar = Jar::default();
        for (name, value) in [("a b", "v"), ("", "v"), ("a\r\nb", "v"), ("a", "v\r\nx: y"), ("a", "v; b=c")] {
            let (name, value) = (name.to_owned(), value.to_owned());
            let cookie =
                Cookie { name, value, domain: None, path: None, expires: None, secure: false, http_only: false };
            jar.set(&cookie, &at).unwrap_err();
        }
        assert_eq!(jar.pairs(&at).count(), 0);
    }

    #[test]
    fn what_an_answer_set_is_read_as_it_says() {
        let cookie = Cookie::parse("k=\"v w\"; Path=/p; Domain=.h.test; Secure; HttpOnly; SameSite=Lax").unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.as_str()), ("k", "\"v w\""));
        assert_eq!((cookie.path.as_deref(), cookie.domain.as_deref()), (Some("/p"), Some("h.test")));
        assert_eq!((cookie.secure, cookie.http_only, cookie.expires), (true, true, None));
        assert_eq!(Cookie::parse("no cookie"), None);
    }
}
