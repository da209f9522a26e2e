//! Ways to servers, and the connections behind them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme as UriScheme};
use send_wrapper::SendWrapper;

use crate::plan::http::Connections;
use crate::plan::{Destination, Scheme};
use crate::protocol::alarm::Alarm;
use crate::protocol::http::{Client, Connection, Lane, Peer, Pool, Protocol, Slot, Target, Turn};
use crate::protocol::tls::Alpn;
use crate::protocol::{Error, Opening, apart};

/// The longest name of a method, or of a server.
const LONGEST: usize = 1 << 10;

/// One VU's ways to servers.
#[derive(Debug)]
pub struct Channels {
    // A VU lives on one thread; the wrapper exists because wasmtime wants a store's data to be `Send`.
    pools: SendWrapper<RefCell<Vec<Named>>>,
    pub(super) alarm: Alarm,
}

/// Connections to servers that are known by this name.
type Named = (Box<str>, Rc<Pool>);

/// A way to a server. Cloning it costs little.
#[derive(Debug, Clone)]
pub struct Channel {
    target: Arc<Target>,
    authority: Authority,
    /// Whose certificate the server must have.
    name: Arc<str>,
    /// `None` where each call has a connection of its own.
    pool: Option<SendWrapper<Rc<Pool>>>,
    may_grow: bool,
}

impl Default for Channels {
    fn default() -> Self {
        Self { pools: SendWrapper::new(RefCell::default()), alarm: Alarm::default() }
    }
}

impl Channels {
    /// Finds the way to `host:port`, in clear or not, to a server that is known as `authority`.
    pub fn channel(
        &self,
        client: &Client,
        scenario: &str,
        address: &str,
        plaintext: bool,
        authority: Option<&str>,
    ) -> Result<Channel, Error> {
        let target = parse(client, address, plaintext)?;
        let authority = authority.unwrap_or(target.authority());
        let wrong = |why: &str| Error::InvalidRequest(format!("`{}` is no authority: {why}", shown(authority)));
        if authority.len() > LONGEST {
            return Err(wrong("it is too long"));
        }
        let parsed = authority.parse::<Authority>().map_err(|error| wrong(&error.to_string()))?;
        let name = parsed.host().trim_start_matches('[').trim_end_matches(']');
        let pool = match client.owner().connections {
            Connections::PerRequest => None,
            Connections::Shared(members) => {
                // No scenario's own connections have a name like this.
                let group = format!("grpc\0{authority}\0{scenario}");
                Some(client.shared().pool(&group, client.owner().vu, members))
            }
            Connections::PerVu | Connections::PerIteration => Some(self.own(authority)),
        };
        Ok(Channel {
            name: Arc::from(name),
            authority: parsed,
            pool: pool.map(SendWrapper::new),
            may_grow: matches!(client.owner().connections, Connections::Shared(_)),
            target,
        })
    }

    /// The VU's own connections to servers known by this name.
    fn own(&self, authority: &str) -> Rc<Pool> {
        let pools = &mut *self.pools.borrow_mut();
        if let Some((_, pool)) = pools.iter().find(|(name, _)| **name == *authority) {
            return Rc::clone(pool);
        }
        let pool = Rc::<Pool>::default();
        pools.push((Box::from(authority), Rc::clone(&pool)));
        pool
    }

    /// Closes the VU's own connections.
    pub fn close_all(&self) {
        for (_, pool) in self.pools.borrow().iter() {
            pool.close_all();
        }
        self.pools.borrow_mut().clear();
    }
}

impl Channel {
    /// Opens a connection if there is none, and waits until the server has spoken HTTP/2. Where each call has a connection
    /// of its own, this does nothing.
    pub async fn ready(&self, client: &Client, opening: &mut Opening) -> Result<(), Error> {
        if self.pool.is_none() {
            return Ok(());
        }
        let settled = self.slot(client, opening).await?.settled().await;
        // Before it has spoken HTTP/2, whatever is wrong with its frames means that they are none.
        settled.map_err(|error| match error {
            Error::Http2 { reason, .. } => Error::Protocol(format!("what answers does not speak HTTP/2: {reason}")),
            other => other,
        })
    }

    /// Waits for a stream, and opens a connection for it if need be.
    pub(super) async fn slot(&self, client: &Client, opening: &mut Opening) -> Result<Slot, Error> {
        let Some(pool) = &self.pool else {
            let connection = apart(|| self.open(client, opening)).await?;
            return connection.slot().ok_or(Error::Reset);
        };
        let lane = Lane { target: &self.target, is_http3: false };
        match pool.turn(lane, self.may_grow, client.shared().settings().idle_timeout).await? {
            Turn::Stream(slot) => slot.into_http2().ok_or(Error::Reset),
            Turn::Open(duty) => match apart(|| self.open(client, opening)).await {
                Ok(connection) => {
                    let slot = connection.slot().ok_or(Error::Reset)?;
                    duty.succeed(connection.into());
                    Ok(slot)
                }
                Err(error) => {
                    duty.fail(&error);
                    Err(error)
                }
            },
        }
    }

    async fn open(&self, client: &Client, opening: &mut Opening) -> Result<Rc<Connection>, Error> {
        let to = self.destination();
        let connector = client.connector();
        let opened = if self.target.is_tls() {
            connector.connect_to(&self.name, &to, Alpn::Http2, opening).await?
        } else {
            connector.connect(&to, None, opening).await?
        };
        let peer = Peer {
            remote: opened.remote,
            protocol: Protocol::Http2,
            tls_version: opened.tls.map(|agreed| agreed.version),
            tls_cipher: opened.tls.and_then(|agreed| agreed.cipher),
            reused: false,
        };
        Connection::open(opened.stream, opened.place, client.shared().settings(), peer).await
    }

    /// Closes the connections behind it, unless others share them. Calls that are under way end by themselves.
    pub fn close(&self) {
        if let Some(pool) = self.pool.as_ref().filter(|_| !self.may_grow) {
            pool.close(&self.target);
        }
    }

    /// Whether two lead to the same server in the same way.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.target.same_origin(&other.target) && self.authority == other.authority
    }

    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> Destination<'_> {
        let scheme = if self.target.is_tls() { Scheme::Grpcs } else { Scheme::Grpc };
        Destination { scheme, host: self.target.host(), port: self.target.port() }
    }

    /// What it is called in requests.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Where a method is: `package.Service/Method`, with or without a slash before it.
    pub fn uri(&self, method: &str) -> Result<Uri, Error> {
        let wrong = || Error::InvalidRequest(format!("`{}` is no `package.Service/Method`", shown(method)));
        let method = method.strip_prefix('/').unwrap_or(method);
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/', '?', '#']);
        let is_method = method.split_once('/').is_some_and(|(service, name)| is_name(service) && is_name(name));
        if !is_method || method.len() > LONGEST {
            return Err(wrong());
        }
        let mut parts = Parts::default();
        parts.scheme = Some(if self.target.is_tls() { UriScheme::HTTPS } else { UriScheme::HTTP });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::try_from(format!("/{method}")).map_err(|_| wrong())?);
        Uri::from_parts(parts).map_err(|_| wrong())
    }
}

/// Takes `host:port` apart.
fn parse(client: &Client, address: &str, plaintext: bool) -> Result<Arc<Target>, Error> {
    let wrong = |why: &str| Error::InvalidRequest(format!("`{}` is no `host:port`: {why}", shown(address)));
    // What is in a URL but is no host and no port.
    if address.contains("://") {
        return Err(wrong("it has a scheme"));
    }
    if address.len() > LONGEST || address.contains(['/', '\\', '?', '#', '@']) || address.contains(char::is_whitespace)
    {
        return Err(wrong("there is more than a host and a port"));
    }
    let scheme = if plaintext { "http" } else { "https" };
    let target = client.shared().target(&format!("{scheme}://{address}"));
    target.map_err(|error| match error {
        Error::InvalidUrl(why) => wrong(why.rsplit_once(": ").map_or(&*why, |(_, why)| why)),
        other => other,
    })
}

/// A guest's text, as messages show it.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
