//! A server that does what a test's closure says, and keeps the requests it read whole.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The sizes of the chunks it came in, and when each was whole.
    pub chunks: Vec<(usize, Instant)>,
}

/// The server. It ends when it is dropped.
pub struct Scripted {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Received>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Received {
    /// The value of a header, or nothing.
    pub fn header(&self, wanted: &str) -> &str {
        self.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|&length| length > 0)?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut received = Self { method, path, headers, body: Vec::new(), chunks: Vec::new() };
        received.read_body(stream)?;
        Some(received)
    }

    fn read_body(&mut self, stream: &mut BufReader<TcpStream>) -> Option<()> {
        if self.header("transfer-encoding") != "chunked" {
            self.body = vec![0; self.header("content-length").parse().unwrap_or(0)];
            return stream.read_exact(&mut self.body).ok();
        }
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok()?;
            assert_eq!(&chunk[size..], b"\r\n");
            if size == 0 {
                return Some(());
            }
            self.body.extend_from_slice(&chunk[..size]);
            self.chunks.push((size, Instant::now()));
        }
    }
}

impl Scripted {
    /// Starts a server whose answers a closure writes; a connection ends when it returns `false`.
    pub fn start(answer: impl Fn(&Received, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (seen, open) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (all, streams, answer) = (Arc::clone(&seen), Arc::clone(&open), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever drops the server connects once more, after the streams are shut.
                if Arc::strong_count(&streams) == 1 {
                    break;
                }
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut writer = stream.try_clone().unwrap();
                    let mut reader = BufReader::new(stream);
                    while let Some(received) = Received::read(&mut reader) {
                        all.lock().unwrap().push(received.clone());
                        if !answer(&received, &mut writer) {
                            break;
                        }
                    }
                    let _ = writer.shutdown(Shutdown::Both);
                });
            }
        });
        Self { addr, seen, open }
    }

    /// Starts a server that answers every request with this head (without a length) and body.
    pub fn answering(head: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let (head, body) = (head.into(), body.into());
        Self::start(move |_, stream| {
            let head = format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_ok()
        })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }

    /// The connections so far.
    pub fn connections(&self) -> usize {
        self.open.lock().unwrap().len()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.open = Arc::default();
        let _ = TcpStream::connect(self.addr);
    }
}
