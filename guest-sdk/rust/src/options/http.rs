//! How requests are made, as far as the journey may say: files, proxies and local addresses are for whoever runs it.

use std::time::Duration;

use serde::Serialize;

use super::{Named, Number, Options, Text};

/// The options of HTTP.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Requests {
    #[serde(skip_serializing_if = "Option::is_none")]
    rps: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout: Option<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expected_statuses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    throw: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_version: Option<HttpVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Connections>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_cookies_reset: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_per_host: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_debug: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<Dns>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    hosts: Named<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<TlsVersions>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_cipher_suites: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_auth: Vec<Identity>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_roots: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_system_roots: Option<bool>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    tls_server_name: Named<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_tls_session_resumption: Option<bool>,
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum HttpVersion {
    /// HTTP/2 where TLS agrees on it, HTTP/1.1 everywhere else.
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only, without asking where there is no TLS.
    #[serde(rename = "2")]
    Http2,
}

/// How virtual users use connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// Each virtual user has its own and keeps them.
    PerVu,
    /// Each virtual user has its own and closes them when an iteration ends.
    PerIteration,
    /// Each request opens one.
    PerRequest,
    /// So many virtual users of a worker thread share theirs.
    Shared(u32),
}

/// How names are resolved. Which server is asked is for whoever runs the journey to say.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use]
pub struct Dns {
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<Select>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
}

/// Which of several addresses is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Select {
    /// The first of the answer.
    First,
    /// Any.
    Random,
    /// Each in turn.
    RoundRobin,
}

/// Which families of addresses are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Policy {
    /// IPv4 first, then IPv6.
    #[serde(rename = "preferIPv4")]
    PreferIpv4,
    /// IPv6 first, then IPv4.
    #[serde(rename = "preferIPv6")]
    PreferIpv6,
    /// IPv4 only.
    #[serde(rename = "onlyIPv4")]
    OnlyIpv4,
    /// IPv6 only.
    #[serde(rename = "onlyIPv6")]
    OnlyIpv6,
    /// Both, as they come.
    #[serde(rename = "any")]
    Any,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "tls1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "tls1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct TlsVersions {
    min: TlsVersion,
    max: TlsVersion,
}

/// A certificate of this client and its key, both as PEM texts: a journey names no files, but `include_str!` does.
#[derive(Clone, Serialize)]
#[must_use]
pub struct Identity {
    cert: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domains: Vec<String>,
}

impl Dns {
    /// The defaults: answers are kept for five minutes, any address is taken, IPv4 first.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long an answer is kept; zero asks for every connection.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// Keeps answers for the whole run.
    pub fn for_ever(mut self) -> Self {
        self.ttl = Some(Text("inf".to_owned()));
        self
    }

    /// Which of several addresses is tried first.
    pub fn select(mut self, select: Select) -> Self {
        self.select = Some(select);
        self
    }

    /// Which families of addresses are used.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }
}

impl Identity {
    /// A certificate, with its chain, and its key.
    pub fn new(cert: impl Into<String>, key: impl Into<String>) -> Self {
        Self { cert: cert.into(), key: key.into(), password: None, domains: Vec::new() }
    }

    /// What opens the key, if it is encrypted.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds a host it is for, like `example.com` or `*.example.com`. Without any it is for all.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domains.push(domain.into());
        self
    }
}

/// Keys and passwords are not shown.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("cert", &self.cert).field("domains", &self.domains).finish_non_exhaustive()
    }
}

/// How requests are made.
impl Options {
    /// Requests per second at most, all virtual users together.
    pub fn rps(mut self, most: f64) -> Self {
        self.http.rps = Some(Number(most));
        self
    }

    /// The time for one request, connecting and redirects included, unless the request says otherwise.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.http.request_timeout = Some(timeout.into());
        self
    }

    /// The time for resolving, connecting and the TLS handshake, within that of the request.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = Some(timeout.into());
        self
    }

    /// The longest wait for the next byte of an answer.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.http.read_timeout = Some(timeout.into());
        self
    }

    /// How long a connection may lie idle and still be used again.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.http.idle_timeout = Some(timeout.into());
        self
    }

    /// Adds statuses that are no failure, like `200-299` or `404`. Those that are set take the place of `200-399`.
    pub fn expected_statuses(mut self, statuses: impl Into<String>) -> Self {
        self.http.expected_statuses.push(statuses.into());
        self
    }

    /// A request without an answer fails its iteration, even if the journey takes no notice.
    pub fn throw(mut self) -> Self {
        self.http.throw = Some(true);
        self
    }

    /// Which version of HTTP is spoken.
    pub fn http_version(mut self, version: HttpVersion) -> Self {
        self.http.http_version = Some(version);
        self
    }

    /// How virtual users use connections. A scenario may have its own way.
    pub fn connections(mut self, connections: Connections) -> Self {
        self.http.connections = Some(connections);
        self
    }

    /// Keeps cookies from one iteration to the next.
    pub fn no_cookies_reset(mut self) -> Self {
        self.http.no_cookies_reset = Some(true);
        self
    }

    /// How many requests of one batch are in flight at once.
    pub fn batch(mut self, most: u32) -> Self {
        self.http.batch = Some(most);
        self
    }

    /// How many of them go to one host; 0 for no limit.
    pub fn batch_per_host(mut self, most: u32) -> Self {
        self.http.batch_per_host = Some(most);
        self
    }

    /// Prints the headers of requests and answers.
    pub fn http_debug(mut self) -> Self {
        self.http.http_debug = Some("headers");
        self
    }

    /// Prints requests and answers with their bodies.
    pub fn http_debug_full(mut self) -> Self {
        self.http.http_debug = Some("full");
        self
    }

    /// How names are resolved.
    pub fn dns(mut self, dns: Dns) -> Self {
        self.http.dns = Some(dns);
        self
    }

    /// Says where a host (`example.com`, `example.com:443`, `*.example.com`) is: `10.0.0.1`, `10.0.0.1:8080` or
    /// `[::1]:8080`.
    pub fn host(mut self, host: impl Into<String>, place: impl Into<String>) -> Self {
        self.http.hosts.0.push((host.into(), place.into()));
        self
    }

    /// The lowest and the highest version of TLS.
    pub fn tls_versions(mut self, min: TlsVersion, max: TlsVersion) -> Self {
        self.http.tls_version = Some(TlsVersions { min, max });
        self
    }

    /// Adds a cipher suite by IANA's name. Those that are added take the place of all.
    pub fn tls_cipher_suite(mut self, name: impl Into<String>) -> Self {
        self.http.tls_cipher_suites.push(name.into());
        self
    }

    /// Adds a certificate of this client.
    pub fn tls_auth(mut self, identity: Identity) -> Self {
        self.http.tls_auth.push(identity);
        self
    }

    /// Trusts the roots in this PEM text too.
    pub fn tls_root(mut self, pem: impl Into<String>) -> Self {
        self.http.tls_roots.push(pem.into());
        self
    }

    /// Does not trust the system's roots.
    pub fn no_tls_system_roots(mut self) -> Self {
        self.http.tls_system_roots = Some(false);
        self
    }

    /// The name to ask `host` for and to check; `*` for all hosts that have none of their own.
    pub fn tls_server_name(mut self, host: impl Into<String>, name: impl Into<String>) -> Self {
        self.http.tls_server_name.0.push((host.into(), name.into()));
        self
    }

    /// Makes a full handshake for every connection.
    pub fn no_tls_session_resumption(mut self) -> Self {
        self.http.no_tls_session_resumption = Some(true);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_options_of_requests_have_k6s_names() {
        let options = Options::new()
            .rps(10.0)
            .request_timeout(5 * SECOND)
            .connect_timeout(2 * SECOND)
            .read_timeout(SECOND)
            .idle_timeout(SECOND)
            .expected_statuses("200-299")
            .expected_statuses("404")
            .throw()
            .http_version(HttpVersion::Http2)
            .connections(Connections::Shared(8))
            .no_cookies_reset()
            .batch(4)
            .batch_per_host(0)
            .http_debug_full();
        assert_eq!(
            options.to_json(),
            concat!(
                r#"{"rps":10,"requestTimeout":"5s","connectTimeout":"2s","readTimeout":"1s","idleTimeout":"1s","#,
                r#""expectedStatuses":["200-299","404"],"throw":true,"httpVersion":"2","connections":{"shared":8},"#,
                r#""noCookiesReset":true,"batch":4,"batchPerHost":0,"httpDebug":"full"}"#
            )
        );
        assert_eq!(Options::new().connections(Connections::PerVu).to_json(), r#"{"connections":"per-vu"}"#);
    }

    #[test]
    fn the_options_of_names_and_tls_have_k6s_names() {
        let options = Options::new()
            .dns(Dns::new().for_ever().select(Select::RoundRobin).policy(Policy::OnlyIpv6))
            .host("a.test", "127.0.0.1:81")
            .tls_versions(TlsVersion::Tls12, TlsVersion::Tls13)
            .tls_cipher_suite("TLS_AES_128_GCM_SHA256")
            .tls_auth(Identity::new("C", "K").password("p").domain("*.a.test"))
            .tls_root("R")
            .no_tls_system_roots()
            .tls_server_name("*", "b.test")
            .no_tls_session_resumption();
        assert_eq!(
            options.to_json(),
            concat!(
                r#"{"dns":{"ttl":"inf","select":"roundRobin","policy":"onlyIPv6"},"hosts":{"a.test":"127.0.0.1:81"},"#,
                r#""tlsVersion":{"min":"tls1.2","max":"tls1.3"},"tlsCipherSuites":["TLS_AES_128_GCM_SHA256"],"#,
                r#""tlsAuth":[{"cert":"C","key":"K","password":"p","domains":["*.a.test"]}],"tlsRoots":["R"],"#,
                r#""tlsSystemRoots":false,"tlsServerName":{"*":"b.test"},"noTlsSessionResumption":true}"#
            )
        );
        assert!(!format!("{:?}", Identity::new("C", "K").password("secret")).contains("secret"));
    }
}
