//! How a VU's connections are opened: a place, the door, the dialler, TLS. What is said on them is the protocols' own.
//!
//! [`Network`] is what the VUs of a worker thread share; [`Connector`] is one VU's use of it. Nothing else opens a
//! connection.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use send_wrapper::SendWrapper;

use super::dial::{Datagrams, Dialler, Via};
use super::door::Door;
use super::places::{Place, Places};
use super::stream::Stream;
use super::tls::{self, Alpn, Tls};
use super::{Error, RunPlaces, apart};
use crate::plan::{Destination, Http};

/// What the VUs of a worker thread share to open connections.
#[derive(Debug)]
pub struct Network {
    settings: Arc<Http>,
    tls: Tls,
    dialler: Dialler,
    /// How many connections a VU may have open, and all VUs of the run.
    connections: u32,
    run_places: Arc<RunPlaces>,
}

/// How one VU opens connections.
#[derive(Debug)]
pub struct Connector {
    // A VU lives on one thread; the wrapper exists because wasmtime wants a store's data to be `Send`.
    network: SendWrapper<Rc<Network>>,
    vu: u32,
    places: Arc<Places>,
    own: tls::Own,
}

/// How long the phases of opening a connection took. Each is written down when it ends, however it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opening {
    /// Resolving the name.
    pub looking_up: Duration,
    /// Opening the TCP connection.
    pub connecting: Duration,
    /// The TLS handshake.
    pub tls_handshaking: Duration,
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stream: Stream,
    /// To be kept as long as the stream.
    pub(super) place: Place,
    /// The proxy that wants to see whole URLs, if there is one; only for plain HTTP.
    pub(super) via: Option<Arc<Via>>,
    /// The address of the other side, where it has one: of the target, or of its proxy.
    pub(super) remote: Option<SocketAddr>,
    /// What TLS came to, if there is TLS.
    pub(super) tls: Option<tls::Agreed>,
}

impl Network {
    /// Makes a worker's part. All its connections are opened through the door.
    #[must_use]
    pub fn new(settings: &Arc<Http>, door: Door) -> Self {
        Self {
            tls: Tls::new(settings),
            dialler: Dialler::new(settings, door),
            settings: Arc::clone(settings),
            connections: u32::MAX,
            run_places: Arc::default(),
        }
    }

    /// Lets each VU have so many connections open, and all VUs of the run so many as it has places.
    #[must_use]
    pub fn with_places(self, connections: u32, run_places: Arc<RunPlaces>) -> Self {
        Self { connections, run_places, ..self }
    }

    /// Reads the system's roots of trust now, for a process that will not be able to later.
    pub fn read_system_roots() {
        tls::read_system_roots();
    }

    /// Finds what is wrong with the settings, before anything depends on them.
    pub fn check(settings: &Http) -> Result<(), Error> {
        tls::check(settings)
    }

    pub(super) fn dialler(&self) -> &Dialler {
        &self.dialler
    }

    /// How connections are made.
    #[must_use]
    pub fn settings(&self) -> &Http {
        &self.settings
    }
}

impl Connector {
    /// Makes a VU's part.
    #[must_use]
    pub fn new(network: &Rc<Network>, vu: u32) -> Self {
        Self {
            places: Arc::new(Places::new(network.connections, Arc::clone(&network.run_places))),
            network: SendWrapper::new(Rc::clone(network)),
            vu,
            own: tls::Own::default(),
        }
    }

    pub(super) fn network(&self) -> &Rc<Network> {
        &self.network
    }

    pub(super) fn vu(&self) -> u32 {
        self.vu
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// The VU's own certificates and sessions.
    pub(super) fn own(&self) -> &tls::Own {
        &self.own
    }

    /// How a connection of QUIC to a host is secured.
    pub(super) fn quic(&self, host: &str) -> Result<tls::QuicTerms, Error> {
        self.network.tls.quic(&self.own, host)
    }

    /// Takes a place for one more connection.
    pub(super) fn place(&self) -> Result<Place, Error> {
        self.places.take()
    }

    /// Opens a connection within the time there is for that (`Http::connect_timeout`); with TLS if there is
    /// something to be offered in it.
    pub(super) async fn connect(
        &self,
        to: &Destination<'_>,
        security: Option<Alpn>,
        opening: &mut Opening,
    ) -> Result<Opened, Error> {
        let opened = async { self.open(self.place()?, to, security, opening).await };
        let limit = self.network.settings.connect_timeout;
        tokio::time::timeout(limit, opened).await.unwrap_or(Err(Error::DialTimeout))
    }

    /// Binds a UDP socket that may send to a destination, within the time there is to connect. Like a connection it
    /// takes a place, to be kept as long as the socket.
    pub(super) async fn datagrams(
        &self,
        to: &Destination<'_>,
        opening: &mut Opening,
    ) -> Result<(Datagrams, Place), Error> {
        let place = self.place()?;
        let bound = self.network.dialler.datagrams(to, self.vu, opening);
        let limit = self.network.settings.connect_timeout;
        let bound = tokio::time::timeout(limit, bound).await.unwrap_or(Err(Error::DialTimeout))?;
        Ok((bound, place))
    }

    /// The same, with TLS to whoever has a certificate for this name, wherever the destination is.
    pub(super) async fn connect_to(
        &self,
        name: &str,
        to: &Destination<'_>,
        alpn: Alpn,
        opening: &mut Opening,
    ) -> Result<Opened, Error> {
        let opened = async { self.open_to(name, self.place()?, to, Some(alpn), opening).await };
        let limit = self.network.settings.connect_timeout;
        tokio::time::timeout(limit, opened).await.unwrap_or(Err(Error::DialTimeout))
    }

    /// Opens a connection that has its place, however long it takes.
    pub(super) fn open(
        &self,
        place: Place,
        to: &Destination<'_>,
        security: Option<Alpn>,
        opening: &mut Opening,
    ) -> impl Future<Output = Result<Opened, Error>> {
        self.open_to(to.host, place, to, security, opening)
    }

    async fn open_to(
        &self,
        name: &str,
        place: Place,
        to: &Destination<'_>,
        security: Option<Alpn>,
        opening: &mut Opening,
    ) -> Result<Opened, Error> {
        let dialled = self.network.dialler.dial(to, self.vu, opening).await?;
        let (stream, tls) = if let Some(alpn) = security {
            let started = Instant::now();
            // Boxed, so that connections without TLS do not carry a handshake's state.
            let secured = apart(|| self.network.tls.connect(&self.own, name, dialled.socket, alpn)).await?;
            opening.tls_handshaking = started.elapsed();
            (Stream::Tls(secured.stream), Some(secured.agreed))
        } else {
            (Stream::Plain(dialled.socket), None)
        };
        Ok(Opened { stream, place, via: dialled.via, remote: dialled.remote, tls })
    }
}
