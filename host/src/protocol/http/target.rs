//! A URL taken apart once.

use std::borrow::Cow;
use std::sync::OnceLock;

use http::Uri;
use url::Url;

use crate::plan::http::Version;
use crate::plan::{Destination, Scheme};
use crate::protocol::Error;

/// The longest URL, in bytes. Servers take a few thousand.
const LONGEST: usize = 64 << 10;

/// Where a request goes.
#[derive(Debug, Clone)]
pub struct Target {
    url: Url,
    tls: bool,
    host: String,
    port: u16,
    authority: String,
    /// Made when HTTP/2 first needs it.
    uri: OnceLock<Uri>,
    /// Name and password, which are kept out of `url`.
    credentials: Option<Box<(String, String)>>,
    /// The version of HTTP that a request asked for, in place of the run's.
    version: Option<Version>,
}

impl Target {
    /// Takes an absolute `http:` or `https:` URL apart, by the WHATWG rules.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::InvalidUrl(format!("it has {} bytes, and the limit is {LONGEST}", text.len())));
        }
        let wrong = |error| Error::InvalidUrl(format!("`{}`: {error}", shown(text)));
        Url::parse(text).map_err(wrong).and_then(Self::of)
    }

    /// Resolves a `Location` against this target.
    pub fn join(&self, location: &str) -> Result<Self, Error> {
        let wrong = |error| Error::InvalidUrl(format!("`{}`: {error}", shown(location)));
        let joined = self.url.join(location).map_err(wrong).and_then(Self::of)?;
        Ok(Self { version: self.version, ..joined })
    }

    /// The same, to be reached by this version of HTTP.
    pub(super) fn by(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The version of HTTP that a request asked for, in place of the run's.
    pub(super) fn version(&self) -> Option<Version> {
        self.version
    }

    fn of(mut url: Url) -> Result<Self, Error> {
        let credentials = take_credentials(&mut url);
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                let shown = shown(url.as_str());
                return Err(Error::InvalidUrl(format!("scheme `{other}` of `{shown}` is not one of `http`, `https`")));
            }
        };
        url.set_fragment(None);
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Error::InvalidUrl(format!("`{}` names no host", shown(url.as_str()))));
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { url, tls, host, port, authority, credentials, uri: OnceLock::new(), version: None })
    }

    /// The whole URL without its fragment and without name and password.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn as_url(&self) -> &Url {
        &self.url
    }

    /// Name and password, if the URL had them.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_deref().map(|(username, password)| (username.as_str(), password.as_str()))
    }

    /// Takes over another's name and password, unless it has its own.
    pub fn inherit_credentials(&mut self, from: &Self) {
        if self.credentials.is_none() {
            self.credentials.clone_from(&from.credentials);
        }
    }

    /// Whether it is `https:`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host name or address, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, for whoever connects to it.
    pub(super) fn destination(&self) -> Destination<'_> {
        let scheme = if self.tls { Scheme::Https } else { Scheme::Http };
        Destination { scheme, host: &self.host, port: self.port }
    }

    /// Host and port as the `host` header has them: the port only where it is not the scheme's.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query as the request line has them.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// The URL as HTTP/2 takes it: without fragment, user and password.
    pub(super) fn uri(&self) -> Result<&Uri, Error> {
        if let Some(uri) = self.uri.get() {
            return Ok(uri);
        }
        let scheme = if self.tls { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(self.authority()).path_and_query(self.path_and_query());
        let uri = uri.build().map_err(|error| Error::InvalidUrl(format!("`{}`: {error}", shown(self.url.as_str()))))?;
        Ok(self.uri.get_or_init(|| uri))
    }

    /// Returns whether both name the same scheme, host and port.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.tls == other.tls && self.port == other.port && self.host == other.host
    }
}

/// Takes name and password out of a URL, decoded.
fn take_credentials(url: &mut Url) -> Option<Box<(String, String)>> {
    let password = url.password().map(decoded);
    if url.username().is_empty() && password.is_none() {
        return None;
    }
    let credentials = (decoded(url.username()), password.unwrap_or_default());
    // Neither can fail: what has a name has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(Box::new(credentials))
}

/// Undoes percent-encoding. Bytes that are not UTF-8 become U+FFFD.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A URL as messages show it, which become tags: name and password masked, what is after the path left out, and the rest cut.
fn shown(url: &str) -> Cow<'_, str> {
    const LONGEST: usize = 100;
    let plain = without_userinfo(url);
    let end = plain.find(['?', '#']).unwrap_or(plain.len());
    let cut = plain.floor_char_boundary(end.min(LONGEST));
    if cut == plain.len() { plain } else { Cow::Owned(format!("{}…", &plain[..cut])) }
}

/// A URL as text with name and password masked, also where it cannot be parsed.
#[must_use]
pub fn without_userinfo(url: &str) -> Cow<'_, str> {
    // Parsers of URLs take backslashes for slashes and any number of them; here, too little is not shown.
    let Some(colon) = url.find(':').filter(|_| url.contains('@')) else { return Cow::Borrowed(url) };
    let start = url[colon + 1..].find(|char| !matches!(char, '/' | '\\')).map_or(url.len(), |at| colon + 1 + at);
    let end = url[start..].find(['/', '\\', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => Cow::Owned(format!("{}***{}", &url[..start], &url[start + at..])),
        None => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("http://127.0.0.1:8080/a/b?c=d#e").unwrap();
        assert_eq!((target.host(), target.port(), target.authority()), ("127.0.0.1", 8080, "127.0.0.1:8080"));
        assert_eq!(target.path_and_query(), "/a/b?c=d");
        assert_eq!(Target::parse("https://[::1]").unwrap().host(), "::1");
        assert_eq!(Target::parse("http://a:80").unwrap().authority(), "a");
    }

    #[test]
    fn only_http_and_https_are_taken() {
        for bad in ["ftp://a/", "/relative", "http://", "mailto:a@b", ""] {
            assert!(matches!(Target::parse(bad), Err(Error::InvalidUrl(_))), "{bad}");
        }
    }

    #[test]
    fn http_2_takes_the_same_url() {
        for (text, uri) in [
            ("http://u:p@127.0.0.1:8080/a?b=`{|}^\\#c", "http://127.0.0.1:8080/a?b=`{|}^\\"),
            ("https://[::1]", "https://[::1]/"),
            ("https://a.test/%C3%A4/ä?ö", "https://a.test/%C3%A4/%C3%A4?%C3%B6"),
        ] {
            assert_eq!(Target::parse(text).unwrap().uri().unwrap(), uri, "{text}");
        }
    }

    #[test]
    fn name_and_password_are_no_part_of_the_url() {
        let target = Target::parse("http://ada:p%40ss%2f@a.test/x").unwrap();
        assert_eq!((target.url(), target.credentials()), ("http://a.test/x", Some(("ada", "p@ss/"))));
        assert_eq!(Target::parse("http://ada@a.test/").unwrap().credentials(), Some(("ada", "")));
        assert_eq!(Target::parse("http://a.test/@x:y").unwrap().credentials(), None);
        for bad in
            ["http://ada:secret@", "http://ada:secret@a:99999/", "ftp://ada:secret@a/", "http:\\\\ada:secret@a b/"]
        {
            let error = Target::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        for bad in ["http://a:x/?key=secret", "http://a b/#secret", "ftp://a/?secret", "mailto:a@b?secret"] {
            let error = Target::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains('…'), "{error}");
        }
        assert!(Target::parse(&format!("http://{}:x/", "ü".repeat(1000))).unwrap_err().to_string().len() < 200);
        assert_eq!(without_userinfo("http://a.test/?mail=a@b"), "http://a.test/?mail=a@b");
    }

    #[test]
    fn a_location_may_be_relative() {
        let target = Target::parse("http://a/b/c").unwrap();
        assert_eq!(target.join("../d?e").unwrap().url(), "http://a/d?e");
        assert!(!target.same_origin(&target.join("https://a/").unwrap()));
    }
}
