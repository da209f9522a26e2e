//! UDP: datagrams to whom the policy lets through, and from them.

use std::net::SocketAddr;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    Host as Udp, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket;
use wasmtime_wasi::p2::{DynPollable, SocketResult, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsView as _;

use super::from_socket;
use super::session::Session;
use crate::capability::Host;
use crate::plan::Scheme;

type Socket = Resource<UdpSocket>;
type Incoming = Resource<IncomingDatagramStream>;
type Outgoing = Resource<OutgoingDatagramStream>;

impl udp_create_socket::Host for Host {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        self.sockets_granted()?;
        udp_create_socket::Host::create_udp_socket(&mut self.sockets(), family).await
    }
}

impl Udp for Host {}

/// What is wasmtime's alone.
macro_rules! passed_on {
    ($in:ident; $($name:ident($($argument:ident: $kind:ty),*) -> $returned:ty;)*) => {
        $(fn $name(&mut self, $($argument: $kind),*) -> $returned {
            $in::$name(&mut self.sockets(), $($argument),*)
        })*
    };
}

impl HostUdpSocket for Host {
    async fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        at: IpSocketAddress,
    ) -> SocketResult<()> {
        HostUdpSocket::start_bind(&mut self.sockets(), socket, network, at).await
    }

    async fn stream(&mut self, socket: Socket, to: Option<IpSocketAddress>) -> SocketResult<(Incoming, Outgoing)> {
        let handle = socket.rep();
        // The session of what it was connected to before ends here.
        self.end_session(handle);
        let (to, mut session) = match to {
            Some(to) => {
                let (to, session) = self.begin_session(Scheme::Udp, SocketAddr::from(to))?;
                (Some(to.into()), session)
            }
            None => (None, self.begin_open_session()?),
        };
        match HostUdpSocket::stream(&mut self.sockets(), socket, to).await {
            Ok(streams) => {
                session.open();
                self.keep_session(handle, session);
                Ok(streams)
            }
            Err(error) => {
                if let Some(&code) = error.downcast_ref() {
                    session.fail(&from_socket(code));
                }
                Err(error)
            }
        }
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        let handle = socket.rep();
        HostUdpSocket::drop(&mut self.sockets(), socket)?;
        self.end_session(handle);
        Ok(())
    }

    passed_on! { HostUdpSocket;
        finish_bind(socket: Socket) -> SocketResult<()>;
        local_address(socket: Socket) -> SocketResult<IpSocketAddress>;
        remote_address(socket: Socket) -> SocketResult<IpSocketAddress>;
        address_family(socket: Socket) -> wasmtime::Result<IpAddressFamily>;
        unicast_hop_limit(socket: Socket) -> SocketResult<u8>;
        set_unicast_hop_limit(socket: Socket, value: u8) -> SocketResult<()>;
        receive_buffer_size(socket: Socket) -> SocketResult<u64>;
        set_receive_buffer_size(socket: Socket, value: u64) -> SocketResult<()>;
        send_buffer_size(socket: Socket) -> SocketResult<u64>;
        set_send_buffer_size(socket: Socket, value: u64) -> SocketResult<()>;
        subscribe(socket: Socket) -> wasmtime::Result<Resource<DynPollable>>;
    }
}

impl HostIncomingDatagramStream for Host {
    fn receive(&mut self, stream: Incoming, at_most: u64) -> SocketResult<Vec<IncomingDatagram>> {
        let mut datagrams = HostIncomingDatagramStream::receive(&mut self.sockets(), stream, at_most)?;
        let reach = self.sockets_granted()?.reach.clone();
        // Who may not be written to is not heard either.
        datagrams.retain(|datagram| reach.admit(Scheme::Udp, SocketAddr::from(datagram.remote_address)).is_ok());
        let bytes = datagrams.iter().map(|datagram| datagram.data.len()).sum::<usize>();
        let (scope, group) = self.label();
        self.local.add_bytes(scope, group, 0, bytes as u64);
        Ok(datagrams)
    }

    passed_on! { HostIncomingDatagramStream;
        subscribe(stream: Incoming) -> wasmtime::Result<Resource<DynPollable>>;
        drop(stream: Incoming) -> wasmtime::Result<()>;
    }
}

impl HostOutgoingDatagramStream for Host {
    fn send(&mut self, stream: Outgoing, mut datagrams: Vec<OutgoingDatagram>) -> SocketResult<u64> {
        let reach = self.sockets_granted()?.reach.clone();
        let mut refused = None;
        for (place, datagram) in datagrams.iter_mut().enumerate() {
            let Some(to) = datagram.remote_address else { continue };
            match reach.admit(Scheme::Udp, SocketAddr::from(to)) {
                Ok(way) => datagram.remote_address = Some(way.to.into()),
                Err(error) => {
                    refused = Some((place, error));
                    break;
                }
            }
        }
        match refused {
            Some((0, error)) => return Err(self.refuse(&error)),
            // Those before it are sent, and it is refused when it is the first.
            Some((place, _)) => datagrams.truncate(place),
            None => {}
        }
        let lengths: Vec<usize> = datagrams.iter().map(|datagram| datagram.data.len()).collect();
        let sent = HostOutgoingDatagramStream::send(&mut self.sockets(), stream, datagrams)?;
        let bytes = lengths.iter().take(usize::try_from(sent).unwrap_or(usize::MAX)).sum::<usize>();
        let (scope, group) = self.label();
        self.local.add_bytes(scope, group, bytes as u64, 0);
        Ok(sent)
    }

    async fn drop(&mut self, stream: Outgoing) -> wasmtime::Result<()> {
        HostOutgoingDatagramStream::drop(&mut self.sockets(), stream).await
    }

    passed_on! { HostOutgoingDatagramStream;
        check_send(stream: Outgoing) -> SocketResult<u64>;
        subscribe(stream: Outgoing) -> wasmtime::Result<Resource<DynPollable>>;
    }
}

impl Host {
    /// Begins the session of a socket that says with each datagram where it goes.
    fn begin_open_session(&mut self) -> SocketResult<Session> {
        match self.sockets_granted()?.reach.open_way() {
            Ok(way) => Ok(Session::new(&self.local, self.label(), Scheme::Udp, way)),
            Err(error) => {
                Session::refused(&self.local, self.label(), Scheme::Udp, "udp", &error);
                Err(self.refuse(&error))
            }
        }
    }
}
