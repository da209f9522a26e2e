//! What those need to know of the way somewhere who connect by themselves.

use std::net::{IpAddr, SocketAddr};

use super::Dialler;
use crate::plan::http::Place;
use crate::protocol::Error;
use crate::protocol::door::{Candidates, Door};

impl Dialler {
    pub(in super::super) fn door(&self) -> &Door {
        &self.door
    }

    /// The addresses of a name that may be asked for, in the order in which they are to be tried.
    pub(in super::super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        match self.hosts.some_place(host) {
            Some(Place::Socket(path)) => return Err(no_address(path)),
            Some(Place::Address(address, _)) => return Ok(vec![*address]),
            None => {}
        }
        let Candidates { first, rest, .. } = match self.names.known(host, 0) {
            Some(known) => known,
            None => self.names.ask(host, 0).await?,
        };
        Ok(std::iter::once(first).chain(rest).map(|at| at.ip()).collect())
    }

    /// Where a host is by what was written: by `hosts`, or because it is an address.
    pub(in super::super) fn written(&self, host: &str, port: u16) -> Result<Option<SocketAddr>, Error> {
        match self.hosts.place(host, port) {
            Some(Place::Socket(path)) => Err(no_address(path)),
            Some(&Place::Address(address, other)) => Ok(Some(SocketAddr::new(address, other.unwrap_or(port)))),
            None => Ok(host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))),
        }
    }

    /// Returns an error where all else goes through a proxy: going past it would be a surprise.
    pub(in super::super) fn past_proxy(&self, host: &str) -> Result<(), Error> {
        match &self.proxy {
            Some(proxy) if !proxy.is_bypassed(host) => {
                Err(Error::Proxy(format!("a guest's own sockets go through none; name `{host}` in `no-proxy`")))
            }
            _ => Ok(()),
        }
    }

    /// The address that a VU connects from.
    pub(in super::super) fn local(&self, vu: u32, to: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        self.locals.pick(vu, to)
    }
}

fn no_address(path: &std::path::Path) -> Error {
    Error::Dial(format!("`{}` is a Unix socket, and a guest's own sockets go to addresses only", path.display()))
}
