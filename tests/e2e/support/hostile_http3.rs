//! A server that speaks HTTP/3 by the frame and misbehaves as told.
//!
//! A library would not let it: its frames are written by hand (RFC 9114), on QUIC that behaves.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{ServerConfig, version};

const DATA: u64 = 0x0;
const HEADERS: u64 = 0x1;
pub const SETTINGS: u64 = 0x4;
pub const GOAWAY: u64 = 0x7;
/// A type that nobody has defined.
pub const UNKNOWN: u64 = 0x21;

/// Error codes (RFC 9114, 8.1).
pub const NO_ERROR: u32 = 0x100;
pub const INTERNAL_ERROR: u32 = 0x102;
pub const REQUEST_REJECTED: u32 = 0x10b;

/// The head of a usual answer, as QPACK has it: `:status` 200, from the table that everybody knows.
pub const OK: &[u8] = &[0, 0, 0xd9];
/// The same of an answer that comes before the one that counts: `:status` 103.
pub const EARLY: &[u8] = &[0, 0, 0xd8];

/// The server. It ends when it is dropped.
pub struct HostileHttp3 {
    addr: SocketAddr,
    certificate: String,
    seen: Arc<Seen>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What it saw.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
}

/// A request, and the means to answer it.
pub struct Turn {
    /// Which connection it came on, from 1.
    pub connection: u64,
    /// Which request of this connection it is, from 1.
    pub number: u64,
    pub quic: Connection,
    pub control: Arc<tokio::sync::Mutex<SendStream>>,
    pub send: SendStream,
    pub recv: RecvStream,
}

/// Names connections so that one that was forgotten is not taken for a stranger's.
#[derive(Debug)]
struct Numbers;

type Behave = Arc<dyn Fn(Turn) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl HostileHttp3 {
    /// Does this with every request.
    pub fn start<F>(behave: impl Fn(Turn) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_as("h3", None, behave)
    }

    /// The same by another name in TLS, and forgetful: after so many requests it has lost all it knew.
    pub fn start_as<F>(
        name: &'static str,
        forgets_after: Option<u64>,
        behave: impl Fn(Turn) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let behave: Behave = Arc::new(move |turn| Box::pin(behave(turn)));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = socket.local_addr().unwrap();
        let made = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let config = config(&made, name);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let mut endpoints = EndpointConfig::default();
            endpoints.cid_generator(|| Box::new(Numbers));
            let serve = |runtime: &Runtime| {
                let _context = runtime.enter();
                let socket = socket.try_clone().unwrap();
                let endpoint = Endpoint::new(endpoints.clone(), Some(config.clone()), socket, Arc::new(TokioRuntime));
                runtime.spawn(accept(endpoint.unwrap(), Arc::clone(&behave), Arc::clone(&shared)));
            };
            let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
            if let Some(requests) = forgets_after {
                let first = runtime();
                serve(&first);
                first.block_on(async {
                    while shared.requests.load(Ordering::Relaxed) < requests {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    // The last answer still has to leave.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                });
            }
            let last = runtime();
            serve(&last);
            let _ = last.block_on(stopped);
        });
        Self { addr, certificate: made.cert.pem(), seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}/", self.addr)
    }

    /// What to trust, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Connections whose handshake was completed.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }
}

impl Drop for HostileHttp3 {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Turn {
    /// Writes bytes of the answer; whether somebody still takes them.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.send.write_all(bytes).await.is_ok()
    }

    /// Writes a usual head.
    pub async fn head(&mut self) {
        self.write(&frame(HEADERS, OK)).await;
    }

    /// Writes a usual head that announces a length.
    pub async fn head_of(&mut self, length: usize) {
        let length = length.to_string();
        // `content-length` by its number in the table, and its value as it is.
        let block = [OK, &[0x54, length.len() as u8], length.as_bytes()].concat();
        self.write(&frame(HEADERS, &block)).await;
    }

    /// Writes bytes of a body.
    pub async fn data(&mut self, bytes: &[u8]) -> bool {
        self.write(&frame(DATA, bytes)).await
    }

    /// Ends the answer.
    pub async fn end(mut self) {
        let _ = self.send.finish();
        let _ = self.send.stopped().await;
    }

    /// A whole answer.
    pub async fn answer(mut self, body: &[u8]) {
        self.head().await;
        self.data(body).await;
        self.end().await;
    }

    /// Keeps the stream as it is.
    pub async fn wait(self) {
        let _ = self.quic.closed().await;
    }
}

impl ConnectionIdGenerator for Numbers {
    fn generate_cid(&mut self) -> ConnectionId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ConnectionId::new(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A frame.
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    [&begun(kind, payload.len() as u64), payload].concat()
}

/// A frame's beginning, which announces this many bytes.
pub fn begun(kind: u64, length: u64) -> Vec<u8> {
    [number(kind), number(length)].concat()
}

/// A number as QUIC writes it (RFC 9000, 16), in 8 bytes.
fn number(number: u64) -> Vec<u8> {
    (number | 0b11 << 62).to_be_bytes().to_vec()
}

fn config(made: &CertifiedKey<rcgen::KeyPair>, name: &str) -> quinn::ServerConfig {
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![name.as_bytes().to_vec()];
    quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()))
}

async fn accept(endpoint: Endpoint, behave: Behave, seen: Arc<Seen>) {
    while let Some(incoming) = endpoint.accept().await {
        let (behave, seen) = (Arc::clone(&behave), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(quic) = incoming.await else { return };
            let connection = seen.connections.fetch_add(1, Ordering::Relaxed) + 1;
            let Ok(mut control) = quic.open_uni().await else { return };
            let settings = [vec![0], frame(SETTINGS, &[])].concat();
            let _ = control.write_all(&settings).await;
            let control = Arc::new(tokio::sync::Mutex::new(control));
            let mut number = 0;
            while let Ok((send, recv)) = quic.accept_bi().await {
                seen.requests.fetch_add(1, Ordering::Relaxed);
                number += 1;
                let (quic, control) = (quic.clone(), Arc::clone(&control));
                tokio::spawn(behave(Turn { connection, number, quic, control, send, recv }));
            }
        });
    }
}
