//! How requests are made: what `protocol::http` goes by, decided before the run.
//!
//! Files are read by then: certificates and keys are here as text, addresses as numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Scheme;

/// How requests are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// The `user-agent` header where the journey sets none; empty sends none.
    pub user_agent: String,
    /// The time for one request, connecting and redirects included, where the journey sets none.
    pub timeout: Duration,
    /// The time for resolving, connecting and shaking hands, within `timeout`.
    pub connect_timeout: Duration,
    /// The longest wait for the next byte of an answer, within `timeout`; `None` for no limit of its own.
    pub read_timeout: Option<Duration>,
    /// How long a connection may lie idle and still be used again; `None` for as long as the server leaves it open.
    pub idle_timeout: Option<Duration>,
    /// Redirects to follow where the journey says nothing.
    pub max_redirects: u32,
    /// The largest answer, in bytes, that is kept for the journey, on the wire and decoded.
    pub max_body: u64,
    /// How many requests of one `batch` are in flight at once.
    pub batch: u32,
    /// How many of them go to one host; 0 for no limit.
    pub batch_per_host: u32,
    /// Whether answers' bodies are read and thrown away.
    pub discard_bodies: bool,
    /// The statuses, inclusive ranges, that are no failure where the journey says nothing.
    pub expected_statuses: Vec<(u16, u16)>,
    /// Whether a request without an answer fails its iteration, even if the journey takes no notice.
    pub throw: bool,
    /// Whether requests and answers are written to standard error, and how much of them.
    pub debug: Option<Debug>,
    /// Requests per second, all VUs together; `None` for no limit.
    pub rps: Option<f64>,
    /// Which version of HTTP is spoken.
    pub version: Version,
    /// How VUs use connections.
    pub connections: Connections,
    /// Whether a VU's cookies outlive its iterations.
    pub keep_cookies: bool,
    /// How names are resolved.
    pub dns: Dns,
    /// Where hosts are instead of where DNS says.
    pub hosts: BTreeMap<String, Place>,
    /// Addresses to connect from, inclusive ranges; VUs take them in turn. Empty lets the system choose.
    pub local_ips: Vec<(IpAddr, IpAddr)>,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// TLS.
    pub tls: Tls,
}

/// How much of requests and answers is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Debug {
    /// Request line, status line and headers.
    Headers,
    /// Bodies too.
    Full,
}

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Version {
    /// HTTP/2 where TLS agrees on it, HTTP/1.1 everywhere else.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only: agreed on by TLS, and without asking (prior knowledge, RFC 9113, 3.3) where there is no TLS.
    Http2,
    /// HTTP/3 only.
    Http3,
    /// As `Auto`, and HTTP/3 where an earlier answer said that it is spoken (`alt-svc`, RFC 7838).
    AltSvc,
}

/// How VUs use connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Connections {
    /// Each VU has its own and keeps them.
    #[default]
    PerVu,
    /// Each VU has its own and closes them when an iteration ends (k6's `noVUConnectionReuse`).
    PerIteration,
    /// Each request opens one (k6's `noConnectionReuse`).
    PerRequest,
    /// So many VUs of a worker thread share theirs: over HTTP/2 all their requests travel on one.
    Shared(u32),
}

/// How names are resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    /// How long an answer is kept; `None` for the whole run. 0 asks for every connection.
    pub ttl: Option<Duration>,
    /// Which of several addresses is tried first.
    pub select: Select,
    /// Which families of addresses are used.
    pub policy: Policy,
    /// The DNS server to ask; `None` asks the system.
    pub server: Option<SocketAddr>,
}

/// Which of several addresses is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Select {
    /// The first of the answer.
    First,
    /// Any.
    Random,
    /// Each in turn.
    RoundRobin,
}

/// Which families of addresses are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// IPv4 first, then IPv6.
    PreferIpv4,
    /// IPv6 first, then IPv4.
    PreferIpv6,
    /// IPv4 only.
    OnlyIpv4,
    /// IPv6 only.
    OnlyIpv6,
    /// Both, as they come.
    Any,
}

/// Where a host is instead of where DNS says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// At this address, and this port instead of the URL's.
    Address(IpAddr, Option<u16>),
    /// At this Unix socket.
    Socket(PathBuf),
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, if it wants them.
    pub credentials: Option<(String, Secret)>,
    /// Hosts that are reached without it: names, domains with a leading dot, addresses.
    pub bypass: Vec<String>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyKind {
    /// HTTP: `CONNECT` for `https:`, absolute request targets for `http:`.
    Http,
    /// SOCKS5, which also resolves the names.
    Socks5,
}

/// How connections are secured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// Whether any certificate is accepted.
    pub skip_verify: bool,
    /// Whether the system's roots are trusted.
    pub system_roots: bool,
    /// Further roots, PEM.
    pub roots: Vec<String>,
    /// Certificates of this client.
    pub identities: Vec<Identity>,
    /// The lowest version.
    pub min: TlsVersion,
    /// The highest version.
    pub max: TlsVersion,
    /// The cipher suites by their IANA names; empty for the library's choice.
    pub ciphers: Vec<String>,
    /// The name to ask for and to check, by host; `*` for all others.
    pub server_names: BTreeMap<String, String>,
    /// Whether sessions are resumed.
    pub resumption: bool,
    /// Where the secrets of sessions are written for protocol analysers (`SSLKEYLOGFILE`).
    pub key_log: Option<PathBuf>,
}

/// A version of TLS that squall speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A certificate of this client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The certificate and its chain, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: Secret,
    /// What opens the key, if it is encrypted.
    pub password: Option<Secret>,
    /// The hosts it is for: names, or domains like `*.example.com`. Empty for all.
    pub domains: Vec<String>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

impl ProxyKind {
    /// What is spoken to such a proxy, as rules for the network know it.
    #[must_use]
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Http => Scheme::Http,
            Self::Socks5 => Scheme::Tcp,
        }
    }
}

impl Http {
    /// The same with something else in the place of every secret, to be shown.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let hidden = || Secret("(hidden)".to_owned());
        let mut shown = self.clone();
        if let Some((user, password)) = shown.proxy.as_mut().and_then(|proxy| proxy.credentials.as_mut()) {
            "(hidden)".clone_into(user);
            *password = hidden();
        }
        for identity in &mut shown.tls.identities {
            identity.key = hidden();
            identity.password = identity.password.as_ref().map(|_| hidden());
        }
        shown
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            user_agent: concat!("squall/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(30),
            read_timeout: None,
            idle_timeout: None,
            max_redirects: 10,
            max_body: 256 << 20,
            batch: 20,
            batch_per_host: 6,
            discard_bodies: false,
            expected_statuses: vec![(200, 399)],
            throw: false,
            debug: None,
            rps: None,
            version: Version::Auto,
            connections: Connections::PerVu,
            keep_cookies: false,
            dns: Dns::default(),
            hosts: BTreeMap::new(),
            local_ips: Vec::new(),
            proxy: None,
            tls: Tls::default(),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self { ttl: Some(Duration::from_mins(5)), select: Select::Random, policy: Policy::PreferIpv4, server: None }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            skip_verify: false,
            system_roots: true,
            roots: Vec::new(),
            identities: Vec::new(),
            min: TlsVersion::Tls12,
            max: TlsVersion::Tls13,
            ciphers: Vec::new(),
            server_names: BTreeMap::new(),
            resumption: true,
            key_log: None,
        }
    }
}
