//! One VU's client: its connections, and one exchange after another.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use send_wrapper::SendWrapper;

use super::alternatives::Alternatives;
use super::h1::Decoder;
use super::multiplexed::{self, Slot};
use super::pool::{GivenUp, Idle, Lane, Pool, Turn};
use super::shared::Shared;
use super::{Exchange, Peer, Progress, Protocol, Request, Response, Target, h1, h2};
use crate::plan::http::{Connections, Version};
use crate::protocol::alarm::Alarm;
use crate::protocol::apart;
use crate::protocol::places::Place;
use crate::protocol::{Connector, Error, IdentityError, tls};

/// A response buffer up to this size serves the VU's next exchange.
const KEPT_BUFFER: usize = 4 << 10;
/// How often, and after how long, a VU looks whether a connection of HTTP/2 that it gave up is gone.
const LOOKS: u32 = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Whose client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The VU's number, from 1; 0 for what runs once.
    pub vu: u32,
    /// How its scenario uses connections.
    pub connections: Connections,
}

/// One VU's connections.
#[derive(Debug)]
pub struct Client {
    owner: Owner,
    connector: Connector,
    shared: SendWrapper<Rc<Shared>>,
    // A VU lives on one thread; the wrappers exist because wasmtime wants a store's data to be `Send`.
    connections: SendWrapper<Held>,
    spare: SendWrapper<RefCell<Vec<u8>>>,
    alarm: Alarm,
    alternatives: SendWrapper<Alternatives>,
}

/// Whose connections a VU uses.
#[derive(Debug)]
enum Held {
    /// Its own.
    Own(Pool),
    /// Those of its group.
    Shared(Rc<Pool>),
}

/// Which way a request goes when no idle connection takes it.
pub(super) enum Way {
    /// On a connection of its own.
    Alone(Idle),
    /// On a stream among others.
    Stream(Slot),
}

impl Client {
    /// Makes the client of a VU of this scenario.
    #[must_use]
    pub fn new(shared: &Rc<Shared>, owner: Owner, scenario: &str) -> Self {
        let held = match owner.connections {
            Connections::Shared(members) => Held::Shared(shared.pool(scenario, owner.vu, members)),
            _ => Held::Own(Pool::default()),
        };
        Self {
            owner,
            connector: Connector::new(shared.network(), owner.vu),
            shared: SendWrapper::new(Rc::clone(shared)),
            connections: SendWrapper::new(held),
            spare: SendWrapper::new(RefCell::default()),
            alarm: Alarm::default(),
            alternatives: SendWrapper::new(Alternatives::default()),
        }
    }

    /// What the worker's clients share.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whose client it is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// How its VU opens connections, for other protocols.
    #[must_use]
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Closes all connections.
    pub fn close_all(&self) {
        self.pool().close_all();
    }

    /// Shows this certificate, PEM as its key is, to servers that ask for one and whose host is one of `domains`; to all
    /// where there are none. Closes connections that were opened without it.
    pub fn use_certificate(
        &self,
        certificate: &str,
        key: &str,
        password: Option<&str>,
        domains: &[String],
    ) -> Result<(), IdentityError> {
        if let Held::Shared(_) = *self.connections {
            return Err(IdentityError::Shared);
        }
        self.connector.own().add(certificate, key, password, domains)?;
        self.close_all();
        Ok(())
    }

    /// Forgets the certificates of `use_certificate` and closes the connections that were opened with them.
    pub fn clear_certificates(&self) {
        if self.connector.own().has_identities() {
            self.connector.own().clear();
            self.close_all();
        }
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
        // Pinned here: a future given away is one more copy of it in the future that takes it.
        let result = self.alarm.bound(deadline, pin!(self.attempt(request, target, &mut progress))).await;
        progress.into_exchange(result.unwrap_or(Err(Error::Timeout)))
    }

    async fn attempt(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
    ) -> Result<Response, Error> {
        let started = Instant::now();
        if let Some(connection) = self.pool().take_idle(target, self.shared.settings().idle_timeout) {
            let received = progress.received;
            // Boxed, because a future is copied into each that awaits it, and there are six of them up to the guest.
            match Box::pin(self.once(connection, request, progress, started)).await {
                // The server closed the connection while it was idle; the request may not even have reached it. It is
                // sent again only where doing it twice is doing it once (RFC 9110, 9.2.2).
                Err(Error::Reset | Error::BrokenPipe) if progress.received == received && request.is_idempotent() => {
                    progress.retried = true;
                }
                result => return result,
            }
        }
        // Boxed, or every request on a kept connection would have to make room for it.
        SendWrapper::new(apart(|| self.afresh(request, target, progress, started))).await
    }

    /// Sends a request where no idle connection of HTTP/1.1 takes it.
    async fn afresh(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Response, Error> {
        if self.may_multiplex(target) {
            // Boxed, so that the frame of who opens a connection for itself does not have room for it.
            return apart(|| self.among_others(request, target, progress, started)).await;
        }
        let connection = self.connect(target, progress, started).await?;
        self.once(connection, request, progress, started).await
    }

    /// Sends a request on a stream among others, and notes where else the server says it is.
    async fn among_others(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Response, Error> {
        let answer = self.by_stream(request, target, progress, started).await?;
        self.learn(target, &answer);
        Ok(answer)
    }

    /// The version of HTTP that is to be spoken: the request's own, or the run's.
    pub(super) fn version(&self, target: &Target) -> Version {
        target.version().unwrap_or(self.shared.settings().version)
    }

    /// Whether HTTP/2 or HTTP/3 may be spoken there.
    pub(super) fn may_multiplex(&self, target: &Target) -> bool {
        match self.version(target) {
            Version::Http1 => false,
            Version::Http2 | Version::Http3 => true,
            Version::Auto | Version::AltSvc => target.is_tls(),
        }
    }

    pub(super) fn alternatives(&self) -> &Alternatives {
        &self.alternatives
    }

    /// Whether connections serve more than one request.
    pub(super) fn keeps_connections(&self) -> bool {
        self.owner.connections != Connections::PerRequest
    }

    /// Whether another connection is opened where the server allows no more streams.
    pub(super) fn may_grow(&self) -> bool {
        matches!(self.owner.connections, Connections::Shared(_))
    }

    /// Opens a connection within the time there is for that.
    pub(super) async fn connect(
        &self,
        target: &Arc<Target>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Idle, Error> {
        let limit = progress.patience.connect.unwrap_or(self.shared.settings().connect_timeout);
        let opened = tokio::time::timeout(limit, self.open(target, progress)).await.unwrap_or(Err(Error::DialTimeout));
        if opened.is_err() {
            progress.timings.blocked = started.elapsed();
        }
        opened
    }

    /// Connects to a target, shakes hands, and finds out which HTTP is spoken there: HTTP/2 only where
    /// [`may_multiplex`](Self::may_multiplex) says so.
    async fn open(&self, target: &Arc<Target>, progress: &mut Progress) -> Result<Idle, Error> {
        let place = match self.connector.place() {
            Ok(place) => place,
            Err(_) => apart(|| self.make_place()).await?,
        };
        let opening = &mut progress.timings.opening;
        let offered = match target.version() {
            Some(Version::Http1) => tls::Alpn::Http1,
            Some(Version::Http2) => tls::Alpn::Http2,
            _ => tls::Alpn::Http,
        };
        let security = target.is_tls().then_some(offered);
        let opened = self.connector.open(place, &target.destination(), security, opening).await?;
        let is_http2 = match &opened.tls {
            Some(agreed) => agreed.is_http2,
            None => self.version(target) == Version::Http2,
        };
        if is_http2 && opened.via.is_some() {
            // A run that speaks it to all has tunnels.
            let message = "one request alone cannot speak HTTP/2 without TLS through a proxy: set `httpVersion`";
            return Err(Error::InvalidRequest(message.to_owned()));
        }
        let peer = Peer {
            remote: opened.remote,
            protocol: if is_http2 { Protocol::Http2 } else { Protocol::Http1 },
            tls_version: opened.tls.map(|agreed| agreed.version),
            tls_cipher: opened.tls.and_then(|agreed| agreed.cipher),
            reused: false,
        };
        let http = h1::Connection::new(opened.stream, opened.via, opened.place);
        Ok(Idle { target: Arc::clone(target), peer, since: Instant::now(), http })
    }

    /// Takes a place where there is none, by giving up connections that lie idle.
    pub(super) async fn make_place(&self) -> Result<Place, Error> {
        let mut looks = 0;
        loop {
            let full = match self.connector.place() {
                Ok(place) => return Ok(place),
                Err(full) => full,
            };
            match self.pool().give_up_idle() {
                Some(GivenUp::Closed) => continue,
                Some(GivenUp::Closing) => looks = LOOKS,
                None if looks == 0 => return Err(full),
                None => looks -= 1,
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Sends a request where HTTP/2 or HTTP/3 may be spoken.
    async fn by_stream(
        &self,
        request: &Request<'_>,
        target: &Arc<Target>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Response, Error> {
        loop {
            let slot = match self.way(target, progress, started).await? {
                Way::Alone(connection) => return self.once(connection, request, progress, started).await,
                Way::Stream(slot) => slot,
            };
            progress.timings.blocked = started.elapsed();
            let spare = std::mem::take(&mut *self.spare.borrow_mut());
            let failure = match slot.exchange(self.shared.settings(), request, spare, progress).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if progress.retried || !failure.may_be_repeated(request, progress) {
                return Err(failure.error);
            }
            progress.retried = true;
        }
    }

    /// Finds the way for a request where HTTP/2 or HTTP/3 may be spoken: a stream, or a new connection.
    pub(super) async fn way(
        &self,
        target: &Arc<Target>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Way, Error> {
        // Boxed, so that one version does not make room for the other.
        match apart(|| self.way_by_quic(target, progress, started)).await {
            None => self.way_by_tcp(target, progress, started).await,
            Some(found) => found,
        }
    }

    async fn way_by_tcp(&self, target: &Arc<Target>, progress: &mut Progress, started: Instant) -> Result<Way, Error> {
        let is_kept = self.keeps_connections();
        let lane = Lane { target, is_http3: false };
        let opening = if is_kept && !self.shared.speaks_http1(target) {
            match self.pool().turn(lane, self.may_grow(), self.shared.settings().idle_timeout).await? {
                Turn::Stream(slot) => return Ok(Way::Stream(slot)),
                Turn::Open(opening) => Some(opening),
            }
        } else {
            None
        };
        let opened = async {
            let opened = self.connect(target, progress, started).await?;
            let (settings, peer) = (self.shared.settings(), opened.peer);
            Ok(match peer.protocol {
                Protocol::Http1 => Err(opened),
                Protocol::Http2 | Protocol::Http3 => {
                    let (stream, place) = opened.http.into_parts();
                    Ok(multiplexed::Connection::Http2(h2::Connection::open(stream, place, settings, peer).await?))
                }
            })
        };
        match (opened.await, opening) {
            (Ok(Ok(connection)), opening) => {
                let slot = connection.slot().ok_or_else(h2::unspoken)?;
                match opening {
                    Some(opening) => opening.succeed(connection),
                    None if is_kept => {
                        self.shared.forget_http1(target);
                        self.pool().put(lane, connection);
                    }
                    None => {}
                }
                Ok(Way::Stream(slot))
            }
            (Ok(Err(connection)), _) => {
                // Whoever waited opens one for itself.
                self.shared.note_http1(target);
                Ok(Way::Alone(connection))
            }
            (Err(error), opening) => {
                if let Some(opening) = opening {
                    opening.fail(&error);
                }
                Err(error)
            }
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would hold the connection twice, as its argument and as what it became"
    )]
    fn once(
        &self,
        mut connection: Idle,
        request: &Request<'_>,
        progress: &mut Progress,
        started: Instant,
    ) -> impl Future<Output = Result<Response, Error>> {
        async move {
            let settings = self.shared.settings();
            progress.peer = connection.peer;
            // A kept connection was there at once; the clock is asked again only for one that had to be opened.
            let ready = if connection.peer.reused { started } else { Instant::now() };
            progress.timings.blocked = ready - started;
            progress.first_byte = None;
            let spare = std::mem::take(&mut *self.spare.borrow_mut());
            let mut decoder = Decoder::new(request.method, settings.max_body, request.keep_body, spare);
            connection.http.send(settings, request, &mut decoder, progress).await?;
            let sent = Instant::now();
            progress.timings.sending = sent - ready;
            connection.http.receive(&mut decoder, settings.read_timeout, progress).await?;
            let ended = Instant::now();
            // An answer that began before the request was written was not waited for.
            let first = progress.first_byte.map_or(sent, |first| first.max(sent));
            progress.timings.waiting = first - sent;
            progress.timings.receiving = ended - first;
            self.keep(connection, decoder.is_reusable(), ended);
            Ok(decoder.into_response())
        }
    }

    /// Keeps a connection for the next request, if it may have one.
    pub(super) fn keep(&self, mut connection: Idle, is_reusable: bool, ended: Instant) {
        if is_reusable && self.owner.connections != Connections::PerRequest {
            connection.peer.reused = true;
            connection.since = ended;
            self.pool().put_idle(connection);
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        match &*self.connections {
            Held::Own(pool) => pool,
            Held::Shared(pool) => pool,
        }
    }
}
