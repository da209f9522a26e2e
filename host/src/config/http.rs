//! The options of HTTP, lowered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::KEY_LOG;
use super::choices::{Shows, Statuses};
use super::dns::{Server, Ttl};
use super::fields::Given;
use super::lower::Lowering;
use super::node::{Place as Layered, Spot};
use super::places;
use super::values::{Bytes, Shown};
use crate::plan::Http;
use crate::plan::http::{Connections, Dns, Place, Proxy};

/// What granted files may have together.
const MOST_FILE_BYTES: u64 = 1 << 30;

impl Lowering<'_> {
    pub(super) fn http(&mut self, response_bytes: u64) -> Http {
        let (layer, default) = (self.layer, Http::default());
        let per_host = self.pick("batchPerHost", layer.batch_per_host.as_ref(), default.batch_per_host);
        if let Some(given) = layer.user_agent.as_ref().filter(|given| given.value.contains(|c: char| c.is_control())) {
            self.refuse(given, "holds control characters, which no header may");
        }
        let statuses = Statuses(default.expected_statuses);
        let shows = Shows(default.debug);
        Http {
            user_agent: self.pick("userAgent", layer.user_agent.as_ref(), default.user_agent),
            max_redirects: self.pick("maxRedirects", layer.max_redirects.as_ref(), default.max_redirects),
            // One answer may be as large as all that an iteration may hold.
            max_body: response_bytes,
            batch: self.at_least_one("batch", layer.batch.as_ref(), default.batch),
            // k6's word for no limit is 0.
            batch_per_host: if per_host == 0 { u32::MAX } else { per_host },
            discard_bodies: self.pick("discardResponseBodies", layer.discard_response_bodies.as_ref(), false),
            expected_statuses: self.pick("expectedStatuses", layer.expected_statuses.as_ref(), statuses).0,
            throw: self.pick("throw", layer.throw.as_ref(), default.throw),
            debug: self.pick("httpDebug", layer.http_debug.as_ref(), shows).0,
            keep_cookies: self.pick("noCookiesReset", layer.no_cookies_reset.as_ref(), default.keep_cookies),
            timeout: self.positive("requestTimeout", layer.request_timeout.as_ref(), default.timeout),
            connect_timeout: self.positive("connectTimeout", layer.connect_timeout.as_ref(), default.connect_timeout),
            read_timeout: self.limit("readTimeout", layer.read_timeout.as_ref()),
            idle_timeout: self.limit("idleTimeout", layer.idle_timeout.as_ref()),
            rps: self.rps(),
            version: self.pick("httpVersion", layer.http_version.as_ref(), default.version),
            connections: self.connections(),
            dns: self.dns(),
            hosts: self.hosts(),
            local_ips: self.local_ips(),
            proxy: self.proxy(),
            tls: self.tls(),
        }
    }

    /// A limit of which there is none by default; 0 takes back what a lower layer says.
    fn limit(&mut self, key: &str, given: Option<&Given<Duration>>) -> Option<Duration> {
        let limit = given.map(|given| given.value).filter(|limit| !limit.is_zero());
        let from = given.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.origins.push(None, key, &limit.map_or_else(|| "none".to_owned(), |limit| limit.shown()), from);
        limit
    }

    fn rps(&mut self) -> Option<f64> {
        // k6's word for no limit is 0.
        let given = self.layer.rps.as_ref();
        let rps = given.map(|given| given.value).filter(|rps| *rps > 0.0);
        let from = given.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.origins.push(None, "rps", &rps.map_or_else(|| "no limit".to_owned(), |rps| rps.shown()), from);
        rps
    }

    /// `connections`, or what k6's switches say of them.
    fn connections(&mut self) -> Connections {
        let layer = self.layer;
        let (request, iteration) = (layer.no_connection_reuse.as_ref(), layer.no_vu_connection_reuse.as_ref());
        let per_request = self.pick("noConnectionReuse", request, false);
        let per_iteration = self.pick("noVUConnectionReuse", iteration, false);
        if layer.connections.is_some() {
            return self.pick("connections", layer.connections.as_ref(), Connections::default());
        }
        let (connections, switch) = match (per_request, per_iteration) {
            (true, _) => (Connections::PerRequest, request),
            (false, true) => (Connections::PerIteration, iteration),
            (false, false) => (Connections::PerVu, None),
        };
        let from = switch.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.origins.push(None, "connections", &connections.shown(), from);
        connections
    }

    fn dns(&mut self) -> Dns {
        let (given, default) = (self.layer.dns.as_ref().map(|given| &given.value), Dns::default());
        let server = given.and_then(|dns| dns.server.as_ref());
        if let Some(server) = server.filter(|given| given.spot.place == Layered::Journey) {
            self.not_for_the_journey(&server.spot);
        }
        let ttl = given.and_then(|dns| dns.ttl.as_ref());
        Dns {
            ttl: self.pick("dns.ttl", ttl, Ttl(default.ttl)).0,
            select: self.pick("dns.select", given.and_then(|dns| dns.select.as_ref()), default.select),
            policy: self.pick("dns.policy", given.and_then(|dns| dns.policy.as_ref()), default.policy),
            server: self.pick("dns.server", server, Server(default.server)).0,
        }
    }

    fn hosts(&mut self) -> BTreeMap<String, Place> {
        let given = self.layer.hosts.iter().flat_map(|given| &given.value.0);
        let mut hosts = BTreeMap::new();
        for (name, given) in given {
            if let Some((pattern, place)) = self.host(name, given) {
                let shown = places::shown_place(&place);
                self.origins.push(None, &format!("hosts.{pattern}"), &shown, given.spot.origin());
                hosts.insert(pattern, place);
            }
        }
        hosts
    }

    fn host(&mut self, name: &str, given: &Given<String>) -> Option<(String, Place)> {
        let (spot, text) = (&given.spot, &given.value);
        let Some(pattern) = places::host_pattern(name) else {
            let message = format!("`{}`: `{name}` is not a host", spot.name);
            self.findings.refuse(spot, &message, "write it like `example.com`, `example.com:443` or `*.example.com`");
            return None;
        };
        let place = match places::socket(text) {
            // There are sockets that rule the machine, such as that of a container engine.
            Some(_) if spot.place == Layered::Journey => {
                let message = format!("`{}` is a Unix socket, which is not for the journey to choose", spot.name);
                self.findings.refuse(spot, &message, "set it in `squall.toml` or with a flag");
                return None;
            }
            Some(path) => Some(Place::Socket(self.beside.files.path(path, spot))),
            None => places::place(text),
        };
        if place.is_none() {
            let message = format!("`{}`: `{text}` is not the place of a host", spot.name);
            let hint = "write an address like `10.0.0.1`, `10.0.0.1:8080` or `[::1]:8080`, or `unix:/path/to.sock`";
            self.findings.refuse(spot, &message, hint);
        }
        place.map(|place| (pattern, place))
    }

    fn local_ips(&mut self) -> Vec<(IpAddr, IpAddr)> {
        let given = self.layer.local_ips.as_ref();
        let texts = given.iter().flat_map(|given| given.value.iter().flat_map(|text| text.split(',')));
        let mut ranges = Vec::new();
        for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
            let Some(range) = places::addresses(text) else {
                let spot = &given.expect("it has texts").spot;
                let message = format!("`{}`: `{text}` is no address, range or network", spot.name);
                let hint = "write them like `10.0.0.1`, `10.0.0.1-10.0.0.9` or `10.0.0.0/24`";
                self.findings.refuse(spot, &message, hint);
                continue;
            };
            ranges.push(range);
        }
        let shown: Vec<String> = ranges.iter().map(places::shown_addresses).collect();
        let shown = if shown.is_empty() { "the system's choice".to_owned() } else { shown.join(",") };
        let from = given.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.origins.push(None, "localIPs", &shown, from);
        ranges
    }

    fn proxy(&mut self) -> Option<Proxy> {
        let bypass = self.bypass();
        // An empty text takes back what a lower layer says.
        let given = self.layer.proxy.as_ref();
        let named = given.filter(|given| !given.value.trim().is_empty());
        let proxy = named.and_then(|given| self.proxy_of(given, bypass));
        if let (None, Some(unread)) = (named, self.layer.no_proxy.as_ref().filter(|given| !given.value.is_empty())) {
            let message = format!("`{}` has no effect: there is no proxy", unread.spot.name);
            let problem = self.findings.problem(&unread.spot, &message).hint("remove it, or set `proxy`");
            self.findings.warn(problem);
        }
        let shown = proxy.as_ref().map_or_else(|| "none".to_owned(), places::shown_proxy);
        let from = given.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.origins.push(None, "proxy", &shown, from);
        proxy
    }

    fn proxy_of(&mut self, given: &Given<String>, bypass: Vec<String>) -> Option<Proxy> {
        let is = match places::proxy(&given.value, bypass) {
            Ok(proxy) => return Some(proxy),
            Err(is) => is,
        };
        let value = if given.value.contains('@') { "(hidden)" } else { given.value.as_str() };
        let message = format!("`{}`: `{value}` {is}", given.spot.name);
        let hint = "write it like `http://proxy:3128` or `socks5://user:password@proxy:1080`";
        self.findings.refuse(&given.spot, &message, hint);
        None
    }

    fn bypass(&mut self) -> Vec<String> {
        let given = self.layer.no_proxy.as_ref();
        self.origins.note(None, "noProxy", given, &Vec::new());
        let mut bypass = Vec::new();
        for (text, spot) in given.iter().flat_map(|given| given.value.iter().map(|text| (text, &given.spot))) {
            let Some(host) = places::bypassed(text) else {
                let message = format!("`{}`: `{text}` is not a host", spot.name);
                let hint = "write names like `example.com`, domains like `.example.com`, addresses or networks";
                self.findings.refuse(spot, &message, hint);
                continue;
            };
            bypass.push(host);
        }
        bypass
    }

    /// Reads the files that are granted. What a journey names is refused and never touched.
    pub(super) fn granted_files(&mut self) -> BTreeMap<String, Arc<[u8]>> {
        let given = self.layer.files.iter().flat_map(|given| &given.value.0.0);
        let mut files = BTreeMap::new();
        let mut left = MOST_FILE_BYTES;
        for (name, given) in given.filter(|(_, given)| given.spot.place != Layered::Journey) {
            let path = self.beside.files.path(&given.value, &given.spot);
            let Some(bytes) = self.file(name, &path, &given.spot, left) else { continue };
            left -= bytes.len() as u64;
            let shown = format!("{}, {}", path.display(), Bytes(bytes.len() as u64).shown());
            self.origins.push(None, &format!("files.{name}"), &shown, given.spot.origin());
            files.insert(name.clone(), Arc::from(bytes));
        }
        files
    }

    fn file(&mut self, name: &str, path: &Path, spot: &Spot, left: u64) -> Option<Vec<u8>> {
        let shown = path.display();
        let error = match self.beside.files.read(path, left) {
            Ok(bytes) if bytes.len() as u64 <= left => return Some(bytes),
            Ok(bytes) => format!("it has {}", Bytes(bytes.len() as u64).shown()),
            Err(error) => error,
        };
        let message = format!("`{}`: the file `{shown}` cannot be granted as `{name}`: {error}", spot.name);
        let hint = if left < MOST_FILE_BYTES {
            let (left, most) = (Bytes(left).shown(), Bytes(MOST_FILE_BYTES).shown());
            format!("check the path; files may have {most} together, of which {left} are left")
        } else {
            format!("check the path; files may have {} together", Bytes(MOST_FILE_BYTES).shown())
        };
        self.findings.refuse(spot, &message, &hint);
        None
    }

    /// Where the secrets of TLS sessions go, which the environment alone says.
    pub(super) fn key_log(&mut self) -> Option<std::path::PathBuf> {
        let path = self.beside.key_log?;
        self.origins.push(None, "tlsKeyLog", path, KEY_LOG.to_owned());
        Some(path.into())
    }

    pub(super) fn not_for_the_journey(&mut self, spot: &Spot) {
        let message = format!("`{}` is not for the journey to set", spot.name);
        self.findings.refuse(spot, &message, "set it in `squall.toml` or with a flag");
    }
}
