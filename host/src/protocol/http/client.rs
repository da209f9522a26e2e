//! One VU's client: its connections, and one exchange after another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use send_wrapper::SendWrapper;

use super::connect::Connection;
use super::decode::{Decoder, MAX_HEADERS};
use super::tls::Tls;
use super::{Error, Request, Settings, Target};

/// How many parsed URLs a worker keeps. Journeys ask for the same few again and again.
const KEPT_TARGETS: usize = 1024;
/// A response buffer up to this size serves the VU's next exchange.
const KEPT_BUFFER: usize = 4 << 10;

/// Addresses by name, and when they were looked up.
type Names = HashMap<String, (Vec<IpAddr>, Instant)>;

/// What all clients of a worker thread share.
#[derive(Debug)]
pub struct Shared {
    settings: Settings,
    tls: Tls,
    names: SendWrapper<RefCell<Names>>,
    targets: SendWrapper<RefCell<FxHashMap<Box<str>, Arc<Target>>>>,
}

/// One VU's connections.
#[derive(Debug)]
pub struct Client {
    shared: SendWrapper<Rc<Shared>>,
    // A VU lives on one thread; the wrappers exist because wasmtime wants a store's data to be `Send`.
    idle: SendWrapper<RefCell<Vec<Connection>>>,
    spare: SendWrapper<RefCell<Vec<u8>>>,
}

/// How long each phase of an exchange took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Getting a connection: looking up, connecting and the handshake included.
    pub blocked: Duration,
    /// Resolving the name.
    pub looking_up: Duration,
    /// Opening the TCP connection.
    pub connecting: Duration,
    /// The TLS handshake.
    pub tls_handshaking: Duration,
    /// Writing the request.
    pub sending: Duration,
    /// From the last byte written to the first received.
    pub waiting: Duration,
    /// From the first byte received to the last.
    pub receiving: Duration,
}

impl Timings {
    /// k6's `http_req_duration`.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Bytes of the body as received.
    pub body_length: u64,
    raw: Vec<u8>,
    head_length: usize,
}

impl Response {
    /// The body; empty if it was thrown away.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.raw[self.head_length..]
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.raw.capacity()
    }

    /// The first value of a header, whatever the case of its name. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.parsed(|headers| {
            let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        })
    }

    /// All headers in the order received, names in lower case.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        self.parsed(|headers| {
            let pair = |header: &httparse::Header<'_>| {
                (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
            };
            headers.iter().map(pair).collect()
        })
    }

    /// Parses the head anew: most journeys never ask.
    fn parsed<R>(&self, look: impl FnOnce(&[httparse::Header<'_>]) -> R) -> R {
        let mut headers = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        // The head was parsed once already, so this cannot fail; if it did, there would be no header to show.
        let _ = response.parse(&self.raw[..self.head_length]);
        look(response.headers)
    }
}

/// What an exchange came to. Times and bytes are there also when it failed.
#[derive(Debug)]
pub struct Exchange {
    /// The answer.
    pub result: Result<Response, Error>,
    /// How long each phase took.
    pub timings: Timings,
    /// Bytes written.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
    /// The address that was asked, if it came to that.
    pub remote: Option<SocketAddr>,
    /// The TLS version as k6 tags it.
    pub tls_version: Option<&'static str>,
}

/// What is known of an exchange while it goes on, so that a deadline does not lose it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) timings: Timings,
    pub(super) sent: u64,
    pub(super) received: u64,
    remote: Option<SocketAddr>,
    tls_version: Option<&'static str>,
}

impl Shared {
    /// Makes a worker's part.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let tls = Tls::new(settings.insecure_skip_tls_verify);
        Self {
            settings,
            tls,
            names: SendWrapper::new(RefCell::default()),
            targets: SendWrapper::new(RefCell::default()),
        }
    }

    /// Takes a URL apart, or finds it taken apart already.
    pub fn target(&self, url: &str) -> Result<Arc<Target>, Error> {
        if let Some(target) = self.targets.borrow().get(url) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(url)?);
        let mut targets = self.targets.borrow_mut();
        if targets.len() >= KEPT_TARGETS {
            // A journey with ever new URLs gains nothing from keeping them.
            targets.clear();
        }
        targets.insert(url.into(), Arc::clone(&target));
        Ok(target)
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    pub(super) fn known_addresses(&self, host: &str) -> Option<Vec<IpAddr>> {
        let names = self.names.borrow();
        let (addresses, since) = names.get(host)?;
        (since.elapsed() < self.settings.dns_ttl).then(|| addresses.clone())
    }

    pub(super) fn keep_addresses(&self, host: &str, addresses: Vec<IpAddr>) {
        self.names.borrow_mut().insert(host.to_owned(), (addresses, Instant::now()));
    }
}

impl Client {
    /// Makes a VU's client.
    #[must_use]
    pub fn new(shared: &Rc<Shared>) -> Self {
        Self {
            shared: SendWrapper::new(Rc::clone(shared)),
            idle: SendWrapper::new(RefCell::default()),
            spare: SendWrapper::new(RefCell::default()),
        }
    }

    /// What the worker's clients share.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Closes all connections.
    pub fn close_all(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Takes an answer's buffer back for the next exchange.
    pub fn recycle(&self, response: Response) {
        if response.raw.capacity() <= KEPT_BUFFER {
            *self.spare.borrow_mut() = response.raw;
        }
    }

    /// Sends one request and reads the whole answer, or gives up at the deadline.
    pub async fn exchange(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        deadline: tokio::time::Instant,
    ) -> Exchange {
        let mut progress = Progress::default();
        let attempt = self.attempt(request, target, &mut progress);
        let result = tokio::time::timeout_at(deadline, attempt).await.unwrap_or(Err(Error::Timeout));
        let Progress { timings, sent, received, remote, tls_version } = progress;
        Exchange { result, timings, sent, received, remote, tls_version }
    }

    async fn attempt(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
    ) -> Result<Response, Error> {
        let started = Instant::now();
        if let Some(connection) = self.take_idle(target) {
            let received = progress.received;
            match self.once(connection, request, progress, started).await {
                // The server closed the connection while it was idle; the request may not even have reached it. It is
                // sent again only where doing it twice is doing it once (RFC 9110, 9.2.2).
                Err(Error::Reset) if progress.received == received && request.is_idempotent() => {}
                result => return result,
            }
        }
        let connection = Connection::open(&self.shared, target, progress).await?;
        self.once(connection, request, progress, started).await
    }

    async fn once(
        &self,
        mut connection: Connection,
        request: &Request<'_>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Response, Error> {
        let settings = &self.shared.settings;
        progress.remote = Some(connection.remote);
        progress.tls_version = connection.tls_version();
        let ready = Instant::now();
        progress.timings.blocked = ready - started;
        progress.sent += connection.send(settings, request).await?;
        let sent = Instant::now();
        progress.timings.sending = sent - ready;
        let spare = std::mem::take(&mut *self.spare.borrow_mut());
        let mut decoder = Decoder::new(request.method, settings.max_body, !settings.discard_bodies, spare);
        let first = connection.receive(&mut decoder, progress).await?;
        progress.timings.waiting = first - sent;
        progress.timings.receiving = first.elapsed();
        if decoder.is_reusable() && !settings.no_connection_reuse {
            self.idle.borrow_mut().push(connection);
        }
        let (status, body_length) = (decoder.status(), decoder.body_length());
        let (raw, head_length) = decoder.into_raw();
        Ok(Response { status, body_length, raw, head_length })
    }

    /// Takes a connection that leads where the request goes; drops those that were closed meanwhile.
    fn take_idle(&self, target: &Arc<Target>) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|connection| connection.leads_to(target))?;
            let connection = idle.swap_remove(at);
            if connection.is_open() {
                return Some(connection);
            }
        }
    }
}

impl Exchange {
    /// An exchange that never was, because the request could not be sent.
    #[must_use]
    pub fn refused(error: Error) -> Self {
        Self { result: Err(error), timings: Timings::default(), sent: 0, received: 0, remote: None, tls_version: None }
    }
}
