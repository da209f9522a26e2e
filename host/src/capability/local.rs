//! What the VUs of one worker thread share: names as numbers, and which series a sample goes to.
//!
//! A sample's tags are put together once, when the combination is first seen; after that it is a look-up of a few
//! integers, or of one hash for a request.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::extract::Kept;
use crate::metrics::{MetricId, Recorder, Registry, SeriesId, SystemTags, Tags, builtin};
use crate::plan::{Http, Policy};
use crate::protocol::door::Door;
use crate::protocol::http::{Exchange, Peer, Protocol, Shared};
use crate::wit::metric::Tag;

/// Combinations kept before the map starts anew. The series themselves are limited by the recorder.
const KEPT: usize = 8192;

/// What the VUs of one worker thread share.
pub struct Local {
    recorder: Recorder,
    registry: Arc<Registry>,
    system: SystemTags,
    /// Whether the target's address is a tag.
    with_ip: bool,
    http: Rc<Shared>,
    extract: Kept,
    hosts: Cell<u32>,
    names: RefCell<Names>,
    series: RefCell<Series>,
    has_warned_of_redirects: Cell<bool>,
}

#[derive(Default)]
struct Names {
    scopes: Vec<Tags>,
    /// Paths as k6 has them: `::outer::inner`. The first is "outside of any group".
    groups: Vec<Arc<str>>,
    group_ids: FxHashMap<(u32, Box<str>), u32>,
    checks: Vec<Arc<str>>,
    check_ids: FxHashMap<Box<str>, u32>,
}

#[derive(Default)]
struct Series {
    /// By scope, group and check.
    checks: FxHashMap<(u32, u32, u32), SeriesId>,
    /// By metric, scope and group.
    grouped: FxHashMap<(MetricId, u32, u32), SeriesId>,
    tagged: FxHashMap<u64, Vec<Tagged>>,
    requests: FxHashMap<u64, Vec<Known>>,
    kept: usize,
}

struct Tagged {
    metric: MetricId,
    scope: u32,
    group: u32,
    tags: Box<[(Box<str>, Box<str>)]>,
    series: SeriesId,
}

/// A kind of request that was seen before.
struct Known {
    scope: u32,
    group: u32,
    status: u16,
    error_code: u16,
    expected: bool,
    /// Where the answer came from, if that is a tag.
    ip: Option<IpAddr>,
    tls: Option<&'static str>,
    protocol: Protocol,
    method: Box<str>,
    url: Box<str>,
    name: Option<Box<str>>,
    error: Option<Box<str>>,
    tags: Box<[(Box<str>, Box<str>)]>,
    series: RequestSeries,
}

/// What one request is recorded in.
#[derive(Debug, Clone, Copy)]
struct RequestSeries {
    requests: SeriesId,
    failed: SeriesId,
    duration: SeriesId,
    blocked: SeriesId,
    looking_up: SeriesId,
    connecting: SeriesId,
    tls_handshaking: SeriesId,
    sending: SeriesId,
    waiting: SeriesId,
    receiving: SeriesId,
    total: SeriesId,
    retries: SeriesId,
    bytes_sent: SeriesId,
    bytes_received: SeriesId,
}

/// What a request is filed under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) scope: u32,
    pub(super) group: u32,
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) tags: &'a [crate::wit::http::Pair],
    pub(super) expected: bool,
}

impl Local {
    /// Makes a worker's part.
    #[must_use]
    pub fn new(
        recorder: Recorder,
        registry: Arc<Registry>,
        system: SystemTags,
        http: Arc<Http>,
        policy: &Policy,
    ) -> Self {
        let names = Names { groups: vec![Arc::from("")], ..Names::default() };
        Self {
            with_ip: system.has("ip"),
            recorder,
            registry,
            system,
            http: Rc::new(Shared::new(http, Door::new(policy))),
            extract: Kept::default(),
            hosts: Cell::new(0),
            names: RefCell::new(names),
            series: RefCell::default(),
            has_warned_of_redirects: Cell::new(false),
        }
    }

    pub(super) fn http(&self) -> &Rc<Shared> {
        &self.http
    }

    pub(super) fn extract(&self) -> &Kept {
        &self.extract
    }

    /// Gives a host a number of its own.
    pub(super) fn number_host(&self) -> u32 {
        let number = self.hosts.get();
        // Only after four billion instances in one thread does a number come again.
        self.hosts.set(number.wrapping_add(1));
        number
    }

    /// Whether this is the first time that somebody asks.
    pub(super) fn is_first_redirect_too_many(&self) -> bool {
        !self.has_warned_of_redirects.replace(true)
    }

    /// Numbers a set of tags.
    pub(super) fn scope(&self, tags: &Tags) -> u32 {
        let scopes = &mut self.names.borrow_mut().scopes;
        let known = scopes.iter().position(|scope| scope == tags);
        known.unwrap_or_else(|| {
            scopes.push(tags.clone());
            scopes.len() - 1
        }) as u32
    }

    /// Numbers a group inside another.
    pub(super) fn group(&self, outer: u32, name: &str) -> u32 {
        let names = &mut *self.names.borrow_mut();
        if let Some(&id) = names.group_ids.get(&(outer, Box::from(name)) as &(u32, Box<str>)) {
            return id;
        }
        let path = format!("{}::{name}", names.groups[outer as usize]);
        let id = names.groups.len() as u32;
        names.groups.push(Arc::from(path));
        names.group_ids.insert((outer, Box::from(name)), id);
        id
    }

    /// Numbers a check.
    pub(super) fn check(&self, name: &str) -> u32 {
        let names = &mut *self.names.borrow_mut();
        if let Some(&id) = names.check_ids.get(name) {
            return id;
        }
        let id = names.checks.len() as u32;
        names.checks.push(Arc::from(name));
        names.check_ids.insert(Box::from(name), id);
        id
    }

    /// Records a check; returns whether it was declared.
    pub(super) fn add_check(&self, scope: u32, group: u32, check: u32, ok: bool) -> bool {
        let known = self.series.borrow().checks.get(&(scope, group, check)).copied();
        let series = if let Some(series) = known {
            series
        } else {
            let Some(name) = self.names.borrow().checks.get(check as usize).cloned() else { return false };
            let tags = self.base(scope, group).with(self.system.has("check").then_some(("check", &*name)));
            let series = self.recorder.series(builtin::CHECKS, &tags);
            self.series.borrow_mut().checks.insert((scope, group, check), series);
            series
        };
        self.recorder.add(series, f64::from(u8::from(ok)));
        true
    }

    /// Records a value whose only tags are the scope's and the group's.
    pub(super) fn add_in_group(&self, metric: MetricId, scope: u32, group: u32, value: f64) {
        self.recorder.add(self.in_group(metric, scope, group), value);
    }

    /// Records a value of a journey's own metric; returns whether there is such a metric.
    pub(super) fn add_custom(&self, metric: MetricId, scope: u32, group: u32, tags: &[Tag], value: f64) -> bool {
        if (metric.0 as usize) < builtin::TABLE.len() {
            return false;
        }
        let series = if tags.is_empty() {
            let known = self.series.borrow().grouped.get(&(metric, scope, group)).copied();
            match known {
                Some(series) => series,
                None if self.registry.get(metric).is_none() => return false,
                None => self.in_group(metric, scope, group),
            }
        } else {
            match self.tagged(metric, scope, group, tags) {
                Some(series) => series,
                None => return false,
            }
        };
        self.recorder.add(series, value);
        true
    }

    /// Records a request.
    pub(super) fn add_request(&self, label: &Label<'_>, exchange: &Exchange) {
        let series = self.request_series(label, exchange);
        let timings = &exchange.timings;
        // A duration's nanoseconds as one number have 128 bits, which no processor turns into a float at once.
        let milliseconds =
            |time: std::time::Duration| time.as_secs() as f64 * 1e3 + f64::from(time.subsec_nanos()) * 1e-6;
        self.recorder.add_all(&[
            (series.requests, 1.0),
            (series.failed, f64::from(u8::from(!label.expected))),
            (series.duration, milliseconds(timings.duration())),
            (series.blocked, milliseconds(timings.blocked)),
            (series.looking_up, milliseconds(timings.looking_up)),
            (series.connecting, milliseconds(timings.connecting)),
            (series.tls_handshaking, milliseconds(timings.tls_handshaking)),
            (series.sending, milliseconds(timings.sending)),
            (series.waiting, milliseconds(timings.waiting)),
            (series.receiving, milliseconds(timings.receiving)),
            (series.total, milliseconds(timings.total())),
            (series.bytes_sent, exchange.sent as f64),
            (series.bytes_received, exchange.received as f64),
        ]);
        if exchange.retried {
            self.recorder.add(series.retries, 1.0);
        }
    }

    /// Counts a request that was refused because of where it would have gone.
    pub(super) fn add_denied(&self, scope: u32, group: u32, host: &str) {
        self.recorder.record(builtin::POLICY_DENIED, &self.base(scope, group).with([("host", host)]), 1.0);
    }

    fn in_group(&self, metric: MetricId, scope: u32, group: u32) -> SeriesId {
        if let Some(&series) = self.series.borrow().grouped.get(&(metric, scope, group)) {
            return series;
        }
        let series = self.recorder.series(metric, &self.base(scope, group));
        self.series.borrow_mut().grouped.insert((metric, scope, group), series);
        series
    }

    fn tagged(&self, metric: MetricId, scope: u32, group: u32, tags: &[Tag]) -> Option<SeriesId> {
        let pairs = || tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str()));
        let hash = hash_of(|hasher| {
            (metric, scope, group).hash(hasher);
            pairs().for_each(|pair| pair.hash(hasher));
        });
        let series = &mut *self.series.borrow_mut();
        let found = series.tagged.get(&hash).and_then(|bucket| {
            bucket.iter().find(|known| {
                (known.metric, known.scope, known.group) == (metric, scope, group) && same(&known.tags, pairs())
            })
        });
        if let Some(known) = found {
            return Some(known.series);
        }
        self.registry.get(metric)?;
        let id = self.recorder.series(metric, &self.base(scope, group).with(pairs()));
        series.make_room();
        series.tagged.entry(hash).or_default().push(Tagged { metric, scope, group, tags: owned(pairs()), series: id });
        Some(id)
    }

    fn request_series(&self, label: &Label<'_>, exchange: &Exchange) -> RequestSeries {
        let (status, error_code, error) = outcome(exchange);
        let pairs = || label.tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str()));
        let error = error.map(ToString::to_string);
        let ip = if self.with_ip { exchange.peer.remote.map(|remote| remote.ip()) } else { None };
        let hash = hash_of(|hasher| {
            (label.scope, label.group, status, error_code).hash(hasher);
            (label.method, label.name.unwrap_or(label.url), &error).hash(hasher);
            pairs().for_each(|pair| pair.hash(hasher));
        });
        let series = &mut *self.series.borrow_mut();
        let found = series.requests.get(&hash).and_then(|bucket| {
            bucket.iter().find(|known| {
                (known.scope, known.group, known.status, known.error_code)
                    == (label.scope, label.group, status, error_code)
                    && (known.expected, known.tls, known.protocol)
                        == (label.expected, exchange.peer.tls_version, exchange.peer.protocol)
                    && known.ip == ip
                    && *known.method == *label.method
                    && known.name.as_deref() == label.name
                    && (label.name.is_some() || *known.url == *label.url)
                    && known.error.as_deref() == error.as_deref()
                    && same(&known.tags, pairs())
            })
        });
        if let Some(known) = found {
            return known.series;
        }
        let ids = self.new_request_series(label, &exchange.peer, status, error_code, error.as_deref());
        series.make_room();
        series.requests.entry(hash).or_default().push(Known {
            scope: label.scope,
            group: label.group,
            status,
            error_code,
            expected: label.expected,
            ip,
            tls: exchange.peer.tls_version,
            protocol: exchange.peer.protocol,
            method: Box::from(label.method),
            url: Box::from(label.url),
            name: label.name.map(Box::from),
            error: error.map(String::into_boxed_str),
            tags: owned(pairs()),
            series: ids,
        });
        ids
    }

    fn new_request_series(
        &self,
        label: &Label<'_>,
        peer: &Peer,
        status: u16,
        error_code: u16,
        error: Option<&str>,
    ) -> RequestSeries {
        let name = label.name.unwrap_or(label.url);
        let (status, code) = (status.to_string(), error_code.to_string());
        let ip = peer.remote.map(|remote| remote.ip().to_string());
        let mut all = vec![
            ("proto", peer.protocol.as_str()),
            ("status", &status),
            ("method", label.method),
            // With a name, `url` takes its value, or each URL would be a series of its own (k6 does the same).
            ("url", name),
            ("name", name),
            ("expected_response", if label.expected { "true" } else { "false" }),
        ];
        all.extend(peer.tls_version.map(|version| ("tls_version", version)));
        all.extend(ip.as_deref().map(|ip| ("ip", ip)));
        all.extend(error.map(|text| ("error", text)));
        all.extend((error_code != 0).then_some(("error_code", code.as_str())));
        all.retain(|(tag, _)| self.system.has(tag));
        let base = self.base(label.scope, label.group);
        let tags = base.with(all).with(label.tags.iter().map(|tag| (&tag.name, &tag.value)));
        let series = |metric| self.recorder.series(metric, &tags);
        RequestSeries {
            requests: series(builtin::HTTP_REQS),
            failed: series(builtin::HTTP_REQ_FAILED),
            duration: series(builtin::HTTP_REQ_DURATION),
            blocked: series(builtin::HTTP_REQ_BLOCKED),
            looking_up: series(builtin::HTTP_REQ_LOOKING_UP),
            connecting: series(builtin::HTTP_REQ_CONNECTING),
            tls_handshaking: series(builtin::HTTP_REQ_TLS_HANDSHAKING),
            sending: series(builtin::HTTP_REQ_SENDING),
            waiting: series(builtin::HTTP_REQ_WAITING),
            receiving: series(builtin::HTTP_REQ_RECEIVING),
            total: series(builtin::HTTP_REQ_TOTAL_DURATION),
            retries: series(builtin::HTTP_REQ_RETRIES),
            bytes_sent: self.recorder.series(builtin::DATA_SENT, &base),
            bytes_received: self.recorder.series(builtin::DATA_RECEIVED, &base),
        }
    }

    /// The scope's tags and the group's.
    fn base(&self, scope: u32, group: u32) -> Tags {
        let names = self.names.borrow();
        let path = &*names.groups[group as usize];
        names.scopes[scope as usize].with(self.system.has("group").then_some(("group", path)))
    }
}

impl Series {
    fn make_room(&mut self) {
        if self.kept >= KEPT {
            self.tagged.clear();
            self.requests.clear();
            self.kept = 0;
        }
        self.kept += 1;
    }
}

/// Status, k6's error code (0 for none) and the words for it.
fn outcome(exchange: &Exchange) -> (u16, u16, Option<&crate::protocol::http::Error>) {
    match &exchange.result {
        Ok(response) if response.status >= 400 => (response.status, 1000 + response.status, None),
        Ok(response) => (response.status, 0, None),
        Err(error) => (0, error.code(), Some(error)),
    }
}

fn hash_of(feed: impl FnOnce(&mut FxHasher)) -> u64 {
    let mut hasher = FxHasher::default();
    feed(&mut hasher);
    hasher.finish()
}

fn same<'a>(known: &[(Box<str>, Box<str>)], pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> bool {
    known.len() == pairs.len() && known.iter().zip(pairs).all(|(known, pair)| (&*known.0, &*known.1) == pair)
}

fn owned<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Box<[(Box<str>, Box<str>)]> {
    pairs.map(|(name, value)| (Box::from(name), Box::from(value))).collect()
}
