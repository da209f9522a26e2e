//! A server that takes as long for each phase as its script says, and writes down how long it really took.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, Stream};

/// How long each phase takes.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// How long the client's first word of TLS is held back; `None` for no TLS.
    pub tls_handshaking: Option<Duration>,
    /// How long nothing is read once the head of the request is.
    pub sending: Duration,
    /// From the request's last byte to the answer's first.
    pub waiting: Duration,
    /// From the answer's first byte to its last.
    pub receiving: Duration,
}

/// How long each phase really took, as the server saw it.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub tls_handshaking: Duration,
    pub sending: Duration,
    pub waiting: Duration,
    pub receiving: Duration,
}

/// The server. It answers one request.
pub struct Phased {
    addr: SocketAddr,
    scheme: &'static str,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<Measured>>,
}

/// Pieces that the body of the answer comes in.
const PIECES: u32 = 4;

impl Phased {
    /// Starts it.
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let scheme = if script.tls_handshaking.is_some() { "https" } else { "http" };
        let tls = script.tls_handshaking.map(|_| tls());
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().ok()?;
            let accepted = Instant::now();
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            stream.set_nodelay(true).ok()?;
            serve(stream, accepted, script, tls).ok()
        });
        Self { addr, scheme, stop, thread }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.addr)
    }

    /// What it measured, once it has answered; `None` when nobody asked.
    pub fn measured(self) -> Option<Measured> {
        // Whoever asked has gone; if nobody did, this ends the wait.
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr);
        self.thread.join().unwrap()
    }
}

fn tls() -> Arc<ServerConfig> {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![issued.cert.der().clone()], key).unwrap())
}

fn serve(
    mut stream: TcpStream,
    accepted: Instant,
    script: Script,
    tls: Option<Arc<ServerConfig>>,
) -> std::io::Result<Measured> {
    let (Some(config), Some(hold)) = (tls, script.tls_handshaking) else {
        return exchange(&mut stream, script, Duration::ZERO);
    };
    thread::sleep(hold);
    let mut connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    let shaken = accepted.elapsed();
    exchange(&mut Stream::new(&mut connection, &mut stream), script, shaken)
}

fn exchange(stream: &mut (impl Read + Write), script: Script, tls_handshaking: Duration) -> std::io::Result<Measured> {
    let mut buffer = vec![0; 256 << 10];
    let (mut request, mut length) = (Vec::new(), None);
    let (mut read, mut first) = (0, None);
    while length.is_none_or(|length| read < length) {
        let taken = stream.read(&mut buffer)?;
        if taken == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        first.get_or_insert_with(Instant::now);
        read += taken;
        if length.is_none() {
            request.extend_from_slice(&buffer[..taken]);
            length = whole_length(&request);
            if length.is_some() {
                thread::sleep(script.sending);
            }
        }
    }
    let last = Instant::now();
    thread::sleep(script.waiting);
    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {PIECES}\r\n\r\n").as_bytes())?;
    stream.flush()?;
    let answered = Instant::now();
    for _ in 0..PIECES {
        thread::sleep(script.receiving / PIECES);
        stream.write_all(b"x")?;
        stream.flush()?;
    }
    let done = Instant::now();
    Ok(Measured {
        tls_handshaking,
        sending: first.map_or(Duration::ZERO, |first| last - first),
        waiting: answered - last,
        receiving: done - answered,
    })
}

/// How long a request is, head and body, once its head is there.
fn whole_length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Some(head + length.unwrap_or(0))
}
