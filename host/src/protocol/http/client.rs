//! One VU's client: its connections, and one exchange after another.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use send_wrapper::SendWrapper;

use super::h1::Decoder;
use super::shared::Shared;
use super::stream::Stream;
use super::{Error, Exchange, IdentityError, Peer, Progress, Protocol, Request, Response, Target, dial, h1, tls};
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
    tls: tls::Own,
}

/// An open connection to one origin.
#[derive(Debug)]
struct Connection {
    target: Arc<Target>,
    peer: Peer,
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
            tls: tls::Own::default(),
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

    /// Shows this certificate, PEM as its key is, to servers that ask for one and whose host is one of `domains`; to all
    /// where there are none. Closes connections that were opened without it.
    pub fn use_certificate(
        &self,
        certificate: &str,
        key: &str,
        password: Option<&str>,
        domains: &[String],
    ) -> Result<(), IdentityError> {
        self.tls.add(certificate, key, password, domains)?;
        self.close_all();
        Ok(())
    }

    /// Forgets the certificates of `use_certificate` and closes the connections that were opened with them.
    pub fn clear_certificates(&self) {
        if self.tls.has_identities() {
            self.tls.clear();
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
                Err(Error::Reset) if progress.received == received && request.is_idempotent() => {
                    progress.retried = true;
                }
                result => return result,
            }
        }
        let connection = self.open(target, progress).await?;
        self.once(connection, request, progress, started).await
    }

    /// Connects to a target and shakes hands.
    async fn open(&self, target: &Arc<Target>, progress: &mut Progress) -> Result<Connection, Error> {
        let dialled = dial::dial(&self.shared, target, progress).await?;
        let mut peer = Peer { remote: dialled.remote, protocol: Protocol::Http1, ..Peer::default() };
        let stream = if target.is_tls() {
            let started = Instant::now();
            // Boxed, so that requests without TLS do not carry a handshake's state.
            let secured = Box::pin(self.shared.tls().connect(&self.tls, target.host(), dialled.socket)).await?;
            progress.timings.tls_handshaking = started.elapsed();
            peer.protocol = secured.protocol;
            peer.tls_version = Some(secured.version);
            peer.tls_cipher = secured.cipher;
            Stream::Tls(secured.stream)
        } else {
            Stream::Plain(dialled.socket)
        };
        Ok(Connection { target: Arc::clone(target), peer, http: h1::Connection::new(stream) })
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
        let first = connection.http.receive(&mut decoder, progress).await?;
        progress.timings.waiting = first - sent;
        progress.timings.receiving = first.elapsed();
        if decoder.is_reusable() && self.owner.connections != Connections::PerRequest {
            connection.peer.reused = true;
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
            let mut connection = idle.swap_remove(at);
            if connection.http.is_open() {
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
