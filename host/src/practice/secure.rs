//! The same server behind TLS, and over HTTP/3: with a certificate of its own that says who it is and nothing more.
//!
//! One thread serves both. Answers over TCP offer HTTP/3 (`alt-svc`) where there is HTTP/3.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::handler::Handler as _;
use axum::response::Response;
use axum::serve::Listener;
use http::header::{ALT_SVC, HeaderValue};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::{ServeError, Worker, handle, http3};

/// Whom the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What is bound, and who it says it is.
#[derive(Debug)]
pub(super) struct Bound {
    tls: Option<TcpListener>,
    http3: Option<UdpSocket>,
    config: ServerConfig,
    certificate: String,
}

/// Where it listens, and what to trust.
#[derive(Debug, Default)]
pub(super) struct Secure {
    pub(super) tls: Option<SocketAddr>,
    pub(super) http3: Option<SocketAddr>,
    /// PEM; empty where nothing is secured.
    pub(super) certificate: String,
}

/// Connections of TLS whose handshake is done.
struct Inbox {
    connections: UnboundedReceiver<(Counted, SocketAddr)>,
    addr: SocketAddr,
}

/// A stream that is counted as an open connection as long as it lives.
type Counted = TlsStream<Connection>;

/// A worker, and what its answers offer.
#[derive(Debug)]
struct Offering {
    worker: Arc<Worker>,
    offer: Option<HeaderValue>,
}

impl Bound {
    /// Binds what is asked for and makes a certificate.
    pub(super) fn new(tls: Option<SocketAddr>, http3: Option<SocketAddr>) -> Result<Option<Self>, ServeError> {
        if tls.is_none() && http3.is_none() {
            return Ok(None);
        }
        let listen = |addr: SocketAddr| {
            let listener = TcpListener::bind(addr).and_then(|listener| {
                listener.set_nonblocking(true)?;
                Ok(listener)
            });
            listener.map_err(|source| ServeError::Listen { addr, source })
        };
        let bind = |addr: SocketAddr| UdpSocket::bind(addr).map_err(|source| ServeError::Listen { addr, source });
        let (tls, http3) = (tls.map(listen).transpose()?, http3.map(bind).transpose()?);
        let made = generate_simple_self_signed(NAMES.map(str::to_owned));
        let CertifiedKey { cert, signing_key } = made.map_err(|error| ServeError::Certificate(error.to_string()))?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key))
            .map_err(|error| ServeError::Certificate(error.to_string()))?;
        Ok(Some(Self { tls, http3, config, certificate: cert.pem() }))
    }

    /// Where that is.
    pub(super) fn describe(&self) -> io::Result<Secure> {
        Ok(Secure {
            tls: self.tls.as_ref().map(TcpListener::local_addr).transpose()?,
            http3: self.http3.as_ref().map(UdpSocket::local_addr).transpose()?,
            certificate: self.certificate.clone(),
        })
    }

    /// Serves until told to stop.
    pub(super) async fn serve(self, worker: Arc<Worker>, stop: CancellationToken) {
        let Self { tls, http3: udp, config, .. } = self;
        let port = udp.as_ref().and_then(|udp| udp.local_addr().ok()).map(|addr| addr.port());
        let offer = port.and_then(|port| HeaderValue::try_from(format!("h3=\":{port}\"; ma=3600")).ok());
        let over_udp = async {
            match udp {
                Some(udp) => http3::serve(udp, &config, &worker, &stop).await,
                None => stop.cancelled().await,
            }
        };
        let over_tcp = async {
            if let Some(listener) = tls {
                let offering = Arc::new(Offering { worker: Arc::clone(&worker), offer });
                let _ = serve_tls(listener, config.clone(), offering).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = over_udp => {}
            () = over_tcp => {}
        }
    }
}

async fn serve_tls(listener: TcpListener, mut config: ServerConfig, offering: Arc<Offering>) -> io::Result<()> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let addr = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (inlet, connections) = unbounded_channel();
    let accept = accept(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&offering.worker), inlet);
    let service = handle_and_offer.with_state(offering).into_make_service();
    tokio::select! {
        served = async { axum::serve(Inbox { connections, addr }, service).await } => served,
        () = accept => Ok(()),
    }
}

/// Accepts for ever, and shakes hands with all who come at the same time.
async fn accept(
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    worker: Arc<Worker>,
    inlet: UnboundedSender<(Counted, SocketAddr)>,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: some connections have to close first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let open = worker.shared.counters.accepted(worker.number);
        let (acceptor, inlet) = (acceptor.clone(), inlet.clone());
        tokio::spawn(async move {
            let handshake = acceptor.accept(Connection::new(stream, open));
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await {
                let _ = inlet.send((stream, peer));
            }
        });
    }
}

async fn handle_and_offer(State(offering): State<Arc<Offering>>, request: Request) -> Response {
    let mut response = handle(State(Arc::clone(&offering.worker)), request).await;
    if let Some(offer) = &offering.offer {
        response.headers_mut().insert(ALT_SVC, offer.clone());
    }
    response
}

impl Listener for Inbox {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            // Who accepts only ends with the server, which then ends this task as well.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}
