//! The flags of `squall run` about HTTP, the network and TLS.

use std::time::Duration;

use clap::Args;
use squall::plan::duration;

use super::run_args::Layer;

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
// Each is a flag of its own; there is no state they could be together.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct HttpArgs {
    /// Requests per second at most, all virtual users together; 0 for no limit
    #[arg(long, value_name = "R")]
    rps: Option<f64>,
    /// The time for one request where the journey sets none
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    request_timeout: Option<Duration>,
    /// The time for resolving, connecting and the TLS handshake, within that of the request
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    connect_timeout: Option<Duration>,
    /// The longest wait for the next byte of an answer; 0 for no limit of its own
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    read_timeout: Option<Duration>,
    /// How long a connection may lie idle and still be used; 0 for as long as it is open
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    idle_timeout: Option<Duration>,
    /// Redirects to follow where the journey says nothing
    #[arg(long, value_name = "N")]
    max_redirects: Option<u32>,
    /// Statuses that are no failure where the journey says nothing, like `200-299,404`
    #[arg(long, value_name = "STATUSES")]
    expected_statuses: Option<String>,
    /// Fail the iteration whose request got no answer, even if the journey takes no notice
    #[arg(short = 'w', long)]
    throw: bool,
    /// The `user-agent` header where the journey sets none
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// The version of HTTP: `auto`, `1.1`, `2`, `3`, or `alt-svc` for `auto` and HTTP/3 where an answer offers it
    #[arg(long, value_name = "VERSION")]
    http_version: Option<String>,
    /// How virtual users use connections: `per-vu`, `per-iteration`, `per-request` or `shared:N`
    #[arg(long, value_name = "POLICY")]
    connections: Option<String>,
    /// Open a connection for every request
    #[arg(long)]
    no_connection_reuse: bool,
    /// Close connections between iterations
    #[arg(long)]
    no_vu_connection_reuse: bool,
    /// Keep cookies between iterations
    #[arg(long)]
    no_cookies_reset: bool,
    /// Requests of one batch in flight at once
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// Requests of one batch in flight to one host; 0 for no limit
    #[arg(long, value_name = "N")]
    batch_per_host: Option<u32>,
    /// Read the bodies of answers and throw them away
    #[arg(long)]
    discard_response_bodies: bool,
    /// Print requests and answers: their headers, or all of them with `=full`
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "headers")]
    http_debug: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// How names are resolved, like `ttl=5m,select=random,policy=preferIPv4,server=9.9.9.9`
    #[arg(long, value_name = "SETTINGS")]
    dns: Option<String>,
    /// Where a host is, like `example.com=10.0.0.1:8080` or `*.test=unix:/run/app.sock`. May be repeated
    #[arg(long = "host", value_name = "HOST=PLACE")]
    hosts: Vec<String>,
    /// Connect from these addresses in turn, like `10.0.0.1,10.0.1.0/24,10.0.2.1-10.0.2.9`
    #[arg(long, value_name = "ADDRESSES")]
    local_ips: Option<String>,
    /// Send requests through a proxy, like `http://proxy:3128` or `socks5://user:password@proxy:1080`
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Hosts that are reached without the proxy, like `example.com,.test,10.0.0.0/8`
    #[arg(long, value_name = "HOSTS")]
    no_proxy: Option<String>,
    /// Never connect to addresses of these networks, like `10.0.0.0/8,192.168.0.0/16`. May be repeated
    #[arg(long = "blacklist-ip", value_name = "NETWORKS")]
    blacklist_ips: Vec<String>,
    /// Never connect to these hosts, like `shop.test,*.shop.test`. May be repeated
    #[arg(long, value_name = "HOSTS")]
    block_hostnames: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Accept any certificate
    #[arg(long)]
    insecure_skip_tls_verify: bool,
    /// Trust the certificates in this PEM file too. May be repeated
    #[arg(long = "cacert", value_name = "FILE")]
    roots: Vec<String>,
    /// Show this certificate to every host: a PEM file, which may hold the key too
    #[arg(long, value_name = "FILE")]
    cert: Option<String>,
    /// The key of `--cert`: a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<String>,
    /// The name to ask for and to check, for one host or for all. May be repeated
    #[arg(long = "tls-server-name", value_name = "[HOST=]NAME")]
    server_names: Vec<String>,
    /// The version of TLS: `tls1.2` or `tls1.3`; both unless given
    #[arg(long, value_name = "VERSION")]
    tls_version: Option<String>,
    /// Cipher suites, by IANA's names, with commas between
    #[arg(long, value_name = "NAMES")]
    tls_cipher_suites: Option<String>,
    /// Make a full handshake for every connection
    #[arg(long)]
    no_tls_session_resumption: bool,
}

impl HttpArgs {
    pub(super) fn add_to(&self, layer: &mut Layer) {
        layer.value("rps", "--rps", self.rps);
        layer.time("requestTimeout", "--request-timeout", self.request_timeout);
        layer.time("connectTimeout", "--connect-timeout", self.connect_timeout);
        layer.time("readTimeout", "--read-timeout", self.read_timeout);
        layer.time("idleTimeout", "--idle-timeout", self.idle_timeout);
        layer.value("maxRedirects", "--max-redirects", self.max_redirects);
        layer.value("expectedStatuses", "--expected-statuses", self.expected_statuses.as_ref());
        layer.switch("throw", "--throw", self.throw);
        layer.value("userAgent", "--user-agent", self.user_agent.as_ref());
        layer.value("httpVersion", "--http-version", self.http_version.as_ref());
        layer.value("connections", "--connections", self.connections.as_ref());
        layer.switch("noConnectionReuse", "--no-connection-reuse", self.no_connection_reuse);
        layer.switch("noVUConnectionReuse", "--no-vu-connection-reuse", self.no_vu_connection_reuse);
        layer.switch("noCookiesReset", "--no-cookies-reset", self.no_cookies_reset);
        layer.value("batch", "--batch", self.batch);
        layer.value("batchPerHost", "--batch-per-host", self.batch_per_host);
        layer.switch("discardResponseBodies", "--discard-response-bodies", self.discard_response_bodies);
        layer.value("httpDebug", "--http-debug", self.http_debug.as_ref());
    }
}

impl NetworkArgs {
    pub(super) fn add_to(&self, layer: &mut Layer) {
        layer.value("dns", "--dns", self.dns.as_ref());
        layer.0.list("hosts", "--host", &self.hosts);
        layer.value("localIPs", "--local-ips", self.local_ips.as_ref());
        layer.value("proxy", "--proxy", self.proxy.as_ref());
        layer.value("noProxy", "--no-proxy", self.no_proxy.as_ref());
        layer.0.list("blacklistIPs", "--blacklist-ip", &self.blacklist_ips);
        layer.0.list("blockHostnames", "--block-hostnames", &self.block_hostnames);
    }
}

impl TlsArgs {
    pub(super) fn add_to(&self, layer: &mut Layer) {
        layer.switch("insecureSkipTLSVerify", "--insecure-skip-tls-verify", self.insecure_skip_tls_verify);
        layer.0.list("tlsRoots", "--cacert", &self.roots);
        if let Some(cert) = &self.cert {
            layer.0.identity(("--cert", cert), self.key.as_deref().map(|key| ("--key", key)));
        }
        layer.0.list("tlsServerName", "--tls-server-name", &self.server_names);
        layer.value("tlsVersion", "--tls-version", self.tls_version.as_ref());
        layer.value("tlsCipherSuites", "--tls-cipher-suites", self.tls_cipher_suites.as_ref());
        layer.switch("noTlsSessionResumption", "--no-tls-session-resumption", self.no_tls_session_resumption);
    }
}
