//! From a URL's host to a socket: where it is, its addresses, a connection, a proxy in between.
//!
//! [`Dialler`] hides all of that; the plan says how it goes. What is looked up is kept per worker thread.

mod connect;
mod hosts;
mod local;
mod names;
mod proxy;
mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

pub(super) use proxy::Via;
pub(super) use socket::Socket;

use super::{Error, Progress, Target, apart};
use crate::plan::Http;
use crate::plan::http::{Place, ProxyKind, Version};
use connect::Candidates;
use hosts::Hosts;
use local::Locals;
use names::Names;
use proxy::Proxy;

/// Opens the connections of a worker thread.
#[derive(Debug)]
pub(super) struct Dialler {
    settings: Arc<Http>,
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
    pub(super) fn new(settings: &Arc<Http>) -> Self {
        Self {
            names: Names::new(&settings.dns),
            hosts: Hosts::new(&settings.hosts),
            locals: Locals::new(&settings.local_ips),
            proxy: settings.proxy.as_ref().map(|proxy| Box::new(Proxy::new(proxy))),
            settings: Arc::clone(settings),
        }
    }

    /// Opens a connection for a VU to where a target is; writes down how long each phase took.
    pub(super) async fn dial(&self, target: &Target, vu: u32, progress: &mut Progress) -> Result<Dialled, Error> {
        let place = self.hosts.place(target.host(), target.port());
        if let Some(Place::Socket(path)) = place {
            let _phase = Phase::start(&mut progress.timings.connecting);
            return Ok(Dialled { socket: Socket::open(path).await?, remote: None, via: None });
        }
        // Whoever says where a host is wants to go there.
        if place.is_none()
            && let Some(proxy) = &self.proxy
            && !proxy.is_bypassed(target.host())
        {
            return apart(|| self.through(proxy, target, vu, progress)).await;
        }
        let (stream, remote) = self.open(target.host(), target.port(), vu, progress).await?;
        Ok(Dialled { socket: Socket::Tcp(stream), remote: Some(remote), via: None })
    }

    /// Opens a TCP connection to a host.
    async fn open(
        &self,
        host: &str,
        port: u16,
        vu: u32,
        progress: &mut Progress,
    ) -> Result<(TcpStream, SocketAddr), Error> {
        let candidates = if let Some(candidates) = self.without_asking(host, port) {
            candidates
        } else {
            let _phase = Phase::start(&mut progress.timings.looking_up);
            apart(|| self.names.ask(host, port)).await?
        };
        let _phase = Phase::start(&mut progress.timings.connecting);
        connect::connect(candidates, &self.locals, vu).await
    }

    /// The addresses of a host that nobody needs to be asked for.
    fn without_asking(&self, host: &str, port: u16) -> Option<Candidates> {
        if let Some(&Place::Address(address, other)) = self.hosts.place(host, port) {
            return Some(Candidates::one(SocketAddr::new(address, other.unwrap_or(port))));
        }
        match host.parse::<IpAddr>() {
            Ok(address) => Some(Candidates::one(SocketAddr::new(address, port))),
            Err(_) => self.names.known(host, port),
        }
    }

    /// Opens a connection to a proxy, and through it to the target where the proxy only passes bytes on.
    async fn through(
        &self,
        proxy: &Proxy,
        target: &Target,
        vu: u32,
        progress: &mut Progress,
    ) -> Result<Dialled, Error> {
        let (mut stream, remote) =
            self.open(proxy.host(), proxy.port(), vu, progress).await.map_err(|error| proxy.out_of_reach(error))?;
        // The target is not connected before the proxy says so.
        let _phase = Phase::start(&mut progress.timings.connecting);
        // HTTP/2 without TLS cannot be told a whole URL, so it needs a tunnel too.
        let tunnel = target.is_tls() || self.settings.version == Version::Http2;
        let via = match proxy.kind() {
            ProxyKind::Http if tunnel => {
                proxy.tunnel(&mut stream, target, &self.settings.user_agent).await?;
                None
            }
            ProxyKind::Http => Some(proxy.via()),
            ProxyKind::Socks5 => {
                stream = proxy.socks(stream, target).await?;
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
