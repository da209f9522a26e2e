//! Small servers for tests of the network below HTTP: they say who connected, from where, and what was asked.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How often a thread looks whether it should end.
const TICK: Duration = Duration::from_millis(20);

/// A server that answers every request with `ok`. It ends when it is dropped.
pub struct Plain {
    addr: Option<SocketAddr>,
    tls: bool,
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

/// What it saw, and whether it should go on.
#[derive(Default)]
pub struct Seen {
    peers: Mutex<Vec<IpAddr>>,
    heads: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Plain {
    /// Serves HTTP on an address; port 0 is any.
    pub fn start(address: &str) -> Self {
        Self::over(address, false, |stream, seen| answer(stream, seen, "ok"))
    }

    /// Serves HTTP on an address and says which it is.
    pub fn named(address: &str, name: &'static str) -> Self {
        Self::over(address, false, move |stream, seen| answer(stream, seen, name))
    }

    /// Serves HTTP over TLS, with a certificate that nobody trusts.
    pub fn tls() -> Self {
        Self::tls_that("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsecret ok".to_owned())
    }

    /// Serves HTTP over TLS and sends everybody elsewhere.
    pub fn tls_redirecting(location: &str) -> Self {
        Self::tls_that(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
    }

    fn tls_that(says: String) -> Self {
        let made = rcgen::generate_simple_self_signed(["target.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let config = Arc::new(config);
        Self::over("127.0.0.1:0", true, move |stream, seen| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            say(&mut StreamOwned::new(connection, stream), seen, &says);
        })
    }

    /// Does what it is told with every connection.
    pub fn over(address: &str, tls: bool, serve: impl Fn(&mut TcpStream, &Seen) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let serve = Arc::new(serve);
        let shared = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let mut peers = Vec::new();
            while !shared.stopped() {
                let Ok((mut stream, peer)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                shared.peers.lock().unwrap().push(peer.ip());
                let (seen, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                peers.push(thread::spawn(move || {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(TICK)).unwrap();
                    stream.set_nodelay(true).unwrap();
                    serve(&mut stream, &seen);
                }));
            }
            for peer in peers {
                peer.join().unwrap();
            }
        });
        Self { addr: Some(addr), tls, seen, threads: vec![thread] }
    }

    /// Serves HTTP on a Unix socket.
    #[cfg(unix)]
    pub fn unix(path: &Path) -> Self {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            while !shared.stopped() {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        stream.set_read_timeout(Some(TICK)).unwrap();
                        answer(&mut stream, &shared, "by a file");
                    }
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Self { addr: None, tls: false, seen, threads: vec![thread] }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("a Unix socket has no address")
    }

    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.addr())
    }

    /// Where connections came from, in order.
    pub fn peers(&self) -> Vec<String> {
        self.seen.peers.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    /// The heads of the requests, in order.
    pub fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap().clone()
    }

    /// The `host` headers of the requests, in order.
    pub fn hosts(&self) -> Vec<String> {
        let host = |head: &String| head.lines().find_map(|line| Some(line.strip_prefix("host: ")?.to_owned()));
        self.heads().iter().map(|head| host(head).unwrap_or_default()).collect()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Seen {
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reads exactly so many bytes; `None` when the peer went away before.
    pub fn read(&self, stream: &mut impl Read, length: usize) -> Option<Vec<u8>> {
        let (mut bytes, mut filled) = (vec![0; length], 0);
        while filled < length {
            match stream.read(&mut bytes[filled..]) {
                Ok(0) => return None,
                Ok(more) => filled += more,
                Err(error) if is_tick(&error) && !self.stopped() => {}
                Err(_) => return None,
            }
        }
        Some(bytes)
    }

    /// Reads one head and keeps it; `None` when the peer went away before. A byte at a time, so that what follows is left.
    pub fn read_head(&self, stream: &mut impl Read) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(stream, 1)?);
        }
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Passes bytes on in both directions until one side ends.
    pub fn pass_on<'a>(&self, mut one: &'a TcpStream, mut other: &'a TcpStream) {
        one.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        other.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let mut buffer = [0; 16 << 10];
        while !self.stopped() {
            for _ in 0..2 {
                match one.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(length) if other.write_all(&buffer[..length]).is_err() => return,
                    Err(error) if !is_tick(&error) => return,
                    _ => {}
                }
                std::mem::swap(&mut one, &mut other);
            }
        }
    }
}

fn is_tick(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Answers the requests of a connection.
fn answer(stream: &mut (impl Read + Write), seen: &Seen, text: &str) {
    say(stream, seen, &format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()));
}

fn say(stream: &mut (impl Read + Write), seen: &Seen, answer: &str) {
    while seen.read_head(stream).is_some() {
        if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}
