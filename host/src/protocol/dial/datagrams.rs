//! A socket for datagrams: bound, and with the one address that it may send to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::connect::dial_error;
use super::local::Locals;
use crate::protocol::Error;
use crate::protocol::door::Admitted;

/// A UDP socket that is bound and not connected, and whom it may send to: the address that the door let pass, and
/// nobody else.
#[derive(Debug)]
pub(in super::super) struct Datagrams {
    socket: UdpSocket,
    remote: SocketAddr,
}

impl Datagrams {
    /// Binds a socket to send to the first address of a host. Datagrams have no handshake that would say that an address
    /// is dead, so the others are not tried.
    pub(super) fn bind(admitted: Admitted, locals: &Locals, vu: u32) -> Result<Self, Error> {
        let (remote, _) = admitted.into_parts();
        let any = || match remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let local = locals.pick(vu, remote)?.unwrap_or_else(|| SocketAddr::new(any(), 0));
        let socket = UdpSocket::bind(local).map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => {
                Error::Dial(format!("`{}` of `local-ips` is no address of this machine", local.ip()))
            }
            io::ErrorKind::AddrInUse => Error::Dial(format!("no UDP port of `{}` is free", local.ip())),
            _ => dial_error(&error),
        })?;
        socket.set_nonblocking(true).map_err(|error| dial_error(&error))?;
        Ok(Self { socket, remote })
    }

    /// The socket, which does not block, and whom it may send to. For a library that sends by itself.
    #[allow(dead_code, reason = "HTTP/3 brings its own endpoint")]
    pub(in super::super) fn into_parts(self) -> (UdpSocket, SocketAddr) {
        (self.socket, self.remote)
    }

    /// Connects the socket: it then sends to nobody else, and what others send to it never arrives.
    #[expect(clippy::disallowed_methods, reason = "here is where sockets are connected, to admitted addresses")]
    pub(in super::super) fn connect(self) -> Result<(tokio::net::UdpSocket, SocketAddr), Error> {
        let connected = self.socket.connect(self.remote).and_then(|()| tokio::net::UdpSocket::from_std(self.socket));
        Ok((connected.map_err(|error| dial_error(&error))?, self.remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Destination, Scheme};
    use crate::protocol::door::{Candidates, Door};

    fn bound(to: &str, locals: &[(&str, &str)]) -> Result<Datagrams, Error> {
        let at: SocketAddr = to.parse().unwrap();
        let to = Destination { scheme: Scheme::Udp, host: &at.ip().to_string(), port: at.port() };
        let range = |(first, last): &(&str, &str)| (first.parse().unwrap(), last.parse().unwrap());
        let locals = Locals::new(&locals.iter().map(range).collect::<Vec<_>>());
        Datagrams::bind(Door::default().admit(&to, Candidates::written(at)).unwrap(), &locals, 2)
    }

    #[test]
    fn a_socket_is_of_the_targets_family_and_of_the_vus_address() {
        let (socket, remote) = bound("127.0.0.1:9", &[]).unwrap().into_parts();
        assert!(socket.local_addr().unwrap().is_ipv4());
        assert_eq!(remote, "127.0.0.1:9".parse().unwrap());
        #[cfg(target_os = "linux")]
        {
            let (socket, _) = bound("127.0.0.1:9", &[("127.0.0.7", "127.0.0.8")]).unwrap().into_parts();
            assert_eq!(socket.local_addr().unwrap().ip().to_string(), "127.0.0.8");
        }
        let error = bound("127.0.0.1:9", &[("192.0.2.7", "192.0.2.7")]).unwrap_err();
        assert_eq!(error.to_string(), "dial failed: `192.0.2.7` of `local-ips` is no address of this machine");
    }

    #[tokio::test]
    async fn what_a_stranger_sends_never_arrives() {
        let [peer, stranger] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let at = peer.local_addr().unwrap();
        let (socket, _) = bound(&at.to_string(), &[]).unwrap().connect().unwrap();
        socket.send(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        let (_, from) = peer.recv_from(&mut buffer).unwrap();
        for (sender, text) in [(&stranger, "no"), (&peer, "yes")] {
            #[expect(clippy::disallowed_methods, reason = "a test is no journey")]
            sender.send_to(text.as_bytes(), from).unwrap();
        }
        assert_eq!(socket.recv(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"yes");
    }
}
