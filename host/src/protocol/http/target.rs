//! A URL taken apart once.

use std::sync::OnceLock;

use http::Uri;
use url::Url;

use super::Error;

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
}

impl Target {
    /// Takes an absolute `http:` or `https:` URL apart, by the WHATWG rules.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Url::parse(text).map_err(|error| Error::InvalidUrl(format!("`{text}`: {error}"))).and_then(Self::of)
    }

    /// Resolves a `Location` against this target.
    pub fn join(&self, location: &str) -> Result<Self, Error> {
        self.url.join(location).map_err(|error| Error::InvalidUrl(format!("`{location}`: {error}"))).and_then(Self::of)
    }

    fn of(mut url: Url) -> Result<Self, Error> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(Error::InvalidUrl(format!("scheme `{other}` of `{url}` is not one of `http`, `https`")));
            }
        };
        url.set_fragment(None);
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Error::InvalidUrl(format!("`{url}` names no host")));
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { url, tls, host, port, authority, uri: OnceLock::new() })
    }

    /// The whole URL without its fragment.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
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
        let uri = uri.build().map_err(|error| Error::InvalidUrl(format!("`{}`: {error}", self.url)))?;
        Ok(self.uri.get_or_init(|| uri))
    }

    /// Returns whether both name the same scheme, host and port.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.tls == other.tls && self.port == other.port && self.host == other.host
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
    fn a_location_may_be_relative() {
        let target = Target::parse("http://a/b/c").unwrap();
        assert_eq!(target.join("../d?e").unwrap().url(), "http://a/d?e");
        assert!(!target.same_origin(&target.join("https://a/").unwrap()));
    }
}
