//! What the VUs of one worker thread share: names as numbers, and which series a sample goes to.
//!
//! A sample's tags are put together once, when the combination is first seen; after that it is a look-up of a few
//! integers, or of one hash for a request.

mod sessions;

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::Run;
use super::extract::Kept;
use super::names::Names;
use crate::metrics::{Excess, MetricId, Recorder, Registry, SeriesId, SystemTags, Tags, builtin};
use crate::protocol::Network;
use crate::protocol::door::Door;
use crate::protocol::http::{Exchange, Peer, Protocol, Shared};
use crate::redact::Redactor;
use crate::wit::metric::Tag;

/// Combinations kept before the map starts anew. The series themselves are limited by the recorder.
const KEPT: usize = 8192;
/// The bytes of names and values that are kept with them.
const KEPT_BYTES: usize = 8 << 20;
/// A combination that has more of them is put together anew each time.
const LARGEST_KEPT: usize = 16 << 10;

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
    has_warned_of_sockets: Cell<bool>,
    /// A bit for each kind of excess that the journey was told of.
    has_told_of: Cell<u16>,
    /// Where a tag is cut, in bytes.
    longest: usize,
    /// What takes the run's secrets out of tags.
    redactor: Option<Arc<Redactor>>,
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
    kept_bytes: usize,
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
    pub fn new(recorder: Recorder, run: &Run, system: SystemTags) -> Self {
        let names = Names::new(recorder.clone(), &run.limits);
        let network = Network::new(&run.http, Door::new(&run.policy));
        Self {
            with_ip: system.has("ip"),
            recorder,
            registry: Arc::clone(&run.registry),
            system,
            http: Rc::new(Shared::new(network.with_places(run.limits.connections, Arc::clone(&run.places)))),
            extract: Kept::default(),
            hosts: Cell::new(0),
            names: RefCell::new(names),
            series: RefCell::default(),
            has_warned_of_redirects: Cell::new(false),
            has_warned_of_sockets: Cell::new(false),
            has_told_of: Cell::new(0),
            longest: run.limits.name_bytes as usize,
            redactor: run.secrets.as_ref().map(|secrets| Arc::clone(secrets.redactor())),
        }
    }

    /// How many bytes and combinations are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        let series = self.series.borrow();
        (series.kept_bytes, series.kept)
    }

    pub(super) fn http(&self) -> &Rc<Shared> {
        &self.http
    }

    pub(super) fn extract(&self) -> &Kept {
        &self.extract
    }

    /// Whether the target's address is a tag.
    pub(super) fn is_with_ip(&self) -> bool {
        self.with_ip
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

    /// The same for sockets that were not granted.
    pub(super) fn is_first_socket_refused(&self) -> bool {
        !self.has_warned_of_sockets.replace(true)
    }

    /// Counts what a guest had too much of; returns whether this is the first time on this thread.
    pub(super) fn exceed(&self, what: Excess) -> bool {
        self.recorder.exceed(what);
        let bit = 1 << what as u16;
        let told = self.has_told_of.replace(self.has_told_of.get() | bit);
        told & bit == 0
    }

    /// Numbers a set of tags.
    pub(super) fn scope(&self, tags: &Tags) -> u32 {
        self.names.borrow_mut().scope(tags)
    }

    /// Numbers a group inside another.
    pub(super) fn group(&self, outer: u32, name: &str) -> u32 {
        self.names.borrow_mut().group(outer, name)
    }

    /// Numbers a check.
    pub(super) fn check(&self, name: &str) -> u32 {
        self.names.borrow_mut().check(name)
    }

    /// Records a check; returns whether it was declared.
    pub(super) fn add_check(&self, scope: u32, group: u32, check: u32, ok: bool) -> bool {
        let known = self.series.borrow().checks.get(&(scope, group, check)).copied();
        let series = if let Some(series) = known {
            series
        } else {
            let Some(name) = self.names.borrow().check_name(check) else { return false };
            let tags = self.base(scope, group).with(self.system.has("check").then_some(("check", &*name)));
            let series = self.new_series(builtin::CHECKS, &tags);
            let all = &mut *self.series.borrow_mut();
            all.make_room(0);
            all.checks.insert((scope, group, check), series);
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
            (series.looking_up, milliseconds(timings.opening.looking_up)),
            (series.connecting, milliseconds(timings.opening.connecting)),
            (series.tls_handshaking, milliseconds(timings.opening.tls_handshaking)),
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
        let tags = {
            let names = &mut *self.names.borrow_mut();
            let host = names.value("host", host);
            self.base_of(names, scope, group).with([("host", host)])
        };
        self.recorder.add(self.new_series(builtin::POLICY_DENIED, &tags), 1.0);
    }

    fn in_group(&self, metric: MetricId, scope: u32, group: u32) -> SeriesId {
        if let Some(&series) = self.series.borrow().grouped.get(&(metric, scope, group)) {
            return series;
        }
        let series = self.new_series(metric, &self.base(scope, group));
        let all = &mut *self.series.borrow_mut();
        all.make_room(0);
        all.grouped.insert((metric, scope, group), series);
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
        let tags = self.base(scope, group).with(self.names.borrow_mut().tags(tags));
        let id = self.new_series(metric, &tags);
        if series.make_room(length(pairs())) {
            let tags = owned(pairs());
            series.tagged.entry(hash).or_default().push(Tagged { metric, scope, group, tags, series: id });
        }
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
        let texts = [label.method, label.url, label.name.unwrap_or_default(), error.as_deref().unwrap_or_default()];
        if !series.make_room(texts.map(str::len).iter().sum::<usize>() + length(pairs())) {
            return ids;
        }
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
        let names = &mut *self.names.borrow_mut();
        let name = names.value("name", label.name.unwrap_or(label.url));
        let method = names.value("method", label.method);
        let error = error.map(|text| names.value("error", text));
        let tags = names.tags(label.tags);
        let (status, code) = (status.to_string(), error_code.to_string());
        let ip = peer.remote.map(|remote| remote.ip().to_string());
        let mut all = vec![
            ("proto", peer.protocol.as_str()),
            ("status", &status),
            ("method", method),
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
        let base = self.base_of(names, label.scope, label.group);
        let tags = base.with(all).with(tags);
        let series = |metric| self.new_series(metric, &tags);
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
            bytes_sent: self.new_series(builtin::DATA_SENT, &base),
            bytes_received: self.new_series(builtin::DATA_RECEIVED, &base),
        }
    }

    /// The number of a series that is new here. Every tag of a journey's comes by.
    fn new_series(&self, metric: MetricId, tags: &Tags) -> SeriesId {
        match &self.redactor {
            None => self.recorder.series(metric, tags),
            Some(redactor) => {
                // A character has four bytes at most, so what was cut is as long as this.
                let is_cut = |text: &str| text.len() + 3 >= self.longest;
                let text = |text| if is_cut(text) { redactor.cut_text(text) } else { redactor.text(text) };
                let redacted = tags.iter().map(|(name, value)| (text(name), text(value)));
                self.recorder.series(metric, &redacted.collect())
            }
        }
    }

    /// The scope's tags and the group's.
    fn base(&self, scope: u32, group: u32) -> Tags {
        self.base_of(&self.names.borrow(), scope, group)
    }

    fn base_of(&self, names: &Names, scope: u32, group: u32) -> Tags {
        let path = names.group_path(group);
        names.scope_tags(scope).with(self.system.has("group").then_some(("group", path)))
    }
}

impl Series {
    /// Makes room for one more combination with so many bytes of names and values; returns whether it is to be kept.
    fn make_room(&mut self, bytes: usize) -> bool {
        if bytes > LARGEST_KEPT {
            return false;
        }
        if self.kept >= KEPT || self.kept_bytes + bytes > KEPT_BYTES {
            *self = Self::default();
        }
        self.kept += 1;
        self.kept_bytes += bytes;
        true
    }
}

/// Status, k6's error code (0 for none) and the words for it.
fn outcome(exchange: &Exchange) -> (u16, u16, Option<&crate::protocol::Error>) {
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

fn length<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
    pairs.map(|(name, value)| name.len() + value.len()).sum()
}
