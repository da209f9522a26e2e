//! From a destination to a socket: where it is, its addresses, a connection, a proxy in between.
//!
//! [`Dialler`] hides all of that; the plan says how it goes, and the [`Door`] whether. Nothing of it is about HTTP but the
//! words in which a proxy is asked. What is looked up is kept per worker thread.

mod connect;
mod datagrams;
mod hosts;
mod local;
mod names;
mod proxy;
mod socket;
mod ways;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

pub(super) use datagrams::Datagrams;
pub(super) use proxy::Via;
pub(super) use socket::Socket;

use super::{Error, Opening, apart};
use crate::plan::http::{Place, ProxyKind, Version};
use crate::plan::{Destination, Http, Scheme};
use crate::protocol::door::{Candidates, Door};
use hosts::Hosts;
use local::Locals;
use names::Names;
use proxy::Proxy;

/// Opens the connections of a worker thread.
#[derive(Debug)]
pub(super) struct Dialler {
    settings: Arc<Http>,
    door: Door,
    names: Names,
    hosts: Hosts,
    locals: Locals,
    proxy: Option<Box<Proxy>>,
}

/// What dialling came to.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) socket: Socket,
    /// The address of the other side, where it has one: of the target, or of its proxy.
    pub(super) remote: Option<SocketAddr>,
    /// The proxy that wants to see whole URLs, if there is one.
    pub(super) via: Option<Arc<Via>>,
}

/// Writes down how long a phase took when it ends, however it ends: a deadline that drops the phase shows where the
/// time went.
struct Phase<'a> {
    started: Instant,
    took: &'a mut Duration,
}

impl Dialler {
    pub(super) fn new(settings: &Arc<Http>, door: Door) -> Self {
        Self {
            door,
            names: Names::new(&settings.dns),
            hosts: Hosts::new(&settings.hosts),
            locals: Locals::new(&settings.local_ips),
            proxy: settings.proxy.as_ref().map(|proxy| Box::new(Proxy::new(proxy))),
            settings: Arc::clone(settings),
        }
    }

    /// Opens a connection for a VU to a destination; writes down how long each phase took.
    pub(super) async fn dial(&self, to: &Destination<'_>, vu: u32, opening: &mut Opening) -> Result<Dialled, Error> {
        self.door.ask(to)?;
        let place = self.hosts.place(to.host, to.port);
        // Only whoever runs the journey can have chosen a socket.
        if let Some(Place::Socket(path)) = place {
            let _phase = Phase::start(&mut opening.connecting);
            return Ok(Dialled { socket: Socket::open(path).await?, remote: None, via: None });
        }
        // Whoever says where a host is wants to go there.
        if place.is_none()
            && let Some(proxy) = &self.proxy
            && !proxy.is_bypassed(to.host)
        {
            return apart(|| self.through(proxy, to, vu, opening)).await;
        }
        let (stream, remote) = self.open(to, vu, opening).await?;
        Ok(Dialled { socket: Socket::Tcp(stream), remote: Some(remote), via: None })
    }

    /// Opens a TCP connection to a host that may be asked for.
    async fn open(
        &self,
        to: &Destination<'_>,
        vu: u32,
        opening: &mut Opening,
    ) -> Result<(TcpStream, SocketAddr), Error> {
        let candidates = self.look_up(to, opening).await?;
        // Also of a name that is known already: what is kept is what DNS said, not what may be done with it.
        let admitted = self.door.admit(to, candidates)?;
        let _phase = Phase::start(&mut opening.connecting);
        connect::connect(admitted, &self.locals, vu).await
    }

    /// Binds a UDP socket for a VU to send to a destination; writes down how long it took to look it up. No proxy takes
    /// datagrams, and going past one that the run is to use would be a surprise.
    pub(super) async fn datagrams(
        &self,
        to: &Destination<'_>,
        vu: u32,
        opening: &mut Opening,
    ) -> Result<Datagrams, Error> {
        self.door.ask(to)?;
        match self.hosts.place(to.host, to.port) {
            Some(Place::Socket(path)) => {
                let path = path.display();
                return Err(Error::Dial(format!("`{path}` is a Unix socket, and datagrams go to addresses only")));
            }
            None if self.proxy.as_ref().is_some_and(|proxy| !proxy.is_bypassed(to.host)) => {
                let host = to.host;
                return Err(Error::Proxy(format!("no datagrams go through a proxy; name `{host}` in `no-proxy`")));
            }
            Some(Place::Address(..)) | None => {}
        }
        let candidates = self.look_up(to, opening).await?;
        Datagrams::bind(self.door.admit(to, candidates)?, &self.locals, vu)
    }

    /// The addresses of a host, asked for if they have to be.
    async fn look_up(&self, to: &Destination<'_>, opening: &mut Opening) -> Result<Candidates, Error> {
        if let Some(candidates) = self.without_asking(to.host, to.port) {
            return Ok(candidates);
        }
        let _phase = Phase::start(&mut opening.looking_up);
        apart(|| self.names.ask(to.host, to.port)).await
    }

    /// The addresses of a host that nobody needs to be asked for.
    fn without_asking(&self, host: &str, port: u16) -> Option<Candidates> {
        if let Some(&Place::Address(address, other)) = self.hosts.place(host, port) {
            return Some(Candidates::written(SocketAddr::new(address, other.unwrap_or(port))));
        }
        match host.parse::<IpAddr>() {
            Ok(address) => Some(Candidates::written(SocketAddr::new(address, port))),
            Err(_) => self.names.known(host, port),
        }
    }

    /// Opens a connection to a proxy, and through it to the target where the proxy only passes bytes on. Which address
    /// the target has is the proxy's to find out, so nobody checks it here.
    async fn through(
        &self,
        proxy: &Proxy,
        to: &Destination<'_>,
        vu: u32,
        opening: &mut Opening,
    ) -> Result<Dialled, Error> {
        let gate = proxy.destination();
        self.door.ask(&gate)?;
        let (mut stream, remote) = self.open(&gate, vu, opening).await.map_err(|error| proxy.out_of_reach(error))?;
        // The target is not connected before the proxy says so.
        let _phase = Phase::start(&mut opening.connecting);
        // Only HTTP/1.1 without TLS can be told a whole URL; all else needs a tunnel.
        let tunnel = to.scheme != Scheme::Http || self.settings.version == Version::Http2;
        let via = match proxy.kind() {
            ProxyKind::Http if tunnel => {
                proxy.tunnel(&mut stream, to, &self.settings.user_agent).await?;
                None
            }
            ProxyKind::Http => Some(proxy.via()),
            ProxyKind::Socks5 => {
                stream = proxy.socks(stream, to).await?;
                None
            }
        };
        Ok(Dialled { socket: Socket::Tcp(stream), remote: Some(remote), via })
    }
}

impl<'a> Phase<'a> {
    fn start(took: &'a mut Duration) -> Self {
        Self { started: Instant::now(), took }
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        // A phase may have two parts: the way to a proxy, and the way on from there.
        *self.took += self.started.elapsed();
    }
}
