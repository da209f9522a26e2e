//! Servers that misbehave below HTTP, and count what they saw.

mod script;

pub use script::{Act, say};

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpSocket;

/// How often a thread looks whether it should end.
const TICK: Duration = Duration::from_millis(20);

/// A hostile server. It ends when it is dropped.
pub struct Hostile {
    addr: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// What it saw, and whether it should go on.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    requests: AtomicU64,
    stop: AtomicBool,
}

impl Hostile {
    /// A URL of a port that nobody listens on.
    pub fn refuses() -> String {
        // The port was free a moment ago, and the kernel hands the same one out again late.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// Announces 1,000 bytes, sends 10 and closes.
    pub fn closes_mid_body() -> Self {
        Self::start(|mut stream, _| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n0123456789");
        })
    }

    /// Takes requests and never answers.
    pub fn never_answers() -> Self {
        Self::start(|_stream, seen| seen.wait())
    }

    /// Answers with what is not HTTP.
    pub fn garbage() -> Self {
        Self::start(|mut stream, _| {
            let _ = stream.write_all(b"\x16\x03\x01 this is not the protocol you are looking for\r\n\r\n");
        })
    }

    /// Announces 1,000,000 bytes and sends this many per second.
    pub fn slow_body(bytes_per_second: usize) -> Self {
        Self::start(move |mut stream, seen| {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").is_ok();
            let bytes = vec![b'x'; (bytes_per_second / 50).max(1)];
            while sent && !seen.stopped() {
                thread::sleep(TICK);
                sent = stream.write_all(&bytes).is_ok();
            }
        })
    }

    /// Sends half a head and then nothing.
    pub fn half_header() -> Self {
        Self::start(|mut stream, seen| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le");
            seen.wait();
        })
    }

    /// Resets every connection after its request.
    pub fn resets() -> Self {
        Self::start(|stream, _| {
            // A socket that lingers for 0 seconds is closed by a reset.
            TcpSocket::from_std_stream(stream).set_zero_linger().unwrap();
        })
    }

    /// Does this with every connection, in this order, and closes it.
    pub fn script(acts: impl Into<Vec<Act>>) -> Self {
        let acts = acts.into();
        Self::start_raw(move |stream, seen| script::play(&acts, stream, seen))
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Connections it accepted.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Requests whose head it read.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// Reads one head of every connection, then does this.
    fn start(behave: impl Fn(TcpStream, &Seen) + Send + Sync + 'static) -> Self {
        Self::start_raw(move |mut stream, seen| {
            if seen.read_head(&mut stream).is_some() {
                behave(stream, seen);
            }
        })
    }

    fn start_raw(behave: impl Fn(TcpStream, &Seen) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (shared, behave) = (Arc::clone(&seen), Arc::new(behave));
        let thread = thread::spawn(move || {
            let mut peers = Vec::new();
            while !shared.stopped() {
                match listener.accept() {
                    Ok((stream, _)) => {
                        shared.connections.fetch_add(1, Ordering::Relaxed);
                        let (seen, behave) = (Arc::clone(&shared), Arc::clone(&behave));
                        peers.push(thread::spawn(move || {
                            let set_up = stream.set_nonblocking(false).and_then(|()| stream.set_nodelay(true));
                            if set_up.and_then(|()| stream.set_read_timeout(Some(TICK))).is_ok() {
                                behave(stream, &seen);
                            }
                        }));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
            for peer in peers {
                let _ = peer.join();
            }
        });
        Self { addr, seen, thread: Some(thread) }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Seen {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn wait(&self) {
        while !self.stopped() {
            thread::sleep(TICK);
        }
    }

    /// Reads one head, counts it and returns it; `None` when the peer went away before.
    fn read_head(&self, stream: &mut TcpStream) -> Option<String> {
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => head.extend_from_slice(&buffer[..length]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && !self.stopped() => {}
                Err(_) => return None,
            }
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(String::from_utf8_lossy(&head).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one request and returns what comes back within a moment.
    fn ask(url: &str) -> std::io::Result<Vec<u8>> {
        let addr = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n")?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        // What trickles is not waited for to its end.
        for _ in 0..10 {
            match stream.read(&mut buffer) {
                Ok(length @ 1..) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(error),
                _ => break,
            }
        }
        Ok(answer)
    }

    #[test]
    fn each_hostile_server_misbehaves_in_its_own_way() {
        assert_eq!(ask(&Hostile::refuses()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let reset = Hostile::resets();
        assert_eq!(ask(&reset.url()).unwrap_err().kind(), ErrorKind::ConnectionReset);
        let answer = |server: Hostile| {
            let answer = ask(&server.url()).unwrap();
            assert_eq!((server.connections(), server.requests()), (1, 1));
            String::from_utf8_lossy(&answer).into_owned()
        };
        assert!(answer(Hostile::closes_mid_body()).ends_with("\r\n\r\n0123456789"));
        assert_eq!(answer(Hostile::never_answers()), "");
        assert!(!answer(Hostile::garbage()).starts_with("HTTP"));
        assert!(answer(Hostile::slow_body(1000)).ends_with("xxxx"));
        assert!(answer(Hostile::half_header()).ends_with("content-le"));
    }
}
