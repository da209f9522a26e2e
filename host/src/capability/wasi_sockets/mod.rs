//! `wasi:sockets` for guests that bring a network client of their own, if it was granted.
//!
//! The sockets are wasmtime's. What is here stands before them: names and addresses are asked of the policy, connections
//! take their places, listening is refused, and what goes on is measured. A guest that was granted nothing is refused
//! everything, also a socket.

mod lookup;
mod session;
mod streams;
mod tcp;
mod udp;

use std::collections::HashMap;
use std::net::SocketAddr;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, Network};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, tcp as tcp_bindings, tcp_create_socket};
use wasmtime_wasi::p2::bindings::sockets::{udp as udp_bindings, udp_create_socket};
use wasmtime_wasi::p2::{IoError, SocketError, SocketResult};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsView as _};
use wasmtime_wasi::{WasiCtxBuilder, WasiView as _};

use super::Host;
use crate::plan::Scheme;
use crate::protocol::{Error, Reach};
use crate::wit::log::Level;
use session::Session;

/// The sockets of a guest that was granted them.
pub(super) struct Sockets {
    reach: Reach,
    /// By the number of the handle.
    sessions: HashMap<u32, Session>,
}

impl Sockets {
    pub(super) fn new(reach: Reach) -> Self {
        Self { reach, sessions: HashMap::new() }
    }
}

/// Lets a context have sockets, as far as nothing else has to say yes: it connects, and lets nobody connect.
pub(super) fn allow(builder: &mut WasiCtxBuilder, granted: bool) {
    builder.allow_tcp(granted).allow_udp(granted).allow_ip_name_lookup(granted);
    if granted {
        builder.socket_addr_check(|address, wanted| Box::pin(std::future::ready(is_harmless(address, wanted))));
    }
}

/// Whether an address may be used so. Those to go to have been looked at before; whom to listen to is nobody, and a port of
/// one's choice is for listening only.
fn is_harmless(address: SocketAddr, wanted: SocketAddrUse) -> bool {
    match wanted {
        SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => address.port() == 0,
        SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => true,
    }
}

/// Puts these in the place of what the linker has.
pub(super) fn link<T: Send + 'static>(linker: &mut Linker<T>, host: fn(&mut T) -> &mut Host) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp_create_socket::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    tcp_bindings::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    udp_create_socket::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    udp_bindings::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    ip_name_lookup::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Turns errors into what guests see, as wasmtime does.
impl network::Host for Host {
    fn network_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.sockets(), error)
    }

    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl network::HostNetwork for Host {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.sockets(), network)
    }
}

impl Host {
    /// The guest's sockets; an error where it was granted none, of which the person is told once.
    fn sockets_granted(&mut self) -> SocketResult<&mut Sockets> {
        let _ = self.ctx();
        if !self.run.policy.sockets && self.local.is_first_socket_refused() {
            let message = "a guest asked for a socket of its own, which is not granted\n  hint: grant it with \
                           `--allow-import 'wasi:sockets/*'`"
                .to_owned();
            self.run.sink.log(self.identity.vu, &self.identity.scenario, Level::Warn, message);
        }
        let sockets = self.wasi.as_mut().and_then(|wasi| wasi.sockets());
        sockets.ok_or_else(|| ErrorCode::AccessDenied.into())
    }

    /// Opens a way to an address, and begins the session of a socket that is to take it.
    fn begin_session(&mut self, scheme: Scheme, to: SocketAddr) -> SocketResult<(SocketAddr, Session)> {
        let way = self.sockets_granted()?.reach.way(scheme, to);
        match way {
            Ok(way) => Ok((way.to, Session::new(&self.local, self.label(), scheme, way))),
            Err(error) => {
                let known_as = SocketAddr::to_string(&to);
                let name = match &error {
                    Error::NotAllowed(refusal) => refusal.origin.clone(),
                    _ => format!("{}://{known_as}", scheme.as_str()),
                };
                Session::refused(&self.local, self.label(), scheme, &name, &error);
                Err(self.refuse(&error))
            }
        }
    }

    /// What a socket's samples are filed under: scope and group.
    fn label(&self) -> (u32, u32) {
        (self.scope, self.groups.current())
    }

    fn session(&mut self, handle: u32) -> Option<&mut Session> {
        self.wasi.as_mut()?.sockets()?.sessions.get_mut(&handle)
    }

    fn keep_session(&mut self, handle: u32, session: Session) {
        if let Some(sockets) = self.wasi.as_mut().and_then(|wasi| wasi.sockets()) {
            sockets.sessions.insert(handle, session);
        }
    }

    fn end_session(&mut self, handle: u32) {
        if let Some(sockets) = self.wasi.as_mut().and_then(|wasi| wasi.sockets()) {
            sockets.sessions.remove(&handle);
        }
    }

    /// Tells the guest that it may not, in WASI's few words, and the person why.
    fn refuse(&mut self, error: &Error) -> SocketError {
        if let Error::NotAllowed(refusal) = error {
            self.local.add_denied(self.scope, self.groups.current(), &refusal.host);
        }
        let message = format!("a socket was refused: {error}");
        self.run.sink.log(self.identity.vu, &self.identity.scenario, Level::Warn, message);
        to_guest(error).into()
    }
}

/// Why there is no socket, as WASI has it.
fn to_guest(error: &Error) -> ErrorCode {
    match error {
        Error::NotAllowed(_) | Error::Denied(_) | Error::Proxy(_) => ErrorCode::AccessDenied,
        Error::TooManyConnections { .. } => ErrorCode::NewSocketLimit,
        Error::NoSuchHost(_) => ErrorCode::NameUnresolvable,
        Error::Dns(_) => ErrorCode::TemporaryResolverFailure,
        Error::Refused => ErrorCode::ConnectionRefused,
        Error::Reset => ErrorCode::ConnectionReset,
        Error::Timeout | Error::DialTimeout => ErrorCode::Timeout,
        _ => ErrorCode::Unknown,
    }
}

/// Why a socket of wasmtime's failed, as it is recorded.
fn from_socket(code: ErrorCode) -> Error {
    match code {
        ErrorCode::ConnectionRefused => Error::Refused,
        ErrorCode::ConnectionReset | ErrorCode::ConnectionAborted => Error::Reset,
        ErrorCode::Timeout => Error::DialTimeout,
        ErrorCode::RemoteUnreachable => Error::Dial("the remote address is unreachable".to_owned()),
        ErrorCode::AddressInUse | ErrorCode::AddressNotBindable => {
            Error::Dial("no local address or port is free".to_owned())
        }
        other => Error::Dial(other.message().to_owned()),
    }
}
