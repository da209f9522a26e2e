//! TCP: connections out, and none in.

use std::net::SocketAddr;

use futures_util::FutureExt as _;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{Duration, Host as Tcp, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, SocketResult, TcpSocket};
use wasmtime_wasi::sockets::WasiSocketsView as _;

use super::from_socket;
use super::streams::{count_read, count_written};
use crate::capability::Host;
use crate::plan::Scheme;

type Socket = Resource<TcpSocket>;

impl tcp_create_socket::Host for Host {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        self.sockets_granted()?;
        self.sockets().create_tcp_socket(family)
    }
}

impl Tcp for Host {}

/// What is wasmtime's alone.
macro_rules! passed_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $returned:ty;)*) => {
        $(fn $name(&mut self, socket: Socket, $($argument: $kind),*) -> $returned {
            HostTcpSocket::$name(&mut self.sockets(), socket, $($argument),*)
        })*
    };
}

impl HostTcpSocket for Host {
    async fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        at: IpSocketAddress,
    ) -> SocketResult<()> {
        HostTcpSocket::start_bind(&mut self.sockets(), socket, network, at).await
    }

    fn start_connect(&mut self, socket: Socket, network: Resource<Network>, to: IpSocketAddress) -> SocketResult<()> {
        let handle = socket.rep();
        let (to, session) = self.begin_session(Scheme::Tcp, SocketAddr::from(to))?;
        if let Some(from) = session.from() {
            let again = |resource: u32| (Resource::new_borrow(resource), Resource::new_borrow(network.rep()));
            let (bound, of) = again(handle);
            // One that is bound already keeps its address. Nothing in it waits.
            let binding = HostTcpSocket::start_bind(&mut self.sockets(), bound, of, from.into()).now_or_never();
            if matches!(binding, Some(Ok(()))) {
                HostTcpSocket::finish_bind(&mut self.sockets(), again(handle).0)?;
            }
        }
        match HostTcpSocket::start_connect(&mut self.sockets(), socket, network, to.into()) {
            Ok(()) => {
                self.keep_session(handle, session);
                Ok(())
            }
            Err(error) => {
                if let Some(&code) = error.downcast_ref() {
                    session.fail(&from_socket(code));
                }
                Err(error)
            }
        }
    }

    fn finish_connect(
        &mut self,
        socket: Socket,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let handle = socket.rep();
        match HostTcpSocket::finish_connect(&mut self.sockets(), socket) {
            Ok((input, output)) => {
                if let Some(session) = self.session(handle) {
                    session.open();
                    let meter = session.meter();
                    let table = self.sockets().table;
                    count_read(table.get_mut(&input)?, meter.clone());
                    count_written(table.get_mut(&output)?, meter);
                }
                Ok((input, output))
            }
            Err(error) => {
                match error.downcast_ref() {
                    Some(ErrorCode::WouldBlock | ErrorCode::NotInProgress) | None => {}
                    Some(&code) => self.fail_session(handle, code),
                }
                Err(error)
            }
        }
    }

    async fn start_listen(&mut self, _: Socket) -> SocketResult<()> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        let handle = socket.rep();
        HostTcpSocket::drop(&mut self.sockets(), socket)?;
        self.end_session(handle);
        Ok(())
    }

    passed_on! {
        finish_bind() -> SocketResult<()>;
        finish_listen() -> SocketResult<()>;
        accept() -> SocketResult<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)>;
        local_address() -> SocketResult<IpSocketAddress>;
        remote_address() -> SocketResult<IpSocketAddress>;
        is_listening() -> wasmtime::Result<bool>;
        address_family() -> wasmtime::Result<IpAddressFamily>;
        set_listen_backlog_size(value: u64) -> SocketResult<()>;
        keep_alive_enabled() -> SocketResult<bool>;
        set_keep_alive_enabled(value: bool) -> SocketResult<()>;
        keep_alive_idle_time() -> SocketResult<Duration>;
        set_keep_alive_idle_time(value: Duration) -> SocketResult<()>;
        keep_alive_interval() -> SocketResult<Duration>;
        set_keep_alive_interval(value: Duration) -> SocketResult<()>;
        keep_alive_count() -> SocketResult<u32>;
        set_keep_alive_count(value: u32) -> SocketResult<()>;
        hop_limit() -> SocketResult<u8>;
        set_hop_limit(value: u8) -> SocketResult<()>;
        receive_buffer_size() -> SocketResult<u64>;
        set_receive_buffer_size(value: u64) -> SocketResult<()>;
        send_buffer_size() -> SocketResult<u64>;
        set_send_buffer_size(value: u64) -> SocketResult<()>;
        subscribe() -> wasmtime::Result<Resource<DynPollable>>;
        shutdown(how: ShutdownType) -> SocketResult<()>;
    }
}

impl Host {
    fn fail_session(&mut self, handle: u32, code: ErrorCode) {
        let sockets = self.wasi.as_mut().and_then(|wasi| wasi.sockets());
        if let Some(session) = sockets.and_then(|sockets| sockets.sessions.remove(&handle)) {
            session.fail(&from_socket(code));
        }
    }
}
