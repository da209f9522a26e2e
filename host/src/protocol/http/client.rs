//! One VU's client: its connections, and one exchange after another.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use send_wrapper::SendWrapper;

use super::h1::Decoder;
use super::shared::Shared;
use super::stream::Stream;
use super::{Error, Exchange, Peer, Progress, Protocol, Request, Response, Target, h1, tls};
use crate::plan::http::Connections;

/// A response buffer up to this size serves the VU's next exchange.
const KEPT_BUFFER: usize = 4 << 10;

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
    shared: SendWrapper<Rc<Shared>>,
    // A VU lives on one thread; the wrappers exist because wasmtime wants a store's data to be `Send`.
    idle: SendWrapper<RefCell<Vec<Connection>>>,
    spare: SendWrapper<RefCell<Vec<u8>>>,
}

/// An open connection to one origin.
#[derive(Debug)]
struct Connection {
    target: Arc<Target>,
    peer: Peer,
    /// When its last exchange ended.
    idle_since: Instant,
    http: h1::Connection,
}

impl Client {
    /// Makes a VU's client.
    #[must_use]
    pub fn new(shared: &Rc<Shared>, owner: Owner) -> Self {
        Self {
            owner,
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
        let Progress { timings, sent, received, peer, retried } = progress;
        Exchange { result, timings, sent, received, peer, retried }
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
                Err(Error::Reset | Error::BrokenPipe) if progress.received == received && request.is_idempotent() => {
                    progress.retried = true;
                }
                result => return result,
            }
        }
        let limit = self.shared.settings().connect_timeout;
        let opened = tokio::time::timeout(limit, self.open(target, progress)).await.unwrap_or(Err(Error::DialTimeout));
        if opened.is_err() {
            progress.timings.blocked = started.elapsed();
        }
        self.once(opened?, request, progress, started).await
    }

    /// Connects to a target and shakes hands.
    async fn open(&self, target: &Arc<Target>, progress: &mut Progress) -> Result<Connection, Error> {
        let dialled = self.shared.dialler().dial(target, self.owner.vu, progress).await?;
        let mut peer = Peer { remote: dialled.remote, protocol: Protocol::Http1, ..Peer::default() };
        let stream = if target.is_tls() {
            let started = Instant::now();
            let stream = self.shared.tls().connect(target.host(), dialled.socket).await?;
            progress.timings.tls_handshaking = started.elapsed();
            peer.tls_version = Some(tls::version(&stream));
            Stream::Tls(Box::new(stream))
        } else {
            Stream::Plain(dialled.socket)
        };
        let http = h1::Connection::new(stream, dialled.via);
        Ok(Connection { target: Arc::clone(target), peer, idle_since: Instant::now(), http })
    }

    async fn once(
        &self,
        mut connection: Connection,
        request: &Request<'_>,
        progress: &mut Progress,
        started: Instant,
    ) -> Result<Response, Error> {
        let settings = self.shared.settings();
        progress.peer = connection.peer;
        let ready = Instant::now();
        progress.timings.blocked = ready - started;
        progress.sent += connection.http.send(settings, request).await?;
        let sent = Instant::now();
        progress.timings.sending = sent - ready;
        let spare = std::mem::take(&mut *self.spare.borrow_mut());
        let mut decoder = Decoder::new(request.method, settings.max_body, !settings.discard_bodies, spare);
        let first = connection.http.receive(&mut decoder, settings.read_timeout, progress).await?;
        let ended = Instant::now();
        progress.timings.waiting = first - sent;
        progress.timings.receiving = ended - first;
        if decoder.is_reusable() && self.owner.connections != Connections::PerRequest {
            connection.peer.reused = true;
            connection.idle_since = ended;
            self.idle.borrow_mut().push(connection);
        }
        let (status, body_length, has_cookies) = (decoder.status(), decoder.body_length(), decoder.has_cookies());
        let (raw, head_length) = decoder.into_raw();
        Ok(Response { status, body_length, has_cookies, raw, head_length })
    }

    /// Takes a connection that leads where the request goes; drops those that were closed meanwhile, or lay idle for
    /// too long.
    fn take_idle(&self, target: &Arc<Target>) -> Option<Connection> {
        let limit = self.shared.settings().idle_timeout;
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|connection| connection.leads_to(target))?;
            let connection = idle.swap_remove(at);
            if connection.http.is_open() && limit.is_none_or(|limit| connection.idle_since.elapsed() < limit) {
                return Some(connection);
            }
        }
    }
}

impl Connection {
    /// Whether the connection leads where a request goes.
    fn leads_to(&self, target: &Arc<Target>) -> bool {
        Arc::ptr_eq(&self.target, target) || self.target.same_origin(target)
    }
}
