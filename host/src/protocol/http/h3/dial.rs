//! Opening a connection: a socket, QUIC's handshake with TLS inside, and the settings of both sides.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::h3::client::builder;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, TransportConfig, VarInt};
use tokio::net::UdpSocket;
use tokio::task::spawn_local;
use tokio_util::task::AbortOnDropHandle;

use super::driver::Driver;
use super::exchange::MAX_HEAD;
use super::quic::{Carrier, Next};
use super::socket::Datagrams;
use super::tasks::Tasks;
use super::{Connection, State, error};
use crate::plan::Http;
use crate::protocol::http::{Peer, Protocol};
use crate::protocol::places::Place;
use crate::protocol::{Error, tls};

/// How much of one answer may be on its way before we have read any of it, as over HTTP/2.
const STREAM_WINDOW: u64 = 4 << 20;
/// The same for all answers of a connection together.
const CONNECTION_WINDOW: u64 = 16 << 20;
/// Below that no window is set.
const LEAST_WINDOW: u64 = 64 << 10;
/// How much of requests is kept until the server has acknowledged it.
const SEND_WINDOW: u64 = 1 << 20;
/// How many streams of its own a server may have open: HTTP/3 defines three, others are there to be ignored.
const SERVERS_STREAMS: u32 = 16;
/// After how much silence a connection is over (RFC 9000, 10.1), if the server does not say less.
const SILENCE: Duration = Duration::from_mins(1);

/// What it takes to open a connection.
pub(in super::super) struct Dial {
    pub(in super::super) socket: UdpSocket,
    pub(in super::super) remote: SocketAddr,
    pub(in super::super) place: Place,
    pub(in super::super) terms: tls::QuicTerms,
}

impl Connection {
    /// Opens a connection, however long it takes. Must be called inside a `LocalSet`.
    pub(in super::super) async fn open(dial: Dial, settings: &Http) -> Result<Rc<Self>, Error> {
        let window = settings.max_body.clamp(LEAST_WINDOW, STREAM_WINDOW);
        let transport = transport(window);
        // A handshake takes a deep stack. A VU has one of its own that keeps every page it ever touched, so it goes on
        // the thread's. Whoever gives up waiting ends it.
        let opening = AbortOnDropHandle::new(spawn_local(open(dial, transport))).await;
        opening.map_err(|_| Error::Reset)?.map(Rc::new)
    }
}

async fn open(dial: Dial, transport: TransportConfig) -> Result<Connection, Error> {
    let Dial { socket, remote, place, terms } = dial;
    let (tasks, state) = (Tasks::default(), Rc::new(State::default()));
    let io = |error: std::io::Error| Error::Dial(error.to_string());
    let (socket, refusal) = Datagrams::new(socket, remote, place).map_err(io)?;
    let endpoint =
        Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, Arc::new(socket), tasks.runtime());
    let endpoint = endpoint.map_err(io)?;
    let suite = tls::initial_suite();
    let quic = QuicClientConfig::with_initial(Arc::clone(&terms.config), suite);
    let mut config = ClientConfig::new(Arc::new(quic.map_err(|error| Error::Tls(error.to_string()))?));
    config.transport_config(Arc::new(transport));
    let name = terms.name.to_str();
    let connecting = endpoint.connect_with(config, remote, &name).map_err(|error| error::of_connect(&error))?;
    let quic = tokio::select! {
        quic = connecting => quic.map_err(|error| error::of_quic(&error, &mut || terms.refusal()))?,
        () = refusal.met() => return Err(Error::Refused),
    };
    let agreed = quic.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if agreed.and_then(|data| data.protocol).as_deref() != Some(tls::HTTP3) {
        return Err(error::unspoken());
    }
    let next = Next::default();
    let carrier = Carrier::new(quic.clone(), next.clone(), Rc::clone(&state));
    let built = builder().max_field_section_size(MAX_HEAD).send_grease(false).build(carrier).await;
    let (connection, send) = built.map_err(|failed| match quic.close_reason() {
        Some(reason) => error::of_quic(&reason, &mut || None),
        None => Error::Protocol(failed.to_string()),
    })?;
    let driver = Driver { connection, quic: quic.clone(), endpoint, tasks, refusal, state: Rc::clone(&state) };
    spawn_local(driver.run());
    let peer = Peer {
        remote: Some(remote),
        protocol: Protocol::Http3,
        tls_version: Some("tls1.3"),
        // QUIC's library keeps it to itself.
        tls_cipher: None,
        reused: false,
    };
    Ok(Connection { send: RefCell::new(send), next, spare: RefCell::default(), quic, state, peer })
}

fn transport(window: u64) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let size = |bytes: u64| VarInt::from_u64(bytes).unwrap_or(VarInt::MAX);
    transport
        .stream_receive_window(size(window))
        .receive_window(size(window.saturating_mul(4).min(CONNECTION_WINDOW)))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(SERVERS_STREAMS))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(SILENCE.try_into().ok());
    transport
}
