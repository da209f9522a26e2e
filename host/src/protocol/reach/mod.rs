//! Whom a guest may reach that brings sockets of its own: names are looked up and addresses let pass as for every other
//! connection, and the socket is somebody else's.
//!
//! Such a guest asks where a name is and then connects to an address. The policy speaks of names, so what was looked up is
//! remembered: an address is the name's for which it was the answer, or else nothing but an address.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use send_wrapper::SendWrapper;

use super::connector::{Connector, Network};
use super::door::Candidates;
use super::places::{Place, Places};
use super::{Error, apart};
use crate::plan::{Destination, Reason, Scheme, Source, canonical_host};

/// The addresses whose names are remembered. Who looks up more has the first ones forgotten.
const KEPT_ADDRESSES: usize = 256;
/// The names of one address that are remembered.
const KEPT_NAMES: usize = 16;

/// Whom one guest may reach.
#[derive(Debug, Clone)]
pub struct Reach(SendWrapper<Rc<Inner>>);

#[derive(Debug)]
struct Inner {
    network: Rc<Network>,
    vu: u32,
    places: Arc<Places>,
    /// The names for which an address was the answer.
    names: RefCell<HashMap<IpAddr, Vec<Box<str>>>>,
}

/// A way that is open: where it leads, where it is to begin, and its place among the connections, to be kept as long as the
/// socket.
#[derive(Debug)]
pub struct Way {
    /// Where it leads, which may be elsewhere than was asked for (`hosts`).
    pub to: SocketAddr,
    /// The address to connect from, if it is not the system's to choose (`local-ips`).
    pub from: Option<SocketAddr>,
    /// What the policy knows it by.
    pub name: String,
    #[expect(dead_code, reason = "it is given back when this is dropped")]
    place: Option<Place>,
}

impl Reach {
    pub(super) fn new(network: &Rc<Network>, vu: u32, places: &Arc<Places>) -> Self {
        let (network, places) = (Rc::clone(network), Arc::clone(places));
        Self(SendWrapper::new(Rc::new(Inner { network, vu, places, names: RefCell::default() })))
    }

    /// Looks a name up, if any policy for sockets lets it be asked for.
    pub fn look_up(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, Error>> + 'static {
        let inner = Rc::clone(&self.0);
        let host =
            canonical_host(name).ok_or_else(|| Error::NoSuchHost(format!("`{}` is no name", name.escape_debug())));
        async move {
            let host = host?;
            if let Ok(address) = host.parse() {
                return Ok(vec![address]);
            }
            let dialler = inner.network.dialler();
            dialler.door().ask_name(&host)?;
            let addresses = apart(|| dialler.addresses(&host)).await?;
            inner.remember(&host, &addresses);
            Ok(addresses)
        }
    }

    /// Opens a way to an address: takes a place, and asks the policy.
    pub fn way(&self, scheme: Scheme, to: SocketAddr) -> Result<Way, Error> {
        let place = self.0.places.take()?;
        Ok(Way { place: Some(place), ..self.admit(scheme, to)? })
    }

    /// Takes a place for a socket that may lead to several, each of which is asked for by itself.
    pub fn open_way(&self) -> Result<Way, Error> {
        let place = self.0.places.take()?;
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Ok(Way { to: nowhere, from: None, name: "udp".to_owned(), place: Some(place) })
    }

    /// Whether an address may be reached, by the name for which it was the answer or for itself. Takes no place.
    pub fn admit(&self, scheme: Scheme, to: SocketAddr) -> Result<Way, Error> {
        let address = to.ip().to_canonical();
        let names = self.0.names.borrow().get(&address).cloned().unwrap_or_default();
        for name in &names {
            match self.pass(Destination { scheme, host: name, port: to.port() }, Some(to)) {
                // A name that is denied stays so, whatever else leads there.
                Err(Error::NotAllowed(refusal)) if !matches!(refusal.reason, Reason::NameDenied(_)) => {}
                decided => return decided,
            }
        }
        let host = address.to_string();
        self.pass(Destination { scheme, host: &host, port: to.port() }, None).map_err(|error| match names.last() {
            // It was asked for by a name, and so it is told.
            Some(name) if matches!(error, Error::NotAllowed(_)) => {
                let to_it = Destination { scheme, host: name, port: to.port() };
                self.pass(to_it, Some(to)).err().unwrap_or(error)
            }
            _ => error,
        })
    }

    /// Lets a destination pass whose address is known: from DNS, or because it is what was asked for.
    fn pass(&self, to: Destination<'_>, found: Option<SocketAddr>) -> Result<Way, Error> {
        let dialler = self.0.network.dialler();
        dialler.door().ask(&to)?;
        let written = dialler.written(to.host, to.port)?;
        dialler.past_proxy(to.host)?;
        let candidates = match (written, found) {
            (Some(at), _) => Candidates::written(at),
            (None, Some(found)) => Candidates { first: found, rest: Vec::new(), source: Source::Names },
            (None, None) => return Err(Error::NoSuchHost(format!("`{}` is no address", to.host))),
        };
        let (at, _) = dialler.door().admit(&to, candidates)?.into_parts();
        Ok(Way { to: at, from: dialler.local(self.0.vu, at)?, name: to.to_string(), place: None })
    }
}

impl Inner {
    fn remember(&self, host: &str, addresses: &[IpAddr]) {
        let known = &mut *self.names.borrow_mut();
        if known.len() + addresses.len() > KEPT_ADDRESSES {
            known.clear();
        }
        for address in addresses.iter().take(KEPT_ADDRESSES) {
            let names = known.entry(address.to_canonical()).or_default();
            names.retain(|name| **name != *host);
            names.truncate(KEPT_NAMES - 1);
            names.insert(0, Box::from(host));
        }
    }
}

impl Connector {
    /// Whom the VU's guest may reach with sockets of its own.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::new(self.network(), self.vu(), self.places())
    }
}

#[cfg(test)]
mod tests;
